"""Follow a long training: log it, show its progress, save its state, and stop it without losing a step."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric

from swcl_cli import console
from swcl_cli.errors import Interrupted
from swcl_cli.training.checkpoints import TrainState, load_state, save_state
from swcl_cli.training.log import Coloured, TrainingLog, watched
from swcl_cli.training.loop import Step
from swcl_cli.workers import STOPPING
from swcl_cli.workspace import RESUME, Lock, differences, read_provenance

FORECAST_AFTER = 3  # steps: the first ones are slower


def is_begun(folder: Path, work: Mapping[str, Any]) -> bool:
    """Check whether `folder` holds the resume state of this work, whether or not its artefact exists already."""
    path = folder / RESUME
    return path.exists() and not differences(read_provenance(path), work)


class Run:
    """Keep log and resume state of a training in its folder below runs/, and resume it where the folder holds a state.

    work: the provenance. The folder is held until `finish`, or until the run is dropped. Raises SwclError where the
    state is of other work, or another process trains in the folder. Of several processes all read the state, and the
    first writes.
    """

    def __init__(
        self,
        fabric: Fabric,
        folder: Path,
        work: Mapping[str, Any],
        state: TrainState,
        save_seconds: float,
        fresh: bool,
        tensorboard: bool = False,
    ) -> None:
        self.fabric, self.resume_path = fabric, folder / RESUME
        self.lines = TrainingLog(folder, tensorboard)
        self.work, self.state, self.save_seconds = work, state, save_seconds
        self.stopped = False  # a signal came at the step that the caller made its last: it still has to stop
        self.again = "the same command without --fresh" if fresh else "the same command"
        if fabric.is_global_zero:
            self.lock = Lock(folder, str(work["step"]))
            if fresh:
                self.resume_path.unlink(missing_ok=True)
        fabric.barrier()
        if self.resume_path.exists():
            load_state(self.resume_path, state, work)
            console.say(f"Resuming {folder} after step {state.step:,}.")
        fabric.barrier()
        if fabric.is_global_zero:
            self.lines.begin(state.step)

    def log(self, **record: Any) -> None:
        """Append a line for the last step: of its training, or of a validation or a probe after it."""
        if self.fabric.is_global_zero:
            group = "training" if "loss" in record else "validation"
            self.lines.write(self.state.step - 1, group, record)

    def watched(self, batches: Iterable[Any], described: Coloured) -> Iterator[Any]:
        """Pass the batches through; TensorBoard shows the views of the first one. described: what normalised them."""
        return watched(batches, self.lines, self.state.step, described)

    def follow(self, steps: Iterator[Step], total: int, views_a_step: int) -> Iterator[Step]:
        """Pass the steps through: count, log and show them, and save the state between two of them when it is time.

        After SIGINT, SIGTERM or SIGHUP in any of the processes, the state is saved once the caller has dealt with the
        step in progress, and Interrupted is raised. Where the caller takes no further step, `stopped` is set instead.
        """
        saved_at = time.monotonic()
        with _signals() as signals, console.progress("training", total, self.state.step) as ticker:
            for step in steps:
                self.state.step = step.index + 1
                speed = {"views_a_second": views_a_step / step.took, "waited_share": step.waited / step.took}
                self.log(loss=step.loss, learning_rate=step.learning_rate, **step.metrics, **speed)
                ticker.advance(note=_note(step, views_a_step))
                try:
                    yield step
                except GeneratorExit:
                    self.stopped = bool(signals)
                    raise
                if ticker.done == ticker.done_before + FORECAST_AFTER:
                    _forecast(ticker.seconds_left())
                stopped = self._in_any_process(bool(signals))
                if stopped or time.monotonic() - saved_at >= self.save_seconds:
                    self._save()
                    saved_at = time.monotonic()
                if stopped:
                    raise Interrupted(f"Stopped after step {self.state.step:,}; {self.again} goes on from there.")

    def finish(self) -> None:
        """Remove the resume state, once the artefact is written."""
        if self.fabric.is_global_zero:
            self.resume_path.unlink(missing_ok=True)
            self.lines.close()
            self.lock.release()
        self.fabric.barrier()

    def _save(self) -> None:
        """Write the resume state."""
        if self.fabric.is_global_zero:
            save_state(self.resume_path, self.state, self.work)
            self.lines.flush()

    def _in_any_process(self, stopped: bool) -> bool:
        """Return whether any of the processes was stopped."""
        flag = self.fabric.all_reduce(torch.tensor(float(stopped), device=self.fabric.device), reduce_op="sum")
        return bool(flag)


def _note(step: Step, views_a_step: int) -> str:
    """Describe a step in a few words, beside the progress bar."""
    return (
        f"loss {step.loss:.3f}, rate {step.learning_rate:.2g}, gradient {step.metrics['gradient_norm']:.2g}, "
        f"{views_a_step / step.took:.0f} views/s, {step.waited / step.took:.0%} of it waiting"
    )


def _forecast(seconds: float) -> None:
    """Say how long the training will still take, and its memory; nothing under half a minute."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if seconds > 30:
        console.say(f"About {max(seconds / 60, 1):.0f} min to go; {peak:.1f} GiB of memory in use.")


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP in a list as they arrive. A second signal stops at once.

    Those that whoever started the program has it ignore stay ignored, such as SIGHUP under nohup.
    """
    arrived: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if arrived:
            raise KeyboardInterrupt
        arrived.append(number)

    heeded = [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
