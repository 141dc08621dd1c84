"""Read retinal-SWAP as files: the authors' form, that of version 0.1, and what is neither."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from swcl_cli.errors import SwclError
from swcl_cli.swap.released import read_released
from swcl_cli.swap.views import patch_of, read_file
from swcl_cli.swap.weak_labels import ABSENT
from tests.authors_swap import (
    SUBSETS,
    in_version_0_1,
    write_as_authors,
    write_table,
)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    write_as_authors(tmp_path / "theirs")
    return tmp_path / "theirs"


class TestTheirs:
    def test_is_read(self, tmp_path: Path) -> None:
        rows = write_as_authors(tmp_path)
        names = [name for row in rows for name in (row[1], row[3])]
        abnormal = [float(score) >= 0.4 for row in rows for score in (row[2], row[4])]
        patches = read_released(tmp_path, ["position"], None)
        assert patches.path.to_pylist() == [f"patches/{name}.jpg" for name in names] and patches.size == 32
        assert patches.pairs.tolist() == [[2 * row, 2 * row + 1] for row in range(len(rows))]
        assert patches.abnormal.tolist() == abnormal and 0 < sum(abnormal) < len(abnormal)
        for row, name in enumerate(names):
            stored = np.asarray(Image.open(tmp_path / "patches" / f"{name}.jpg"))
            np.testing.assert_array_equal(patch_of(read_file(tmp_path, patches, row), patches, row), stored)
        parts: dict[str, list[Any]] = {
            "position": [name.split("_")[3] for name in names],
            "patient": [name.split("_")[:2] for name in names],
            "abnormality": abnormal,
        }
        for labels in SUBSETS:
            label = read_released(tmp_path, labels, None).label
            expected = [tuple(parts[kind][row] for kind in labels) for row in range(len(names))]
            equal = [[first == second for second in expected] for first in expected]
            np.testing.assert_array_equal(label[:, None] == label, equal)

    def test_the_form_of_version_0_1_is_read_alike(self, tmp_path: Path) -> None:
        """Ids that are text, names with suffix, empty cells, further photographs as <patient>~1."""
        rows = write_as_authors(tmp_path)
        rows[3][3:], rows[4][1:3] = ["", ""], ["", ""]
        write_table(tmp_path, rows)
        expected = read_released(tmp_path, ["position", "patient"], None)
        older = [in_version_0_1(row) for row in write_as_authors(tmp_path / "again")]
        older[3][3:], older[4][1:3] = ["", ""], ["", ""]
        write_table(tmp_path, older)
        (tmp_path / ".swcl.json").write_text('{"swap": "0123456789abcdef", "threshold": 0.4}')
        patches = read_released(tmp_path, ["position", "patient"], None)
        assert patches.path.to_pylist() == expected.path.to_pylist()
        assert patches.pairs.tolist() == expected.pairs.tolist() and ABSENT in patches.pairs
        np.testing.assert_array_equal(patches.label, expected.label)
        np.testing.assert_array_equal(patches.abnormal, expected.abnormal)
        (tmp_path / "patches/oia-odir_1_left_tl.jpg").rename(tmp_path / "patches/oia-odir_1~1_left_tl.jpg")
        older[0][1] = "oia-odir_1~1_left_tl.jpg"
        write_table(tmp_path, older)
        np.testing.assert_array_equal(read_released(tmp_path, ["position", "patient"], None).label, expected.label)


def test_the_authors_table_in_any_of_its_forms(theirs: Path) -> None:
    """Ids of any kind, paths with folders, suffixes, spaces, columns in another order and more of them."""
    expected = read_released(theirs, ["position", "patient"], 0.4)
    table = pd.read_csv(theirs / "labels.csv", dtype=str, keep_default_na=False)
    for side in ("left", "right"):
        column = f"{side}-patch"
        table[column] = "/home/somebody/swap/patches/" + table[column] + np.where(table.index % 2, ".jpg ", " ")
    table = table.assign(id=np.arange(len(table)) // 2, fold=1)
    table[["right-score", "fold", "left-score", "right-patch", "id", "left-patch"]].to_csv(
        theirs / "labels.csv", index=False
    )
    found = read_released(theirs, ["position", "patient"], 0.4)
    assert found.path.to_pylist() == expected.path.to_pylist()
    for name in ("label", "pairs", "abnormal"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


class TestWrongCells:
    @pytest.fixture
    def broken(self, theirs: Path) -> Callable[..., str]:
        """Changes cells of the table's row 4, a pair, and returns what reading says."""

        def change(*changes: tuple[int, str]) -> str:
            with open(theirs / "labels.csv", newline="") as handle:
                rows = list(csv.reader(handle))
            for column, text in changes:
                rows[3][column] = text
            with open(theirs / "labels.csv", "w", newline="") as handle:
                csv.writer(handle).writerows(rows)
            with pytest.raises(SwclError) as caught:
                read_released(theirs, ["position"], None)
            assert str(caught.value).startswith(f"{theirs / 'labels.csv'}, row ")
            return str(caught.value)

        return change

    @pytest.mark.parametrize("score", ["1.01", "-0.1", "nan", "inf", "high"])
    def test_scores(self, broken: Callable[..., str], score: str) -> None:
        assert "row 4: oia-odir_1_left_tr.jpg has a score that is no number from 0 to 1." in broken((2, score))

    def test_halves(self, broken: Callable[..., str]) -> None:
        told = broken((2, ""), (3, ""))
        assert (
            "row 4: oia-odir_1_left_tr.jpg has a score without a patch, or a patch without a score (2 such cells)."
            in told
        )

    def test_an_empty_row(self, broken: Callable[..., str]) -> None:
        assert "row 4: a cell is empty, and so is the other of its row" in broken(*((n, "") for n in range(1, 5)))

    @pytest.mark.parametrize(
        "name", ["oia-odir_1_tr.jpg", "oia-odir_1_tr", "oia-odir_1_up_tr", "_left_tr.jpg", "_left_tr"]
    )
    def test_names(self, broken: Callable[..., str], name: str) -> None:
        """Of neither form: both are named, in one line."""
        message = broken((1, name))
        forms = "<dataset>_<image>_<left|right>_<position>, the authors' form, nor so with .jpg, version 0.1's."
        assert message.endswith(f"row 4: {name} is neither called {forms}") and "\n" not in message

    @pytest.mark.parametrize("suffix", ["", ".jpg"])
    def test_a_patch_that_stands_there_twice(self, broken: Callable[..., str], suffix: str) -> None:
        name = "oia-odir_1_left_tl"
        assert f"row 4: {name}.jpg stands in an earlier row already." in broken((1, name + suffix))

    @pytest.mark.parametrize("name", ["oia-odir_3_right_tr.jpg", "oia-odir_1_right_x.jpg"])
    def test_pairs_of_two_patients_or_positions(self, broken: Callable[..., str], name: str) -> None:
        assert f"row 4: {name} is of another patient or position than the other of its row." in broken((3, name))

    def test_a_patch_that_is_missing(self, broken: Callable[..., str], theirs: Path) -> None:
        for name in ("oia-odir_1_right_tr.jpg", "oia-odir_2_left_c.jpg"):
            (theirs / "patches" / name).unlink()
        assert f"row 4: oia-odir_1_right_tr.jpg is missing in {theirs / 'patches'} (2 such cells)." in broken()


def test_tables_that_are_none(theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="labels.csv is missing: --swap names a folder with patches/ and labels.csv"):
        read_released(tmp_path, ["position"], None)
    for text, problem in (
        ("", "can't be read"),
        (
            "id,left-patch\n",
            "has no column left-score, right-patch, right-score: it is neither of the authors' form .*without .jpg. "
            "nor of version 0.1's .*with .jpg",
        ),
    ):
        (theirs / "labels.csv").write_text(text)
        with pytest.raises(SwclError, match=f"labels.csv {problem}"):
            read_released(theirs, ["position"], None)
    (theirs / "labels.csv").write_text("id,left-patch,left-score,right-patch,right-score\n")
    with pytest.raises(SwclError, match="labels.csv lists no patch"):
        read_released(theirs, ["position"], None)


def test_images_are_opened_when_they_are_needed(theirs: Path) -> None:
    """All but the first, whose side all have."""
    patches = read_released(theirs, ["position"], None)
    Image.new("RGB", (32, 40)).save(theirs / patches.path[4].as_py())
    (theirs / patches.path[5].as_py()).write_bytes(b"no image")
    patches = read_released(theirs, ["position"], None)
    with pytest.raises(SwclError, match="is 32 x 40 px, not 32 x 32 as the other patches"):
        read_file(theirs, patches, 4)
    with pytest.raises(SwclError, match="can't be read.*Unpack the download again.$"):
        read_file(theirs, patches, 5)
    Image.new("RGB", (32, 40)).save(theirs / patches.path[0].as_py())
    with pytest.raises(SwclError, match="is 32 x 40 px: patches are square"):
        read_released(theirs, ["position"], None)
