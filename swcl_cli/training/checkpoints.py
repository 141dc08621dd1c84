"""Save and load the resume state of a run: all that the next step depends on, in a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import Optimizer

from swcl_cli.errors import SwclError
from swcl_cli.workspace import as_before, differences, read_provenance, write_safetensors


@dataclass
class TrainState:
    """Hold the state of a run. `notes` holds numbers (best value so far), `kept` tensors (best weights so far)."""

    module: nn.Module
    optimizer: Optimizer
    step: int = 0
    notes: dict[str, float] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)


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
    tensors = load_file(path)
    state.module.load_state_dict(_under("module", tensors))
    state.kept = _under("kept", tensors)
    _load_optimizer(state.optimizer, _under("optimizer", tensors))
    state.step, state.notes = saved["resume"]["step"], saved["resume"]["notes"]
    torch.set_num_threads(saved["resume"]["threads"])


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
        states.setdefault(int(number), {})[name] = (
            torch.empty_like(like, dtype=tensor.dtype).copy_(tensor) if tensor.shape == like.shape else tensor
        )
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
