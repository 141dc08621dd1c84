"""From swap.parquet to batches of pairs: memory and start with 5,000,000 rows, and views a second of one core.

`python -m tests.bench.test_bench_pairs WORKSPACE` prints the seconds from nothing read to the first batch, of
the clock and of the processor, then waits for a line: its memory, and its worker's, is looked at from outside.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from swcl_cli.data.columns import SWAP
from swcl_cli.data.image_views import VIEWS
from swcl_cli.data.loaders import epoch_plan, step_batches
from swcl_cli.preparation.photograph import encode
from swcl_cli.swap.crops import POSITIONS
from swcl_cli.swap.views import PairViews, join_pairs
from swcl_cli.swap.weak_labels import read_patches
from swcl_cli.workspace import Workspace, write_parquet
from tests import prepared
from tests.bench.conftest import Row

pytestmark = pytest.mark.bench
ROWS, FEW_ROWS, PAIRS = 5_000_000, 1_000, 16
MOST_MB, MOST_SECONDS = 600, 10
LABELS = ["position", "abnormality", "patient"]


def write_swap(root: Path, rows: int, size: int = 224) -> None:
    """Two eyes a patient, five patches an eye; all paths differ. photograph.jpg is what each of them ought to hold."""
    data = encode(Image.fromarray(prepared.photograph(0, 2 * size, 2 * size)), lossless=False)
    (root / "photograph.jpg").write_bytes(data)
    row = np.arange(rows)
    eye, position = row // 5 % 2, row % 5
    names = pa.array([f"{image // 2}_{('left', 'right')[image % 2]}" for image in range(-(-rows // 5))])
    paths = pa.compute.binary_join_element_wise("data/eyepacs/images/", names, ".jpg", "")
    across, down = np.array([(0, 0), (2, 0), (1, 1), (0, 2), (2, 2)]).T[:, position] * size // 2
    score = np.random.default_rng(0).random(rows, np.float32)
    columns = {
        "dataset": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ["eyepacs"]),
        "patient_id": pa.array([f"{patient}" for patient in range(-(-rows // 10))]).take(pa.array(row // 10)),
        "image_id": names.take(pa.array(row // 5)),
        "eye": pa.DictionaryArray.from_arrays(eye.astype(np.int32), ["left", "right"]),
        "position": pa.DictionaryArray.from_arrays(position.astype(np.int32), list(POSITIONS)),
        "path": paths.take(pa.array(row // 5)),
        "x": np.where(eye, size - across, across), "y": down, "size": np.full(rows, size),
        "mirrored": eye == 1, "score": score, "abnormal": score >= 0.4,
        "image_abnormal": pa.nulls(rows, pa.bool_()), "checksum": np.full(rows, zlib.crc32(data)),
        "single": np.zeros(rows, bool),
    }  # fmt: skip
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in SWAP.schema]
    write_parquet(Workspace(root).swap, pa.table(arrays, schema=SWAP.schema), {"step": "make-swap", "inputs": {}})


def first_batch(root: Path) -> None:
    """Reads the table and makes the first batch with one worker; the files of the first steps are put there."""
    started = time.perf_counter(), time.process_time()
    patches = read_patches(Workspace(root).swap, LABELS, None)
    plan, steps = epoch_plan(0, "pair order", len(patches.pairs), PAIRS, padded=True)
    for number in patches.pairs[[item for step in range(4) for _, item in plan(step)[0]]].ravel():
        _put_photograph(root, patches.path[int(number)].as_py())
    batches = step_batches(PairViews(root, patches, 0, True, 0.8), plan, 0, steps, 1, join_pairs)
    (batch,) = next(batches)
    print(time.perf_counter() - started[0], time.process_time() - started[1], flush=True)
    assert batch["views"].shape[:2] == (2 * PAIRS, VIEWS)
    sys.stdin.readline()


def _put_photograph(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    if not (root / path).exists():
        (root / path).hardlink_to(root / "photograph.jpg")


def proportional_bytes(pid: int) -> int:
    """Memory of a process and its children, pages that they share counted once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = status_bytes(pid, "smaps_rollup", "Pss")
    return own + sum(proportional_bytes(int(child)) for child in children)


def status_bytes(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def start(root: Path) -> dict[str, float]:
    """Seconds to the first batch, the memory of all processes once it is there, and the most that the parent had."""
    checkout = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.test_bench_pairs", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    ) as process:
        assert process.stdout and process.stdin
        clock, processor = map(float, process.stdout.readline().split())
        time.sleep(2)  # the worker fills its queue
        found = proportional_bytes(process.pid) / 1e6
        most = status_bytes(process.pid, "status", "VmHWM") / 1e6
        process.stdin.close()
    assert process.returncode == 0
    return {"first_batch_seconds": clock, "processor_seconds": processor, "all_MB": found, "parent_peak_MB": most}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from Linux's /proc")
def test_five_million_rows(row: Row, tmp_path: Path) -> None:
    """The parent and one worker, against the same with 1,000 rows."""
    taken = {}
    for rows in (FEW_ROWS, ROWS):
        root = tmp_path / f"{rows}"
        root.mkdir()
        write_swap(root, rows)
        taken[rows] = start(root)
        row(f"{rows:,} rows of SWAP, one worker", **taken[rows])
    more = taken[ROWS]["all_MB"] - taken[FEW_ROWS]["all_MB"]
    row("    what the rows take", MB=more, bytes_a_row=more * 1e6 / (ROWS - FEW_ROWS))
    assert more <= MOST_MB
    assert taken[ROWS]["first_batch_seconds"] <= MOST_SECONDS


@pytest.mark.parametrize("size", [96, 224])
def test_views_a_second_of_one_core(row: Row, tmp_path: Path, size: int) -> None:
    """Reading, checking, decoding, cutting and augmenting, in one process; by processor time."""
    write_swap(tmp_path, 10, size)
    patches = read_patches(Workspace(tmp_path).swap, LABELS, None)
    for path in set(patches.path.to_pylist()):
        _put_photograph(tmp_path, path)
    views = PairViews(tmp_path, patches, 0, True, 0.8)
    taken = []
    for epoch in range(5):
        started = time.process_time()
        for pair in range(5):
            for turn in range(8):
                views[(8 * epoch + turn, pair)]
        taken.append(time.process_time() - started)
    row(f"views of pairs, {size} px of {2 * size}", views_a_second=8 * 5 * 2 * VIEWS / statistics.median(taken))


if __name__ == "__main__":
    first_batch(Path(sys.argv[1]))
