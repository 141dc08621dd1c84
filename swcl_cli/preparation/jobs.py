"""Prepare an image as a plain function of its job, and record the outcome."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image
from PIL import __version__ as pillow_version

from swcl_cli.catalogue.structures import Structures
from swcl_cli.preparation.decoding import PAGES, SCALED, Unusable, read_content
from swcl_cli.preparation.masks import MASKS, MOST_COVERED, covered
from swcl_cli.preparation.photograph import colour_sums, encode, prepare_photograph
from swcl_cli.preparation.structures import STRUCTURES, pixels_of, prepare_structures
from swcl_cli.workspace import atomic

RECIPE = 5  # raise it when the same bytes and settings are prepared into other bytes, or outcomes get new fields
OVER_THE_FIELD = "mask over most of the field"
Stamp = tuple[int, int]  # bytes, modification time in ns


@dataclass(frozen=True, slots=True)
class Job:
    """Name the files of an image: `photograph`, and those that it has of the kinds in MASKS.

    structures: what its mask shows, where that is of the kind STRUCTURES; nearest: pixels of no known value take the
    nearest one.
    """

    image_id: str
    size: int
    inputs: dict[str, Path]
    outputs: dict[str, Path]
    square: bool = False
    crop: bool = False
    structures: Structures | None = None
    nearest: bool = False

    @property
    def recipe(self) -> str:
        """Return all that decides the result besides the inputs' bytes, as text."""
        shape = f"size-{self.size}{' square' * self.square}{' crop' * self.crop}"
        shown = f" {json.dumps(self.structures.described())}{' nearest' * self.nearest}" if self.structures else ""
        return f"{RECIPE} pillow-{pillow_version} {shape} {','.join(self.inputs)}{shown}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Record a job's result, written images or a problem, so that a later run can see whether anything changed."""

    image_id: str
    recipe: str
    stamps: dict[str, Stamp]  # of the inputs
    hashes: dict[str, str]  # of the inputs, SHA-256
    written: dict[str, Stamp]  # of the outputs
    width: int = 0
    height: int = 0
    checksum: int = 0  # of the written photograph's bytes, CRC-32
    pixels: str = ""  # hash of the prepared pixels: equal photographs are found whatever their files' bytes
    sums: tuple[int, ...] = ()
    problem: str = ""
    detail: str = ""  # of the problem; without one, how the photograph's levels were scaled
    notes: dict[str, str] = field(default_factory=dict)  # what is odd about an image that is used all the same
    shown: tuple[int, ...] = ()  # pixels of each structure of its mask, and of the whole mask

    def is_current(self, job: Job) -> bool:
        """Return whether the job's inputs and outputs are unchanged, by file sizes and times alone."""
        return self.recipe == job.recipe and self.stamps == _stamps(job.inputs) and self.is_intact(job)

    def is_intact(self, job: Job) -> bool:
        """Return whether the job's outputs are unchanged, by file sizes and times alone."""
        if self.problem:
            return not self.written
        return self.written.keys() == job.outputs.keys() and self.written == _stamps(job.outputs)


def prepare(job: Job, earlier: Outcome | None = None) -> Outcome:
    """Read each input once, and write the prepared image and its masks, each whole or not at all.

    Where `earlier` shows that only the inputs' times changed, nothing is decoded or written. An image that can't be
    used gives an outcome with a problem. Raises SwclError where a file can't be written.
    """
    stamps = _stamps(job.inputs)
    hashes: dict[str, str] = {}
    try:
        contents = {kind: read_content(path) for kind, path in job.inputs.items()}
        hashes = {kind: hashlib.sha256(content).hexdigest() for kind, content in contents.items()}
        if earlier and earlier.recipe == job.recipe and earlier.hashes == hashes and earlier.is_intact(job):
            return replace(earlier, stamps=stamps)
        photograph, own = prepare_photograph(contents["photograph"], job.size, job.square, job.crop)
        sums = colour_sums(photograph)
        files = {"photograph": encode(photograph, lossless=job.outputs["photograph"].suffix == ".png")}
        notes = {PAGES: photograph.info[PAGES]} if PAGES in photograph.info else {}
        for kind, prepare_kind in MASKS.items():
            if kind in contents:
                mask = prepare_kind(contents[kind], own)
                notes |= _notes(kind, mask, photograph)
                files[kind] = encode(mask, lossless=True)
        pixels: list[int] = []
        if job.structures:
            mask = _structures(job, job.structures, contents, own)
            pixels = pixels_of(mask, job.structures)
            notes |= _notes_of_layers(job.structures, pixels)
            files[STRUCTURES] = encode(mask, lossless=True)
    except Unusable as unusable:
        return Outcome(job.image_id, job.recipe, stamps, hashes, {}, problem=unusable.problem, detail=unusable.detail)
    for kind, data in files.items():
        with atomic(job.outputs[kind]) as path:
            path.write_bytes(data)
    return Outcome(
        job.image_id,
        job.recipe,
        stamps,
        hashes,
        _stamps(job.outputs),
        *photograph.size,
        checksum=zlib.crc32(files["photograph"]),
        pixels=hashlib.sha256(photograph.tobytes()).hexdigest()[:32],
        sums=tuple(sums),
        detail=photograph.info.get(SCALED, ""),
        notes=notes,
        shown=tuple(pixels),
    )


def _structures(job: Job, structures: Structures, contents: Mapping[str, bytes], own: tuple[int, int]) -> Image.Image:
    """Prepare the mask of several structures. Raises Unusable, which names the file of a single mask."""
    try:
        return prepare_structures(contents, own, structures, job.nearest)
    except Unusable as unusable:
        named = f"{job.inputs[STRUCTURES].name}: " if STRUCTURES in job.inputs else ""
        raise Unusable(unusable.problem, f"{named}{unusable.detail}") from unusable


def _notes(kind: str, mask: Image.Image, photograph: Image.Image) -> dict[str, str]:
    """Say where a mask covers most of the field of view; that of a disc has a bound of its own, and white around it."""
    if kind in ("fov", "disc_and_cup") or (share := covered(mask, photograph)) <= MOST_COVERED:
        return {}
    name = "lesion mask" if kind == "lesions" else "mask"
    return {OVER_THE_FIELD: f"the {name} covers {100 * share:.0f} % of the field of view"}


def _notes_of_layers(structures: Structures, pixels: Sequence[int]) -> dict[str, str]:
    """Say where two-valued masks cover most of the frame; values of a single mask are as people name them."""
    shares = {name: part / pixels[-1] for name, part in zip(structures.names, pixels, strict=False)}
    covering = [f"{name} {share:.0%}" for name, share in shares.items() if share > MOST_COVERED]
    if not covering or not structures.is_layered:
        return {}
    return {OVER_THE_FIELD: f"masks cover most of the photograph: {', '.join(covering)}"}


def _stamps(paths: dict[str, Path]) -> dict[str, Stamp]:
    """Return size and time of each file that exists."""
    stamps = {}
    for kind, path in paths.items():
        try:
            status = path.stat()
        except OSError:
            continue
        stamps[kind] = (status.st_size, status.st_mtime_ns)
    return stamps
