"""Match the names in tables, masks and split files to the files that they mean."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import combinations

JPEG2000 = {".jp2", ".j2k", ".jpf"}
IMAGE_SUFFIXES = JPEG2000 | {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".gif", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm"),
    ".webp",
}
# Suffixes that a table may still name where the photographs were converted since.
DICOM = {".dcm", ".dicom"}
DICOM_REASON = "a DICOM file: convert it first, as `dcmj2pnm --write-png` of DCMTK does"
HEIC = {".heic", ".heif"}
HEIC_REASON = "a HEIC file: convert it first, as `heif-convert` of libheif does"
CONVERTED = HEIC | DICOM
SUFFIXES = IMAGE_SUFFIXES | CONVERTED
PACKED = ".gz"
MACOS = "__MACOSX"  # folder of notes that macOS adds to its archives
EXAMPLES, LONGEST = 3, 60  # names that a message shows, and characters of each
MASK_PART = re.compile(r"[_-]masks?$|^masks?[_-]", re.IGNORECASE)
MONTH = r"(?:jan|feb|m[aä]r|apr|ma[iyj]|ju[nl]|aug|sep|o[ck]t|nov|de[cz])[a-z]*\.?"
DATE = re.compile(
    rf"\d{{4}}-\d\d-\d\d(?: \d\d:\d\d:\d\d)?|\d{{1,4}}[-./ ]+{MONTH}(?:[-./ ]+\d{{2,4}})?|{MONTH}[-./ ]+\d{{1,4}}"
    r"|\d{1,2}([./-])\d{1,2}\1\d{2,4}",
    re.IGNORECASE,
)
ROUNDED = re.compile(r"\d([.,]\d+)?e\+\d+", re.IGNORECASE)


def is_hidden(name: str) -> bool:
    """Return whether an entry of a folder is no part of the data: hidden, or of macOS, such as `._a.jpg`."""
    return name.startswith(".") or name == MACOS


def composed(name: str) -> str:
    """Return the name in Unicode's composed form (NFC), since file systems and tables differ in it."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def split_name(name: str) -> tuple[str, str]:
    """Split a file's name or path into stem and suffix, without a .gz at its end. Only an image's suffix is one."""
    bare = name[: -len(PACKED)] if name.lower().endswith(PACKED) else name
    stem, suffix = os.path.splitext(bare)
    return (stem, suffix) if suffix.lower() in SUFFIXES else (name, "")


def is_image(name: str) -> bool:
    """Return whether a file is an image that can be read, by its suffix."""
    return split_name(name)[1].lower() in IMAGE_SUFFIXES


def stem_of(name: str) -> str:
    """Return a file's name or path without its image suffix, composed: `P1` of P1.jpg, but `P1.3` of P1.3."""
    return composed(split_name(name)[0])


def photograph_of(mask: str) -> str | None:
    """Return the path that a mask's path has without `mask` before or behind its name; None where that is not there.

    `a/P1` of a/P1_mask.png, a/P1-mask.png and a/mask_P1.png.
    """
    folder, slash, name = stem_of(mask).rpartition("/")
    plain = MASK_PART.sub("", name, count=1)
    return f"{folder}{slash}{plain}" if plain and plain != name else None


def why_unread(name: str) -> str:
    """Say why a file is not read as an image, by its suffix."""
    suffix = split_name(name)[1].lower()
    return DICOM_REASON if suffix in DICOM else HEIC_REASON if suffix in HEIC else "not an image by its name"


class Names:
    """Find the files that a name means.

    A file of exactly this name comes first. Otherwise files fit whose stem is the name, or the name's stem; Unicode
    forms don't count, the case of letters does.
    """

    def __init__(self, files: Iterable[str] = ()) -> None:
        self.first: dict[str, str] = {}  # a file by its stem
        self.others: dict[str, list[str]] = {}  # further files of a stem
        for file in files:
            self.add(file)

    def __iter__(self) -> Iterator[str]:
        """Yield all files."""
        for stem, file in self.first.items():
            yield file
            yield from self.others.get(stem, ())

    def add(self, file: str) -> None:
        """Add a file, a name or a path."""
        if self.first.setdefault(stem := stem_of(file), file) != file:
            self.others.setdefault(stem, []).append(file)

    def of_stem(self, stem: str) -> list[str]:
        """Return all files of this stem."""
        return [self.first[stem], *self.others.get(stem, ())] if stem in self.first else []

    def fitting(self, name: str) -> list[str]:
        """Return the files that the name can mean: several where it is not clear which."""
        files = [file for stem in {stem_of(name), composed(name)} for file in self.of_stem(stem)]
        exact = [file for file in files if file == name]
        return sorted(exact or [file for file in files if composed(file) == composed(name)] or files)

    def remove(self, file: str) -> None:
        """Remove a file."""
        stem = stem_of(file)
        files = self.of_stem(stem)
        files.remove(file)
        self.others.pop(stem, None)
        self.first.pop(stem)
        for other in files:
            self.add(other)


def ambiguous(name: str, files: Collection[str]) -> str:
    """Say that a name fits several files."""
    return f"'{shortened(name)}' fits {' and '.join(files)}: write the whole name, or rename one"


def shortened(text: str) -> str:
    """Return text that fits into one line of a message."""
    line = re.sub(r"[\r\n]+", r"\\n", text[: LONGEST + 1])
    return line if len(text) <= LONGEST else f"{line[:LONGEST]}..."


def _without_zeros(name: str) -> str:
    """Return a name as a spreadsheet keeps it that takes it for a number."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"^(\d+)\.0*$", r"\1", name))


# What may part names and files that belong together: the reason in words, and what makes them equal again.
DIFFERENCES: dict[str, Callable[[str], str]] = {
    "the case of letters differs": str.casefold,
    "the folders before the names differ": lambda name: name.replace("\\", "/").rpartition("/")[2],
    "leading zeros were lost, as in a spreadsheet": _without_zeros,
    "spaces or marks between the parts differ": lambda name: re.sub(r"[^\w/\\]|_", "", name),
}


def likely_reason(names: Collection[str], files: Collection[str]) -> str:
    """Say in words why names fit none of these files; '' where no reason is likely."""
    wanted, there = [stem_of(name) for name in names], [stem_of(file) for file in files]
    for size in range(1, len(DIFFERENCES) + 1):
        equal = {reasons: _equal(reasons, wanted, there) for reasons in combinations(DIFFERENCES, size)}
        best = max(equal, key=lambda reasons: equal[reasons])
        if equal[best]:
            return ", and ".join(best)
    for reason, pattern in (
        ("a spreadsheet made dates of the names", DATE),
        ("a spreadsheet rounded the names as numbers", ROUNDED),
    ):
        if sum(map(bool, map(pattern.fullmatch, wanted))) > len(wanted) / 2:
            return reason
    return ""


def _equal(reasons: Iterable[str], wanted: Iterable[str], there: Iterable[str]) -> int:
    """Count the names that become equal to a file's without these differences."""

    def plain(name: str) -> str:
        for reason in reasons:
            name = DIFFERENCES[reason](name)
        return name

    files = {plain(file) for file in there}
    return sum(plain(name) in files for name in wanted)


def mismatch(names: Collection[str], files: Collection[str], table: str = "The table") -> str:
    """Show names and files that don't fit, three of each, and the likely reason; a sentence without its full stop."""
    reason = likely_reason(names, files)
    told = f"{table} names {_examples(names)}; the photographs are {_examples(files)}"
    return f"{told}: {reason}" if reason else told


def _examples(names: Collection[str]) -> str:
    shown = [shortened(name) for name in sorted(names)[:EXAMPLES]]
    return ", ".join(shown) + (", ..." if len(names) > EXAMPLES else "")
