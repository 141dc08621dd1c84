"""`swcl audit` from prepared phantom eyes to audit.parquet: copies within and across data sets, and bad input."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from swcl_cli.audit import comparing, describing, orienting
from swcl_cli.audit.learnt import sentence_of_copies
from swcl_cli.data import manifest
from swcl_cli.data.columns import AUDIT, ORIENTATION
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.settings import AuditSettings, PrepSettings
from swcl_cli.steps import audit, prep
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_parquet, write_safetensors
from tests import prepared
from tests.audit.eyes import COPIES, eyes, taken_twice
from tests.folders import contents

SIZE = 192


def prepare(root: Path, name: str, photographs: dict[str, Image.Image], **values: Any) -> None:
    """Prepare a data set of these photographs by their paths, such as train/a.png."""
    for path, image in photographs.items():
        place = root / "source" / name / path
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place)
    prep.run(
        PrepSettings(
            workspace=root, dataset="folder", source=root / "source" / name, name=name, workers=0,
            **{"size": SIZE, **values},
        )
    )  # fmt: skip


def run(root: Path, **values: Any) -> pd.DataFrame:
    path = audit.run(AuditSettings(**{"workspace": root, "workers": 0, **values}))
    assert path == root / "audit.parquet"
    frame: pd.DataFrame = read_columns(path, AUDIT).to_pandas()
    return frame


def kinds(frame: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Kind by the ids of a pair."""
    return {(row.image_id, row.other_image_id): row.kind for row in frame.itertuples()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets: the first parts copies by its splits; the second holds others, smaller and cropped."""
    root = tmp_path_factory.mktemp("audit")
    first, second = taken_twice(3)
    one = {f"train/p{item}.png": eyes(item)[0] for item in range(3)}
    one |= {"train/fellow.png": eyes(0)[1], "train/first.png": first, "train/second.png": second}
    one |= {"test/mirrored.jpg": COPIES["mirrored"](eyes(0)[0]), "test/p4.png": eyes(4)[0]}
    table = root / "labels.csv"
    lines = [f"{path},g{item // 3}\n" for item, path in enumerate(one)]
    table.write_text("image,grade\n" + "".join(lines))
    prepare(root, "one", one, labels=table, label=["grade=classes"])
    two = {"a.jpg": COPIES["all"](eyes(4)[0]), "b.jpg": COPIES["resized"](eyes(1)[0]), "c.png": eyes(5)[1]}
    prepare(root, "two", two, size=128, crop_to_field=True)
    return root


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "w")
    return tmp_path / "w"


def test_copies_within_and_across_data_sets(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = run(workspace)
    assert kinds(frame) == {
        ("train_p0", "test_mirrored"): "copy", ("test_p4", "a"): "copy", ("train_p1", "b"): "copy",
        ("train_first", "train_second"): "visit",
    }  # fmt: skip
    by_other = frame.set_index("other_image_id")
    assert by_other["change"][["test_mirrored", "b"]].tolist() == ["mirrored", "resized or compressed"]
    assert by_other["change"]["a"].startswith("turned by 270")
    split = by_other["other_split"]["a"]
    assert by_other["leak"].dropna().to_dict() == {"test_mirrored": "train and test", "a": f"test and {split}"}
    assert by_other["unlike"].dropna().to_dict() == {"test_mirrored": "grade g0 and g2"}
    told = capsys.readouterr()
    assert "11 photographs of 2 data sets: one, two." in told.out
    assert "Copies with unlike labels (1): " in told.err and "grade g" in told.err
    assert "Copies that the splits of a data set part (1): " in told.err
    assert "Copies of test photographs in another data set (1): " in told.err
    made = read_provenance(workspace / "audit.parquet")
    assert made["counts"] == {"copy": 3, "visit": 1} and set(made["inputs"]) == {"one", "two"}


def test_again_nothing_is_computed_and_new_photographs_alone_are(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(workspace)
    before = contents(workspace, without=(".lock",))
    described: list[Path] = []
    compared: list[object] = []
    describe, compare = describing._describe, comparing._compare

    def count_described(places: list[describing.Place]) -> list[Any]:
        described.extend(place.path for place in places)
        return describe(places)

    def count_compared(work: list[Any]) -> list[Any]:
        compared.extend(work)
        return compare(work)

    monkeypatch.setattr(describing, "_describe", count_described)
    monkeypatch.setattr(comparing, "_compare", count_compared)
    run(workspace)
    assert not described and not compared
    assert contents(workspace, without=(".lock",)) == before
    prepare(workspace, "three", {"new.jpg": COPIES["darker"](eyes(5)[1])})
    frame = run(workspace)
    assert [path.name for path in described] == ["new.jpg"]
    assert ("new", "c") in kinds(frame) and all("new.jpg" in str(work) for work in compared)
    described.clear()
    run(workspace, fresh=True)
    assert len(described) == 12
    for cache in (*workspace.glob("data/*/.descriptions.parquet"), workspace / "data/.compared.parquet"):
        cache.unlink()
    assert run(workspace).equals(frame)


def test_workers_change_nothing(workspace: Path) -> None:
    alone = run(workspace)
    paths = [workspace / name for name in ("audit.parquet", "data/one/orientation.parquet")]
    written = [path.read_bytes() for path in paths]
    assert run(workspace, workers=2, fresh=True).equals(alone)
    assert [path.read_bytes() for path in paths] == written


def test_data_sets_that_are_named(workspace: Path) -> None:
    assert set(kinds(run(workspace, data=["one"])).values()) == {"copy", "visit"}
    assert set(read_provenance(workspace / "audit.parquet")["inputs"]) == {"one"}
    assert run(workspace, data=["two"]).empty
    with pytest.raises(
        SwclError, match=r"nought/manifest\.parquet is missing\. Make it with: swcl prep folder SOURCE --name"
    ):
        run(workspace, data=["nought"])
    with pytest.raises(SwclError, match=r"A data set is named twice: --data one,one\."):
        run(workspace, data=["one", "one"])


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(
        SwclError, match=r"data holds no prepared data set yet\. Make one with: swcl prep DATASET SOURCE"
    ):
        run(tmp_path)


def test_a_photograph_that_vanished(workspace: Path) -> None:
    run(workspace)
    (workspace / "data/one/images/train_p1.jpg").unlink()
    with pytest.raises(
        SwclError, match=r"1 of 8 photographs of one are missing, such as .*train_p1\.jpg\. Make them again with"
    ):
        run(workspace)


def test_a_photograph_that_was_replaced(workspace: Path) -> None:
    shutil.copy(workspace / "data/one/images/train_p2.jpg", workspace / "data/one/images/train_p1.jpg")
    with pytest.raises(SwclError, match=r"train_p1\.jpg is not the image that was prepared"):
        run(workspace)


def told_of(root: Path, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = read_columns(root / "data" / name / "orientation.parquet", ORIENTATION).to_pandas()
    return frame.set_index("image_id")


def test_how_photographs_lie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Patient 1 lies upside down, 2 is named the wrong way round, of 3 nothing tells the side; the rest is as named."""
    images = {}
    for patient in range(8):
        sides = ("right", "left") if patient == 2 else ("a", "b") if patient == 3 else ("left", "right")
        for side, eye in zip(sides, eyes(patient), strict=True):
            lain = eye.transpose(Image.Transpose.ROTATE_180) if patient == 1 else eye
            images[f"p{patient}_{side}.png"] = lain
    pattern = r"(?P<patient>p[0-9])_((?P<eye>left|right)|[ab])"
    prepare(tmp_path, "eyes", images, name_pattern=pattern)
    run(tmp_path)
    rows = told_of(tmp_path, "eyes")
    assert rows["path"].tolist() == manifest.read(tmp_path / "data/eyes/manifest.parquet", ["path"])["path"].tolist()
    assert set(rows.index[rows["inverted"]]) == {"p1_left", "p1_right"}
    assert set(rows.index[rows["misnamed"]]) == {"p2_left", "p2_right"}
    assert rows["side"][["p1_left", "p2_left", "p2_right", "p3_a", "p3_b"]].tolist() == [
        "left", "right", "left", "left", "right"
    ]  # fmt: skip
    told = capsys.readouterr()
    assert "Names of eyes that tell the other eye than is seen (2): p2_left, p2_right." in told.err
    cells = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in told.out.splitlines()]
    assert [row[:3] for row in cells if row[0] == "eyes" and len(row) == 5] == [["eyes", "16", "2"]]


def test_what_was_seen_is_not_looked_at_again(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names may change: how eyes lie is judged anew by what was seen. A photograph that was replaced is looked at."""
    run(workspace)
    before = {name: told_of(workspace, name) for name in ("one", "two")}
    looked: list[Path] = []
    look = orienting._look

    def count(places: list[describing.Place]) -> list[Any]:
        looked.extend(place.path for place in places)
        return look(places)

    monkeypatch.setattr(orienting, "_look", count)
    prepared.change(workspace, "two", eye=["left", "left", "left"])
    run(workspace)
    assert not looked and told_of(workspace, "one").equals(before["one"])
    again = told_of(workspace, "two")
    assert again["eye"].tolist() == ["left"] * 3 and not again["inverted_confidence"].equals(
        before["two"]["inverted_confidence"]
    )
    assert again[["disc_x", "fovea_confidence"]].equals(before["two"][["disc_x", "fovea_confidence"]])
    run(workspace, fresh=True)
    assert len(looked) == 11 and told_of(workspace, "two").equals(again)


def test_an_orientation_of_other_poses(workspace: Path) -> None:
    run(workspace)
    path = Workspace(workspace).orientation("one")
    table, made = pq.read_table(path), read_provenance(path)
    poses = pa.array([[0.0]] * len(table), ORIENTATION.schema.field("poses").type)
    write_parquet(path, table.set_column(table.schema.get_field_index("poses"), "poses", poses), made)
    with pytest.raises(SwclError, match=r"its poses are not four numbers\. Make it again with: swcl audit --fresh"):
        run(workspace)
    run(workspace, fresh=True)


@pytest.mark.parametrize("name", ["data/one/.descriptions.parquet", "data/.compared.parquet"])
def test_a_damaged_cache(workspace: Path, name: str) -> None:
    run(workspace)
    (workspace / name).write_bytes((workspace / name).read_bytes()[:-100])
    with pytest.raises(SwclError, match=r"can't be read: .* Remove it: what it held is computed again\."):
        run(workspace)


def test_what_others_made_is_not_replaced(workspace: Path) -> None:
    (workspace / "audit.parquet").write_text("notes")
    with pytest.raises(SwclError, match=r"audit\.parquet was not made by swcl"):
        run(workspace)


def test_grey_tiny_and_featureless_photographs(tmp_path: Path) -> None:
    """They are compared all the same; two that show nothing are not called copies."""
    hazy = [np.full((40, 40, 3), level, np.uint8) for level in (90, 140)]
    for item, pixels in enumerate(hazy):
        pixels += np.random.default_rng(item).integers(0, 6, pixels.shape).astype(np.uint8)
    images = {f"hazy{item}.png": Image.fromarray(pixels) for item, pixels in enumerate(hazy)}
    images |= {"eye.png": eyes(0)[0], "grey.png": COPIES["grey"](eyes(0)[0]), "tiny.png": eyes(1)[0].resize((28, 28))}
    prepare(tmp_path, "odd", images, size=96)
    assert kinds(run(tmp_path)) == {("eye", "grey"): "copy"}


def test_a_prep_that_starts_over_removes_the_descriptions(workspace: Path) -> None:
    run(workspace)
    caches = Workspace(workspace).descriptions("two"), Workspace(workspace).orientation("two")
    assert all(cache.exists() for cache in caches)
    others = workspace / "others"
    others.mkdir()
    eyes(7)[0].save(others / "z.png")
    prep.run(
        PrepSettings(workspace=workspace, dataset="folder", source=others, name="two", size=96, workers=0, fresh=True)
    )
    assert not any(cache.exists() for cache in caches)


def test_a_labeler_that_learnt_tested_copies_is_named(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {"step": "train-labeler", "settings": {}, "inputs": {"two": "0" * 16}}
    write_safetensors(Workspace(workspace).labeler, {"weight": torch.zeros(1)}, made)
    run(workspace)
    assert "labeler.safetensors has learnt copies of photographs that one tests on: 1." in capsys.readouterr().err


def test_finetune_tells_that_tested_photographs_are_copies_of_what_is_learnt(workspace: Path) -> None:
    """Of its own training part, and of what the initial weights have learnt; without an audit nothing is known."""
    place = Workspace(workspace)
    inputs = {"one": fingerprint(place.manifest("one")), "init": "2" * 16}
    assert sentence_of_copies(place, "one", inputs, False) == ""
    run(workspace)
    told = sentence_of_copies(place, "one", inputs, False)
    assert told.startswith(
        "Photographs that one tests on are copies of learnt ones, by swcl audit (1, such as data/one/im"
    )
    made = {"step": "pretrain", "settings": {}, "inputs": {"two": "3" * 16}}
    write_safetensors(place.encoder("byol"), {"weight": torch.zeros(1)}, made)
    inputs["init"] = fingerprint(place.encoder("byol"))
    assert sentence_of_copies(place, "one", inputs, False).startswith(
        "Photographs that one tests on are copies of learnt ones, by swcl audit (2, "
    )
    assert sentence_of_copies(place, "two", {"two": fingerprint(place.manifest("two"))}, False) == ""
    told = sentence_of_copies(place, "two", {"two": "3" * 16}, False)
    assert told.endswith("audit.parquet knows nothing of two as prepared now; renew it with: swcl audit")
