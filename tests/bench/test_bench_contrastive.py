"""The contrastive loss and its gradient beside SupContrast's formula and pytorch-metric-learning's: time and memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.bench.conftest import Row

pytestmark = pytest.mark.bench
pytest.importorskip("pytorch_metric_learning")

# Each way runs in a process of its own, so that its peak is its own. Labels: 4 views each, as pairs of two views have.
WAYS = """
import json, statistics, sys, time
from pathlib import Path
import torch
from torch.nn.functional import normalize

def ours(z, labels):
    from swcl_cli.losses.contrastive import supervised_contrastive
    return supervised_contrastive(z, labels, 0.1)

def supcontrast(z, labels):
    # eq. 2 as the published code has it: logits less their maximum, a mask of positives, a mask without the diagonal
    logits = z @ z.T / 0.1
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    others = 1 - torch.eye(len(z))
    positives = (labels[:, None] == labels).float() * others
    log_p = logits - (logits.exp() * others).sum(1, keepdim=True).log()
    return -((positives * log_p).sum(1) / positives.sum(1)).mean()

def metric_learning(z, labels):
    from pytorch_metric_learning.losses import SupConLoss
    return SupConLoss(temperature=0.1)(z, labels)

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])

way, count = globals()[sys.argv[1]], int(sys.argv[2])
z = normalize(torch.randn(count, 128, generator=torch.Generator().manual_seed(0)))
labels = torch.arange(count) // 4
way(z[:8].clone().requires_grad_(), labels[:8]).backward()
base, seconds = peak(), []
for _ in range(6):
    rows = z.clone().requires_grad_()
    started = time.perf_counter()
    loss = way(rows, labels)
    loss.backward()
    seconds.append(time.perf_counter() - started)
print(json.dumps([statistics.median(seconds[1:]), peak() - base, loss.item(), rows.grad.norm().item()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("count", "times"), [(992, 1.0), (4096, 2.5)])
def test_loss_and_gradient(count: int, times: float, row: Row) -> None:
    """times: as fast as each of the others, at least; in less than half of their memory."""
    found = {}
    for way in ("ours", "supcontrast", "metric_learning"):
        done = subprocess.run([sys.executable, "-c", WAYS, way, str(count)], capture_output=True, check=True, text=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
    for way, (seconds, memory, loss, slope) in found.items():
        row(
            f"contrastive loss and gradient, {count:,} views, {way}",
            ms=1000 * seconds,
            peak_MB=memory / 1e6,
            times_ours=seconds / found["ours"][0],
        )
        assert loss == pytest.approx(found["ours"][2], rel=1e-4)
        if way == "supcontrast":  # metric learning normalises once more, so that its gradient is tangent
            assert slope == pytest.approx(found["ours"][3], rel=1e-3)
    for way in ("supcontrast", "metric_learning"):
        assert times * found["ours"][0] <= found[way][0] and 2 * found["ours"][1] < found[way][1]
