"""`prep` again: unchanged images are left alone, and an interrupted run goes on to the same bytes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from swcl_cli.chance import generator
from swcl_cli.errors import SwclError
from swcl_cli.preparation import jobs, pool
from swcl_cli.steps import prep
from swcl_cli.workspace import read_provenance, write_parquet
from tests import downloads
from tests.prep_runs import NORMAL, contents, odir_source, settings


@pytest.fixture
def odir(tmp_path: Path) -> Path:
    return odir_source(tmp_path / "source")


@pytest.fixture
def prepared_anew(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are decoded, as they are."""
    names: list[str] = []

    def counting(job: jobs.Job, earlier: jobs.Outcome | None = None) -> jobs.Outcome:
        names.append(job.image_id)
        return original(job, earlier)

    original = jobs.prepare
    monkeypatch.setattr(pool, "prepare", counting)
    return names


def test_repeating_is_free(tmp_path: Path, odir: Path, prepared_anew: list[str]) -> None:
    options = settings(tmp_path / "work", "odir", odir)
    prep.run(options)
    before = contents(tmp_path / "work")
    assert len(prepared_anew) == 40
    prepared_anew.clear()
    prep.run(options)
    assert not prepared_anew and contents(tmp_path / "work") == before

    (tmp_path / "work/data/odir/.journal.jsonl").unlink()
    prep.run(options)
    assert len(prepared_anew) == 40 and contents(tmp_path / "work") == before


def test_a_manifest_of_an_older_version_comes_back_where_nothing_else_comes_out(
    tmp_path: Path, odir: Path, prepared_anew: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was trained on it stays valid, though all is prepared again by another recipe."""
    options = settings(tmp_path / "work", "odir", odir)
    path = prep.run(options)
    write_parquet(path, pq.read_table(path), {**read_provenance(path), "versions": {"swcl": "0.0.1"}})
    before = contents(tmp_path / "work")
    prepared_anew.clear()
    monkeypatch.setattr(jobs, "RECIPE", 0)
    prep.run(options)
    assert len(prepared_anew) == 40 and contents(tmp_path / "work") == before
    monkeypatch.setattr(jobs, "RECIPE", 1)
    downloads.write_photograph(odir / "preprocessed_images/3_left.jpg", 77)
    prep.run(options)
    after = contents(tmp_path / "work")
    assert after.keys() == before.keys()
    assert read_provenance(path)["versions"] != {"swcl": "0.0.1"}


def test_only_what_changed_is_prepared(tmp_path: Path, odir: Path, prepared_anew: list[str]) -> None:
    options = settings(tmp_path / "work", "odir", odir)
    prep.run(options)
    prepared_anew.clear()
    downloads.write_photograph(odir / "preprocessed_images/3_left.jpg", 77)
    (tmp_path / "work/data/odir/images/4_left.jpg").write_bytes(b"tampered")
    prep.run(options)
    assert sorted(prepared_anew) == ["3_left", "4_left"]
    after = contents(tmp_path / "work")
    prep.run(settings(tmp_path / "fresh", "odir", odir))
    assert after == contents(tmp_path / "fresh")


def test_removed_images_leave_manifest_and_disk(tmp_path: Path, odir: Path) -> None:
    options = settings(tmp_path / "work", "odir", odir)
    prep.run(options)
    (odir / "preprocessed_images/3_left.jpg").unlink()
    for name in ("images/.9_left.jpg.123.partial", ".manifest.parquet.123.partial", "masks/9_left_fov.png"):
        (tmp_path / "work/data/odir" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "work/data/odir" / name).write_bytes(b"left by a kill")
    prep.run(options)
    prep.run(settings(tmp_path / "fresh", "odir", odir))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")
    assert len(list((tmp_path / "work/data/odir/images").iterdir())) == 39
    assert not list((tmp_path / "work").rglob("*.partial"))


def test_another_size_replaces_everything(tmp_path: Path, odir: Path) -> None:
    prep.run(settings(tmp_path / "work", "odir", odir))
    prep.run(settings(tmp_path / "work", "odir", odir, size=0))
    prep.run(settings(tmp_path / "fresh", "odir", odir, size=0))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")


def masked(folder: Path, places: Sequence[int]) -> Path:
    """Photographs, and masks of which each shows a square at its own place."""
    for item, place in enumerate(places):
        downloads.write_photograph(folder / f"photos/v{item}.jpg", item)
        (folder / "masks").mkdir(exist_ok=True)
        downloads.square(place).save(folder / f"masks/v{item}.png")
    return folder / "photos"


def test_masks_under_the_same_names_are_another_manifest(tmp_path: Path, prepared_anew: list[str]) -> None:
    """Else what was trained on the former ones would count as finished."""
    source = masked(tmp_path / "source", range(8))
    options = settings(tmp_path / "work", "folder", source, masks=[tmp_path / "source/masks"], size=0)
    path = prep.run(options)
    before = contents(tmp_path / "work")
    downloads.square(7).save(tmp_path / "source/masks/v3.png")
    prepared_anew.clear()
    prep.run(options)
    after = contents(tmp_path / "work")
    assert prepared_anew == ["v3"] and pq.read_table(path).num_rows == 8
    assert {name for name in after if after[name] != before[name]} == {
        "data/folder/masks/v3_mask.png",
        "data/folder/manifest.parquet",
    }
    downloads.square(3).save(tmp_path / "source/masks/v3.png")
    prep.run(options)
    assert contents(tmp_path / "work") == before


def test_a_manifest_of_before_masks_were_told_stays_until_they_change(tmp_path: Path) -> None:
    source = masked(tmp_path / "source", range(8))
    options = settings(tmp_path / "work", "folder", source, masks=[tmp_path / "source/masks"], size=0)
    path = prep.run(options)
    told = read_provenance(path)
    write_parquet(path, pq.read_table(path), {name: told[name] for name in told if name != "masks"})
    older = path.read_bytes()
    prep.run(options)
    assert path.read_bytes() == older
    downloads.square(7).save(tmp_path / "source/masks/v3.png")
    prep.run(options)
    assert read_provenance(path)["masks"] not in (None, told["masks"])


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"mask_edges": "nearest"}, {}),
        ({"mask_classes": "a.csv"}, {"mask_classes": "b.csv"}),
        ({"mask_classes": "a.csv"}, {"mask_classes": "a.csv", "mask_edges": "nearest"}),
        ({"masks": "cup", "without_mask": "empty"}, {"masks": "cup"}),
    ],
)
def test_masks_are_made_anew_by_other_settings(tmp_path: Path, first: dict[str, str], then: dict[str, str]) -> None:
    """In the same workspace, to the bytes of a new one."""
    source = masked(tmp_path / "source", range(8))
    (tmp_path / "a.csv").write_text("name,value\nbackground,0\ncup,1\n")
    (tmp_path / "b.csv").write_text("name,value\nbackground,1\ncup,0\n")
    (tmp_path / "cup").mkdir()
    downloads.square(2).save(tmp_path / "cup/v2.png")

    def run(workspace: str, given: dict[str, str]) -> dict[str, bytes]:
        masks = [Path(f"{given['masks']}={tmp_path / 'cup'}")] if "masks" in given else [tmp_path / "source/masks"]
        values = {**given, "masks": masks, "size": 0}
        if "mask_classes" in given:
            values["mask_classes"] = tmp_path / given["mask_classes"]
        prep.run(settings(tmp_path / workspace, "folder", source, **values))
        return contents(tmp_path / workspace)

    before = run("work", first)
    after = run("work", then)
    assert after == run("fresh", then)
    assert after["data/folder/manifest.parquet"] != before["data/folder/manifest.parquet"]


RUN = """
import sys
from pathlib import Path
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
workspace, source, workers = sys.argv[1:]
prep.run(PrepSettings(workspace=Path(workspace), dataset="odir", source=Path(source), size=80, workers=int(workers)))
"""


def test_killed_runs_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    source = downloads.odir_kaggle(tmp_path / "source", dict.fromkeys(range(60), (NORMAL, NORMAL)))
    folder = tmp_path / "work/data/odir"
    command = [sys.executable, "-c", RUN, str(tmp_path / "work"), str(source), "2"]
    for wanted in (1, 30, 70):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(list((folder / "images").glob("*.jpg"))) < wanted:
                time.sleep(0.002)
            process.kill()
        assert not (folder / "manifest.parquet").exists() or process.returncode == 0
    prep.run(settings(tmp_path / "work", "odir", source))
    prep.run(settings(tmp_path / "fresh", "odir", source))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")


def test_no_manifest_tells_of_images_that_are_changing(
    tmp_path: Path, odir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = prep.run(settings(tmp_path / "work", "odir", odir))

    def stop(*_: object, **__: object) -> None:
        raise SwclError("stopped")

    monkeypatch.setattr(jobs, "encode", stop)
    with pytest.raises(SwclError, match="stopped"):
        prep.run(settings(tmp_path / "work", "odir", odir, size=90))
    assert not path.exists()


@pytest.mark.slow
def test_ten_kills_at_random_moments(tmp_path: Path) -> None:
    source = downloads.odir_kaggle(tmp_path / "source", dict.fromkeys(range(300), (NORMAL, NORMAL)))
    folder = tmp_path / "work/data/odir"
    command = [sys.executable, "-c", RUN, str(tmp_path / "work"), str(source), "2"]
    chance = generator(0, "kills of prep")
    for wanted in sorted(chance.choice(590, 10, replace=False).tolist()):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(list((folder / "images").glob("*.jpg"))) <= wanted:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
        assert process.returncode == -9
        assert not (folder / "manifest.parquet").exists()
    prep.run(settings(tmp_path / "work", "odir", source))
    prep.run(settings(tmp_path / "fresh", "odir", source))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")
    assert not list((tmp_path / "work").rglob("*.partial"))


def test_two_at_once_never_mix(tmp_path: Path, odir: Path) -> None:
    """Both end well, or the second says that the first is at work; the manifest is that of one alone."""
    command = [sys.executable, "-c", RUN, str(tmp_path / "work"), str(odir), "1"]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert 0 in {process.returncode for process in both}
    for process, error in zip(both, errors, strict=True):
        assert process.returncode == 0 or "Another `swcl prep` is at work on" in error
    prep.run(settings(tmp_path / "fresh", "odir", odir))
    assert contents(tmp_path / "work") == contents(tmp_path / "fresh")
