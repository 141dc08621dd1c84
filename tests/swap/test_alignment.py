"""`make-swap --align`: photographs that lie upside down give the patches, masks and maps of the upright ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from swcl_cli.data import manifest
from swcl_cli.errors import SwclError
from swcl_cli.steps import make_swap
from swcl_cli.swap.lesion_masks import read_patch_lesions
from swcl_cli.swap.views import PairViews, patch_of, read_file
from swcl_cli.swap.weak_labels import read_patches
from swcl_cli.workspace import Workspace, read_provenance, write_parquet
from tests import prepared
from tests.prepared import orientation
from tests.steps.test_make_swap import scores_by_hand
from tests.swap_runs import POSITIONS, make, options

INVERTED = {"0_left", "0_right", "2_right"}  # of eyepacs, whose central square is the same upside down
MISNAMED = "1"  # a patient of eyepacs, of whom left and right are exchanged


def turn(root: Path) -> None:
    """Turn photographs and their masks by 180 degrees, and exchange the names of a patient's eyes."""
    workspace = Workspace(root)
    rows = manifest.read(workspace.manifest("eyepacs"))
    for row in rows[rows["image_id"].isin(INVERTED)].itertuples():
        for path in (row.path, row.lesion_mask_path):
            Image.fromarray(np.rot90(np.asarray(Image.open(root / path)), 2).copy()).save(root / path)
    checksums = [crc32((root / path).read_bytes()) for path in rows["path"]]
    eyes = rows["eye"].where(rows["patient_id"] != MISNAMED, rows["eye"].map({"left": "right", "right": "left"}))
    prepared.change(root, "eyepacs", checksum=checksums, eye=eyes)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """Two workspaces of the same eyes: all upright and well named, made without --align; and otherwise, with it."""
    upright, other = (tmp_path_factory.mktemp(name) for name in ("upright", "other"))
    network = make(upright)
    shutil.copytree(upright, other, dirs_exist_ok=True)
    make_swap.run(options(upright))
    turn(other)
    orientation(other, "odir", set())
    orientation(other, "eyepacs", INVERTED, MISNAMED)
    make_swap.run(options(other, align=True))
    return upright, other, network


def table(root: Path) -> pd.DataFrame:
    return pq.read_table(root / "swap.parquet").to_pandas()


def cut(root: Path) -> list[NDArray[np.uint8]]:
    patches = read_patches(root / "swap.parquet", ["position"], None)
    return [patch_of(read_file(root, patches, row), patches, row) for row in range(len(patches))]


def test_patches_are_those_of_the_upright_photographs(both: tuple[Path, Path, Any]) -> None:
    """Pixel by pixel, in the file and in the views of pretraining; what patches are called does not change."""
    upright, other, _ = both
    rows, expected = table(other), table(upright)
    same = ["dataset", "image_id", "position", "eye", "mirrored", "single", "image_abnormal", "size"]
    assert rows[same].equals(expected[same])
    assert set(rows.loc[rows["rotated"], "image_id"]) == INVERTED and not expected["rotated"].any()
    for got, wanted in zip(cut(other), cut(upright), strict=True):
        np.testing.assert_array_equal(got, wanted)
    read = (read_patches(root / "swap.parquet", ["position"], None) for root in (other, upright))
    views = [PairViews(root, patches, 3, True, 0.5) for root, patches in zip((other, upright), read, strict=True)]
    for pair in range(0, len(views[0].patches.pairs), 3):
        np.testing.assert_array_equal(views[0][0, pair]["views"], views[1][0, pair]["views"])


def test_scores_and_maps_lie_as_patches_do(both: tuple[Path, Path, Any]) -> None:
    """The labeler sees photographs as they are; by hand, the position that is scored is that of the turned crop."""
    _, other, network = both
    rows, maps = table(other), load_file(other / "runs/make-swap/cams.safetensors")
    opposite = {"tl": "br", "tr": "bl", "c": "c", "bl": "tr", "br": "tl"}
    turned = 0
    for (path, eye, rotated), photograph in rows[rows["dataset"] == "eyepacs"].groupby(["path", "eye", "rotated"]):
        image = np.asarray(Image.open(other / path))
        # turned and mirrored is as mirrored, with top and bottom exchanged
        raw = scores_by_hand(image, eye, network, True)
        expected = {position: raw[opposite[position] if rotated else position] for position in POSITIONS}
        assert photograph.set_index("position")["score"].to_dict() == pytest.approx(expected, abs=1e-4)
        if path in maps:
            plain = scores_by_hand(image, eye, network, False)
            assert maps[path][:32, :32].double().mean() / 255 == pytest.approx(
                plain["br" if rotated else "tl"], abs=2e-3
            )
            turned += rotated
    assert turned


def test_judgement_and_materialised_files_follow(both: tuple[Path, Path, Any], tmp_path: Path) -> None:
    """The lesion is in the raw tl of an upright photograph: the same patches hold it."""
    upright, other, _ = both
    held = []
    for root in (upright, other):
        masks = manifest.read(root / "data/eyepacs/manifest.parquet", ["path", "width", "height", "lesion_mask_path"])
        rows = table(root)[["path", "image_id", "position", "x", "y", "size"]].merge(masks, on="path")
        lesions = read_patch_lesions(root, rows)
        held.append(set(rows.loc[lesions.any(axis=1), ["image_id", "position"]].itertuples(index=False, name=None)))
    assert held[0] == held[1]
    assert {position for image_id, position in held[0] if image_id.endswith("left")} == {"tl"}
    folders = [tmp_path / name for name in ("upright", "other")]
    make_swap.run(options(upright, materialize=folders[0]))
    make_swap.run(options(other, materialize=folders[1], align=True))
    names = sorted(path.name for path in (folders[0] / "patches").iterdir())
    assert names == sorted(path.name for path in (folders[1] / "patches").iterdir()) and len(names) == 100
    for name in names:
        assert (folders[0] / "patches" / name).read_bytes() == (folders[1] / "patches" / name).read_bytes()


def test_what_is_told_and_what_stays(
    both: tuple[Path, Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new look that sees the same leaves patches as they are; another one, or none, is another work."""
    root = tmp_path / "w"
    shutil.copytree(both[1], root)
    orientation(root, "eyepacs", INVERTED, MISNAMED, sure=0.7)
    make_swap.run(options(root, align=True))
    assert "already made" in capsys.readouterr().out
    orientation(root, "eyepacs", INVERTED - {"2_right"}, MISNAMED)
    with pytest.raises(SwclError, match=r"turned: 3 photographs \(\w+\) -> 2 photographs \(\w+\)\). Score again"):
        make_swap.run(options(root, align=True))
    with pytest.raises(SwclError, match="align: True -> False"):
        make_swap.run(options(root))
    make_swap.run(options(root, align=True, fresh=True))
    told = capsys.readouterr().out
    assert "eyepacs: 2 of 8 photographs lie upside down and are turned; 2 show the other eye than" in " ".join(
        told.split()
    )
    make_swap.run(options(root, align=True, threshold=0.6))
    assert set(table(root).loc[table(root)["rotated"], "image_id"]) == INVERTED - {"2_right"}


def test_a_table_that_was_made_before_photographs_could_be_turned(both: tuple[Path, Path, Any], tmp_path: Path) -> None:
    """It is read, relabelled and judged as before: nothing is turned."""
    root = tmp_path / "w"
    shutil.copytree(both[0], root)
    before, made = pq.read_table(root / "swap.parquet"), read_provenance(root / "swap.parquet")
    made["settings"].pop("align")
    write_parquet(root / "swap.parquet", before.drop_columns(["rotated"]), made)
    assert not read_patches(root / "swap.parquet", ["position"], None).rotated.any()
    make_swap.run(options(root, threshold=0.6))
    after = pq.read_table(root / "swap.parquet")
    assert after.drop_columns(["abnormal"]).equals(before.drop_columns(["abnormal"]))


def test_eyes_without_a_name_are_sided_where_that_is_sure(both: tuple[Path, Path, Any], tmp_path: Path) -> None:
    for sure, eye in ((0.95, "right"), (0.85, "unknown")):
        root = tmp_path / str(sure)
        shutil.copytree(both[0], root)
        eyes = manifest.read(root / "data/odir/manifest.parquet")["eye"]
        prepared.change(root, "odir", eye=["unknown", *eyes[1:]])
        for name in ("odir", "eyepacs"):
            orientation(root, name, set(), sure=sure)
        make_swap.run(options(root, align=True, fresh=True))
        rows = table(root).iloc[:5]
        assert set(rows["eye"]) == {eye} and set(rows["mirrored"]) == {eye == "right"}


@pytest.mark.parametrize("fate", ["missing", "stale"])
def test_data_sets_that_were_not_looked_at(both: tuple[Path, Path, Any], tmp_path: Path, fate: str) -> None:
    root = tmp_path / "w"
    shutil.copytree(both[1], root)
    if fate == "missing":
        (root / "data/eyepacs/orientation.parquet").unlink()
    else:
        prepared.change(root, "eyepacs", dr_grade=1)
    words = {"missing": "orientation.parquet is missing. Make it with: swcl audit",
             "stale": "knows nothing of eyepacs as prepared now; renew it with: swcl audit"}  # fmt: skip
    with pytest.raises(SwclError, match=words[fate]):
        make_swap.run(options(root, align=True, fresh=True))
