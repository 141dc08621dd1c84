"""`prep`: speed beside decoding fully, memory over many photographs, opening a large manifest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swcl_cli.chance import generator
from swcl_cli.data import manifest
from swcl_cli.preparation.jobs import Job, prepare
from swcl_cli.preparation.opening import open_source
from swcl_cli.preparation.photograph import prepare_photograph
from swcl_cli.preparation.pool import Prepare, Work, preparing
from swcl_cli.workspace import Workspace
from tests.bench.conftest import Row
from tests.downloads import encoded, field, write_csv

pytestmark = pytest.mark.bench
SHARED = Path(__file__).parents[3] / "shared/data/IDRiD-fullsize"
SIZE = 448
MOST_ZIP = 1.2  # times the time from a folder
LEAST_RATIO, LEAST_PSNR = 4.0, 50.0
MANY, FEW = 50_000, 5_000
PARENT_BYTES, WORKER_BYTES = 650, 150  # what a photograph may add to the peak; one prepared image takes 600,000
LEAST_GAIN, FREE_CORES = 1.6, 1.8
OPENING_SECONDS, OPENING_BYTES = 2.0, 500e6  # seconds of a core: others' load does not count


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEGs of 4288 x 2848: real ones, or phantom ones where those are not here."""
    if SHARED.is_dir():
        return sorted(SHARED.glob("*.jpg"))
    return [_drawn(tmp_path_factory.mktemp("full"), item) for item in range(4)]


def _drawn(folder: Path, item: int) -> Path:
    rng = generator(0, "bench photograph", item=item)
    levels = np.full((2848, 4288, 3), (150.0, 80.0, 40.0))
    for step, strength in ((8, 3), (40, 8), (200, 15)):
        noise = Image.fromarray(rng.normal(0, strength, (2848 // step, 4288 // step)).astype(np.float32))
        levels += np.asarray(noise.resize((4288, 2848), Image.Resampling.BICUBIC))[..., None]
    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    path = folder / f"{item}.jpg"
    path.write_bytes(encoded(Image.composite(image, Image.new("RGB", image.size), field(4288, 2848)), quality=92))
    return path


def _jobs(photographs: list[Path], folder: Path, repeats: int = 1) -> list[Job]:
    return [
        Job(f"{repeat}_{path.stem}", SIZE, {"photograph": path}, {"photograph": folder / f"{repeat}_{path.stem}.jpg"})
        for repeat in range(repeats)
        for path in photographs
    ]


def _fully(path: Path, target: Path) -> None:
    """What most scripts do: decode every pixel, resize, save at the same quality."""
    image = Image.open(path).convert("RGB")
    shorter = min(image.size)
    image = image.resize(
        (round(image.width * SIZE / shorter), round(image.height * SIZE / shorter)), Image.Resampling.BILINEAR
    )
    image.save(target, quality=95, subsampling=0)


def _bare(path: Path, target: Path) -> None:
    """The limit: scaled decoding, resize, encode; no hash, no check, no statistics."""
    image = prepare_photograph(path.read_bytes(), SIZE)[0]
    image.save(target, quality=95, subsampling=0)


def _fastest(act: Callable[[], object], repeats: int = 7) -> tuple[float, float]:
    """The least wall time and the least time of this core: others' load only ever adds."""
    wall, core = [], []
    act()
    for _ in range(repeats):
        started = time.perf_counter(), time.process_time()
        act()
        wall.append(time.perf_counter() - started[0])
        core.append(time.process_time() - started[1])
    return min(wall), min(core)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_reading_from_a_zip(method: int, photographs: list[Path], tmp_path: Path, row: Row) -> None:
    """In seconds of this core, that is without the disk, for folder and archive alike."""
    with zipfile.ZipFile(tmp_path / "photographs.zip", "w", method) as archive:
        for path in photographs:
            archive.write(path, path.name)
    packed = open_source(tmp_path / "photographs.zip", Workspace(tmp_path), follow_links=False)
    jobs = _jobs(photographs, tmp_path)
    from_zip = [replace(job, inputs={"photograph": packed / job.inputs["photograph"].name}) for job in jobs]
    folder = _fastest(lambda: [prepare(job) for job in jobs])[1]
    zipped = _fastest(lambda: [prepare(job) for job in from_zip])[1]
    packing = "stored" if method == zipfile.ZIP_STORED else "deflated"
    row(f"4288 x 2848 in a .zip, {packing}", times_a_folder_a_core=zipped / folder)
    assert zipped <= MOST_ZIP * folder


def test_photographs_a_second(photographs: list[Path], tmp_path: Path, row: Row) -> None:
    jobs = _jobs(photographs, tmp_path)

    def each(act: Callable[[Path, Path], object], target: Path) -> Callable[[], object]:
        return lambda: [act(path, target) for path in photographs]

    ways: dict[str, Callable[[], object]] = {
        "prep, all of it": lambda: [prepare(job) for job in jobs],
        "decode fully, resize, save": each(_fully, tmp_path / "full.jpg"),
        "scaled decode, resize, encode alone": each(_bare, tmp_path / "bare.jpg"),
    }
    taken = {name: _fastest(way) for name, way in ways.items()}
    ours = taken["prep, all of it"]
    for name, (wall, core) in taken.items():
        row(
            f"4288 x 2848, {name}",
            ms=1000 * wall / len(photographs),
            ms_of_a_core=1000 * core / len(photographs),
            times_prep=wall / ours[0],
            times_prep_a_core=core / ours[1],
        )
    assert taken["decode fully, resize, save"][1] / ours[1] >= LEAST_RATIO


def test_likeness_to_decoding_fully(photographs: list[Path], row: Row) -> None:
    for path in photographs:
        ours = np.asarray(prepare_photograph(path.read_bytes(), SIZE)[0], float)
        full = Image.open(BytesIO(path.read_bytes())).convert("RGB")
        reference = np.asarray(full.resize(ours.shape[1::-1], Image.Resampling.BILINEAR), float)
        psnr = 10 * np.log10(255**2 / np.mean((ours - reference) ** 2))
        row(f"scaled against full decoding, {path.name}", PSNR_dB=float(psnr))
        assert psnr >= LEAST_PSNR


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_two_cores(photographs: list[Path], tmp_path: Path, row: Row) -> None:
    """Asserted where two cores are there and nobody else uses them; the workers start before the clock does."""
    work: list[tuple[Job, None]] = [(job, None) for job in _jobs(photographs, tmp_path, repeats=32)]
    free = [_free_cores()]
    seconds = {}
    for workers in (1, 2):
        with preparing(workers) as prepare_each:
            seconds[workers] = _fastest(partial(_prepare_all, prepare_each, work), repeats=3)[0]
    free.append(_free_cores())
    ratio, judged = seconds[1] / seconds[2], min(free) >= FREE_CORES
    row(
        f"prep of {len(work)} photographs, two workers against one",
        times_as_fast=ratio,
        free_cores=min(free),
        verdict="judged" if judged else "not judged: the cores are not free",
    )
    assert ratio >= LEAST_GAIN or not judged


def _prepare_all(prepare_each: Prepare, work: Work) -> None:
    deque(prepare_each(work), maxlen=0)


def _free_cores(seconds: float = 1.0) -> float:
    """How many of the cores that this process may use stood idle while it slept."""
    mine = os.sched_getaffinity(0)

    def idle() -> int:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        return sum(int(fields[4]) + int(fields[5]) for fields in lines if fields[0] in {f"cpu{core}" for core in mine})

    before = idle()
    time.sleep(seconds)
    return (idle() - before) / os.sysconf("SC_CLK_TCK") / seconds


# The peak of this program alone: getrusage's is that of the program that started it, where that was higher.
PEAK = """
from pathlib import Path
def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])
"""
MEASURED = """
import json, resource, sys
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep
base = peak()
prep.run(PrepSettings(workspace=Path(sys.argv[1]), dataset="eyepacs", source=Path(sys.argv[2]), size=64, workers=1))
print(json.dumps([base, peak(), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_photographs(tmp_path: Path, row: Row) -> None:
    """A made-up EyePACS of 5,000 and of 50,000 photographs of 64 x 64: the peak of the parent and of its worker."""
    peaks = {}
    for count in (FEW, MANY):
        source = _many(tmp_path / f"source{count}", count)
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PEAK + MEASURED, str(tmp_path / f"work{count}"), str(source)],
            capture_output=True,
            check=True,
            text=True,
        )
        base, parent, worker = json.loads(done.stdout.splitlines()[-1])
        peaks[count] = (parent, worker)
        row(
            f"prep of {count:,} photographs",
            s=time.perf_counter() - started,
            imports_MB=base / 1e6,
            parent_MB=parent / 1e6,
            worker_MB=worker / 1e6,
        )
    grown = [(many - few) / (MANY - FEW) for few, many in zip(peaks[FEW], peaks[MANY], strict=True)]
    row("growth by photograph", parent_bytes=grown[0], worker_bytes=grown[1])
    assert grown[0] < PARENT_BYTES and grown[1] < WORKER_BYTES


def _many(source: Path, count: int) -> Path:
    rng = generator(0, "many photographs")
    (source / "train").mkdir(parents=True)
    rows: list[tuple[object, object]] = [("image", "level")]
    for item in range(count):
        name = f"{10 + item // 2}_{('left', 'right')[item % 2]}"
        colour = rng.integers(60, 250, (2, 2, 3)).astype(np.uint8)
        Image.fromarray(colour).resize((64, 64)).save(source / f"train/{name}.jpeg", quality=60)
        rows.append((name, item % 5))
    write_csv(source / "trainLabels.csv", rows)
    return source


def _made_up(item: int) -> dict[str, object]:
    patient, eye = str(500_000 + item // 2), ("left", "right")[item % 2]
    name = f"{patient}_{eye}"
    return {
        "dataset": "eyepacs", "split": "train", "image_id": name, "patient_id": patient, "group_id": patient,
        "eye": eye, "path": f"data/eyepacs/images/{name}.jpg", "width": 640, "height": 448, "checksum": 4_294 * item,
        "dr_grade": item % 5, "source_path": f"train/{name}.jpeg",
        "source_hash": hashlib.sha256(name.encode()).hexdigest(),
    }  # fmt: skip


OPENED = """
import json, sys, time
from swcl_cli.data import manifest
base = peak()
started, worked = time.perf_counter(), time.process_time()
frame = manifest.read(Path(sys.argv[1]))
assert len(frame) == 1_000_000
print(json.dumps([time.process_time() - worked, time.perf_counter() - started, base, peak()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_manifest_of_a_million_rows(tmp_path: Path, row: Row) -> None:
    rows = 1_000_000
    path = tmp_path / "manifest.parquet"
    manifest.write(path, map(_made_up, range(rows)), {})
    command = [sys.executable, "-c", PEAK + OPENED, str(path)]
    runs = [subprocess.run(command, capture_output=True, check=True, text=True).stdout for _ in range(3)]
    seconds, wall, base, peak = min(json.loads(text) for text in runs)
    row(
        "manifest of 1,000,000 rows",
        s=wall,
        s_of_a_core=seconds,
        imports_MB=base / 1e6,
        peak_MB=peak / 1e6,
        file_MB=path.stat().st_size / 1e6,
    )
    assert seconds < OPENING_SECONDS and peak - base < OPENING_BYTES
