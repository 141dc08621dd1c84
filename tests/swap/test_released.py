"""The authors' layout of retinal-SWAP: what is written is read back as it was, and what is wrong in it is named."""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from swcl_cli.errors import SwclError
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.swap.released import is_written, read_released, require_ours, write_released
from swcl_cli.swap.views import patch_of, read_file
from swcl_cli.swap.weak_labels import ABSENT, Patches, read_patches
from tests import prepared

BOXES = {"tl": (0, 0), "tr": (32, 0), "c": (16, 16)}
EYES = [  # data set, patient, eye: pairs, singles, two photographs of an eye, unknown sides, any names
    ("odir", "1", "left"), ("odir", "1", "right"), ("odir", "1", "left"), ("eyepacs", "1", "right"),
    ("odir", "a_left", "left"), ("odir", "a", "unknown"), ("odir", "a", "left"), ("odir", "a", "unknown"),
    ("folder", "../Ä ~1_b", "left"), ("folder", "../Ä ~1_b", "right"),
]  # fmt: skip
SUBSETS = [list(kinds) for count in (1, 2, 3) for kinds in combinations(("position", "abnormality", "patient"), count)]


@pytest.fixture
def swap(tmp_path: Path) -> Path:
    """Three patches of each eye's photograph; right eyes are mirrored."""
    rng = np.random.default_rng(0)
    rows = []
    for item, (dataset, patient, eye) in enumerate(EYES):
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


def test_files_and_table(swap: Path, folder: Path) -> None:
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    assert table.columns.tolist() == ["id", "left-patch", "left-score", "right-patch", "right-score"]
    scores = pd.read_parquet(swap)["score"].to_numpy()
    row = table.set_index("id").loc["odir_1_tr"]
    assert row[["left-patch", "right-patch"]].tolist() == ["odir_1_left_tr.jpg", "odir_1_right_tr.jpg"]
    assert np.float32(row["left-score"]) == scores[1] and np.float32(row["right-score"]) == scores[4]
    single = table.set_index("id").loc["odir_1~1_tl"]  # the second photograph of the left eye
    assert single.tolist() == ["odir_1~1_left_tl.jpg", str(scores[6]), "", ""]
    assert table.set_index("id").loc["eyepacs_1_c", "left-patch"] == ""
    named = [name for side in ("left", "right") for name in table[f"{side}-patch"] if name]
    assert sorted(named) == sorted(path.name for path in (folder / "patches").iterdir()) and len(set(named)) == 30
    assert "folder_..%2F%C3%84%20%7E1_b_right_c.jpg".replace("%C3%84", "Ä") in named
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
    (folder / ".swcl.json").write_text('{"swap": "0", "threshold": 0.7}')
    assert abnormal(None) == abnormal(0.7)
    (folder / ".swcl.json").unlink()  # as in the authors' download: the paper's 0.4
    assert abnormal(None) == abnormal(0.4) and MakeSwapSettings().threshold == 0.4


def test_processes_write_the_same(swap: Path, folder: Path) -> None:
    told: list[int] = []
    other = swap.parent / "other"
    write_released(swap.parent, swap, other, 2, told.append)
    files = [{path.relative_to(place): path.read_bytes() for path in place.rglob("*.*")} for place in (folder, other)]
    assert files[0] == files[1] and len(files[0]) == 32 and sum(told) == 30


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


def test_the_authors_table_in_any_of_its_forms(folder: Path) -> None:
    """Ids of any kind, paths with folders, spaces, columns in another order and more of them."""
    expected = read_released(folder, ["position", "patient"], 0.4)
    table = pd.read_csv(folder / "labels.csv", dtype=str, keep_default_na=False)
    for side in ("left", "right"):
        column = f"{side}-patch"
        table[column] = ("/home/somebody/swap/patches/" + table[column] + " ").where(table[column] != "", " ")
    table = table.assign(id=np.arange(len(table)) // 2, fold=1)
    table[["right-score", "fold", "left-score", "right-patch", "id", "left-patch"]].to_csv(
        folder / "labels.csv", index=False
    )
    found = read_released(folder, ["position", "patient"], 0.4)
    assert found.path.to_pylist() == expected.path.to_pylist()
    for name in ("label", "pairs", "abnormal"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


class TestWrongCells:
    @pytest.fixture
    def broken(self, folder: Path) -> Callable[..., str]:
        """Changes cells of the table's row 4, a pair, and returns what reading says."""

        def change(*changes: tuple[int, str]) -> str:
            with open(folder / "labels.csv", newline="") as handle:
                rows = list(csv.reader(handle))
            for column, text in changes:
                rows[3][column] = text
            with open(folder / "labels.csv", "w", newline="") as handle:
                csv.writer(handle).writerows(rows)
            with pytest.raises(SwclError) as caught:
                read_released(folder, ["position"], None)
            assert str(caught.value).startswith(f"{folder / 'labels.csv'}, row ")
            return str(caught.value)

        return change

    @pytest.mark.parametrize("score", ["1.01", "-0.1", "nan", "inf", "high"])
    def test_scores(self, broken: Callable[..., str], score: str) -> None:
        assert "row 4: odir_1_left_tr.jpg has a score that is no number from 0 to 1." in broken((2, score))

    def test_halves(self, broken: Callable[..., str]) -> None:
        told = broken((2, ""), (3, ""))
        assert (
            "row 4: odir_1_left_tr.jpg has a score without a patch, or a patch without a score (2 such cells)." in told
        )

    def test_an_empty_row(self, broken: Callable[..., str]) -> None:
        assert "row 4: a cell is empty, and so is the other of its row" in broken(*((n, "") for n in range(1, 5)))

    @pytest.mark.parametrize("name", ["odir_1_tr.jpg", "odir_1_up_tr.jpg", "_left_tr.jpg", "odir_1_left_tr"])
    def test_names(self, broken: Callable[..., str], name: str) -> None:
        assert f"row 4: {name} is not called <dataset>_<image>_<left|right>_<position>.jpg." in broken((1, name))

    def test_a_patch_that_stands_there_twice(self, broken: Callable[..., str]) -> None:
        assert "row 4: odir_1_left_tl.jpg stands in an earlier row already." in broken((1, "odir_1_left_tl.jpg"))

    @pytest.mark.parametrize("name", ["odir_2_right_tr.jpg", "odir_1_right_br.jpg"])
    def test_pairs_of_two_patients_or_positions(self, broken: Callable[..., str], name: str) -> None:
        assert f"row 4: {name} is of another patient or position than the other of its row." in broken((3, name))

    def test_a_patch_that_is_missing(self, broken: Callable[..., str], folder: Path) -> None:
        for name in ("odir_1_right_tr.jpg", "odir_a_left_c.jpg"):
            (folder / "patches" / name).unlink()
        assert f"row 4: odir_1_right_tr.jpg is missing in {folder / 'patches'} (2 such cells)." in broken()


def test_tables_that_are_none(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="labels.csv is missing: --swap names a folder with patches/ and labels.csv"):
        read_released(tmp_path, ["position"], None)
    for text, problem in (
        ("", "can't be read"),
        ("id,left-patch\n", "has no column left-score, right-patch, right-sc"),
    ):
        (folder / "labels.csv").write_text(text)
        with pytest.raises(SwclError, match=f"labels.csv {problem}"):
            read_released(folder, ["position"], None)
    (folder / "labels.csv").write_text("id,left-patch,left-score,right-patch,right-score\n")
    with pytest.raises(SwclError, match="labels.csv lists no patch"):
        read_released(folder, ["position"], None)


def test_images_are_opened_when_they_are_needed(folder: Path) -> None:
    """All but the first, whose side all have."""
    patches = read_released(folder, ["position"], None)
    Image.new("RGB", (32, 40)).save(folder / patches.path[4].as_py())
    (folder / patches.path[5].as_py()).write_bytes(b"no image")
    patches = read_released(folder, ["position"], None)
    with pytest.raises(SwclError, match="is 32 x 40 px, not 32 x 32 as the other patches"):
        read_file(folder, patches, 4)
    with pytest.raises(SwclError, match="can't be read.*Unpack the download again.$"):
        read_file(folder, patches, 5)
    Image.new("RGB", (32, 40)).save(folder / patches.path[0].as_py())
    with pytest.raises(SwclError, match="is 32 x 40 px: patches are square"):
        read_released(folder, ["position"], None)
