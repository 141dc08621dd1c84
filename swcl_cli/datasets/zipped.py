"""Read a .zip where it lies: files and folders in it as paths, below that of the archive."""

from __future__ import annotations

import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Generator
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any, Protocol, Self

from swcl_cli.datasets.sizes import Sizes
from swcl_cli.errors import SwclError

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ENCRYPTED = 0x1  # flag of a member
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)
READ_ONLY = 0o444

opened: dict[str, Archive] = {}  # by path, of this process


class Entry(Protocol):
    """Describe what a folder holds, as `os.DirEntry` does."""

    @property
    def name(self) -> str: ...
    def is_dir(self) -> bool: ...
    def is_file(self) -> bool: ...
    def is_symlink(self) -> bool: ...


class Archive:
    """Hold an open .zip: its members, and the names in each of its folders. Every process opens its own handle."""

    def __init__(self, path: str) -> None:
        """Open the archive. Raises SwclError where it can't be read, or is not safe to read."""
        self.path, self.process = path, os.getpid()
        try:
            self.file = zipfile.ZipFile(path)
        except (OSError, *DAMAGED) as error:
            raise SwclError(f"{path} can't be read as a .zip ({error}): download it again.") from error
        self.members: dict[str, zipfile.ZipInfo] = {}
        self.folders: dict[str, dict[str, None]] = {"": {}}  # names in order, each once
        sizes = Sizes(path, os.path.getsize(path))
        for member in self.file.infolist():
            sizes.add(member.filename, member.file_size)
            self._add(member)

    def _add(self, member: zipfile.ZipInfo) -> None:
        parts = PurePosixPath(member.filename).parts
        if ".." in parts or member.filename.startswith("/"):
            raise SwclError(f"{self.path} holds {member.filename!r}, a path that leads out of it: it is not read.")
        if member.flag_bits & ENCRYPTED or member.compress_type not in METHODS:
            how = "is encrypted" if member.flag_bits & ENCRYPTED else f"is packed by method {member.compress_type}"
            raise SwclError(f"{self.path}: {member.filename} {how}. Unpack the archive, and name the folder.")
        for depth, part in enumerate(parts):
            self.folders.setdefault("/".join(parts[:depth]), {})[part] = None
        name = "/".join(parts)
        if member.is_dir():
            self.folders.setdefault(name, {})
        elif name in self.members:
            raise SwclError(f"{self.path} holds {name} twice. Unpack it, and name the folder.")
        else:
            self.members[name] = member


def archive_at(path: str) -> Archive:
    """Return the open archive of this process."""
    archive = opened.get(path)
    if archive is None or archive.process != os.getpid():
        archive = opened[path] = Archive(path)
    return archive


class Member(PosixPath):
    """Name a .zip, or a file or folder in it, as a path. Paths that lead elsewhere are those of plain files.

    What doesn't change with its content is its size, and its CRC-32 in place of a time.
    """

    def _found(self) -> tuple[Archive, str] | None:
        text = str(self)
        for path in opened:
            if text == path or text.startswith(f"{path}/"):
                return archive_at(path), text[len(path) + 1 :]
        return None

    def is_dir(self) -> bool:
        found = self._found()
        return found[1] in found[0].folders if found else super().is_dir()

    def is_file(self) -> bool:
        found = self._found()
        return found[1] in found[0].members and not _is_link(found[0].members[found[1]]) if found else super().is_file()

    def exists(self) -> bool:
        return self.is_dir() or self.is_file() if self._found() else super().exists()

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = self._found()
        if found is None:
            return super().stat(follow_symlinks=follow_symlinks)
        archive, name = found
        if name in archive.folders:
            return os.stat_result((stat.S_IFDIR | READ_ONLY, 0, 0, 1, 0, 0, 0, 0, 0, 0), {"st_mtime_ns": 0})
        member = self._member(archive, name)
        kind = stat.S_IFLNK if _is_link(member) else stat.S_IFREG
        fields = (kind | READ_ONLY, 0, 0, 1, 0, 0, member.file_size, 0, 0, 0)
        return os.stat_result(fields, {"st_mtime_ns": member.CRC})

    def _member(self, archive: Archive, name: str) -> zipfile.ZipInfo:
        if name not in archive.members:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return archive.members[name]

    def iterdir(self) -> Generator[Self, None, None]:
        found = self._found()
        yield from (self / name for name in found[0].folders.get(found[1], ())) if found else super().iterdir()

    def glob(self, pattern: str) -> Generator[Self, None, None]:
        """Find paths below this folder; a part of the pattern is a name, or `*` for any."""
        if self._found() is None:
            yield from super().glob(pattern)
            return
        places: list[Self] = [self]
        for part in PurePosixPath(pattern).parts:
            inside = [place for place in places if place.is_dir()]
            below = [path for place in inside for path in (place.iterdir() if part == "*" else [place / part])]
            places = [path for path in below if path.exists()]
        yield from places

    def read_bytes(self) -> bytes:
        """Return the content. Raises OSError where it is damaged."""
        found = self._found()
        if found is None:
            return super().read_bytes()
        archive, name = found
        try:
            return archive.file.read(self._member(archive, name))
        except DAMAGED:
            raise OSError(errno.EIO, f"damaged in {Path(archive.path).name}", str(self)) from None

    def open(self, mode: str = "r", buffering: int = -1, *options: Any, **more: Any) -> Any:
        if self._found() is None:
            return super().open(mode, buffering, *options, **more)
        content = BytesIO(self.read_bytes())
        return content if "b" in mode else TextIOWrapper(content, *options, **more)

    def read_text(self, encoding: str | None = None, errors: str | None = None, **more: Any) -> str:
        with self.open("r", encoding=encoding, errors=errors, **more) as handle:
            text: str = handle.read()
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        found = self._found()
        return _unpickled, (str(self), found[0].path if found else None)


def open_zip(path: Path) -> Member:
    """Return the path of a .zip, which is opened anew: it may have changed since. Raises SwclError."""
    member = Member(path.absolute())
    opened[str(member)] = Archive(str(member))
    return member


def _unpickled(path: str, archive: str | None) -> Member:
    """Return the path in another process, which opens the archive itself."""
    if archive is not None:
        archive_at(archive)
    return Member(path)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


@dataclass(frozen=True)
class Listed:
    """Describe an entry of a folder in a .zip, where nothing is a link that is followed."""

    name: str
    path: Path

    def is_dir(self) -> bool:
        return self.path.is_dir()

    def is_file(self) -> bool:
        return self.path.is_file()

    def is_symlink(self) -> bool:
        return False


@dataclass(frozen=True)
class Unfollowed:
    """Describe a link in a loop of links: neither a file nor a folder can be said to be there."""

    name: str

    def is_dir(self) -> bool:
        return False

    def is_file(self) -> bool:
        return False

    def is_symlink(self) -> bool:
        return True


def _is_loop(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.is_symlink():
            entry.is_dir()
    except OSError:
        return True
    return False


def entries(folder: Path) -> list[Entry]:
    """List what a folder holds, on the disk or in a .zip, sorted by name. Raises OSError where it can't be read."""
    found = folder._found() if isinstance(folder, Member) else None
    listed: list[Entry]
    if found:
        listed = [Listed(name, folder / name) for name in found[0].folders.get(found[1], ())]
    else:
        with os.scandir(folder) as scanned:
            listed = [Unfollowed(entry.name) if _is_loop(entry) else entry for entry in scanned]
    return sorted(listed, key=lambda entry: entry.name)
