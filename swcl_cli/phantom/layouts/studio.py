"""Serve all layouts: draw patients in several processes, and write photographs, lesion masks and tables."""

from __future__ import annotations

import multiprocessing
import re
import signal
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TypeVar

import cv2
import numpy as np
from openpyxl import Workbook
from PIL import Image

from swcl_cli.phantom.eye.camera import Bytes
from swcl_cli.phantom.eye.patient import Eye
from swcl_cli.workers import in_want, start_worker

Job = TypeVar("Job")
Drawn = TypeVar("Drawn")

JPEG_QUALITY = 92
LESION_MASKS = "lesion_masks"
# Where each layout starts to number the persons it draws: with one seed, no eye is in two data sets.
LAYOUTS = ("odir", "eyepacs", "drive", "idrid", "messidor", "stare", "chase-db1", "refuge", "folder", "idrid-seg")
FIRST_PERSON = {layout: 1_000_000 * place for place, layout in enumerate(LAYOUTS)}


def draw_each(draw: Callable[[Job], Drawn], jobs: Sequence[Job], workers: int) -> Iterator[Drawn]:
    """Draw each job in up to `workers` processes, and yield the results in the order of the jobs."""
    if workers <= 1:
        yield from map(draw, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with in_want(workers), ProcessPoolExecutor(workers, context, _start_worker) as pool:
        yield from pool.map(draw, jobs, chunksize=max(1, min(8, len(jobs) // (4 * workers))))


def _start_worker() -> None:
    start_worker(signal.SIGTERM)
    cv2.setNumThreads(1)


def write_photograph(folder: Path, name: str, image: Bytes) -> None:
    """Write a JPEG at `name`, a path relative to the download's folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, format="JPEG", quality=JPEG_QUALITY)


def write_lesion_mask(folder: Path, name: str, lesions: Bytes) -> None:
    """Write the lesion mask of the photograph `name` as `lesion_masks/` + the same path with the suffix .png."""
    path = folder / LESION_MASKS / PurePosixPath(name).with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(lesions).save(path)


def write_eye(folder: Path, lesion_folder: Path, name: str, eye: Eye, inverted: bool = False) -> None:
    """Write photograph and lesion mask of an eye; inverted: both rotated by 180 degrees."""
    turn = 2 if inverted else 0
    write_photograph(folder, name, np.ascontiguousarray(np.rot90(eye.image, turn)))
    write_lesion_mask(lesion_folder, name, np.ascontiguousarray(np.rot90(eye.lesions, turn)))


def write_table(path: Path, rows: Sequence[Sequence[object]], ending: str = "\n", padding: int = 0) -> None:
    """Write comma-separated rows (header first) with `padding` empty columns more, as the public tables have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(str(value) for value in row) + "," * padding + ending for row in rows]
    path.write_bytes("".join(lines).encode())


def write_workbook(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write rows as an .xlsx file of one sheet, so that equal rows give equal bytes.

    openpyxl stamps the time into the file and its archive: these stamps are replaced.
    """
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    raw = BytesIO()
    workbook.save(raw)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(raw) as stamped, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as plain:
        for name in stamped.namelist():
            content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2000-01-01T00:00:00Z", stamped.read(name))
            plain.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def black_and_white(mask: Bytes) -> Image.Image:
    """Turn a 0/1 mask into grey 0 and 255, as the downloads store masks."""
    return Image.fromarray(np.where(mask > 0, np.uint8(255), np.uint8(0)))
