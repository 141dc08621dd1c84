"""`make-swap`: scoring beside the bare forward pass, memory over the number of photographs, the paper's table."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.columns import SWAP
from swcl_cli.data.loaders import make_loader
from swcl_cli.data.photographs import Photographs, Squares
from swcl_cli.models.encoders import create_labeler
from swcl_cli.swap.judgement import judge_patch_scores
from swcl_cli.swap.maps import Scorer, scored
from swcl_cli.swap.rows import Lying, patch_rows
from swcl_cli.swap.weak_labels import read_patches
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import write_parquet
from tests import prepared
from tests.bench.conftest import Row
from tests.commands import environment

pytestmark = pytest.mark.bench
SIDE, COUNT, BATCH, ROUNDS = 448, 16, 4, 3
PHOTOGRAPHS = 98_694  # the paper's: 493,470 patches (FACTS 1)
FEW, MANY = 200, 2_000
MAKE = """
import sys
from pathlib import Path
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.steps import make_swap
make_swap.run(MakeSwapSettings(workspace=Path(sys.argv[1]), accelerator="cpu", workers=0))
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def test_scoring_beside_the_bare_forward_pass(tmp_path: Path, row: Row) -> None:
    """ResNet-34 of stride 16 on JPEGs of 448 px from the disk, one worker; against decoded tensors in memory."""
    for item in range(COUNT):
        image = Image.fromarray(prepared.photograph(item, SIDE + 90, SIDE))
        image.save(tmp_path / f"{item}.jpg", quality=95, subsampling=0)
    names = [f"{item}.jpg" for item in range(COUNT)]
    checksums = np.array([zlib.crc32((tmp_path / name).read_bytes()) for name in names])
    squares = Squares(Photographs(tmp_path, pa.array(names), checksums), MEAN, STD)
    scorer = Scorer(make_fabric("cpu", "fp32"), create_labeler("resnet34"), MEAN, STD, "released")
    with torch.inference_mode():
        started = time.perf_counter()
        memory = [
            part.contiguous(memory_format=torch.channels_last)
            for part in make_loader(squares, squares.batches(BATCH), workers=1)
        ]
        loading = time.perf_counter() - started
        ratios, seconds = [], []
        for _ in range(ROUNDS):
            results = scored(scorer, squares, Lying(np.zeros(COUNT, bool), np.arange(COUNT) % 2 == 1), BATCH, workers=1)
            for batch in memory:  # by turns, so that a busy machine slows both alike
                times = [time.perf_counter()]
                scorer.network(batch)
                times.append(time.perf_counter())
                next(results)
                times.append(time.perf_counter())
                bare, whole = np.diff(times)
                ratios.append(bare / whole)
                seconds.append(whole)
    ratio, pace = statistics.median(ratios), BATCH / statistics.median(seconds)
    row(
        "scoring, ResNet-34, 448 px",
        images_a_second=pace,
        of_the_bare_pass=ratio,
        images_a_second_of_the_loader_alone=COUNT / loading,
    )
    assert ratio >= 0.9
    assert COUNT / loading > 5 * pace  # the turns of the bare pass give the loader time; it needs little


def test_memory_does_not_grow_with_the_number_of_photographs(tmp_path: Path, row: Row) -> None:
    """Peak of a process that does nothing else. Five rows of the table take some kB; a photograph as numbers would take
    48 kB, a map 16 kB.
    """
    peaks = []
    for count in (FEW, MANY):
        root = tmp_path / f"{count}"
        prepared.labelled_eyes(root, "odir", count // 2)
        prepared.labeler(root, ["odir"], [])
        done = subprocess.run(
            [sys.executable, "-c", MAKE, str(root)], env=environment(), capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stdout.splitlines()[-1]))
    each = (peaks[1] - peaks[0]) / (MANY - FEW)
    row("make-swap, peak memory", MiB_at_200=peaks[0] / 1024, MiB_at_2000=peaks[1] / 1024, kB_a_photograph=each)
    assert each < 12


@pytest.fixture(scope="module")
def photographs() -> pd.DataFrame:
    """Both eyes of 49,347 patients, dtypes as a manifest has them."""
    patient = (np.arange(PHOTOGRAPHS) // 2).astype(str).astype(object)
    eye = np.array(["left", "right"] * (PHOTOGRAPHS // 2), object)
    table = pd.DataFrame({"dataset": "eyepacs", "patient_id": patient, "eye": eye, "image_id": patient + "_" + eye})
    table = table.assign(path="data/eyepacs/images/" + table["image_id"] + ".jpg", width=597, height=448)
    columns = {"checksum": np.arange(PHOTOGRAPHS), "image_abnormal": [None] * PHOTOGRAPHS}
    types = {name: SWAP.schema.field(name).type for name in ("dataset", "patient_id", "eye", "image_id", "path")}
    types |= {"checksum": pa.int64(), "image_abnormal": pa.bool_()}
    return table.assign(**columns).astype({name: pd.ArrowDtype(kind) for name, kind in types.items()})


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    return np.random.default_rng(0).random((PHOTOGRAPHS, 5), np.float32)


def test_the_papers_table(photographs: pd.DataFrame, scores: np.ndarray, tmp_path: Path, row: Row) -> None:
    """493,470 rows of made-up SWAP, from photographs to the file on the disk, and opened again for pretraining."""
    started = time.perf_counter()
    rows = SWAP.table(patch_rows(photographs, scores, 0.4))
    write_parquet(tmp_path / "swap.parquet", rows, {})
    written = time.perf_counter() - started
    opened = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        patches = read_patches(tmp_path / "swap.parquet", ["position", "abnormality", "patient"], None)
        opened.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row("493,470 rows of SWAP", s_written=written, s_opened=min(opened), MiB_peak=peak)
    assert len(patches) == 5 * PHOTOGRAPHS and len(patches.pairs) * 2 == len(patches)
    assert written < 10
    assert min(opened) < 1


def test_the_papers_judgement(photographs: pd.DataFrame, scores: np.ndarray, row: Row) -> None:
    """As if there were a lesion mask of each photograph."""
    rng = np.random.default_rng(1)
    lesion = rng.random(scores.size) < 0.1 + 0.3 * scores.ravel()
    kinds = {f"{kind}": lesion & (rng.random(scores.size) < 0.3) for kind in range(7)}
    positions, abnormal = (
        np.tile(["tl", "tr", "c", "bl", "br"], PHOTOGRAPHS),
        np.repeat(rng.random(PHOTOGRAPHS) < 0.5, 5),
    )
    patients = np.repeat(np.arange(PHOTOGRAPHS) // 2, 5)
    started = time.perf_counter()
    found = judge_patch_scores(lesion, scores.ravel(), abnormal, kinds, positions, patients, threshold=0.4)
    seconds = time.perf_counter() - started
    row("judgement of 493,470 patches", s=seconds, auc=found.auc)
    assert found.auc_interval[0] < found.auc < found.auc_interval[1]
    assert seconds < 60
