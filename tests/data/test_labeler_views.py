"""What the labeler is shown: which photographs, in which order, with which labels; and what it never reads."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from swcl_cli import chance
from swcl_cli.data import colour, labeler_views, manifest, photographs
from swcl_cli.data.images import read_image
from swcl_cli.data.labeler_views import UNLABELLED, LabelerViews, labeler_plan, read_photographs
from swcl_cli.data.loaders import Key
from swcl_cli.errors import SwclError
from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.workspace import Workspace, read_provenance, write_parquet
from tests import prepared

GRADES = ("abnormal", "dr_grade", "dme_grade", "glaucoma", "keywords")


def options(root: Path = Path("."), **values: Any) -> TrainLabelerSettings:
    return TrainLabelerSettings(**{"workspace": root, "crop": 32, "views": 2, "workers": 0, **values})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """16 labelled eyes (8 train, 4 val, 4 test) and 8 others, of all splits."""
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4, dr_grade=3)
    return Workspace(tmp_path)


def without_columns(workspace: Workspace, dataset: str, columns: tuple[str, ...]) -> None:
    path = workspace.manifest(dataset)
    write_parquet(path, pq.read_table(path).drop_columns(list(columns)), read_provenance(path))


SIZES = {"labelled": st.integers(1, 20), "unlabelled": st.integers(0, 15)}
BATCHES = {"first": st.integers(1, 6), "second": st.integers(0, 7), "accumulate": st.integers(1, 4)}


@examples(max_examples=80, deadline=None)
@given(**SIZES, **BATCHES, start=st.integers(0, 12))
def test_plan_by_lists(labelled: int, unlabelled: int, first: int, second: int, accumulate: int, start: int) -> None:
    settings = options(batch_labelled=first, batch_unlabelled=max(second, 1), accumulate=accumulate)
    plan, steps = labeler_plan(settings, labelled, unlabelled)
    per_epoch = []
    for epoch in range(3):
        order = chance.generator(0, "labelled order", epoch).permutation(labelled).tolist()
        keys = [(epoch, item) for item in order]
        per_epoch.append([keys[place : place + first] for place in range(0, labelled, first)])
    stream: Any = iter(())
    if unlabelled:
        stream = (
            (turn, labelled + int(item))
            for turn in range(10_000)
            for item in chance.generator(0, "unlabelled order", turn).permutation(unlabelled)
        )
    expected = []
    for micros in per_epoch:
        joint = [micro + [next(stream) for _ in range(max(second, 1) if unlabelled else 0)] for micro in micros]
        expected += [joint[place : place + accumulate] for place in range(0, len(joint), accumulate)]
    assert 3 * steps == len(expected)
    start = min(start, len(expected))
    assert [plan(step) for step in range(start, len(expected))] == expected[start:]


def test_left_over_micro_batches_are_a_step_of_their_own() -> None:
    settings = options(batch_labelled=4, batch_unlabelled=3, accumulate=2)
    plan, steps = labeler_plan(settings, 18, 7)
    assert steps == 3
    sizes = [[len(micro) for micro in plan(step)] for step in range(2 * steps)]
    assert sizes == [[7, 7], [7, 7], [5], [7, 7], [7, 7], [5]]
    for epoch in range(2):
        keys = chain(*(micro for step in range(epoch * steps, (epoch + 1) * steps) for micro in plan(step)))
        seen = [item for turn, item in keys if item < 18 and turn == epoch]
        assert sorted(seen) == list(range(18))
    others = [key for step in range(2 * steps) for micro in plan(step) for key in micro if key[1] >= 18]
    assert len(others) == 30 and Counter(others).most_common(1)[0][1] == 1
    for turn in range(4):
        assert sorted(item for _, item in others[7 * turn : 7 * turn + 7]) == list(range(18, 25))


def test_without_unlabelled_photographs_it_is_plain_supervised() -> None:
    plan, steps = labeler_plan(options(batch_labelled=4, accumulate=1), 8, 0)
    assert steps == 2 and [len(plan(step)[0]) for step in range(2)] == [4, 4]


def test_photographs(workspace: Workspace) -> None:
    data = read_photographs(workspace, options())
    assert (len(data.labelled), len(data.validation), len(data.unlabelled)) == (8, 4, 8)
    table = manifest.read(workspace.manifest("odir")).set_index("path")
    for photos, labels, split in (
        (data.labelled, data.abnormal, "train"),
        (data.validation, data.validated["abnormal"], "val"),
    ):
        rows = table.loc[photos.path.to_pylist()]
        assert set(rows["split"]) == {split} and rows["abnormal"].tolist() == labels.tolist()
    assert data.validated["patient_id"].tolist() == ["1"] * 2 + ["5"] * 2
    assert data.validated["image_id"].tolist() == ["1_left", "1_right", "5_left", "5_right"]
    assert set(data.validated["dataset"]) == {"odir"}
    assert data.inputs.keys() == {"odir", "eyepacs"}
    assert (data.size, data.mean, data.std) == (64, colour.MEAN, colour.STD)
    assert read_photographs(workspace, options(colours="released")).mean == colour.MEAN[::-1]


def test_eyes_without_a_label_are_left_out(workspace: Workspace) -> None:
    table = manifest.read(workspace.manifest("odir"))
    labels = table["abnormal"].mask(table["image_id"].isin(["0_left", "1_right"]))
    prepared.change(workspace.root, "odir", abnormal=labels)
    data = read_photographs(workspace, options())
    assert (len(data.labelled), len(data.validation)) == (7, 3)
    assert "data/odir/images/0_left.png" not in data.labelled.path.to_pylist()


def test_no_label_of_an_unlabelled_set_is_read(workspace: Workspace) -> None:
    before = read_photographs(workspace, options())
    without_columns(workspace, "eyepacs", GRADES)
    without_columns(workspace, "odir", GRADES[1:])
    after = read_photographs(workspace, options())
    assert after.unlabelled.path.to_pylist() == before.unlabelled.path.to_pylist()
    views = LabelerViews(after, options())
    assert {views[(0, item)]["label"] for item in range(8, 16)} == {UNLABELLED}


def test_a_labelled_set_needs_its_label(workspace: Workspace) -> None:
    prepared.change(workspace.root, "odir", abnormal=None)
    with pytest.raises(SwclError, match="odir has no normal/abnormal labels.*--labelled odir"):
        read_photographs(workspace, options())


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(("label", "word"), [(False, "all normal"), (True, "all abnormal"), (None, "none")])
def test_one_class_only_is_an_error(workspace: Workspace, split: str, label: bool | None, word: str) -> None:
    table = manifest.read(workspace.manifest("odir"))
    prepared.change(workspace.root, "odir", abnormal=table["abnormal"].mask(table["split"] == split, label))
    with pytest.raises(SwclError, match=f"The {split} photographs of odir are {word}; .*--labelled.*--split-file"):
        read_photographs(workspace, options())


def test_sets_of_other_sizes_doubled_names_and_missing_sets_are_errors(workspace: Workspace) -> None:
    with pytest.raises(SwclError, match="--crop 80 is more than the prepared size, 64 px"):
        read_photographs(workspace, options(crop=80))
    with pytest.raises(SwclError, match="A data set is named twice"):
        read_photographs(workspace, options(unlabelled=["odir"]))
    with pytest.raises(SwclError, match="idrid/manifest.parquet is missing. Make it with: swcl prep idrid SOURCE"):
        read_photographs(workspace, options(unlabelled=["idrid"]))
    prepared.write(workspace.root, "eyepacs", [{"image": prepared.photograph(0, 80, 80)}], size=80)
    with pytest.raises(SwclError, match="different sizes.*odir 64 px, eyepacs 80 px.*run prep with one --size"):
        read_photographs(workspace, options())


def test_views_labels_and_items(workspace: Workspace) -> None:
    data = read_photographs(workspace, options())
    views = LabelerViews(data, options(views=3))
    for item in range(16):
        shown = views[(0, item)]
        assert shown["views"].shape == (3, 3, 32, 32) and shown["views"].dtype == np.uint8
        assert shown["label"] == (int(data.abnormal[item]) if item < 8 else UNLABELLED) and shown["item"] == item
        assert len(np.unique(shown["views"], axis=0)) == 3
    again = LabelerViews(data, options(views=3))
    np.testing.assert_array_equal(again[(2, 5)]["views"], views[(2, 5)]["views"])
    for other in (again[(3, 5)], again[(2, 6)], LabelerViews(data, options(views=3, seed=1))[(2, 5)]):
        assert not np.array_equal(other["views"], views[(2, 5)]["views"])


def test_each_item_shows_its_own_photograph(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labeler_views, "labeler_pixels", lambda image, *_: image)
    data = read_photographs(workspace, options())
    views = LabelerViews(data, options())
    for item, path in enumerate([*data.labelled.path.to_pylist(), *data.unlabelled.path.to_pylist()]):
        image = read_image(workspace.root / path)
        np.testing.assert_array_equal(views[(0, item)]["views"][0], image.transpose(2, 0, 1))


def test_validation_photographs_are_never_trained_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: set[str] = set()

    def noting(path: Path, checksum: int) -> Any:
        opened.add(workspace.relative(path))
        return read_image(path, checksum)

    monkeypatch.setattr(photographs, "read_image", noting)
    settings = options(batch_labelled=3, batch_unlabelled=5)
    data = read_photographs(workspace, settings)
    plan, steps = labeler_plan(settings, len(data.labelled), len(data.unlabelled))
    views = LabelerViews(data, settings)
    keys: list[Key] = [key for step in range(2 * steps) for micro in plan(step) for key in micro]
    for key in keys:
        views[key]
    table = manifest.read(workspace.manifest("odir"))
    assert {path for path in opened if "/odir/" in path} == set(table["path"][table["split"] == "train"])
    assert sum("/eyepacs/" in path for path in opened) == 8
