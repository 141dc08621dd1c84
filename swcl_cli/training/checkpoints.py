"""Save and load the resume state of a run: all that the next step depends on, in a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from swcl_cli.errors import SwclError
from swcl_cli.workspace import (
    Damaged,
    as_before,
    differences,
    part_of,
    read_provenance,
    read_safetensors,
    write_safetensors,
)


@dataclass
class TrainState:
    """Hold the state of a run. `notes` holds numbers (best value so far), `kept` tensors (best weights so far)."""

    module: nn.Module
    optimizer: Optimizer
    step: int = 0
    notes: dict[str, float] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Resume:
    """Say what a file of the state tells beside its tensors."""

    step: Annotated[int, Field(ge=0)]
    notes: dict[str, int | float]
    threads: Annotated[int, Field(ge=1)]


def save_state(path: Path, state: TrainState, work: Mapping[str, Any]) -> None:
    """Write the state after `state.step` steps of `work` (its provenance), and the number of threads."""
    tensors = {f"module.{name}": tensor for name, tensor in state.module.state_dict().items()}
    tensors |= {f"kept.{name}": tensor for name, tensor in state.kept.items()}
    for number, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in values.items() if tensor is not None}
    resume = {"step": state.step, "notes": state.notes, "threads": torch.get_num_threads()}
    write_safetensors(path, tensors, {**work, "resume": resume})


def load_state(path: Path, state: TrainState, work: Mapping[str, Any]) -> None:
    """Load the saved state, thread count included. Raises SwclError where it belongs to other work."""
    saved = read_provenance(path)
    changed = differences(saved, work)
    if changed:
        raise SwclError(
            f"{path} is of a run that differs ({'; '.join(changed)}). Start over with --fresh.{as_before(saved, work)}"
        )
    resume: Resume = part_of(path, saved, ("resume",), Resume)
    tensors = read_safetensors(path)
    try:
        state.module.load_state_dict(_under("module", tensors))
        _load_optimizer(state.optimizer, _under("optimizer", tensors))
    except (RuntimeError, ValueError, IndexError, KeyError) as error:
        raise Damaged(path, "its tensors are not those of this training") from error
    state.kept, state.step, state.notes = _under("kept", tensors), resume.step, resume.notes
    torch.set_num_threads(resume.threads)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = len(prefix) + 1
    return {name[start:]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def _load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load the optimiser's state, in each weight's memory format: the file holds contiguous tensors only."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        like = parameters[int(number)]
        if tensor.shape not in (like.shape, ()):
            raise ValueError(f"{key} has another shape")
        states.setdefault(int(number), {})[name] = (
            torch.empty_like(like, dtype=tensor.dtype).copy_(tensor) if tensor.shape == like.shape else tensor
        )
    if len({frozenset(state) for state in states.values()}) > 1:
        raise ValueError("some weights have more of a state than others")
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
