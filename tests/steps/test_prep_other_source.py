"""`prep` of other photographs under a name in use: nothing that was prepared is lost without being asked for."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from swcl_cli.errors import Interrupted, SwclError
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace, read_provenance
from tests import downloads
from tests.commands import swcl
from tests.prep_runs import NORMAL, contents, rows_of, settings

OTHERS = "was made of other photographs than"


def clinic(folder: Path, first: int, count: int = 12) -> Path:
    """Photographs under names that say nothing: those of every clinic are alike."""
    for number in range(count):
        downloads.write_photograph(folder / f"{number}.jpg", first + number)
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    source = clinic(tmp_path / "a", 0)
    prep.run(settings(tmp_path / "work", "folder", source))
    return source


def test_another_source_is_refused(tmp_path: Path, first: Path) -> None:
    before = contents(tmp_path / "work")
    with pytest.raises(SwclError, match=f"data/folder {OTHERS} .*/b holds. .*another --name, or .* --fresh"):
        prep.run(settings(tmp_path / "work", "folder", clinic(tmp_path / "b", 100)))
    assert contents(tmp_path / "work") == before


def test_sets_have_names(tmp_path: Path, first: Path) -> None:
    work, before = Workspace(tmp_path / "work"), contents(tmp_path / "work")
    path = prep.run(settings(work.root, "folder", clinic(tmp_path / "b", 100), name="clinic-b"))
    assert path == work.manifest("clinic-b") and work.prepared() == ["clinic-b", "folder"]
    assert set(rows_of(path)["dataset"]) == {"clinic-b"} and len(rows_of(path)) == 12
    assert all(row.path.startswith("data/clinic-b/images/") for row in rows_of(path).itertuples())
    assert contents(work.root).items() > before.items()
    assert read_provenance(path)["settings"] == read_provenance(work.manifest("folder"))["settings"]
    listed = swcl("prep", "list", "--workspace", work.root).out
    assert "│ clinic-b " in listed and "│ folder " in listed


def test_fresh_replaces_all_of_it(tmp_path: Path, first: Path) -> None:
    other = clinic(tmp_path / "b", 100, 7)
    (tmp_path / "work/data/folder/notes.txt").write_text("mine")
    prep.run(settings(tmp_path / "work", "folder", other, fresh=True))
    assert (tmp_path / "work/data/folder/notes.txt").read_text() == "mine"
    (tmp_path / "work/data/folder/notes.txt").unlink()
    prep.run(settings(tmp_path / "anew", "folder", other))
    assert contents(tmp_path / "work") == contents(tmp_path / "anew")


@pytest.mark.parametrize("place", ["images/holiday.jpg", "images/more/0.jpg", "masks/drawn by hand_mask.png"])
def test_fresh_removes_nothing_that_prep_did_not_make(tmp_path: Path, first: Path, place: str) -> None:
    mine = tmp_path / "work/data/folder" / place
    mine.parent.mkdir(exist_ok=True)
    mine.write_bytes(b"mine")
    before = contents(tmp_path / "work")
    with pytest.raises(SwclError, match=r"holds 1 files that no list of prep's tells of \((holiday|more|drawn)"):
        prep.run(settings(tmp_path / "work", "folder", clinic(tmp_path / "b", 100), fresh=True))
    assert contents(tmp_path / "work") == before


def test_files_in_a_folder_that_prep_never_made_are_kept(tmp_path: Path) -> None:
    mine = tmp_path / "work/data/clinic-b/images/scan.jpg"
    downloads.write_photograph(mine, 1)
    for fresh in (False, True):
        with pytest.raises(SwclError, match="files that no list of prep's tells of"):
            prep.run(settings(tmp_path / "work", "folder", clinic(tmp_path / "b", 9), name="clinic-b", fresh=fresh))
    assert mine.exists()


def test_a_manifest_of_others_is_kept(tmp_path: Path) -> None:
    path = Workspace(tmp_path / "work").manifest("folder")
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    for fresh in (False, True):
        with pytest.raises(SwclError, match="manifest.parquet was not made by swcl: swcl prep does not replace it"):
            prep.run(settings(tmp_path / "work", "folder", clinic(tmp_path / "b", 9), fresh=fresh))
    assert path.read_text() == "mine"


@pytest.mark.parametrize("journal", [True, False])
def test_the_same_photographs_elsewhere_are_the_same_source(tmp_path: Path, first: Path, journal: bool) -> None:
    """On another mount, with other times, and in a folder more: the bytes tell."""
    shutil.copytree(first, tmp_path / "mount/photographs")
    for path in (tmp_path / "mount/photographs").iterdir():
        os.utime(path, (1, 1))
    if not journal:
        (tmp_path / "work/data/folder/.journal.jsonl").unlink()
    before = contents(tmp_path / "work")
    prep.run(settings(tmp_path / "work", "folder", tmp_path / "mount/photographs"))
    assert contents(tmp_path / "work") == before
    prep.run(settings(tmp_path / "work", "folder", tmp_path / "mount"))
    assert set(rows_of(Workspace(tmp_path / "work").manifest("folder"))["source_path"]) == {
        f"photographs/{number}.jpg" for number in range(12)
    }


def test_photographs_come_and_go(tmp_path: Path, first: Path) -> None:
    options = settings(tmp_path / "work", "folder", first)
    for number in range(50, 90):
        downloads.write_photograph(first / f"new {number}.jpg", number)
    assert len(rows_of(prep.run(options))) == 52
    for path in sorted(first.iterdir())[5:]:
        path.unlink()
    assert len(rows_of(prep.run(options))) == 5
    for path in sorted(first.iterdir())[:2]:  # of five, two change
        downloads.write_photograph(path, 200 + int(path.stem))
    assert len(rows_of(prep.run(options))) == 5
    prep.run(settings(tmp_path / "anew", "folder", first))
    assert contents(tmp_path / "work") == contents(tmp_path / "anew")


def test_a_few_photographs_in_both_do_not_make_them_one(tmp_path: Path, first: Path) -> None:
    other = clinic(tmp_path / "b", 100)
    for number in range(5):
        shutil.copyfile(first / f"{number}.jpg", other / f"{number}.jpg")
    with pytest.raises(SwclError, match=OTHERS):
        prep.run(settings(tmp_path / "work", "folder", other))
    shutil.copyfile(first / "5.jpg", other / "5.jpg")
    prep.run(settings(tmp_path / "work", "folder", other))


def test_a_public_data_set_is_brought_up_to_date_but_not_replaced_by_another(tmp_path: Path) -> None:
    words = dict.fromkeys(range(8), (NORMAL, NORMAL))
    source = downloads.odir_kaggle(tmp_path / "source", words)
    prep.run(settings(tmp_path / "work", "odir", source))
    other = downloads.odir_kaggle(tmp_path / "other", words)
    for path in (other / "preprocessed_images").iterdir():
        downloads.write_photograph(path, 500 + int(path.stem.partition("_")[0]))
    before = contents(tmp_path / "work")
    with pytest.raises(SwclError, match=f"data/odir {OTHERS} .*another --workspace, or .* --fresh"):
        prep.run(settings(tmp_path / "work", "odir", other))
    assert contents(tmp_path / "work") == before
    shutil.copyfile(source / "preprocessed_images/3_left.jpg", other / "preprocessed_images/3_left.jpg")
    prep.run(settings(tmp_path / "work", "odir", other))
    prep.run(settings(tmp_path / "anew", "odir", other))
    assert contents(tmp_path / "work") == contents(tmp_path / "anew")


def test_what_a_stopped_run_left_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a manifest the journal tells whose photographs they are."""
    source = clinic(tmp_path / "a", 0)
    folder = tmp_path / "work/data/folder"
    with monkeypatch.context() as patched:

        def stop(*_: object) -> None:
            raise Interrupted("stopped")

        patched.setattr(prep, "sort_out", stop)
        with pytest.raises(Interrupted):
            prep.run(settings(tmp_path / "work", "folder", source))
    assert not (folder / "manifest.parquet").exists() and len(list((folder / "images").iterdir())) == 12
    with pytest.raises(SwclError, match=OTHERS):
        prep.run(settings(tmp_path / "work", "folder", clinic(tmp_path / "b", 100)))
    prep.run(settings(tmp_path / "work", "folder", source))
    assert len((folder / ".journal.jsonl").read_text().splitlines()) == 12
    assert all(json.loads(line)["image_id"] for line in (folder / ".journal.jsonl").read_text().splitlines())


@pytest.mark.parametrize("workspace", [".", "work", "deep/er"])
def test_a_source_may_not_hold_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: str) -> None:
    """Else each run takes the prepared copies of the one before in as new patients."""
    source = clinic(tmp_path / "photographs", 0)
    before = contents(source)
    monkeypatch.chdir(source)
    done = swcl("prep", "folder", ".", "--size", "80", "--workers", "0", "--workspace", workspace)
    assert done.code == 1 and "SOURCE . holds" in done.err and "--workspace DIR" in done.err
    assert contents(source) == before
    done = swcl("prep", "folder", ".", "--size", "80", "--workers", "0", "--workspace", "../elsewhere")
    assert done.code == 0 and len(rows_of(tmp_path / "elsewhere/data/folder/manifest.parquet")) == 12


@pytest.mark.parametrize("through_a_link", [False, True])
def test_nothing_that_is_read_lies_among_the_prepared_images(tmp_path: Path, first: Path, through_a_link: bool) -> None:
    inside = tmp_path / "work/data/folder/images"
    if through_a_link:
        (tmp_path / "link").symlink_to(inside)
        inside = tmp_path / "link"
    before = contents(tmp_path / "work")
    for values in ({"source": inside}, {"masks": [inside], "size": 0}, {"lesion_masks": inside}):
        options = settings(tmp_path / "work", "folder", first, name="b").model_copy(update=values)
        with pytest.raises(SwclError, match=r"lies in .*data, where prepared images go: move it elsewhere"):
            prep.run(options)
    assert contents(tmp_path / "work") == before
