"""The triplet loss with its gradient beside the B^3 form and pytorch-metric-learning's, on one core.

Each is measured in a process of its own: `python -m tests.bench.test_bench_triplet FORM B` prints its median
seconds, its peak memory above what it began with, and its loss.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from swcl_cli.losses.triplet import Mining, triplet
from tests.bench.conftest import Row, median_seconds

pytestmark = pytest.mark.bench
MARGIN, VIEWS, WIDTH = 0.5, 4, 512
SIZES = (512, 2048)
MOST_BYTES = 200e6  # of ours at 2,048: 128 images of 4 views need a quarter of that batch
CUBIC_LIMIT = 12e9
Loss = Callable[[Tensor, Tensor], Tensor]


def cubic(z: Tensor, labels: Tensor) -> Tensor:
    """Semi-hard mining with a (B, B, B) tensor of every anchor, positive and negative, as is usual."""
    z = normalize(z)
    distance = 2 - 2 * z @ z.T
    same = labels[:, None] == labels
    farther = (distance[:, None, :] > distance[:, :, None]) & ~same[:, None, :]
    nearest = torch.where(farther, distance[:, None, :], torch.inf).amin(dim=2)
    farthest = distance.masked_fill(same, -torch.inf).amax(dim=1, keepdim=True)
    violation = MARGIN + distance - torch.where(nearest.isinf(), farthest, nearest)
    return violation.clamp(min=0)[same & ~torch.eye(len(z), dtype=torch.bool)].mean()


def metric_learning(mining: Mining) -> Loss:
    """pytorch-metric-learning's loss, on the same distances, with the miner that is meant for it."""
    from pytorch_metric_learning import distances, losses, miners, reducers

    distance = distances.LpDistance(normalize_embeddings=True, p=2, power=2)
    loss = losses.TripletMarginLoss(margin=MARGIN, distance=distance, reducer=reducers.MeanReducer())
    miner = (
        miners.BatchHardMiner(distance=distance)
        if mining == "batch-hard"
        else miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard", distance=distance)
    )
    return lambda z, labels: loss(z, labels, miner(z, labels))


def ours(mining: Mining) -> Loss:
    return lambda z, labels: triplet(z, labels, mining, MARGIN)


FORMS: dict[str, Callable[[], Loss]] = {
    "semi-hard, ours": lambda: ours("semi-hard"),
    "semi-hard, B^3": lambda: cubic,
    "semi-hard, pytorch-metric-learning": lambda: metric_learning("semi-hard"),
    "batch-hard, ours": lambda: ours("batch-hard"),
    "batch-hard, pytorch-metric-learning": lambda: metric_learning("batch-hard"),
}


def embeddings(count: int, views: int = VIEWS) -> tuple[Tensor, Tensor]:
    """Pooled features as of a network in training: views of an image are alike, but not the nearest to each other."""
    drawn = torch.Generator().manual_seed(0)
    images = torch.randn(count // views, WIDTH, generator=drawn).repeat_interleave(views, dim=0)
    return (images + 0.9 * torch.randn(count, WIDTH, generator=drawn)).abs(), torch.arange(count) // views


def measure(form: str, count: int) -> None:
    torch.set_num_threads(1)
    loss, (z, labels) = FORMS[form](), embeddings(count)

    def step() -> None:
        loss(z.clone().requires_grad_(), labels).backward()

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = memory("VmRSS")
    seconds = median_seconds(step)
    print(json.dumps([seconds, memory("VmHWM") - began, loss(z, labels).item()]))


def memory(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mining", ["semi-hard", "batch-hard"])
@pytest.mark.parametrize("count", SIZES)
def test_time_and_memory(mining: Mining, count: int, row: Row) -> None:
    pytest.importorskip("pytorch_metric_learning", reason="make bench installs it")
    found = {}
    for form in FORMS:
        needed = 4 * count**3 if "B^3" in form else 0
        if not form.startswith(mining):
            continue
        if needed > CUBIC_LIMIT:
            row(f"{count} embeddings, {form}", not_run=f"it needs more than {needed / 1e9:.0f} GB")
            continue
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.test_bench_triplet", form, str(count)],
            capture_output=True,
            check=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        found[form] = json.loads(done.stdout)
        seconds, peak, _ = found[form]
        best = found[f"{mining}, ours"]
        row(
            f"{count} embeddings, {form}",
            ms=1000 * seconds,
            peak_MB=peak / 1e6,
            times_ours=seconds / best[0],
            peak_times_ours=peak / best[1],
        )
    seconds, peak, value = found.pop(f"{mining}, ours")
    for form, (their_seconds, their_peak, their_value) in found.items():
        assert seconds <= their_seconds and peak < their_peak, form
        if form != "semi-hard, pytorch-metric-learning":  # which takes all semi-hard negatives, not the nearest
            assert value == pytest.approx(their_value, rel=1e-4)
    assert peak < MOST_BYTES


def gradient(loss: Loss, z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    leaf = z.clone().requires_grad_()
    value = loss(leaf, labels)
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


def test_batch_hard_is_that_of_pytorch_metric_learning() -> None:
    pytest.importorskip("pytorch_metric_learning")
    data = embeddings(64)
    for mine, theirs in zip(*(gradient(loss("batch-hard"), *data) for loss in (ours, metric_learning)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_semi_hard_is_that_of_pytorch_metric_learning_where_it_has_it() -> None:
    """With one positive an anchor, its batch miner takes the nearest farther negative; all anchors here have one."""
    pytest.importorskip("pytorch_metric_learning")
    from pytorch_metric_learning import distances, losses, miners, reducers

    distance = distances.LpDistance(normalize_embeddings=True, p=2, power=2)
    loss = losses.TripletMarginLoss(margin=MARGIN, distance=distance, reducer=reducers.MeanReducer())
    miner = miners.BatchEasyHardMiner(pos_strategy="hard", neg_strategy="semihard", distance=distance)

    def theirs(z: Tensor, labels: Tensor) -> Tensor:
        anchor, positive, _, negative = miner(z, labels)
        assert len(anchor) == len(z)
        value: Tensor = loss(z, labels, (anchor, positive, negative))
        return value

    data = embeddings(64, views=2)
    for one, other in zip(gradient(ours("semi-hard"), *data), gradient(theirs, *data), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    measure(sys.argv[1], int(sys.argv[2]))
