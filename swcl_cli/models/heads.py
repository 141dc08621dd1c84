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
        self.names = {module_name(name): name for name in classes}
        self.heads = nn.ModuleDict({module_name(name): nn.Linear(channels, count) for name, count in classes.items()})

    def of(self, name: str) -> nn.Linear:
        """Return the classifier of a label."""
        head = self.heads[module_name(name)]
        assert isinstance(head, nn.Linear)
        return head

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        return {self.names[key]: head(features) for key, head in self.heads.items()}


def module_name(label: str) -> str:
    """Name the module of a label of any name: torch takes no dots, and keeps names such as `type` to itself."""
    plain = label.replace("%", "%25").replace(".", "%2E")
    return f"%{plain}" if hasattr(nn.ModuleDict(), plain) else plain
