"""The optimiser of fine-tuning, written out."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from swcl_cli.data.loaders import Key
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.fitting import fit
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.saved import Description
from swcl_cli.tasks.trial import Trial
from swcl_cli.training.grid import Rates
from swcl_cli.training.processes import make_fabric

EPOCHS, STEPS = 3, 2


class Squared(nn.Module):
    """|W x + b|^2 of the first column of the batch: its gradient is short enough to be written out."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]]))
            self.linear.bias.copy_(torch.tensor([0.25, -0.5]))

    def forward(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.linear(batch).square().sum(), {}


class Points(Dataset[Tensor]):
    def __getitem__(self, key: Key) -> Tensor:
        return torch.tensor([0.1 + key[1], 0.3 * key[0] - 0.2, 0.4]) / 2


@pytest.mark.parametrize(("rate", "decay"), [(0.05, 0.3), (0.02, 0.0)])
def test_steps_are_nesterovs_at_a_constant_rate_with_decay_of_the_weights_alone(
    tmp_path: Path, rate: float, decay: float
) -> None:
    network, epochs = Squared(), iter(range(EPOCHS))
    expected = {"weight": network.linear.weight.detach().double(), "bias": network.linear.bias.detach().double()}
    trial = Trial(
        objective=network,
        network=network,
        model=cast(Description, None),  # a training does not ask for it
        dataset=Points(),
        plan=lambda step: [[divmod(step, STEPS)]],
        steps_per_epoch=STEPS,
        images={"train": STEPS},
        judge=lambda fabric, split, folder: Judgement({"measure": float(next(epochs))}),
    )
    settings = FinetuneSettings(
        task="idrid", epochs=EPOCHS, workers=0, accelerator="cpu", learning_rate=7, weight_decay=7
    )
    fabric, rates = make_fabric("cpu", "fp32"), Rates(rate, decay)
    kept = fit(trial, fabric, settings, "measure", rates, 0, tmp_path, {"step": "finetune"}).weights

    velocity = {name: torch.zeros_like(tensor) for name, tensor in expected.items()}
    for step in range(EPOCHS * STEPS):
        x = Points()[divmod(step, STEPS)].double()
        error = 2 * (expected["weight"] @ x + expected["bias"])
        pull = {"weight": torch.outer(error, x) + decay * expected["weight"], "bias": error}
        for name, tensor in expected.items():
            velocity[name] = 0.9 * velocity[name] + pull[name]
            expected[name] = tensor - rate * (pull[name] + 0.9 * velocity[name])
    for name, tensor in expected.items():
        torch.testing.assert_close(kept[f"linear.{name}"].double(), tensor, rtol=1e-5, atol=1e-6)
