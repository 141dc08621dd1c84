"""Match folders of masks to photographs: one folder of all structures, or one for each of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.catalogue.structures import MOST_LAYERS
from swcl_cli.datasets.download import NO_IMAGE, REFUSED, Download
from swcl_cli.datasets.folders import Images, walk
from swcl_cli.datasets.names import Names, ambiguous, photograph_of, shortened, stem_of
from swcl_cli.errors import SwclError, UsageError

FIELD = "fov"  # in place of a structure's name: the field of view
BACKGROUND, IGNORE = "background", "ignore"  # in place of a structure's name in a table of classes
RESERVED = {FIELD, BACKGROUND, IGNORE, "mask", *LABELS}
NAMED = re.compile(r"([^/\\=]+)=(.+)", re.DOTALL)
NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class MaskFolders:
    """Hold the folders that `--masks` names.

    plain: the folder of all structures, or None; named: a folder for each structure; fields: that of the fields of
    view.
    """

    plain: Path | None = None
    named: Mapping[str, Path] = field(default_factory=dict)
    fields: Path | None = None

    @property
    def all(self) -> list[Path]:
        """List all folders."""
        return [folder for folder in (self.plain, *self.named.values(), self.fields) if folder]


def structure_name(text: str) -> str:
    """Return a name as a structure is called, with `_` in place of spaces. Raises ValueError where it can't be."""
    name = re.sub(r"\s+", "_", text.strip())
    if not NAME.fullmatch(name):
        raise ValueError(f"'{shortened(text)}' can't be the name of a structure: take letters, digits, - and _")
    if name.lower() in RESERVED:
        raise ValueError(f"a structure can't be called '{name}': the name has a meaning of its own")
    return name


def mask_folders(masks: Sequence[Path]) -> MaskFolders:
    """Sort the values of `--masks`, DIR or NAME=DIR; raises UsageError where they don't go together."""
    plain: list[Path] = []
    named: dict[str, Path] = {}
    for given in masks:
        match = None if given.is_dir() else NAMED.fullmatch(str(given))
        folder = type(given)(match[2]) if match else given
        if not folder.is_dir():
            raise UsageError(f"masks: {folder} is not a folder.")
        if match is None:
            plain.append(folder)
            continue
        name = match[1].strip()
        try:
            name = name if name == FIELD else structure_name(name)
        except ValueError as error:
            raise UsageError(f"masks: {error}.") from None
        if name in named:
            raise UsageError(f"masks: {name} has two folders, {named[name]} and {folder}.")
        named[name] = folder
    fields = named.pop(FIELD, None)
    if len(plain) > 1 or (plain and named):
        raise UsageError(f"masks: several folders need a name each: --masks NAME={plain[0]} --masks NAME=DIR.")
    if fields and not (plain or named):
        raise UsageError(f"masks: {FIELD} is the field of view, beside other masks: --masks DIR --masks {FIELD}=DIR.")
    if len(named) > MOST_LAYERS:
        raise UsageError(f"masks: at most {MOST_LAYERS} structures may have a folder each, not {len(named)}.")
    return MaskFolders(plain[0] if plain else None, named, fields)


def images_in(
    download: Download, folder: Path, ignored: Collection[str] = (), besides: Sequence[Path] = ()
) -> list[str]:
    """Return the images' paths relative to the folder, sorted, without those of folders of masks inside it."""
    inside = [other.resolve() for other in besides if other.resolve() != folder.resolve()]
    found = (
        Images(download, subfolder, ignored)
        for subfolder in walk(download)
        if not any(subfolder.resolve().is_relative_to(other) for other in inside)
    )
    return sorted(images.path(name) for images in found for name in images.names)


@dataclass(frozen=True)
class Masks:
    """Hold the absolute paths of the masks, by the paths of their photographs.

    named: of each structure; empty: of a structure without a file nothing is there.
    """

    folders: MaskFolders
    plain: Mapping[str, str]
    named: Mapping[str, Mapping[str, str]]
    fields: Mapping[str, str]
    empty: bool = False

    @property
    def files(self) -> set[str]:
        """List all masks."""
        return {file for files in (self.plain, self.fields, *self.named.values()) for file in files.values()}

    @property
    def photographs(self) -> set[str]:
        """List all photographs that have a mask."""
        return {path for files in (self.plain, self.fields, *self.named.values()) for path in files}

    def of(self, path: str) -> dict[str, Any]:
        """Return the values of a photograph's fields `mask`, `layers` and `fov`."""
        layers = tuple(files.get(path) for files in self.named.values())
        known = self.empty or all(layers)
        return {"mask": self.plain.get(path), "layers": layers if known else (), "fov": self.fields.get(path)}

    def missing(self, path: str) -> str:
        """Say which masks a photograph lacks; '' where it lacks none."""
        of_kinds = ((self.folders.plain, self.plain), (self.folders.fields, self.fields))
        lacking = [folder for folder, files in of_kinds if folder and path not in files]
        if not self.empty:
            lacking += [self.folders.named[name] for name, files in self.named.items() if path not in files]
        return f"none of {', '.join(map(str, lacking))} fits it" if lacking else ""


def match_masks(download: Download, folders: MaskFolders, images: Sequence[str], empty: bool) -> Masks:
    """Find the masks of the images in their folders; see `_masks_in`."""
    named = {}
    for name, folder in folders.named.items():
        others = [other for other, place in folders.named.items() if other != name and place == folder]
        named[name] = _masks_in(download, folder, images, name, others)
    plain, fields = (
        _masks_in(download, folder, images) if folder else {} for folder in (folders.plain, folders.fields)
    )
    return Masks(folders, plain, named, fields, empty)


def _masks_in(
    download: Download, masks: Path, images: Sequence[str], structure: str = "", others: Sequence[str] = ()
) -> dict[str, str]:
    """Return the absolute paths of the masks, by the paths of their photographs, and list the files of no use.

    A mask has its photograph's name, with or without `mask` before or behind it, or the name of the structure behind
    it, or else an ending that all have. In the folder of the photographs only the first three tell them apart, and
    where structures share a folder. others: those that share this one; of two names that fit, such as `exudate` and
    `hard_exudate`, the longer one counts. Raises SwclError where no file is a mask.
    """
    beside = masks.resolve() == download.source.resolve()
    folder = Download(masks, {}, False)
    names = Names(images)
    files = images if beside else images_in(folder, masks)
    ending = "" if beside or others else _ending(files, names, structure)
    if ending:
        download.remark(f"masks in {masks} are called PHOTOGRAPH_{ending}.")
    paths: dict[str, str] = {}
    for mask in files:
        own = _without(ending or structure, mask)
        plain = own or photograph_of(mask)
        of_others = [other for other in others if not (own and len(other) < len(structure)) and _without(other, mask)]
        if of_others or (beside and not plain):
            continue
        name = plain if plain and (beside or not names.fitting(mask)) else mask
        path = meant(download, names, name, f"a mask of {masks}", mask)
        if path in paths:
            download.problem(mask, REFUSED, f"a second mask of {path}, beside {paths[path]}")
            download.stop(f"{path} has two masks, {paths[path]} and {mask}")
        elif path:
            paths[path] = mask
    download.problems += [] if beside else folder.problems
    if not paths and not download.stops:
        also = f", or PHOTOGRAPH_{structure}" if structure else ""
        raise SwclError(
            f"None of the files in {masks} is the mask of a photograph: a mask is called as its photograph is, or "
            f"PHOTOGRAPH_mask{also}."
        )
    return {path: str((masks / mask).absolute()) for path, mask in paths.items()}


def _ending(masks: Sequence[str], names: Names, structure: str) -> str:
    """Return the ending, behind `_` or `-`, without which masks are called as photographs, where all masks have it.

    It is '' where there is none, and where some mask fits a photograph by its name, `mask` or the structure's name.
    """
    ways = (lambda mask: mask, photograph_of, lambda mask: _without(structure, mask))
    if not masks or any(names.fitting(plain) for mask in masks for way in ways if (plain := way(mask))):
        return ""
    first = stem_of(masks[0])
    for mark in re.finditer(r"[_-](?=[^/]+$)", first):
        plain = [_without(first[mark.end() :], mask) for mask in masks]
        if all(plain) and any(names.fitting(name) for name in plain if name):
            return first[mark.end() :]
    return ""


def _without(structure: str, mask: str) -> str | None:
    """Return the path that a mask's path has without the structure's name behind it; None where that is not there."""
    plain = re.sub(rf"[_-]{re.escape(structure)}$", "", stem_of(mask), flags=re.IGNORECASE) if structure else ""
    return plain if plain and plain != stem_of(mask) else None


def meant(download: Download, names: Names, name: str, where: object, shown: str | None = None) -> str | None:
    """Return the image that a name means; None where none or several fit, which the download then tells.

    shown: the file that the name comes from, where it is not the name itself.
    """
    paths, shown = names.fitting(name), shown or name
    if len(paths) == 1:
        return paths[0]
    download.problem(shown, NO_IMAGE, f"{where}: it fits {' and '.join(paths)}" if paths else str(where))
    if paths:
        download.stop(f"{where}: {ambiguous(shown, paths)}")
    return None
