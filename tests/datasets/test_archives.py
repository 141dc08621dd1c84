"""Downloads that come as archives: read where they lie, unpacked once, or refused with what to do."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from swcl_cli.datasets import drive, eyepacs, idrid, idrid_seg, messidor, odir, packed, refuge_seg, sizes, stare
from swcl_cli.datasets.download import Download
from swcl_cli.datasets.zipped import Member, archive_at, entries
from swcl_cli.errors import SwclError
from swcl_cli.preparation.opening import open_source
from swcl_cli.steps import prep
from swcl_cli.workspace import Workspace
from tests import downloads
from tests.prep_runs import contents, quarantine, settings

SHARED = Path(__file__).parents[3] / "shared/data"
SETS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Download]]] = {
    "eyepacs": (lambda source: downloads.eyepacs(source, train=[10, 13], test=[1]), eyepacs.read),
    "idrid": (lambda source: downloads.idrid(source, train=5, test=2), idrid.read),
    "idrid-seg": (lambda source: downloads.idrid_seg(source, train=[1, 2, 3], test=[55]), idrid_seg.read),
    "odir": (lambda source: downloads.odir_official(source, {"Training": [1, 2, 3, 4, 5]}), odir.read),
    "messidor": (lambda source: downloads.messidor(source, {"Base11": ["a", "b"]}), messidor.read),
    "drive": (lambda source: downloads.drive(source, train=3, test=1), drive.read),
    "stare": (lambda source: downloads.stare(source, ["im0001", "im0002"]), stare.read),
    "refuge-seg": (lambda source: downloads.refuge(source, "second"), refuge_seg.read),
}


def pack(source: Path, kind: str) -> Path:
    return Path(shutil.make_archive(str(source), kind, source))


def opened(path: Path, workspace: Path) -> Path:
    return open_source(path, Workspace(workspace), follow_links=False)


def with_members(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_entries(path: Path, *members: tarfile.TarInfo, data: bytes = b"x") -> Path:
    with tarfile.open(path, "w") as archive:
        for member in members:
            member.size = len(data) if member.isfile() else 0
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", SETS)
def test_a_zip_reads_as_its_folder(name: str, tmp_path: Path) -> None:
    make, read = SETS[name]
    source = make(tmp_path / "source")
    (source / "__MACOSX").mkdir()
    (source / "__MACOSX/._a.jpg").touch()
    plain, zipped = read(source), read(opened(pack(source, "zip"), tmp_path))
    assert zipped.photographs == plain.photographs and len(plain.photographs) > 1
    assert (zipped.problems, zipped.label_files) == (plain.problems, plain.label_files)


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("workers", [0, 2])
def test_equal_bytes_come_of_an_archive(kind: str, workers: int, tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10, 13, 15], test=[1])
    (source / "train/13_left.jpeg").write_bytes(b"broken")
    archive = pack(source, kind)
    plain = prep.run(settings(tmp_path / "plain", "eyepacs", source, workers=0))
    packed_up = prep.run(settings(tmp_path / "packed", "eyepacs", archive, workers=workers))
    assert contents(packed_up.parent) == contents(plain.parent)
    assert quarantine(tmp_path / "packed", "eyepacs") == [("train/13_left.jpeg", "not an image")]


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}")
@pytest.mark.parametrize("name", ["STARE", "DRIVE"])
def test_equal_bytes_come_of_real_photographs(name: str, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / name), "zip", SHARED / name))
    made = [
        prep.run(settings(tmp_path / part, name.lower(), source, size=0))
        for part, source in (("plain", SHARED / name), ("packed", archive))
    ]
    plain, zipped = (contents(path.parent) for path in made)
    assert plain == zipped and len(plain) > 40


def test_only_members_that_changed_are_prepared_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10, 13])
    given = settings(tmp_path / "work", "eyepacs", pack(source, "zip"))
    before = contents(prep.run(given).parent)
    prep.run(given)
    assert "everything was prepared already" in capsys.readouterr().out
    (source / "train/10_left.jpeg").touch()
    pack(source, "zip")
    prep.run(given)
    assert "everything was prepared already" in capsys.readouterr().out
    downloads.write_photograph(source / "train/10_left.jpeg", 77)
    pack(source, "zip")
    after = contents(prep.run(given).parent)
    assert "1 photographs to prepare, 3 unchanged" in capsys.readouterr().out
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name for name in changed if name.endswith(".jpg")} == {"images/10_left.jpg"}
    shutil.rmtree(tmp_path / "work/data/eyepacs/images")
    given = settings(tmp_path / "work", "eyepacs", source)  # the folder that the archive was made of
    assert contents(prep.run(given).parent).items() >= {name: after[name] for name in changed if "jpg" in name}.items()


def test_paths_in_a_zip(tmp_path: Path) -> None:
    path = with_members(tmp_path / "a.zip", {"b/c.txt": b"text", "b/d/e.bin": b"\0" * 9, "f.txt": b""})
    source = opened(path, tmp_path)
    assert [entry.name for entry in entries(source)] == ["b", "f.txt"]
    assert sorted(member.name for member in (source / "b").iterdir()) == ["c.txt", "d"]
    assert [str(found) for found in source.glob("*/c.txt")] == [f"{path}/b/c.txt"]
    assert (source / "b").is_dir() and not (source / "b").is_file() and not (source / "x").exists()
    assert (source / "b/c.txt").read_text() == "text" and (source / "b/c.txt").open("rb").read() == b"text"
    assert (source / "b/d/e.bin").stat().st_size == 9
    assert (source / "b/c.txt").stat().st_mtime_ns != (source / "b/d/e.bin").stat().st_mtime_ns
    with pytest.raises(FileNotFoundError):
        (source / "x").read_bytes()
    again = pickle.loads(pickle.dumps(source / "b/c.txt"))
    assert isinstance(again, Member) and again.read_bytes() == b"text"
    outside = tmp_path / "plain.txt"
    outside.write_text("plain")
    assert (source / outside).read_text() == "plain" and (source / outside).stat() == outside.stat()


def test_a_process_does_not_share_the_handle_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(with_members(tmp_path / "a.zip", {"a.txt": b"text"}), tmp_path)
    first = archive_at(str(source))
    assert archive_at(str(source)) is first
    monkeypatch.setattr(os, "getpid", lambda: first.process + 1)
    assert archive_at(str(source)) is not first and (source / "a.txt").read_bytes() == b"text"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../a.jpg", r"holds '\.\./a\.jpg', a path that leads out of it"),
        ("a/../../b.jpg", "a path that leads out of it"),
        ("/etc/passwd", "a path that leads out of it"),
    ],
)
def test_paths_that_lead_out_of_a_zip_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SwclError, match=message):
        opened(with_members(tmp_path / "a.zip", {name: b""}), tmp_path)


def test_zips_that_cannot_be_read(tmp_path: Path) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10])
    files = [path for path in source.rglob("*") if path.is_file()]
    path = with_members(tmp_path / "a.zip", {str(file.relative_to(source)): file.read_bytes() for file in files})
    data = path.read_bytes()
    broken = data.index((source / "train/10_left.jpeg").read_bytes()) + 300
    path.write_bytes(data[:broken] + bytes(255 - byte for byte in data[broken : broken + 99]) + data[broken + 99 :])
    prep.run(settings(tmp_path / "work", "eyepacs", path))
    assert ("train/10_left.jpeg", "unreadable") in quarantine(tmp_path / "work", "eyepacs")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(SwclError, match=r"cut\.zip can't be read as a \.zip \(.*\): download it again"):
        opened(cut, tmp_path)
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.jpg", b"1")
        archive.writestr("a.jpg", b"2")
    with pytest.raises(SwclError, match=r"holds a\.jpg twice"):
        opened(tmp_path / "twice.zip", tmp_path)


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "FREE_BYTES", 1000)
    bomb = tmp_path / "a.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.tif", b"\0" * 1_000_000)
    with pytest.raises(SwclError, match=r"unpacks to more than 1,000,000 bytes, \d+ times its own size"):
        opened(bomb, tmp_path)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("zeros.tif")
        member.size = 1_000_000
        tar.addfile(member, io.BytesIO(b"\0" * member.size))
    with pytest.raises(SwclError, match="unpacks to more than 1,000,000 bytes"):
        opened(tmp_path / "a.tar.gz", tmp_path)
    monkeypatch.setattr(sizes, "MOST_FILES", 2)
    with pytest.raises(SwclError, match="holds more than 2 files"):
        opened(with_members(tmp_path / "b.zip", {"1": b"", "2": b"", "3": b""}), tmp_path)
    assert not list((tmp_path / "unpacked").glob("*"))


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def pipe(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.FIFOTYPE
    return member


@pytest.mark.parametrize(
    "member", [tarfile.TarInfo("../a.jpg"), link("a.jpg", "/etc/passwd"), link("a.jpg", "../../b.jpg"), pipe("a.jpg")]
)
def test_nothing_of_a_tar_leaves_its_folder(member: tarfile.TarInfo, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    path = with_entries(tmp_path / "a.tar", tarfile.TarInfo("good.jpg"), member)
    with pytest.raises(SwclError, match=r"a\.tar is not unpacked: "):
        opened(path, tmp_path / "work")
    assert sorted(found.name for found in tmp_path.rglob("*") if not found.name.startswith(".")) == [
        "a.tar", "unpacked", "work"]  # fmt: skip


def test_a_tar_is_unpacked_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = downloads.eyepacs(tmp_path / "source", train=[10])
    path = pack(source, "gztar")
    folder = opened(path, tmp_path / "work")
    assert f"Unpacking {path} to {folder}, once" in " ".join(capsys.readouterr().out.split())
    assert contents(folder) == contents(source) and folder.parent == tmp_path / "work/unpacked"
    assert opened(path, tmp_path / "work") == folder and not capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(SwclError, match="is not unpacked: "):
        opened(path, tmp_path / "work")
    assert [found.name for found in (tmp_path / "work/unpacked").iterdir() if found.is_dir()] == [folder.name]


def test_space_is_checked_before_a_tar_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(downloads.eyepacs(tmp_path / "source", train=[10]), "tar")
    monkeypatch.setattr("swcl_cli.preparation.opening.SPARE_BYTES", 10**18)
    with pytest.raises(SwclError, match=r"unpacks to [\d,]+ bytes, but [\d,]+ are free in .*Take a --workspace on a"):
        opened(path, tmp_path / "work")


def test_parts_of_an_archive_are_joined_by_people(tmp_path: Path) -> None:
    source = tmp_path / "my eyes"
    source.mkdir()
    for number in (1, 2, 3):
        (source / f"train.zip.00{number}").write_bytes(b"PK")
    (source / "trainLabels.csv").write_text("image,level\n")
    command = (
        f"train.zip lies in 3 parts. Join and unpack it: cat '{source}/train.zip'.??? > '{source}/train.zip' && "
        f"unzip '{source}/train.zip' -d '{source}'"
    )
    with pytest.raises(SwclError) as caught:
        eyepacs.read(source)
    assert command in str(caught.value) and "Looked for: train/10_left.jpeg" in str(caught.value)
    with pytest.raises(SwclError) as caught:
        opened(source / "train.zip.002", tmp_path)
    assert str(caught.value) == command
    (source / "train.zip.002").unlink()
    assert packed.advice(source.iterdir()).startswith("train.zip.002 is missing among the parts of")
    (source / "train.zip").touch()
    assert (
        packed.advice(source.iterdir()) == f"{source}/train.zip is an archive: unpack it there, or name it as SOURCE."
    )
    assert packed.advice([source / "trainLabels.csv"]) == ""


def test_other_archives_are_named(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/eyes.rar").touch()
    with pytest.raises(SwclError, match=r"eyes\.rar is an archive: unpack it first\."):
        opened(tmp_path / "source/eyes.rar", tmp_path)
    with pytest.raises(SwclError, match=r"holds no photograph that a label names;.*eyes\.rar is an archive"):
        prep.run(settings(tmp_path / "work", "folder", tmp_path / "source"))


def test_an_empty_tar_holds_no_photograph(tmp_path: Path) -> None:
    tarfile.open(tmp_path / "none.tar", "w").close()
    with pytest.raises(SwclError, match="holds no photograph that a label names"):
        prep.run(settings(tmp_path / "work", "folder", tmp_path / "none.tar"))


def test_archives_within_a_zip_are_to_be_unpacked(tmp_path: Path) -> None:
    path = with_members(tmp_path / "outer.zip", {"inner.zip": b"x"})
    with pytest.raises(SwclError, match=r"It holds archives itself: unpack .*outer.zip, and them\."):
        prep.run(settings(tmp_path / "work", "folder", path))
