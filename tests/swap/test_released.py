"""The authors' layout of retinal-SWAP: theirs is read, ours is what their loader reads, what is wrong is named.

Folders to be read come from a writer of these tests, and what swcl writes is read by their loader's rules (FACTS 4).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from swcl_cli.errors import SwclError
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.swap.released import is_written, read_released, require_ours, table_fingerprint, write_released
from swcl_cli.swap.views import patch_of, read_file
from swcl_cli.swap.weak_labels import ABSENT, Patches, read_patches
from swcl_cli.workspace import fingerprint
from tests import prepared

BOXES = {"tl": (0, 0), "tr": (32, 0), "c": (16, 16)}
EYES = [  # data set, patient, eye: pairs, singles, two photographs of an eye, unknown sides, any names
    ("odir", "1", "left"), ("odir", "1", "right"), ("odir", "1", "left"), ("eyepacs", "1", "right"),
    ("odir", "a_left", "left"), ("odir", "a", "unknown"), ("odir", "a", "left"), ("odir", "a", "unknown"),
    ("folder", "../Ä ~1_b", "left"), ("folder", "../Ä ~1_b", "right"),
]  # fmt: skip
COLUMNS = ["id", "left-patch", "left-score", "right-patch", "right-score"]
PATIENTS = [("oia-odir", "1"), ("oia-odir", "2"), ("eyepacs", "1")]
POSITIONS = ["tl", "c", "tr", "bl", "br"]
SUBSETS = [list(kinds) for count in (1, 2, 3) for kinds in combinations(("position", "abnormality", "patient"), count)]


class Row(NamedTuple):
    """A row of the table as their loader takes it: of each patch the pixels and whether it is abnormal."""

    id: int
    patient: int
    position: int
    patches: list[Any]
    abnormal: list[bool]


def write_as_authors(folder: Path) -> list[list[str]]:
    """Write patches and labels.csv in the authors' form; return the table's rows."""
    rng = np.random.default_rng(1)
    (folder / "patches").mkdir(parents=True)
    rows: list[list[str]] = []
    for dataset, patient in PATIENTS:
        for position in POSITIONS:
            names = [f"{dataset}_{patient}_{eye}_{position}" for eye in ("left", "right")]
            scores = [f"{score:.17f}" for score in rng.random(2)]
            for item, name in enumerate(names):
                pixels = prepared.photograph(2 * len(rows) + item)[:32, :32]
                Image.fromarray(pixels).save(folder / "patches" / f"{name}.jpg")
            rows.append([str(2 * len(rows)), names[0], scores[0], names[1], scores[1]])
    write_table(folder, rows)
    return rows


def write_table(folder: Path, rows: list[list[str]]) -> None:
    with open(folder / "labels.csv", "w", newline="") as handle:
        csv.writer(handle).writerows([COLUMNS, *rows])


def in_version_0_1(row: list[str]) -> list[str]:
    """Return the row as version 0.1 wrote it: an id that is text, and names with their suffix."""
    dataset, patient, _, position = row[1].split("_")
    return [f"{dataset}_{patient}_{position}", f"{row[1]}.jpg", row[2], f"{row[3]}.jpg", row[4]]


def read_as_authors(folder: Path) -> list[Row]:
    """Read labels.csv by the rules of the authors' loader, which stops where one doesn't hold."""
    rows = []
    for row in pd.read_csv(folder / "labels.csv").to_dict("records"):
        names = [row["left-patch"], row["right-patch"]]
        patient = int(names[0].split("_")[1]) + (0 if "eyepacs" in names[0] else 44352)
        position, other = (["tl", "tr", "c", "bl", "br"].index(name.split("_")[-1]) for name in names)
        assert position == other and isinstance(row["id"], int)
        patches = [np.asarray(Image.open(folder / "patches" / f"{name}.jpg")).astype(int) for name in names]
        rows.append(Row(row["id"], patient, position, patches, [row[f"{e}-score"] >= 0.4 for e in ("left", "right")]))
    return rows


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    write_as_authors(tmp_path / "theirs")
    return tmp_path / "theirs"


@pytest.fixture
def swap(tmp_path: Path) -> Path:
    return swap_of(tmp_path, EYES)


def swap_of(tmp_path: Path, eyes: list[tuple[str, str, str]]) -> Path:
    """Three patches of each eye's photograph; right eyes are mirrored."""
    rng = np.random.default_rng(0)
    rows = []
    for item, (dataset, patient, eye) in enumerate(eyes):
        Image.fromarray(prepared.photograph(item)).save(tmp_path / f"{item}.png")
        for position, (x, y) in BOXES.items():
            row = {"dataset": dataset, "patient_id": patient, "eye": eye, "position": position, "path": f"{item}.png"}
            rows.append({**row, "x": x, "y": y, "size": 32, "mirrored": eye == "right", "score": rng.random()})
    table = pd.DataFrame(rows).astype({"score": "float32"})
    return prepared.swap(tmp_path, table.assign(abnormal=table["score"] >= 0.4))


@pytest.fixture
def folder(swap: Path) -> Path:
    write_released(swap.parent, swap, swap.parent / "released", 0, lambda _: None)
    return swap.parent / "released"


def pairs_in_pixels(root: Path, patches: Patches) -> list[tuple[Any, Any]]:
    """Left and right patch of each pair, None where there is none."""
    rows = patches.pairs.tolist()
    cut = [patch_of(read_file(root, patches, row), patches, row).astype(int) for row in range(len(patches))]
    return [(None if left == ABSENT else cut[left], None if right == ABSENT else cut[right]) for left, right in rows]


def alike(first: Any, second: Any) -> bool:
    """Both absent, or equal but for JPEG's loss."""
    if first is None or second is None:
        return first is second
    return bool(np.abs(first - second).mean() < 1.5)


def test_round_trip(swap: Path, folder: Path) -> None:
    """Same pairs in pixels, each just once, and same labels by any of the weak labels."""
    for labels in SUBSETS:
        before, after = read_patches(swap, labels, None), read_released(folder, labels, None)
        assert len(after) == len(before) == 3 * len(EYES) and after.size == 32
        own, theirs = pairs_in_pixels(swap.parent, before), pairs_in_pixels(folder, after)
        found = [[n for n, other in enumerate(theirs) if all(map(alike, pair, other))] for pair in own]
        assert sorted(number for numbers in found for number in numbers) == list(range(len(before.pairs)))
        partner = np.full(len(before), ABSENT)
        for pair, (number,) in zip(before.pairs, found, strict=True):
            for row, other in zip(pair, after.pairs[number], strict=True):
                partner[row] = other if row != ABSENT else partner[row]
        np.testing.assert_array_equal(after.abnormal[partner], before.abnormal)
        np.testing.assert_array_equal(
            after.label[partner][:, None] == after.label[partner], before.label[:, None] == before.label
        )


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


def test_their_loader_reads_what_is_written(tmp_path: Path) -> None:
    """Two photographs of each eye, and eyes without a partner, which it does not see."""
    eyes = [("eyepacs", "7", "right"), ("odir", "12", "left"), ("odir", "12", "right"), ("eyepacs", "12", "left")]
    eyes += [("eyepacs", "12", "right"), ("odir", "12", "left"), ("odir", "12", "right"), ("odir", "13", "left")]
    swap = swap_of(tmp_path, eyes)
    table, patches = pd.read_parquet(swap), read_patches(swap, ["position"], None)
    write_released(tmp_path, swap, tmp_path / "ours", 0, lambda _: None)
    rows = read_as_authors(tmp_path / "ours")
    assert [row.id for row in rows] == list(range(0, 18, 2))  # even: id + 1 is the label of another abnormality
    of_theirs = {(row.patient, row.position) for row in rows}
    assert of_theirs == {(patient, position) for patient in (12, 12 + 44352) for position in (0, 1, 2)}
    own = pairs_in_pixels(tmp_path, patches)
    for pair, (left, right) in zip(own, patches.pairs, strict=True):
        matches = [row for row in rows if all(map(alike, pair, row.patches))]
        if ABSENT in (left, right):
            assert matches == []
            continue
        (row,) = matches
        assert row.abnormal == (table["score"].iloc[[left, right]] >= 0.4).tolist()
        assert row.patient == int(table["patient_id"][left]) + 44352 * (table["dataset"][left] == "odir")
        assert ["tl", "tr", "c"][row.position] == table["position"][left]
    with open(tmp_path / "ours/singles.csv", newline="") as handle:
        singles = list(csv.DictReader(handle))
    assert {row["left-patch"] or row["right-patch"] for row in singles} == {
        f"{eye}_{position}" for eye in ("eyepacs_7_right", "odir_13_left") for position in BOXES
    }
    assert sorted(int(row["id"]) for row in singles) == list(range(18, 30, 2))


def test_no_file_of_singles_without_singles(tmp_path: Path) -> None:
    swap = swap_of(tmp_path, [("odir", "1", "left"), ("odir", "1", "right"), ("odir", "2", "left")])
    write_released(tmp_path, swap, tmp_path / "ours", 0, lambda _: None)
    table, singles = tmp_path / "ours/labels.csv", tmp_path / "ours/singles.csv"
    of_both = table_fingerprint(tmp_path / "ours")
    assert singles.exists() and of_both != fingerprint(table)
    singles.write_text(singles.read_text().replace("\n", "\r\n"))
    assert table_fingerprint(tmp_path / "ours") != of_both  # the singles count
    pairs = pd.read_parquet(swap)
    prepared.swap(tmp_path, pairs[pairs["patient_id"] == "1"])
    write_released(tmp_path, swap, tmp_path / "ours", 0, lambda _: None)
    assert not singles.exists() and table_fingerprint(tmp_path / "ours") == fingerprint(table)


def test_files_and_table(swap: Path, folder: Path) -> None:
    pairs, singles = (
        pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False) for name in ("labels", "singles")
    )
    assert pairs.columns.tolist() == singles.columns.tolist() == COLUMNS
    assert (pairs != "").all(axis=None) and ((singles == "").sum(axis=1) == 2).all()
    table = pd.concat([pairs, singles], ignore_index=True)
    assert table["id"].tolist() == [str(2 * row) for row in range(len(table))]
    scores = pd.read_parquet(swap)["score"].to_numpy()
    row = pairs.set_index("left-patch").loc["odir_1_left_tr"]
    assert row["right-patch"] == "odir_1_right_tr"
    assert np.float32(row["left-score"]) == scores[1] and np.float32(row["right-score"]) == scores[4]
    single = singles.set_index("left-patch").loc["odir_1_left~1_tl"]  # the second photograph of the left eye
    assert single.tolist()[1:] == [str(scores[6]), "", ""]
    assert singles.set_index("right-patch").loc["eyepacs_1_right_c", "left-patch"] == ""
    named = [name for side in ("left", "right") for name in table[f"{side}-patch"] if name]
    assert sorted(named) == sorted(path.stem for path in (folder / "patches").iterdir()) and len(set(named)) == 30
    assert "folder_..%2F%C3%84%20%7E1_b_right_c".replace("%C3%84", "Ä") in named
    with Image.open(folder / "patches/odir_1_right_tl.jpg") as image:
        assert image.size == (32, 32) and image.format == "JPEG"
        assert get_sampling(image) == 0  # 4:4:4
        stored = np.asarray(Image.open(swap.parent / "1.png"))[:32, :32]
        assert np.abs(np.asarray(image).astype(int) - stored[:, ::-1]).mean() < 1.5  # mirrored in the file


def test_the_threshold_is_the_one_it_was_written_with(folder: Path) -> None:
    def abnormal(threshold: float | None) -> int:
        return int(read_released(folder, ["abnormality"], threshold).abnormal.sum())

    assert 30 == abnormal(0) > abnormal(0.4) > abnormal(0.7) > abnormal(1) == 0
    assert abnormal(None) == abnormal(0.4)
    (folder / ".swcl.json").write_text('{"swap": "0", "threshold": 0.7, "form": 2}')
    assert abnormal(None) == abnormal(0.7)
    (folder / ".swcl.json").unlink()  # as in the authors' download: the paper's 0.4
    assert abnormal(None) == abnormal(0.4) and MakeSwapSettings().threshold == 0.4


def test_processes_write_the_same(swap: Path, folder: Path) -> None:
    told: list[int] = []
    other = swap.parent / "other"
    write_released(swap.parent, swap, other, 2, told.append)
    files = [{path.relative_to(place): path.read_bytes() for path in place.rglob("*.*")} for place in (folder, other)]
    assert files[0] == files[1] and len(files[0]) == 33 and sum(told) == 30


class TestWhereItMayWrite:
    def test_its_own_folder_is_written_anew(self, swap: Path, folder: Path) -> None:
        assert is_written(swap, folder)
        (folder / "patches/stale.jpg").touch()
        write_released(swap.parent, swap, folder, 0, lambda _: None)
        assert is_written(swap, folder) and not (folder / "patches/stale.jpg").exists()

    def test_another_swap_is_not_written_yet(self, swap: Path, folder: Path) -> None:
        prepared.swap(swap.parent, pd.read_parquet(swap).iloc[:3])
        assert not is_written(swap, folder)
        write_released(swap.parent, swap, folder, 0, lambda _: None)
        assert is_written(swap, folder) and len(list((folder / "patches").iterdir())) == 3

    def test_the_form_of_version_0_1_is_not_written_yet(self, swap: Path, folder: Path) -> None:
        """Its mark names swap.parquet and threshold alone."""
        (folder / ".swcl.json").write_text(json.dumps({"swap": fingerprint(swap), "threshold": 0.4}))
        assert not is_written(swap, folder)
        (folder / "patches/odir_1_left_tl.jpg").rename(folder / "patches/odir_1~9_left_tl.jpg")
        write_released(swap.parent, swap, folder, 0, lambda _: None)
        assert is_written(swap, folder) and not (folder / "patches/odir_1~9_left_tl.jpg").exists()

    def test_broken_off_is_not_written(self, swap: Path, folder: Path) -> None:
        def stop(_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_released(swap.parent, swap, folder, 0, stop)
        assert not is_written(swap, folder)
        require_ours(folder)

    def test_never_over_other_files(self, swap: Path, folder: Path) -> None:
        require_ours(swap.parent / "new")
        (swap.parent / "empty").mkdir()
        require_ours(swap.parent / "empty")
        (folder / ".swcl.json").unlink()  # as the authors' download
        for place in (folder, swap.parent, swap):
            with pytest.raises(SwclError, match="not empty, and make-swap did not write it: name another folder"):
                write_released(swap.parent, swap, place, 0, lambda _: None)
        assert len(list((folder / "patches").iterdir())) == 30

    def test_a_photograph_that_was_replaced_since(self, swap: Path) -> None:
        Image.fromarray(prepared.photograph(9)).save(swap.parent / "3.png")
        with pytest.raises(SwclError, match="3.png is not the image that was prepared.*swcl prep.*make-swap --fresh"):
            write_released(swap.parent, swap, swap.parent / "released", 1, lambda _: None)


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
