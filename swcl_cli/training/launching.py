"""Start a command in several processes on this machine, which train as one."""

from __future__ import annotations

import logging
import os
import sys
import uuid

from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from swcl_cli.errors import Interrupted, SwclError
from swcl_cli.workers import LOADING

COMMAND = "from swcl_cli.cli import app; app()"


def launch(count: int) -> None:
    """Give the command of this process to `count` new ones, as torchrun does, and wait for them.

    Unless it is set already, each computes with its share of the cores. What a process has to say of its end it says
    itself: where one fails, this one ends with its exit code and no further word.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    logging.disable(logging.CRITICAL)  # the launcher's account of a process that has spoken for itself
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=count, run_id=str(uuid.uuid4()), rdzv_backend="c10d",
        rdzv_endpoint="localhost:0", max_restarts=0, monitor_interval=0.1, logs_specs=DefaultLogsSpecs(),
        shutdown_timeout=LOADING,
    )  # fmt: skip
    try:
        elastic_launch(config, sys.executable)("-c", COMMAND, *sys.argv[1:])
    except SignalException:
        sys.exit(Interrupted.exit_code)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        if code < 0:
            raise SwclError(f"A process that trains was killed by signal {-code}: is memory short?") from None
        sys.exit(code)
