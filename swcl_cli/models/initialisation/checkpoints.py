"""Find the encoder's state dict in what training scripts save: beside optimisers, under prefixes, among several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from swcl_cli.errors import SwclError

StateDict = dict[str, Tensor]

MARK = "#"  # FILE#KEY names one of several state dicts, or a part of one
WRAPPERS = ("module", "_orig_mod", "model", "net", "network", "backbone")  # of data parallelism, compilers, trainers
DEEPEST = 4  # folders of keys that are looked into
KERNEL = 4  # dimensions of a convolution's weights
NAMED = 8  # keys that a message names


def state_dict_in(loaded: Any, path: Path, key: str | None) -> StateDict:
    """Return the one state dict of a checkpoint, or that below `key`, without prefixes that all of its weights share.

    key: keys that lead to it, joined by dots. Raises SwclError where there is none, or more than one.
    """
    found = {name: _unwrapped(state) for name, state in _with_kernels(_state_dicts(loaded)).items()}
    if not found:
        keys = f"; its keys are {_listed(loaded)}" if isinstance(loaded, Mapping) and loaded else ""
        raise SwclError(f"{path} holds no state dict: names and their tensors were expected{keys}.")
    below = found if key is None else _below(found, key)
    if not below:
        named = _listed(dict.fromkeys(found) if "" not in found else _first_parts(found[""]))
        raise SwclError(f"{path} holds no weights below '{key}'. Its weights are below {named}.")
    if len(below) > 1:
        raise SwclError(
            f"{path} holds several networks: {_listed(below)}. Name one: --init {path}{MARK}{next(iter(below))}"
        )
    return next(iter(below.values()))


def _state_dicts(loaded: Any, name: str = "", depth: int = 0) -> dict[str, StateDict]:
    """Return all state dicts, by the keys that lead to them, joined by dots."""
    if not isinstance(loaded, Mapping) or not loaded or depth > DEEPEST:
        return {}
    if all(isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()):
        return {name: dict(loaded)}
    found: dict[str, StateDict] = {}
    for key, value in loaded.items():
        if isinstance(key, str):
            found |= _state_dicts(value, f"{name}.{key}" if name else key, depth + 1)
    return found


def _with_kernels(found: dict[str, StateDict]) -> dict[str, StateDict]:
    """Leave out what is no network, such as a loss with a centre, where others have weights of convolutions."""
    networks = {name: state for name, state in found.items() if any(tensor.ndim == KERNEL for tensor in state.values())}
    return networks or found


def _unwrapped(state: StateDict) -> StateDict:
    """Remove prefixes of WRAPPERS that all keys share."""
    first = next(iter(state)).partition(".")[0]
    if first not in WRAPPERS or not all(key.startswith(f"{first}.") for key in state):
        return state
    return _unwrapped({key.removeprefix(f"{first}."): tensor for key, tensor in state.items()})


def _below(found: Mapping[str, StateDict], key: str) -> dict[str, StateDict]:
    """Return the state dicts that `key` leads to; where there are none, the parts of them with this prefix."""
    exact = {name: state for name, state in found.items() if f"{name}.".startswith(f"{key}.")}
    if exact:
        return exact
    parts: dict[str, StateDict] = {}
    for name, state in found.items():
        prefix = f"{key.removeprefix(f'{name}.')}."
        part = {inside.removeprefix(prefix): tensor for inside, tensor in state.items() if inside.startswith(prefix)}
        if part:
            parts[f"{name}.{prefix}".strip(".")] = _unwrapped(part)
    return parts


def _first_parts(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(key.partition(".")[0] for key in keys))


def _listed(keys: Iterable[object]) -> str:
    names = [str(key) for key in keys]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
