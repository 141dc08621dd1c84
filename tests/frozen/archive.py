"""The frozen workspace as one small archive. Of a tensor that holds one value alone, that value is kept."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ARCHIVE = Path(__file__).with_name("workspace.tar.xz")
WEIGHTS = ".safetensors"
ITEM_BYTES = {"F32": 4, "I64": 8, "U8": 1}
TIME = "SWCL.mtime_ns"  # to the nanosecond, as the journal of `prep` has it
WHOLE, ONE_VALUE = b"\0", b"\1"


def pack(root: Path) -> None:
    """Write all files below `root`, with their times, alike ones beside each other."""
    files = sorted((path for path in root.rglob("*") if path.is_file()), key=lambda path: (path.suffix, path))
    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in files:
            data = path.read_bytes()
            data = packed(data) if path.suffix == WEIGHTS else data
            member = tarfile.TarInfo(path.relative_to(root).as_posix())
            member.size, member.pax_headers = len(data), {TIME: str(path.stat().st_mtime_ns)}
            archive.addfile(member, io.BytesIO(data))


def unpack(root: Path, besides: tuple[str, ...] = ()) -> None:
    """Write the files again, each as it was, but for those whose names begin with `besides`."""
    with tarfile.open(ARCHIVE) as archive:
        members = [member for member in archive if not member.name.startswith(besides)]
        archive.extractall(root, members, filter="data")
        for member in members:
            os.utime(root / member.name, ns=(0, int(member.pax_headers[TIME])))
    for path in root.rglob(f"*{WEIGHTS}"):
        data = path.read_bytes()
        with open(path, "wb") as handle:
            handle.writelines(unpacked(data))


def packed(data: bytes) -> bytes:
    """The header of a safetensors file, then of each tensor a mark and its bytes, or those of its one value."""
    header, sizes = read_header(data)
    parts, place = [data[:header]], header
    for size, item in sizes:
        values = np.frombuffer(data[place : place + size], f"V{item}")
        one = size > item and bool((values == values[0]).all())
        parts += [ONE_VALUE, values[0].tobytes()] if one else [WHOLE, values.tobytes()]
        place += size
    return b"".join(parts)


def unpacked(data: bytes) -> Iterator[bytes]:
    """What `packed` made its result of, in parts."""
    place, sizes = read_header(data)
    yield data[:place]
    for size, item in sizes:
        mark, place = data[place : place + 1], place + 1
        kept = item if mark == ONE_VALUE else size
        yield data[place : place + kept] * (size // kept if kept else 1)
        place += kept


def read_header(data: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Length of the header, and of each tensor, in their order in the file, its bytes and those of a value."""
    length = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:length])
    header.pop("__metadata__", None)
    tensors = sorted(header.values(), key=lambda tensor: tensor["data_offsets"])
    spans = [(tensor["data_offsets"], ITEM_BYTES[tensor["dtype"]]) for tensor in tensors]
    return length, [(end - start, item) for (start, end), item in spans]
