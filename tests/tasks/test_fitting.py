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


def trial_of(network: Squared) -> Trial:
    """Each epoch validates better than the one before."""
    epochs = iter(range(EPOCHS))
    return Trial(
        objective=network,
        network=network,
        encoder=network.linear,
        model=cast(Description, None),  # a training does not ask for it
        dataset=Points(),
        plan=lambda step: [[divmod(step, STEPS)]],
        steps_per_epoch=STEPS,
        images={"train": STEPS},
        judge=lambda fabric, split, folder: Judgement({"measure": float(next(epochs))}),
    )


@pytest.mark.parametrize(("rate", "decay"), [(0.05, 0.3), (0.02, 0.0)])
def test_steps_are_nesterovs_at_a_constant_rate_with_decay_of_the_weights_alone(
    tmp_path: Path, rate: float, decay: float
) -> None:
    network = Squared()
    expected = {"weight": network.linear.weight.detach().double(), "bias": network.linear.bias.detach().double()}
    settings = FinetuneSettings(
        task="idrid", epochs=EPOCHS, workers=0, accelerator="cpu", learning_rate=7, weight_decay=7
    )
    fabric, rates = make_fabric("cpu", "fp32"), Rates(rate, decay)
    kept = fit(trial_of(network), fabric, settings, "measure", rates, 0, tmp_path, {"step": "finetune"}).weights

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


def test_steps_are_adamws_of_the_clipped_gradient_at_the_rate_of_the_step_and_the_layer(tmp_path: Path) -> None:
    """decay 0.3 of the weights alone, an epoch of warm-up, a cosine over the other two; the layer's share is 0.5."""
    network, limit, share = Squared(), 1.5, 0.5
    expected = {"weight": network.linear.weight.detach().double(), "bias": network.linear.bias.detach().double()}
    settings = FinetuneSettings(
        task="idrid", epochs=EPOCHS, workers=0, accelerator="cpu", optimizer="adamw", schedule="cosine",
        warmup_epochs=1, clip=limit, layer_decay=share,
    )  # fmt: skip
    fabric, rates = make_fabric("cpu", "fp32"), Rates(0.05, 0.3)
    kept = fit(trial_of(network), fabric, settings, "measure", rates, 0, tmp_path, {"step": "finetune"}).weights

    course = [0.5, 1.0, 1.0, 0.8535534, 0.5, 0.1464466]  # then halves of 1 + cos 0, 45, 90, 135 degrees
    mean, square = ({name: torch.zeros_like(tensor) for name, tensor in expected.items()} for _ in range(2))
    norms = []
    for step in range(EPOCHS * STEPS):
        x = Points()[divmod(step, STEPS)].double()
        error = 2 * (expected["weight"] @ x + expected["bias"])
        gradient = {"weight": torch.outer(error, x), "bias": error}
        norms.append(float(torch.cat([part.flatten() for part in gradient.values()]).norm()))
        rate = 0.05 * course[step] * share
        for name, tensor in expected.items():
            pull = gradient[name] * min(limit / norms[-1], 1)
            mean[name] = 0.9 * mean[name] + 0.1 * pull
            square[name] = 0.999 * square[name] + 0.001 * pull**2
            ahead = mean[name] / (1 - 0.9 ** (step + 1))
            spread = (square[name] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            expected[name] = tensor * (1 - rate * (0.3 if name == "weight" else 0)) - rate * ahead / spread
    assert min(norms) < limit < max(norms)
    for name, tensor in expected.items():
        torch.testing.assert_close(kept[f"linear.{name}"].double(), tensor, rtol=1e-5, atol=1e-6)
