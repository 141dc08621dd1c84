"""Write the log of a training: a JSON line for each record, and with --tensorboard events of the same numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from swcl_cli import console
from swcl_cli.data.colour import Colour
from swcl_cli.errors import SwclError
from swcl_cli.workspace import EVENTS, LOG, Damaged, log_lines, remove_tree

MOST_VIEWS = 16  # in the picture of views
SECONDS = 10  # between two writes of events
BEFORE_ALL = frozenset({"epoch"})  # numbers that are no curves


class TrainingLog:
    """Keep the log of a training in its folder, and events for TensorBoard below it, where they are wanted.

    Each line has a `step` and a `time`, in seconds since 1970; all values are numbers.
    """

    def __init__(self, folder: Path, tensorboard: bool) -> None:
        """Raises SwclError, with the command that installs it, where TensorBoard is wanted and not there."""
        if tensorboard and find_spec("tensorboard") is None:
            raise SwclError("--tensorboard needs the package tensorboard: pip install 'swcl[tensorboard]'")
        self.path, self.events_folder, self.wanted = folder / LOG, folder / EVENTS, tensorboard
        self.events: Any = None

    def begin(self, step: int) -> None:
        """Drop what was told of this step and later ones, which are done now, or again."""
        lines = log_lines(self.path)
        if lines.lost:
            console.warn(str(Damaged(self.path, f"{lines.lost:,} of its lines are no records; they are left out")))
        earlier = [line for line, record in lines.records if record["step"] < step]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(f"{line}\n" for line in earlier), encoding="utf-8")
        if step == 0:
            remove_tree(self.events_folder)
        if self.wanted:
            from torch.utils.tensorboard.writer import SummaryWriter

            self.events = SummaryWriter(str(self.events_folder), purge_step=step or None, flush_secs=SECONDS)

    def write(self, step: int, group: str, record: Mapping[str, Any]) -> None:
        """Append a line about a step; its numbers are curves of `group` in TensorBoard."""
        told = {"step": step, **record, "time": round(time.time(), 3)}
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(told) + "\n")
        for name, value in record.items() if self.events else ():
            if name not in BEFORE_ALL:
                self.events.add_scalar(f"{group}/{name}", value, step)

    def show(self, step: int, views: Tensor) -> None:
        """Show some views, uint8 (N, 3, S, S), in TensorBoard."""
        if self.events:
            self.events.add_images("views", views[:MOST_VIEWS], step)

    def flush(self) -> None:
        """Write what is still in memory."""
        if self.events:
            self.events.flush()

    def close(self) -> None:
        if self.events:
            self.events.close()
            self.events = None


def shown_views(batch: object, mean: Colour, std: Colour) -> Tensor | None:
    """Return the views in a batch as pixels, uint8 (N, 3, S, S); None where there are none.

    They are the first tensor in a batch of any form that is uint8, (..., S, S, 3) or (..., 3, S, S), or normalised,
    (..., 3, S, S).
    """
    for part in _tensors(batch):
        if part.ndim < 4:
            continue
        pixels = part.reshape(-1, *part.shape[-3:])
        if part.dtype == torch.uint8 and part.shape[-1] == 3:
            return pixels.permute(0, 3, 1, 2)
        if part.dtype == torch.uint8 and part.shape[-3] == 3:
            return pixels
        if part.is_floating_point() and part.shape[-3] == 3:
            scale, shift = (torch.tensor(colour).view(3, 1, 1) for colour in (std, mean))
            return ((pixels.float().cpu() * scale + shift) * 255).round().clamp(0, 255).byte()
    return None


def _tensors(batch: object) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, np.ndarray):
        yield torch.from_numpy(batch)
    elif isinstance(batch, Mapping):
        for part in batch.values():
            yield from _tensors(part)
    elif isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        for part in batch:
            yield from _tensors(part)


class Coloured(Protocol):
    """Hold the colour constants by which views are normalised."""

    @property
    def mean(self) -> Colour: ...

    @property
    def std(self) -> Colour: ...


def watched(batches: Iterable[Any], log: TrainingLog, step: int, described: Coloured) -> Iterator[Any]:
    """Pass batches through, and show the views of the first one, which is that of `step`."""
    for place, batch in enumerate(batches):
        if not place and log.events and (views := shown_views(batch, described.mean, described.std)) is not None:
            log.show(step, views)
        yield batch
