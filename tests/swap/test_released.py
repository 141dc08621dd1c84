"""The authors' layout of retinal-SWAP: theirs is read, ours is what their loader reads, what is wrong is named.

Folders to be read come from a writer of these tests, and what swcl writes is read by their loader's rules (FACTS 4).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

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
from tests.authors_swap import (
    COLUMNS,
    SUBSETS,
    read_as_authors,
)

BOXES = {"tl": (0, 0), "tr": (32, 0), "c": (16, 16)}
EYES = [  # data set, patient, eye: pairs, singles, two photographs of an eye, unknown sides, any names
    ("odir", "1", "left"), ("odir", "1", "right"), ("odir", "1", "left"), ("eyepacs", "1", "right"),
    ("odir", "a_left", "left"), ("odir", "a", "unknown"), ("odir", "a", "left"), ("odir", "a", "unknown"),
    ("folder", "../Ä ~1_b", "left"), ("folder", "../Ä ~1_b", "right"),
]  # fmt: skip


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
        (folder / "patches/odir_9_left_tl.jpg").touch()
        write_released(swap.parent, swap, folder, 0, lambda _: None)
        assert is_written(swap, folder) and not (folder / "patches/odir_9_left_tl.jpg").exists()

    def test_what_people_put_among_the_patches_stays(self, swap: Path, folder: Path) -> None:
        others = ("thesis.jpg", "odir_1_left_tl.png", "odir_1_left_xx.jpg", "notes_left.txt")
        for name in others:
            (folder / "patches" / name).write_text("mine")
        (folder / "patches/more").mkdir()
        write_released(swap.parent, swap, folder, 0, lambda _: None)
        assert is_written(swap, folder) and (folder / "patches/more").is_dir()
        assert all((folder / "patches" / name).read_text() == "mine" for name in others)

    @pytest.mark.parametrize(
        "text", ["", "x", "[]", "null", "3", '{"threshold": "x"}', '{"threshold": 7}', '{"threshold": NaN}', "\udcff"]
    )
    def test_an_edited_mark_is_damaged(self, swap: Path, folder: Path, text: str) -> None:
        (folder / ".swcl.json").write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(SwclError, match=r"\.swcl\.json is damaged, or of another version.*--materialize FOLDER"):
            read_released(folder, ["position"], None)
        assert not is_written(swap, folder)

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
