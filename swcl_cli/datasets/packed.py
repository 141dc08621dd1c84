"""Recognise archives, whole ones and parts, and say what to do with those that can't be read as they are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

ZIP = (".zip",)
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
OTHERS = (".rar", ".7z")
PART = re.compile(r"(?P<whole>.+\.(?:zip|7z|tar|tar\.gz|tgz))\.(?P<number>\d{3})", re.IGNORECASE)


def is_named(path: Path, endings: tuple[str, ...]) -> bool:
    """Return whether a file is of this kind, by its name."""
    return path.name.lower().endswith(endings)


def advice(paths: Iterable[Path]) -> str:
    """Say what to do with the archives among these files; '' where there is none."""
    files = sorted(paths)
    for file in files:
        part = PART.fullmatch(file.name)
        if part and (whole := file.with_name(part["whole"])) not in files:
            return _join(whole, [other for other in files if other.name.startswith(f"{whole.name}.")])
    for file in files:
        if is_named(file, ZIP + TAR):
            return f"{file} is an archive: unpack it there, or name it as SOURCE."
        if is_named(file, OTHERS):
            return f"{file} is an archive: unpack it first."
    return ""


def _join(whole: Path, parts: list[Path]) -> str:
    """Say how parts of an archive become one file again, or which of them is missing."""
    numbers = [int(part["number"]) for file in parts if (part := PART.fullmatch(file.name))]
    missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
    if missing:
        return f"{whole.name}.{missing[0]:03d} is missing among the parts of {whole}: download it as well."
    quoted = shlex.quote(str(whole))
    unpack = {".zip": f"unzip {quoted} -d {shlex.quote(str(whole.parent))}", ".7z": f"7z x {quoted}"}
    then = unpack.get(whole.suffix.lower(), f"tar -xf {quoted} -C {shlex.quote(str(whole.parent))}")
    return f"{whole.name} lies in {len(numbers)} parts. Join and unpack it: cat {quoted}.??? > {quoted} && {then}"
