"""Open what SOURCE names, a folder or an archive, as a path below which the data sets' readers find their files."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zlib
from pathlib import Path

from swcl_cli import console
from swcl_cli.datasets import packed
from swcl_cli.datasets.links import Followed
from swcl_cli.datasets.sizes import Sizes
from swcl_cli.datasets.zipped import open_zip
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, locked, remove_tree

SPARE_BYTES = 1_000_000_000  # that stay free for the prepared images


def is_archive(path: Path) -> bool:
    """Return whether a path names an archive, or a part of one, that `open_source` opens or tells how to."""
    return path.is_file() and (packed.is_named(path, packed.ZIP + packed.TAR) or bool(packed.PART.fullmatch(path.name)))


def open_source(source: Path, workspace: Workspace, follow_links: bool) -> Path:
    """Return the folder of a download. A .zip is read where it lies, a .tar is unpacked once into the workspace.

    Raises SwclError where it is an archive that can't be read, is a part of one, or is not safe to unpack.
    """
    if source.is_file():
        if packed.is_named(source, packed.ZIP):
            return open_zip(source)
        if packed.is_named(source, packed.TAR):
            return _unpacked(source, workspace)
        stem = source.name.rpartition(".")[0] if packed.PART.fullmatch(source.name) else source.name
        if advice := packed.advice(path for path in source.parent.iterdir() if path.name.startswith(stem)):
            raise SwclError(advice)
    return Followed(source) if follow_links else source


def _unpacked(path: Path, workspace: Workspace) -> Path:
    """Unpack a .tar, packed further or not, unless it was; return its folder, which is whole or not there."""
    status = path.stat()
    state = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    folder = workspace.unpacked / f"{path.name}-{hashlib.sha256(state.encode()).hexdigest()[:8]}"
    if folder.is_dir():
        return folder
    with locked(workspace.unpacked, "prep"):
        partial = folder.with_name(f".{folder.name}.partial")
        remove_tree(partial)
        try:
            _require_space(path, _unpacked_size(path), workspace.unpacked)
            console.say(f"Unpacking {path} to {folder}, once; remove that folder when you don't need it any more.")
            partial.mkdir()
            with tarfile.open(path) as archive:
                archive.extractall(partial, filter="data")
            partial.rename(folder)
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise SwclError(f"{path} is not unpacked: {error}.") from error
        finally:
            remove_tree(partial)
    return folder


def _unpacked_size(path: Path) -> int:
    """Read through the archive, and return the bytes that it holds. Raises SwclError where it holds a file twice."""
    sizes = Sizes(str(path), path.stat().st_size)
    names: set[str] = set()
    with tarfile.open(path) as archive:
        for member in archive:
            sizes.add(member.name, member.size)
            if member.name in names and not member.isdir():
                raise SwclError(f"{path} holds {member.name} twice. Unpack it, and name the folder.")
            names.add(member.name)
    return sizes.total


def _require_space(path: Path, needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed + SPARE_BYTES > free:
        raise SwclError(
            f"{path} unpacks to {needed:,} bytes, but {free:,} are free in {folder}. Take a --workspace on a larger "
            "volume, or unpack it elsewhere, and name the folder."
        )
