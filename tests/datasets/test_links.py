"""Folders of links: followed where they lead out of SOURCE only when asked, and never to another volume."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swcl_cli.datasets import eyepacs, folder
from swcl_cli.datasets.links import LEADS_OUT, OTHER_VOLUME, Followed, why_not_followed
from swcl_cli.errors import SwclError
from swcl_cli.steps import prep
from tests import downloads
from tests.prep_runs import quarantine, rows_of, settings


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A link to a photograph, one to a folder, one to nothing, and a folder linked within; masks beside."""
    for item, name in enumerate(("a.jpg", "more/b.jpg", "more/deep/c.jpg")):
        downloads.write_photograph(tmp_path / "store" / name, item)
    (tmp_path / "store/more/loop").symlink_to(tmp_path / "store/more")
    source = tmp_path / "source"
    downloads.write_photograph(source / "within/d.jpg", 3)
    (source / "a.jpg").symlink_to("../store/a.jpg")
    (source / "linked").symlink_to(tmp_path / "store/more")
    (source / "again").symlink_to("within")
    (source / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    return source


def test_links_are_followed_when_asked(source: Path) -> None:
    read = folder.read(Followed(source))
    assert [photograph.path for photograph in read.photographs] == [
        "a.jpg", "linked/b.jpg", "linked/deep/c.jpg", "within/d.jpg"]  # fmt: skip
    assert sorted((problem.source_path, problem.detail) for problem in read.problems) == [
        ("again", "a link to a folder"),
        ("gone.jpg", OTHER_VOLUME),
        ("linked/loop", "a link to a folder that holds it"),
    ]


def test_links_are_told_of_when_not(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prep.run(settings(tmp_path / "work", "folder", source))
    assert rows_of(path)["source_path"].tolist() == ["within/d.jpg"]
    assert (
        f"links that lead out of {source} and were not read: 3; --follow-links reads them." in capsys.readouterr().err
    )
    path = prep.run(settings(tmp_path / "work", "folder", source, follow_links=True))
    assert len(rows_of(path)) == 4 and ("gone.jpg", "refused") in quarantine(tmp_path / "work", "folder")
    for name in ("within/d.jpg", "again"):
        (source / name).unlink()
    with pytest.raises(SwclError, match="--follow-links reads them"):
        prep.run(settings(tmp_path / "other", "folder", source))


def test_another_volume_is_not_read(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = Path.stat

    def elsewhere(path: Path, **options: bool) -> os.stat_result:
        status = stat(path, **options)
        other = (*status[:2], status.st_dev + ("store" in path.parts), *status[3:])
        return os.stat_result(other, {"st_mtime_ns": status.st_mtime_ns})

    monkeypatch.setattr(Path, "stat", elsewhere)
    assert why_not_followed(Followed(source), source / "a.jpg") == OTHER_VOLUME
    assert why_not_followed(Followed(source), source / "within/d.jpg") == ""
    assert why_not_followed(source, source / "a.jpg") == LEADS_OUT


def test_masks_and_parts_may_be_links(source: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    downloads.field(120, 100).save(tmp_path / "store/mask.png")
    (tmp_path / "masks/a.png").symlink_to("../store/mask.png")
    given = settings(tmp_path / "work", "folder", source, masks=tmp_path / "masks", size=0, follow_links=True)
    assert rows_of(prep.run(given))["mask_path"].notna().sum() == 1

    eyes = downloads.eyepacs(tmp_path / "eyes", train=[10])
    (eyes / "train").rename(tmp_path / "elsewhere")
    (eyes / "train").symlink_to("../elsewhere")
    with pytest.raises(SwclError, match="is a link that leads out of the source, .*--follow-links reads it"):
        eyepacs.read(eyes)
    assert len(eyepacs.read(Followed(eyes)).photographs) == 2


def test_loops_of_links_are_listed(source: Path, tmp_path: Path) -> None:
    for link, target in (("x.jpg", "x.jpg"), ("y", "z"), ("z", "y"), ("within/w.jpg", "w.jpg")):
        (source / link).symlink_to(target)
    for place in (source, Followed(source)):
        listed = {problem.source_path: problem.detail for problem in folder.read(place).problems}
        assert {listed[name] for name in ("x.jpg", "y", "z", "within/w.jpg")} == {"a loop of links"}


@pytest.mark.parametrize("target", ["", "data/own/images"])
def test_a_link_to_prepared_images_is_not_followed_to_new_patients(tmp_path: Path, source: Path, target: str) -> None:
    """Each prep would take in its own copies, more each time."""
    for link in ("gone.jpg", "linked", "a.jpg"):
        (source / link).unlink()
    given = settings(tmp_path / "work", "folder", source, name="own", follow_links=True)
    assert len(rows_of(prep.run(given))) == 1
    (source / "up").symlink_to(tmp_path / "work" / target)
    with pytest.raises(SwclError, match=r"up/.*d\.jpg lies in .*work/data, where prepared images go, by a link"):
        prep.run(given)


@pytest.mark.parametrize("named", ["", "disc=", "fov="])
def test_a_link_to_prepared_masks_is_not_followed_either(tmp_path: Path, source: Path, named: str) -> None:
    for link in ("gone.jpg", "linked", "a.jpg"):
        (source / link).unlink()
    for name in ("masks", "true"):
        (tmp_path / name / "within").mkdir(parents=True)
        downloads.field(120, 100).save(tmp_path / name / "within/d.png")
    given = {"size": 0, "follow_links": True}
    prep.run(settings(tmp_path / "work", "folder", source, name="own", masks=[str(tmp_path / "masks")], **given))
    (made,) = (tmp_path / "work/data/own/masks").rglob("*.png")
    (tmp_path / "masks/within/d.png").unlink()
    (tmp_path / "masks/within/d.png").symlink_to(made)
    masks = [f"{named}{tmp_path / 'masks'}", *([str(tmp_path / "true")] if named == "fov=" else [])]
    with pytest.raises(SwclError, match=r"within/d\.png lies in .*work/data, where prepared images go, by a link"):
        prep.run(settings(tmp_path / "work", "folder", source, name="other", masks=masks, **given))
