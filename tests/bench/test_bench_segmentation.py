"""Fine-tuning: whole images beside MONAI's sliding windows, training steps, memory, and how long intervals take."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data import manifest
from swcl_cli.data.augment import segmentation_view
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.loaders import step_batches
from swcl_cli.evaluation.class_measures import class_measures
from swcl_cli.evaluation.intervals import intervals
from swcl_cli.evaluation.pixel_measures import pixel_measures
from swcl_cli.evaluation.pixel_tally import Histograms, PixelTally
from swcl_cli.evaluation.sliding_window import predict_windows
from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.saved import Study
from swcl_cli.tasks.segmentation import Segmentation, Segmenter
from swcl_cli.tasks.trial import prepare
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.bench.conftest import Row, in_turn, median_seconds, sgd_steps

pytestmark = pytest.mark.bench
MEMORY = """
import itertools, resource, torch
from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.initialisation import Initial
from swcl_cli.tasks.segmentation import Segmenter
from swcl_cli.training.loop import parameter_groups, training_steps
from swcl_cli.training.processes import make_fabric
fabric = make_fabric("cpu", "fp32")
objective = Segmenter(DeepLabV3Plus(create_encoder("resnetv2_50x1_bit", output_stride={stride}), {{"vessel": 2}}))
batch = {{"image": torch.randn(8, 3, 384, 384), "mask": torch.randint(0, 2, (8, 384, 384))}}
optimizer = torch.optim.SGD(parameter_groups(objective, 5e-4), lr=1e-3, momentum=0.9, nesterov=True)
steps = training_steps(fabric, fabric.setup_module(objective), optimizer, itertools.repeat([batch]), lambda _: 1e-3, 0)
took = [next(steps).took for _ in range(2)]
print(took[-1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.parametrize(("height", "width"), [(584, 565), (1634, 1634)])
def test_windows_beside_monai(height: int, width: int, row: Row) -> None:
    """The same network on as many windows of the same size, in turn."""
    inferers = pytest.importorskip("monai.inferers")
    network = DeepLabV3Plus(create_encoder("resnet18", output_stride=16), {"vessel": 2}).eval()
    image = torch.randn(1, 3, height, width)
    stride = height // -(-height // 384)
    calls: list[int] = []

    def logits(windows: Tensor) -> Tensor:
        calls.append(len(windows))
        vessels: Tensor = network(windows)["vessel"]
        return vessels

    def ours() -> Iterator[Tensor]:
        while True:
            yield predict_windows(logits, image, 384)

    def theirs() -> Iterator[Tensor]:
        while True:
            yield inferers.sliding_window_inference(image, (384, 384), 4, logits, overlap=1 - stride / 384)

    with torch.inference_mode():
        counts = []
        for way in (ours, theirs):
            calls.clear()
            next(way())
            counts.append(sum(calls))
        ours_s, theirs_s = in_turn(ours(), theirs(), rounds=5 if height < 1000 else 1, steps=1)
    assert counts[0] == counts[1]
    row(f"sliding windows, {height} x {width}", seconds=ours_s, windows=str(counts[0]), times_monai=theirs_s / ours_s)
    assert ours_s <= 1.05 * theirs_s or os.getloadavg()[0] > 1.5


@pytest.mark.parametrize("architecture", ["resnet18", "tf_efficientnet_lite0"])
@pytest.mark.parametrize("task", ["drive", "idrid"])
def test_training_step_with_and_without_loader(task: str, architecture: str, tmp_path: Path, row: Row) -> None:
    """A crop of 192 px, one worker process."""
    rows = []
    for item in range(16):
        image = prepared.photograph(item, 565, 584) if task == "drive" else prepared.photograph(item, 420, 350)
        row_of = {"split": "val" if item == 0 else "train", "image": image}
        if task == "idrid":
            rows.append({**row_of, "dr_grade": item % 5, "dme_grade": item % 3})
        else:
            rows.append({**row_of, "mask": ((image[..., 0] > 150) * 255).astype(np.uint8)})
    prepared.write(tmp_path, task, rows, size=350 if task == "idrid" else 0)
    settings = FinetuneSettings(workspace=tmp_path, task=task, crop=192, batch=8, output_stride=16)
    encoder = create_encoder(architecture, 0, 32 if task == "idrid" else 16)
    table = manifest.read(Workspace(tmp_path).manifest(task))
    study = Study(
        TASKS[task],
        settings,
        Workspace(tmp_path),
        {split: table[table["split"] == split] for split in ("train", "val")},
    )
    trial = prepare(study, Initial(encoder, architecture, MEAN, STD, None, "random", {}, ""), 0)
    trial.objective.to(memory_format=torch.channels_last)
    memory = next(step_batches(trial.dataset, trial.plan, 0, 1, 0))
    loaded = step_batches(trial.dataset, trial.plan, 0, 1000, 1)
    with_loader, without = in_turn(
        *(sgd_steps(trial.objective, batches) for batches in (loaded, itertools.repeat(memory))), steps=3
    )
    share = without / with_loader
    row(f"{task} training step, {architecture}, 192 px", images_a_second=8 / with_loader, of_tensors_in_memory=share)
    assert share >= 0.92 or os.getloadavg()[0] > 1.5, "the loader costs more than 8 % of the step"


@pytest.mark.parametrize("kind", ["overlapping", "exclusive"])
def test_ten_structures_beside_one(kind: str, row: Row) -> None:
    """Views and steps of photographs of 1072 x 712, of a light network: a heavier one hides what structures cost."""
    names = tuple(f"s{number}" for number in range(10))
    shades = (Shade(0), *(Shade(number, (name,)) for number, name in enumerate(names, 1)))
    ten = Structures.layered(names) if kind == "overlapping" else Structures(names, shades)
    image = prepared.photograph(0, 1072, 712)

    def steps(structures: Structures) -> Iterator[object]:
        heads = dict.fromkeys(structures.names, 2)
        facts = {"decoder": "smp-unet"} | ({"structures": structures.described()} if structures.exclusive else {})
        network = Segmentation().network(create_encoder("resnet18"), heads, facts)
        rng = np.random.default_rng(0)
        values = len(heads) + 1 if structures.exclusive else 1 << len(heads)
        mask = rng.integers(0, values, (712, 1072)).astype(np.uint16)

        def batches() -> Iterator[list[dict[str, Tensor]]]:
            while True:
                views = [segmentation_view(image, mask, 192, rng) for _ in range(2)]
                parts = (torch.from_numpy(np.stack(part)) for part in zip(*views, strict=True))
                yield [dict(zip(("image", "mask"), parts, strict=True))]

        objective = Segmenter(network).to(memory_format=torch.channels_last)
        return sgd_steps(objective, batches())

    one, several = in_turn(steps(Structures.two_valued("s0")), steps(ten), steps=3)
    row(f"ten {kind} structures, U-Net on ResNet-18", of_the_pace_of_one=one / several)
    assert one / several >= 0.8 or os.getloadavg()[0] > 1.5


@pytest.mark.parametrize("stride", [8, 16])
def test_memory_of_a_bit_50_segmentation_step(stride: int, row: Row) -> None:
    """Batch 8 at 384 px, in a process of its own: two training steps."""
    if _free_gib() < 13:
        pytest.skip("less than 13 GiB are free")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY.format(stride=stride)], capture_output=True, text=True, check=True
    )
    seconds, gib = map(float, done.stdout.split()[-2:])
    row(f"BiT-50 DeepLabv3+ step, batch 8, 384 px, stride {stride}", seconds=seconds, gib=gib)
    assert gib < 12


def test_intervals(row: Row) -> None:
    """All measures, a patient left out in turn: of Messidor as a whole, REFUGE's discs and cups, DRIVE's pixels."""
    rng = np.random.default_rng(0)
    truths = {"dr_grade": rng.integers(0, 2, 1196), "dme_grade": rng.integers(0, 3, 1196)}
    scores = {name: rng.dirichlet(np.ones(truth.max() + 1), 1196) for name, truth in truths.items()}
    graded = class_measures(truths, scores, dict.fromkeys(truths, 0.5))

    def tallied(count: int, side: int) -> tuple[Histograms, float]:
        tally = PixelTally()
        for _ in range(count):
            odds = rng.normal(-3, 3, (side, side)).astype(np.float32)
            tally.add(odds + rng.normal(size=odds.shape) > 0, odds)
        return tally.histograms(), tally.auc()

    discs = pixel_measures({"disc": tallied(400, 100), "cup": tallied(400, 100)})
    vessels = {**pixel_measures({"vessel": tallied(20, 575)}), **pixel_measures({"vessel": tallied(20, 500)}, "_fov")}
    for name, measures, count in (("Messidor", graded, 1196), ("REFUGE-seg", discs, 400), ("DRIVE", vessels, 20)):
        started = time.perf_counter()
        found = intervals(measures, np.arange(count))
        seconds = time.perf_counter() - started
        row(f"intervals of {name}", seconds=seconds, measures=f"{len(found)}")
        assert seconds < 10


def test_counting_pixels(row: Row) -> None:
    """What judging costs besides the network."""
    odds = np.random.default_rng(0).normal(-3, 3, (1634, 1634)).astype(np.float32)
    truth = odds > 1

    seconds = median_seconds(lambda: PixelTally().add(truth, odds))
    row("pixels counted for F1 and AUC", megapixels_a_second=odds.size / 1e6 / seconds)


def _free_gib() -> float:
    return os.sysconf("SC_AVPHYS_PAGES") * resource.getpagesize() / 2**30
