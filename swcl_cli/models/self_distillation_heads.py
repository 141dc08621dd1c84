"""Define the heads of the methods with a teacher, on an encoder's pooled features (N, C) (FACTS D1)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, normalize

EMBEDDING = 256  # width of the vectors that the losses compare


class StandardisedLinear(nn.Linear):
    """Apply a linear layer with standardised weights: rows less their mean, over their deviation (arXiv 1903.10520)."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, layer_norm(self.weight, (self.in_features,), eps=1e-8), self.bias)


class BatchFreeMLP(nn.Sequential):
    """Project or predict for BYOL: Linear(C, 4096), GroupNorm(16), ReLU, Linear(4096, 256), weights standardised.

    bias: whether the last layer has one, as the released code's has.
    With BatchNorm in these layers each prediction would depend on the other images of its batch, and it was long
    believed that this alone keeps BYOL from collapsing. It does not (arXiv 2010.10241): group statistics and
    standardised weights serve as well, and leave the loss a mean over images that several processes can share exactly.
    """

    def __init__(self, channels: int, hidden: int = 4096, width: int = EMBEDDING, bias: bool = False) -> None:
        super().__init__(
            StandardisedLinear(channels, hidden),
            nn.GroupNorm(16, hidden),
            nn.ReLU(),
            StandardisedLinear(hidden, width, bias=bias),
        )


class Bottleneck(nn.Sequential):
    """Project for DINO, before its last layer: Linear(C, 2048), GELU, Linear(2048, 2048), GELU, Linear(2048, 256).

    released: as the released code does, Linear(C, 2048), ReLU, Linear(2048, 256).
    """

    def __init__(self, channels: int, hidden: int = 2048, width: int = EMBEDDING, released: bool = False) -> None:
        middle = (nn.ReLU(),) if released else (nn.GELU(), nn.Linear(hidden, hidden), nn.GELU())
        super().__init__(nn.Linear(channels, hidden), *middle, nn.Linear(hidden, width))
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)


class Prototypes(nn.Linear):
    """Apply DINO's last layer: rows of unit length (N, width) -> the cosine with each class's weights (N, classes).

    That is a weight-normalised linear layer without bias whose gain is fixed at 1. In fp32 also under autocast: bf16
    has two digits, and the teacher's temperature is 0.04.
    """

    def __init__(self, width: int = EMBEDDING, classes: int = 4096) -> None:
        super().__init__(width, classes, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            return linear(input.float(), normalize(self.weight, dim=1))
