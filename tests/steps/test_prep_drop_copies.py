"""`prep --drop-copies` keeps one photograph of each group of copies, and lists the others."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from swcl_cli.audit import describing
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.stored import read_columns
from swcl_cli.datasets.download import Photograph
from swcl_cli.preparation.copies import Twins, dropped
from swcl_cli.settings import AuditSettings, PrepSettings
from swcl_cli.steps import audit, prep
from swcl_cli.workspace import Workspace
from tests.audit.eyes import COPIES, eyes, resized, taken_twice
from tests.folders import contents
from tests.prep_runs import rows_of

SIZE = 192


def run(root: Path, source: Path, **values: Any) -> set[str]:
    """Prepares `one`; returns the ids in its manifest."""
    options = {"name": "one", "size": SIZE, "workers": 0, "drop_copies": True, "labels": root / "labels.csv", **values}
    frame = rows_of(prep.run(PrepSettings(workspace=root, dataset="folder", source=source, label=["grade=classes"],
        **options)))  # fmt: skip
    assert all((root / path).exists() for path in frame["path"])
    return set(frame["image_id"])


def quarantined(root: Path) -> dict[str, tuple[str, str]]:
    with open(Workspace(root).quarantine("one"), encoding="utf-8", newline="") as handle:
        return {row["source_path"]: (row["problem"], row["detail"]) for row in csv.DictReader(handle)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tested photograph that is smaller than its copy; one that is smaller than its copies; two visits; a fellow."""
    first, second = taken_twice(3)
    photographs = {
        "train/large.png": COPIES["mirrored"](eyes(0)[0]), "test/small.png": resized(eyes(0)[0], 0.9),
        "train/b_less.png": COPIES["resized"](eyes(1)[0]), "train/c_more.png": eyes(1)[0],
        "train/d_as_much.png": COPIES["brighter"](eyes(1)[0]),
        "train/first.png": first, "train/second.png": second, "train/fellow.png": eyes(0)[1],
        "test/other.png": eyes(4)[0],
    }  # fmt: skip
    for path, image in photographs.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / "source" / path)
    lines = [f"{path},g{item % 2}\n" for item, path in enumerate(photographs)]
    (tmp_path / "labels.csv").write_text("image,grade\n" + "".join(lines))
    return tmp_path / "source"


def test_the_tested_one_is_kept_then_the_largest_then_the_first(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(source)
    kept = run(tmp_path, source)
    assert kept == {"test_small", "train_c_more", "train_first", "train_second", "train_fellow", "test_other"}
    assert contents(source) == before
    listed = quarantined(tmp_path)
    assert listed.keys() == {"train/large.png", "train/b_less.png", "train/d_as_much.png"}
    assert {problem for problem, _ in listed.values()} == {"copy"}
    conflict = listed["train/large.png"][1]
    assert conflict.startswith("the same photograph as test/small.png (mirrored), which is kept in test, this one in ")
    assert conflict.endswith("; their labels differ: grade g1 and g0")
    kept_in = "which is kept in train"
    assert kept_in in listed["train/b_less.png"][1] and "train/c_more.png" in listed["train/b_less.png"][1]
    assert " copy " in capsys.readouterr().out


def test_an_audit_finds_no_copy_afterwards(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has it anything to describe: what prep measured is kept."""
    run(tmp_path, source)
    monkeypatch.setattr(describing, "_describe", lambda places: pytest.fail("it was described already"))
    audit.run(AuditSettings(workspace=tmp_path, workers=0))
    pairs = read_columns(Workspace(tmp_path).audit, AUDIT).to_pandas()
    assert pairs["kind"].tolist() == ["visit"]


def test_again_nothing_changes_and_without_it_all_come_back(tmp_path: Path, source: Path) -> None:
    """The prepared photographs of those that were dropped stay, so that no decision costs a preparation."""
    kept = run(tmp_path, source)
    manifest = Workspace(tmp_path).manifest("one")
    written, images = manifest.read_bytes(), contents(Workspace(tmp_path).images("one"))
    assert run(tmp_path, source) == kept and manifest.read_bytes() == written
    assert contents(Workspace(tmp_path).images("one")) == images and len(images) == 9
    whole = run(tmp_path, source, drop_copies=False)
    assert len(whole) == 9 and quarantined(tmp_path) == {}
    assert run(tmp_path, source, workers=2) == kept and manifest.read_bytes() == written


def test_where_nothing_is_a_copy_the_manifest_is_the_same(tmp_path: Path, source: Path) -> None:
    for name in ("train/large.png", "train/b_less.png", "train/d_as_much.png"):
        (source / name).unlink()
    table = tmp_path / "labels.csv"
    header, *lines = table.read_text().splitlines()
    table.write_text("\n".join([header, *(line for line in lines if (source / line.split(",")[0]).exists())]))
    run(tmp_path, source, drop_copies=False)
    written = Workspace(tmp_path).manifest("one").read_bytes()
    run(tmp_path, source)
    assert Workspace(tmp_path).manifest("one").read_bytes() == written


def test_equal_pixels_that_show_nothing_are_copies_too(tmp_path: Path, source: Path) -> None:
    """Vessels are not seen in them; and of equal ones in two splits no leak is left."""
    hazy = Image.fromarray(np.full((90, 90, 3), 90, np.uint8))
    for name in ("train/hazy.png", "test/hazy.png"):
        hazy.save(source / name)
    with open(tmp_path / "labels.csv", "a") as handle:
        handle.write("train/hazy.png,g0\ntest/hazy.png,g0\n")
    kept = run(tmp_path, source, split_file=None)
    assert "test_hazy" in kept and "train_hazy" not in kept
    assert quarantined(tmp_path)["train/hazy.png"][1].startswith("the same photograph as test/hazy.png (equal), which ")


def write(folder: Path, name: str, side: int) -> Photograph:
    Image.new("RGB", (side, side)).save(folder / name)
    return Photograph(name, name, "train", name)


def test_copies_of_copies_are_one_group(tmp_path: Path) -> None:
    photographs = [
        write(tmp_path, f"{name}.png", side) for name, side in (("a", 90), ("b", 200), ("c", 120), ("d", 70))
    ]
    pairs = [Twins("a.png", "c.png", "darker"), Twins("c.png", "b.png", "cropped")]
    found = dropped(photographs, pairs, tmp_path)
    assert found.keys() == {"a.png", "c.png"}
    assert found["a.png"].detail == "the same photograph as b.png (by way of another copy), which is kept in train"
    assert found["c.png"].detail == "the same photograph as b.png (cropped), which is kept in train"
