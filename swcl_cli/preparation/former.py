"""Keeps `prep` from taking its own images in, and from replacing those that it made of other photographs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from swcl_cli.data import manifest
from swcl_cli.datasets import OWN
from swcl_cli.datasets.download import Download
from swcl_cli.errors import SwclError
from swcl_cli.preparation.jobs import Stamp
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import JOURNAL, Workspace, require_own

Remembered = Mapping[str, tuple[str, Stamp | None]]  # by image_id, of the source's file: SHA-256; size and time
NAMED = 3  # files that a message names


def require_apart(settings: PrepSettings, data: Path) -> None:
    """Raises SwclError where a folder that is read holds `data`, where prepared images go, or lies in it."""
    read = {"SOURCE": settings.source, "--masks": settings.masks, "--lesion-masks": settings.lesion_masks}
    for name, folder in read.items():
        if folder and folder.resolve().is_relative_to(data.resolve()):
            raise SwclError(f"{name} {folder} lies in {data}, where prepared images go: move it elsewhere.")
        if folder and data.resolve().is_relative_to(folder.resolve()):
            raise SwclError(
                f"{name} {folder} holds {data}, where prepared images go: they would be taken in as new ones. "
                "Name a workspace outside of it: --workspace DIR."
            )


def make_way(settings: PrepSettings, download: Download) -> bool:
    """Removes what prep made of other photographs under this name, where `fresh` asks for it; whether it did.

    Raises SwclError where it does not ask for it, and where files that prep did not make would be lost.
    """
    workspace, name = Workspace(settings.workspace), settings.prepared
    require_own(workspace.manifest(name), "prep")
    remembered = _remembered(workspace, name)
    if not remembered:
        _require_no_others(workspace, name, {photograph.image_id for photograph in download.photographs})
        return False
    smaller = min(len(remembered), len(download.photographs))
    if _shares(remembered, download, -(-smaller // 2) if settings.dataset == OWN else 1):
        return False
    if not settings.fresh:
        keep = "Prepare these under another --name" if settings.dataset == OWN else "Take another --workspace"
        raise SwclError(
            f"{workspace.data(name)} was made of other photographs than {download.source} holds. {keep}, or replace "
            "what is there with --fresh."
        )
    _require_no_others(workspace, name, remembered.keys())
    _remove(workspace, name)
    return True


def _remembered(workspace: Workspace, name: str) -> Remembered:
    """What the journal tells of the photographs, or else the manifest; empty where nothing was prepared."""
    journal = workspace.data(name) / JOURNAL
    found: dict[str, tuple[str, Stamp | None]] = {}
    if journal.exists():
        with open(journal, "rb") as lines:
            for line in lines:
                with suppress(ValueError, TypeError, KeyError):  # a line that was cut off
                    fields = json.loads(line)
                    stamp = fields["stamps"].get("photograph")
                    found[fields["image_id"]] = (fields["hashes"].get("photograph", ""), stamp and tuple(stamp))
    path = workspace.manifest(name)
    if not found and path.exists():
        with suppress(SwclError):  # damaged: it is made anew
            table = manifest.read(path, columns=["image_id", "source_hash"])
            found = {row.image_id: (row.source_hash, None) for row in table.itertuples()}
    return found


def _shares(remembered: Remembered, download: Download, needed: int) -> bool:
    """Whether so many photographs are the same files, wherever they lie now: names like 1.jpg tell nothing.

    A file of the same name, size and time is the same; others are read, as far as a known one has their size.
    """
    changed: list[tuple[Path, Stamp]] = []
    for photograph in download.photographs:
        path = download.source / photograph.path
        with suppress(OSError):
            status = path.stat()
            stamp = (status.st_size, status.st_mtime_ns)
            if remembered.get(photograph.image_id, ("", None))[1] == stamp:
                needed -= 1
            else:
                changed.append((path, stamp))
        if needed <= 0:
            return True
    sizes = {stamp[0] if stamp else None for _, stamp in remembered.values()}
    hashes = {digest for digest, _ in remembered.values()}
    for path, (size, _) in changed:
        if None in sizes or size in sizes:
            with suppress(OSError), open(path, "rb") as handle:
                needed -= hashlib.file_digest(handle, "sha256").hexdigest() in hashes
        if needed <= 0:
            return True
    return False


def _require_no_others(workspace: Workspace, name: str, image_ids: Collection[str]) -> None:
    """Raises SwclError where a file lies among the prepared ones that was made of none of these photographs."""
    others = [path for path, image_id in _files(workspace, name) if image_id not in image_ids]
    if others:
        named = ", ".join(path.name for path in others[:NAMED]) + (", ..." if len(others) > NAMED else "")
        raise SwclError(
            f"{others[0].parent} holds {len(others):,} files that no list of prep's tells of ({named}): move them away."
        )


def _files(workspace: Workspace, name: str) -> Iterator[tuple[Path, str]]:
    """All that lies among the prepared images and masks, and the image_id that its name tells."""
    for folder, is_mask in ((workspace.images(name), False), (workspace.masks(name), True)):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if not path.name.startswith("."):
                    yield path, path.stem.rpartition("_")[0] if is_mask else path.stem


def _remove(workspace: Workspace, name: str) -> None:
    """The manifest first, since it tells of the images; the journal last, since it tells whose they are."""
    workspace.manifest(name).unlink(missing_ok=True)
    for path, _ in _files(workspace, name):
        path.unlink()
    workspace.quarantine(name).unlink(missing_ok=True)
    (workspace.data(name) / JOURNAL).unlink(missing_ok=True)
