"""A stand-in for timm's networks, of 512 channels as ResNet-18 has, with small heads: a step takes milliseconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import timm
from torch import nn

from tests.methods import small_heads

CHANNELS = 512


def create(norm: str) -> nn.Module:
    """norm: `group`, which is exact in several processes, or `batch`, which has statistics to be kept."""
    layers: list[nn.Module] = []
    for taken, given in ((3, 16), (16, 32), (32, 64)):
        normaliser = nn.GroupNorm(4, given) if norm == "group" else nn.BatchNorm2d(given)
        layers += [nn.Conv2d(taken, given, 3, 2, 1, bias=False), normaliser, nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(64, CHANNELS, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network.num_features = CHANNELS  # type: ignore[assignment]
    return network


@contextmanager
def in_place_of_timms(norm: str) -> Iterator[None]:
    def made(architecture: str, **_: Any) -> nn.Module:
        assert architecture in ("resnet18", "resnet34")
        return create(norm)

    with mock.patch.object(timm, "create_model", made), small_heads.in_place_of_full_size():
        yield
