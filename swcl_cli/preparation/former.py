"""Keep `prep` from reading its own images, and from replacing images that it made of other photographs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from swcl_cli.data import manifest
from swcl_cli.datasets import OWN
from swcl_cli.datasets.download import Download
from swcl_cli.datasets.mask_folders import mask_folders
from swcl_cli.errors import SwclError
from swcl_cli.preparation.jobs import Stamp
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import JOURNAL, Workspace, require_own

Remembered = Mapping[str, tuple[str, Stamp | None]]  # by image_id, of the source's file: SHA-256; size and time
NAMED = 3  # files that a message names


def require_apart(settings: PrepSettings, data: Path) -> None:
    """Check that no input folder holds `data`, where prepared images go, or lies in it. Raises SwclError."""
    read = [("SOURCE", settings.source), ("--lesion-masks", settings.lesion_masks)]
    read += [("--masks", folder) for folder in mask_folders(settings.masks).all]
    for name, folder in read:
        if folder and folder.resolve().is_relative_to(data.resolve()):
            raise SwclError(f"{name} {folder} lies in {data}, where prepared images go: move it elsewhere.")
        if folder and data.resolve().is_relative_to(folder.resolve()):
            raise SwclError(
                f"{name} {folder} holds {data}, where prepared images go: they would be taken in as new ones. "
                "Name a workspace outside of it: --workspace DIR."
            )


def require_none_of_ours(download: Download, data: Path) -> None:
    """Check that no link led the search into `data`, where prepared images are. Raises SwclError."""
    files = [
        path
        for photograph in download.photographs
        for path in (photograph.path, photograph.mask, photograph.fov, *photograph.layers)
        if path
    ]
    ours = next((path for path in files if (download.source / path).resolve().is_relative_to(data.resolve())), None)
    if ours:
        raise SwclError(
            f"{download.source / ours} lies in {data}, where prepared images go, by a link that was followed: they "
            "would be taken in as new ones. Remove the link, or name another workspace: --workspace DIR."
        )


def make_way(settings: PrepSettings, download: Download) -> bool:
    """Remove a data set that prep made of other photographs under this name, if `fresh`. Return whether it was removed.

    Raises SwclError where it is there without `fresh`, and where files that prep did not make would be lost.
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
    """Read the prepared photographs' files from the journal, or else the manifest; empty if none were prepared."""
    journal = workspace.data(name) / JOURNAL
    files: dict[str, tuple[str, Stamp | None]] = {}
    if journal.exists():
        with open(journal, "rb") as lines:
            for line in lines:
                with suppress(ValueError, TypeError, KeyError):  # a line that was cut off
                    fields = json.loads(line)
                    stamp = fields["stamps"].get("photograph")
                    files[fields["image_id"]] = (fields["hashes"].get("photograph", ""), stamp and tuple(stamp))
    path = workspace.manifest(name)
    if not files and path.exists():
        with suppress(SwclError):  # damaged: it is made anew
            table = manifest.read(path, columns=["image_id", "source_hash"])
            files = {row.image_id: (row.source_hash, None) for row in table.itertuples()}
    return files


def _shares(remembered: Remembered, download: Download, needed: int) -> bool:
    """Return whether at least `needed` photographs are files that were prepared, wherever these lie now.

    A file of the same name, size and time is the same; other files are read where a prepared file had their size, and
    compared by hash: names like 1.jpg prove nothing.
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
            with suppress(OSError), path.open("rb") as handle:
                needed -= hashlib.file_digest(handle, "sha256").hexdigest() in hashes
        if needed <= 0:
            return True
    return False


def _require_no_others(workspace: Workspace, name: str, image_ids: Collection[str]) -> None:
    """Check that every file among the prepared ones was made of these photographs. Raises SwclError."""
    others = [path for path, image_id in _files(workspace, name) if image_id not in image_ids]
    if others:
        named = ", ".join(path.name for path in others[:NAMED]) + (", ..." if len(others) > NAMED else "")
        raise SwclError(
            f"{others[0].parent} holds {len(others):,} files that no list of prep's tells of ({named}): move them away."
        )


def _files(workspace: Workspace, name: str) -> Iterator[tuple[Path, str]]:
    """List the files among prepared images and masks, each with the image_id in its name."""
    for folder, is_mask in ((workspace.images(name), False), (workspace.masks(name), True)):
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if not path.name.startswith("."):
                    yield path, path.stem.rpartition("_")[0] if is_mask else path.stem


def _remove(workspace: Workspace, name: str) -> None:
    """Remove a prepared data set: first its manifest, which lists the images, last its journal, which proves origin."""
    workspace.manifest(name).unlink(missing_ok=True)
    for path, _ in _files(workspace, name):
        path.unlink()
    workspace.quarantine(name).unlink(missing_ok=True)
    for path in (workspace.descriptions(name), workspace.orientation(name), workspace.quality(name)):
        path.unlink(missing_ok=True)
    (workspace.data(name) / JOURNAL).unlink(missing_ok=True)
