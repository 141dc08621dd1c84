"""Heads of BYOL and DINO small enough that a step, and a save of its state, takes milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

from swcl_cli.methods import byol, dino
from swcl_cli.models.self_distillation_heads import BatchFreeMLP, Bottleneck, Prototypes


@contextmanager
def in_place_of_full_size() -> Iterator[None]:
    with (
        mock.patch.object(byol, "BatchFreeMLP", partial(BatchFreeMLP, hidden=128)),
        mock.patch.object(dino, "Bottleneck", partial(Bottleneck, hidden=128)),
        mock.patch.object(dino, "Prototypes", partial(Prototypes, classes=512)),
    ):
        yield
