"""`report` on a workspace of the paper's size: 11 initialisations, 7 tasks, 5 seeds (Messidor: 5 folds, too), 493,470
patches, and as many runs again that were broken off. Times are those of one core.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from swcl_cli.workspace import Workspace
from tests.bench.conftest import Row
from tests.commands import environment
from tests.reporting import large
from tests.reporting.large_logs import PAPER, falling_loss, write_log

pytestmark = pytest.mark.bench
BROKEN_OFF = 500
REPORT = """
import json, sys, time
started = time.perf_counter()
from pathlib import Path
from swcl_cli.reporting.page import report as page
from swcl_cli.settings import ReportSettings
from swcl_cli.steps import report

seconds = {"imports": time.process_time()}

def timed(owner, name):
    act, key = getattr(owner, name), name.strip("_")
    def timing(*given, **named):
        begun = time.process_time()
        try:
            return act(*given, **named)
        finally:
            seconds[key] = seconds.get(key, 0) + time.process_time() - begun
    setattr(owner, name, timing)

for name in ("read_contents", "_write"):
    timed(report, name)
for name in ("sections", "render_page"):
    timed(page, name)
timed(page.Report, "draw")
report.run(ReportSettings(workspace=Path(sys.argv[1]), no_images=sys.argv[2] == "no"))
seconds["all"] = time.process_time()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
wall = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "wall": wall, "peak": int(peak) / 1024, "torch": "torch" in sys.modules}))
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = large.build(tmp_path_factory.mktemp("large"), PAPER)
    for number in range(BROKEN_OFF):
        rates = {"validation": np.linspace(0.001, 0, 5)}
        write_log(made.finetuning("idrid", f"try{number}", "seed0"), falling_loss(200, number, 1.5), rates)
    yield made
    shutil.rmtree(made.root)  # a gigabyte


@pytest.mark.parametrize("photographs", ["with", "no"])
def test_the_papers_report(workspace: Workspace, row: Row, photographs: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(workspace.root), photographs],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    seconds = {f"s_{name}": float(value) for name, value in told["seconds"].items()}
    page = (workspace.report / "index.html").stat().st_size / 1e6
    folder = sum(path.stat().st_size for path in workspace.report.rglob("*") if path.is_file()) / 1e6
    row(
        f"report, {photographs} photographs",
        **seconds,
        s_wall=told["wall"],
        MiB_peak=told["peak"],
        MB_page=page,
        MB_folder=folder,
    )
    assert not told["torch"]
    assert seconds["s_all"] < 60  # of one core, which others may slow
    assert told["peak"] < 2048
    assert page < 15
