"""Define the heads on an encoder's pooled features (N, C)."""

from collections.abc import Mapping

from torch import Tensor, nn


class Projector(nn.Sequential):
    """Project features: Linear(C, C), ReLU, Linear(C, width), (N, C) -> (N, width), not of unit length (paper IV-B)."""

    def __init__(self, channels: int, width: int = 128) -> None:
        super().__init__(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, width))


class JointHeads(nn.Module):
    """Classify features by a linear classifier for each label: (N, C) -> {name: (N, classes)} (FACTS E12)."""

    def __init__(self, channels: int, classes: Mapping[str, int]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(channels, count) for name, count in classes.items()})

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return {name: head(features) for name, head in self.heads.items()}
