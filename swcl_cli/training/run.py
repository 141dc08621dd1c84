"""A long run: its folder with log and resume state, its progress, and how it stops without losing anything."""

from __future__ import annotations

import json
import resource
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric

from swcl_cli import console
from swcl_cli.errors import Interrupted
from swcl_cli.training.checkpoints import TrainState, load_state, save_state
from swcl_cli.training.loop import Step
from swcl_cli.workspace import LOG, RESUME, differences, read_provenance

FORECAST_AFTER = 3  # steps: the first ones are slower


def is_begun(folder: Path, work: Mapping[str, Any]) -> bool:
    """Whether this very work was begun in `folder` and waits to go on, whatever the artefact that it will replace."""
    path = folder / RESUME
    return path.exists() and not differences(read_provenance(path), work)


class Run:
    """The folder below runs/ of one piece of `work` (its provenance). The same work resumes; other work is an error.

    Of several processes all read, and the first one writes.
    """

    def __init__(
        self, fabric: Fabric, folder: Path, work: Mapping[str, Any], state: TrainState, save_seconds: float, fresh: bool
    ) -> None:
        self.fabric, self.log_path, self.resume_path = fabric, folder / LOG, folder / RESUME
        self.work, self.state, self.save_seconds = work, state, save_seconds
        self.stopped = False  # a signal arrived at what the caller made the last step: it has not been heeded
        self.again = "the same command without --fresh" if fresh else "the same command"
        if fabric.is_global_zero:
            folder.mkdir(parents=True, exist_ok=True)
            if fresh:
                self.resume_path.unlink(missing_ok=True)
        fabric.barrier()
        if self.resume_path.exists():
            load_state(self.resume_path, state, work)
            console.say(f"Resuming {folder} after step {state.step:,}.")
        fabric.barrier()
        if fabric.is_global_zero:
            self._cut_log()

    def _cut_log(self) -> None:
        lines = self.log_path.read_text(encoding="utf-8").splitlines() if self.log_path.exists() else []
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] < self.state.step]
        self.log_path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")

    def log(self, **record: Any) -> None:
        """Appends one JSON line for the step that was just done."""
        if not self.fabric.is_global_zero:
            return
        with open(self.log_path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps({"step": self.state.step - 1, **record}) + "\n")

    def follow(self, steps: Iterator[Step], total: int, views_a_step: int) -> Iterator[Step]:
        """Passes the steps through: counts, logs and shows them, and saves between two of them when it is time.

        SIGINT and SIGTERM, in any of the processes, save after the step in progress (whatever the caller did with it
        included) and raise Interrupted. Where the caller takes no further step, `stopped` tells of them.
        """
        saved_at = time.monotonic()
        with _listening() as stop, console.progress("training", total, self.state.step) as ticker:
            for step in steps:
                self.state.step = step.index + 1
                self.log(
                    loss=step.loss, learning_rate=step.learning_rate, **step.metrics,
                    views_a_second=views_a_step / step.took, waited_share=step.waited / step.took,
                )  # fmt: skip
                ticker.advance(note=_told(step, views_a_step))
                try:
                    yield step
                except GeneratorExit:
                    self.stopped = bool(stop)
                    raise
                if ticker.done == ticker.done_before + FORECAST_AFTER:
                    _forecast(ticker.seconds_left())
                stopped = self._anywhere(bool(stop))
                if stopped or time.monotonic() - saved_at >= self.save_seconds:
                    self._save()
                    saved_at = time.monotonic()
                if stopped:
                    raise Interrupted(f"Stopped after step {self.state.step:,}; {self.again} goes on from there.")

    def finish(self) -> None:
        """Drops the resume state: the artefact is written."""
        if self.fabric.is_global_zero:
            self.resume_path.unlink(missing_ok=True)
        self.fabric.barrier()

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            save_state(self.resume_path, self.state, self.work)

    def _anywhere(self, here: bool) -> bool:
        flag = self.fabric.all_reduce(torch.tensor(float(here), device=self.fabric.device), reduce_op="sum")
        return bool(flag)


def _told(step: Step, views_a_step: int) -> str:
    return (
        f"loss {step.loss:.3f}, rate {step.learning_rate:.2g}, gradient {step.metrics['gradient_norm']:.2g}, "
        f"{views_a_step / step.took:.0f} views/s, {step.waited / step.took:.0%} of it waiting"
    )


def _forecast(seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if seconds > 30:
        console.say(f"About {max(seconds / 60, 1):.0f} min to go; {peak:.1f} GiB of memory in use.")


@contextmanager
def _listening() -> Iterator[list[int]]:
    """A list that fills with the signals that arrive. A second one stops at once."""
    arrived: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if arrived:
            raise KeyboardInterrupt
        arrived.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
