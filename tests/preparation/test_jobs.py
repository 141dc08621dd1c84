"""One image's preparation, what is remembered of it, and the lock."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from swcl_cli.catalogue.structures import Structures
from swcl_cli.errors import SwclError
from swcl_cli.preparation import journal
from swcl_cli.preparation.jobs import Job, Outcome, prepare
from swcl_cli.preparation.pool import preparing
from swcl_cli.workspace import JOURNAL
from tests.downloads import drive, photograph, write_photograph


def job_for(source: Path, folder: Path, name: str = "1_left", size: int = 80) -> Job:
    return Job(name, size, {"photograph": source / f"{name}.jpg"}, {"photograph": folder / f"{name}.jpg"})


@pytest.fixture
def job(tmp_path: Path) -> Job:
    write_photograph(tmp_path / "source/1_left.jpg", 1)
    return job_for(tmp_path / "source", tmp_path / "images")


def test_outcome_tells_what_was_read_and_written(job: Job) -> None:
    outcome = prepare(job)
    assert (outcome.width, outcome.height, outcome.problem) == (96, 80, "")
    assert outcome.hashes["photograph"] == hashlib.sha256(job.inputs["photograph"].read_bytes()).hexdigest()
    with Image.open(job.outputs["photograph"]) as written:
        assert written.size == (96, 80)
        assert JpegImagePlugin.get_sampling(written) == 0  # 4:4:4
    assert outcome.is_current(job)


def test_any_change_makes_an_outcome_stale(job: Job, tmp_path: Path) -> None:
    outcome = prepare(job)
    assert not outcome.is_current(job_for(tmp_path / "source", tmp_path / "images", size=81))
    photograph(2).save(job.outputs["photograph"])
    assert not outcome.is_current(job)
    outcome = prepare(job)
    assert outcome.is_current(job)
    job.outputs["photograph"].unlink()
    assert not outcome.is_current(job)
    outcome = prepare(job)
    photograph(2).save(job.inputs["photograph"])
    assert not outcome.is_current(job)


def test_a_copy_with_another_time_is_not_decoded_again(job: Job) -> None:
    outcome = prepare(job)
    os.utime(job.inputs["photograph"], (1, 1))
    assert not outcome.is_current(job)
    written = job.outputs["photograph"].stat().st_mtime_ns
    again = prepare(job, outcome)
    assert again.is_current(job) and job.outputs["photograph"].stat().st_mtime_ns == written
    assert (again.sums, again.hashes) == (outcome.sums, outcome.hashes)


def test_masks_of_several_structures_become_one(tmp_path: Path) -> None:
    """A structure without a file is nowhere; another set of names makes the outcome stale."""
    source, pictures = tmp_path / "source", {}
    write_photograph(source / "a.png", 1, width=90, height=70)
    for name, box in (("first", (0, 0, 30, 20)), ("third", (20, 10, 60, 50))):
        pictures[name] = Image.new("L", (90, 70))
        pictures[name].paste(255, box)
        pictures[name].save(source / f"{name}.png")
    job = Job(
        "a",
        0,
        {"photograph": source / "a.png", **{f"structure {name}": source / f"{name}.png" for name in pictures}},
        {"photograph": tmp_path / "out/a.png", "structures": tmp_path / "out/a_mask.png"},
        structures=Structures.layered(("first", "second", "third")),
    )
    outcome = prepare(job)
    assert not outcome.problem and outcome.is_current(job)
    mask = np.asarray(Image.open(tmp_path / "out/a_mask.png"))
    assert mask.dtype == np.uint8 and np.unique(mask).tolist() == [0, 1, 4, 5]
    for bit, name in ((0, "first"), (2, "third")):
        np.testing.assert_array_equal(mask >> bit & 1, np.asarray(pictures[name]) // 255)
    assert not outcome.is_current(replace(job, structures=Structures.layered(("third", "second", "first"))))

    Image.new("L", (89, 70)).save(source / "third.png")
    assert prepare(job).detail == "third: the mask is 89 x 70, its photograph 90 x 70"


def test_masks_come_along(tmp_path: Path) -> None:
    part = drive(tmp_path, 1, 1) / "training"
    inputs = {
        "photograph": part / "images/21_training.tif",
        "vessels": part / "1st_manual/21_manual1.gif",
        "fov": part / "mask/21_training_mask.gif",
    }
    outputs = {kind: tmp_path / f"prepared/{kind}.png" for kind in inputs}
    assert prepare(Job("21_training", 0, inputs, outputs)).problem == ""
    for kind, path in inputs.items():
        with Image.open(path) as raw, Image.open(outputs[kind]) as prepared:
            assert raw.convert("RGB").tobytes() == prepared.convert("RGB").tobytes()

    exchanged = {**inputs, "vessels": inputs["fov"]}
    assert prepare(Job("21_training", 0, exchanged, outputs)).problem == "bad mask"


def test_lesion_masks_keep_their_values_and_are_held_to_the_size(tmp_path: Path, job: Job) -> None:
    lesions, copied = tmp_path / "lesions.png", tmp_path / "masks/1_left_lesions.png"
    Image.new("L", (120, 100), 3).save(lesions)
    inputs, outputs = {**job.inputs, "lesions": lesions}, {**job.outputs, "lesions": copied}
    assert prepare(Job("1_left", 80, inputs, outputs)).problem == ""
    with Image.open(copied) as written:
        assert written.mode == "L" and written.getcolors() == [(12000, 3)] and not written.info
    Image.new("L", (96, 80), 3).save(lesions)
    outcome = prepare(Job("1_left", 80, inputs, outputs))
    assert outcome.detail == "the lesion mask is 96 x 80, its photograph 120 x 100"


def test_missing_file_is_a_problem(job: Job) -> None:
    job.inputs["photograph"].unlink()
    assert prepare(job).problem == "unreadable"


def test_disk_errors_stop_and_leave_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SwclError, match=r"1_left\.jpg could not be written: No space left on device"):
        prepare(job)
    assert not list(job.outputs["photograph"].parent.iterdir())


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_outcomes_come_in_order(tmp_path: Path, workers: int) -> None:
    names = [f"{item}_left" for item in range(20)]
    for item, name in enumerate(names):
        write_photograph(tmp_path / f"source/{name}.jpg", item)
    work = [(job_for(tmp_path / "source", tmp_path / "images", name), None) for name in names]
    with preparing(workers) as prepare_each:
        assert [outcome.image_id for outcome in prepare_each(work)] == names


def test_journal_keeps_the_last_outcome_of_each_image(tmp_path: Path, job: Job) -> None:
    first = prepare(job)
    second = Outcome("1_left", "recipe", {}, {}, {}, problem="empty", detail="x")
    other = replace(second, image_id="0_left")
    with journal.opened(tmp_path, ["1_left", "0_left", "2_left"]) as outcomes:
        assert outcomes == {} and len(outcomes) == 0
        for outcome in (first, other, second):
            outcomes.add(outcome)
            assert outcomes[outcome.image_id] == outcome
        assert outcomes == {"1_left": second, "0_left": other} and len(outcomes) == 2
        assert outcomes.get("2_left") is None and outcomes.get("9_left") is None
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 2
    with journal.opened(tmp_path, ["2_left", "1_left"]) as outcomes:
        assert outcomes == {"1_left": second}
    assert [json.loads(line)["image_id"] for line in (tmp_path / JOURNAL).open()] == ["1_left"]


def test_a_torn_line_is_skipped(tmp_path: Path, job: Job) -> None:
    """An interruption left half a line: what is added next stands on a line of its own."""
    first = prepare(job)
    second = replace(first, image_id="2_left")
    with journal.opened(tmp_path, ["1_left"]) as outcomes:
        outcomes.add(first)
    with open(tmp_path / JOURNAL, "a") as handle:
        handle.write('{"image_id": "1_left", "rec')
    with pytest.raises(KeyboardInterrupt), journal.opened(tmp_path, ["1_left", "2_left"]) as outcomes:
        assert outcomes == {"1_left": first}
        outcomes.add(second)
        raise KeyboardInterrupt
    with journal.opened(tmp_path, ["1_left", "2_left"]) as outcomes:
        assert outcomes == {"1_left": first, "2_left": second}
