"""Find out which structures people's masks show, where no table tells it, and say what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.datasets.download import SPLITS, Download
from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import Unusable, read_content
from swcl_cli.preparation.masks import NEAREST, laid_out, prepare_mask, upright_mask
from swcl_cli.preparation.structures import STRUCTURES, is_grey

SAMPLE = 20  # masks that decide whether all are two-valued
MOST_VALUES = 16  # that masks may have without a table
SELDOM = 0.01  # of a mask's pixels: values of fewer may be edges
BLACK = "#000000"
COUNTED = ("structure", "value", "pixels", *SPLITS)


@dataclass(frozen=True, order=True)
class Found:
    """Name a value that masks hold, -1 where colours count; of the index of a palette its colour too."""

    value: int = -1
    colour: str = ""

    @property
    def is_black(self) -> bool:
        return self.colour == BLACK if self.value < 0 else self.value == 0

    @property
    def in_colour(self) -> Found:
        """Return the value as a colour alone."""
        return Found(colour=self.colour or "#" + bytes([self.value] * 3).hex())

    def __str__(self) -> str:
        return " ".join(filter(None, ("" if self.value < 0 else str(self.value), self.colour)))

    @property
    def name(self) -> str:
        """Name the structure that nobody has named."""
        return f"colour-{self.colour[1:]}" if self.value < 0 else f"value-{self.value}"


def find_classes(download: Download) -> None:
    """Complete what a download's masks show, from the masks themselves, and remark on what was found.

    Masks stay two-valued where most of them are: the others are then set aside. Raises SwclError where masks hold too
    many values.
    """
    masks = [download.source / photograph.mask for photograph in download.photographs if photograph.mask]
    if download.structures:
        download.mask_kind = STRUCTURES
        download.structures = _with_palette(download.structures, masks)
    elif masks and download.nearest:
        download.mask_kind = NEAREST
        download.remark("--mask-edges nearest without --mask-classes: each pixel of a mask counts as black or white.")
    elif download.mask_kind == "mask" and not _mostly_two_valued(masks):
        download.mask_kind, download.structures = STRUCTURES, _discovered(masks, download)


def _mostly_two_valued(masks: Sequence[Path]) -> bool:
    sample = [masks[place] for place in np.linspace(0, len(masks) - 1, min(SAMPLE, len(masks))).astype(int)]
    readable = [_is_two_valued(content) for _, content in _contents(sample)]
    return 2 * sum(readable) >= len(readable)


def _is_two_valued(content: bytes) -> bool:
    try:
        prepare_mask(content, None)
    except Unusable:
        return False
    return True


def _contents(masks: Sequence[Path]) -> Iterator[tuple[Path, bytes]]:
    """Read the masks that can be decoded; the others are set aside when they are prepared."""
    for mask in masks:
        try:
            content = read_content(mask)
            laid_out(content, None)
        except Unusable:
            continue
        yield mask, content


def _discovered(masks: Sequence[Path], download: Download) -> Structures:
    """List the values or colours of all masks. Raises SwclError where there are too many for structures."""
    pixels: Counter[Found] = Counter()
    for mask, content in _contents(masks):
        held = _values(content)
        pixels.update(held)
        if len(pixels) > MOST_VALUES:
            raise SwclError(_too_many(mask, held))
    pixels = _in_one_form(pixels)
    background = min(pixels, key=lambda found: (not found.is_black, -pixels[found]))
    ordered = sorted(pixels, key=lambda found: (found != background, found))
    shares = (
        f"{found} ({'background' if found == background else found.name}) {pixels[found] / pixels.total():.2%}"
        for found in ordered
    )
    download.remark(
        f"masks of several structures; their values are: {', '.join(shares)}. --mask-classes TABLE names them."
    )
    shades = [
        Shade(
            code=number if found.value < 0 else found.value,
            names=() if found == background else (found.name,),
            value=None if found.value < 0 else found.value,
            colour=found.colour or None,
        )
        for number, found in enumerate(ordered)
    ]
    return Structures(tuple(name for shade in shades for name in shade.names), tuple(shades))


def _values(content: bytes) -> Counter[Found]:
    """Count the pixels of each value of a mask, or of each colour where it has some."""
    image = laid_out(content, None)
    if image.mode == "P" and not is_grey(image):
        colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        counts = np.bincount(np.asarray(image).ravel(), minlength=256)
        return Counter(
            {
                Found(index, f"#{bytes(colours[index]).hex()}"): int(counts[index])
                for index in counts.nonzero()[0].tolist()
            }
        )
    if image.mode.startswith("I"):
        kinds, times = np.unique(np.asarray(image), return_counts=True)
        return Counter({Found(value): count for value, count in zip(kinds.tolist(), times.tolist(), strict=True)})
    rgb = np.asarray(upright_mask(content, None)).reshape(-1, 3)
    kinds, times = np.unique(rgb.astype(np.int32) @ (1 << 16, 1 << 8, 1), return_counts=True)
    colours_of = ((kind.to_bytes(3, "big"), count) for kind, count in zip(kinds.tolist(), times.tolist(), strict=True))
    return Counter(
        {
            Found(colour[0]) if len(set(colour)) == 1 else Found(colour=f"#{colour.hex()}"): count
            for colour, count in colours_of
        }
    )


def _in_one_form(pixels: Counter[Found]) -> Counter[Found]:
    """Take all values for grey levels or indices, or all for colours, whichever fits."""
    indices = {found.value for found in pixels}
    colours = {found.colour for found in pixels}
    if -1 not in indices and len(indices) == len(pixels) and len(colours) in (1, len(pixels)):
        return pixels
    merged: Counter[Found] = Counter()
    for found, count in pixels.items():
        merged[found.in_colour] += count
    return merged


def _too_many(mask: Path, held: Counter[Found]) -> str:
    """Say that a mask has more values than structures have, and how many of its pixels are between them."""
    between = sum(count for count in held.values() if count < SELDOM * held.total())
    return (
        f"{mask} and those before it have more than {MOST_VALUES} values; {between / held.total():.1%} of its pixels "
        "have rare ones in between: edges that were smoothed, or no masks. Name the values by --mask-classes TABLE, "
        "and let all others count as the nearest by --mask-edges nearest."
    )


def _with_palette(structures: Structures, masks: Sequence[Path]) -> Structures:
    """Add the colours of a palette to values that are its indices, from the first mask."""
    if structures.shades[0].value is None or structures.is_layered:
        return structures
    for _, content in _contents(masks):
        image = laid_out(content, None)
        if image.mode != "P" or is_grey(image):
            break
        colours = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        return Structures(
            structures.names,
            tuple(
                replace(shade, colour="#" + bytes(colours[shade.value]).hex())
                if shade.value is not None and shade.value < len(colours)
                else shade
                for shade in structures.shades
            ),
        )
    return structures


def counted(
    structures: Structures, shown: Sequence[tuple[str, Sequence[int]]]
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Count the photographs of each split that hold a structure, and its share of all pixels: rows of COUNTED.

    shown: the split of each photograph, and its pixels by structure and in all, where it has a mask. Also returned:
    which structures a split lacks, a sentence without its full stop each.
    """
    rows, lacking = [], []
    splits = {split for split, pixels in shown if pixels}
    whole = sum(pixels[-1] for _, pixels in shown if pixels)
    for number, name in enumerate(structures.names):
        held = Counter(split for split, pixels in shown if pixels and pixels[number])
        share = sum(pixels[number] for _, pixels in shown if pixels) / whole
        values = ("" if structures.is_layered else _shown(shade) for shade in structures.shades if name in shade.names)
        rows.append((name, ", ".join(filter(None, values)), f"{share:.2%}", *(f"{held[split]:,}" for split in SPLITS)))
        if absent := [split for split in SPLITS if split in splits and not held[split]]:
            lacking.append(
                f"no photograph of {' and '.join(absent)} holds any {name}: put some there by --split-file, or leave "
                "it out by finetune folder --heads"
            )
    return rows, lacking


def _shown(shade: Shade) -> str:
    return " ".join(str(part) for part in (shade.value, shade.colour) if part is not None)
