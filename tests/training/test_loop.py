"""The one training loop, on networks of a few weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swcl_cli.errors import SwclError
from swcl_cli.training.loop import Step, parameter_groups, training_steps
from swcl_cli.training.processes import make_fabric


class Line(nn.Module):
    """Least squares; with dropout on the inputs where `share` > 0."""

    def __init__(self, share: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(share)
        self.linear = nn.Linear(3, 1)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[0.5, -1.0, 2.0]]))
            self.linear.bias.fill_(0.25)

    def forward(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        x, y = batch
        error = self.linear(self.dropout(x))[:, 0] - y
        return error.square().mean(), {"worst": error.detach().abs().max()}


def batch_of(*rows: int) -> tuple[Tensor, Tensor]:
    x = torch.tensor([[math.sin(row), math.cos(row), row / 5] for row in rows])
    return x, x.sum(dim=1)


def train(
    network: nn.Module,
    batches: Iterable[Sequence[object]],
    rate: Callable[[int], float] = lambda _: 0.1,
    seed: int = 0,
    first: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
    clip: float = 0.0,
) -> list[Step]:
    fabric = make_fabric("cpu", "fp32")
    optimizer = optimizer or torch.optim.SGD(network.parameters(), lr=7.0)
    return list(training_steps(fabric, network, optimizer, batches, rate, seed, first, clip=clip))


def weights(network: nn.Module) -> list[float]:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).tolist()


def test_one_step_by_hand() -> None:
    """x = (1, 2, 3), y = 1: error 0.5 - 2 + 6 + 0.25 - 1 = 3.75, gradient 7.5 * (1, 2, 3, 1)."""
    network = Line()
    (step,) = train(network, [[(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1.0]))]])
    assert (step.index, step.loss, step.learning_rate) == (0, 3.75**2, 0.1)
    assert step.metrics == {"worst": 3.75, "gradient_norm": pytest.approx(7.5 * 15**0.5)}
    assert step.took >= step.waited >= 0
    assert weights(network) == pytest.approx([0.5 - 0.75, -1 - 1.5, 2 - 2.25, 0.25 - 0.75])


@pytest.mark.parametrize(("clip", "share"), [(0.75 * 15**0.5, 0.1), (30.0, 1.0), (0.0, 1.0)])
def test_a_gradient_above_the_limit_is_scaled_down_to_it(clip: float, share: float) -> None:
    """That of the step above has the norm 7.5 * sqrt(15) = 29.05, which is told whatever the limit."""
    network = Line()
    (step,) = train(network, [[(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1.0]))]], clip=clip)
    assert step.metrics["gradient_norm"] == pytest.approx(7.5 * 15**0.5)
    moved = [start - 0.1 * 7.5 * share * x for start, x in zip((0.5, -1, 2, 0.25), (1, 2, 3, 1), strict=True)]
    assert weights(network) == pytest.approx(moved, rel=1e-5)


def test_a_group_has_its_share_of_the_rate() -> None:
    network = Line()
    below: dict[str, Any] = {"params": [network.linear.weight], "lr_scale": 0.5}
    optimizer = torch.optim.SGD([below, {"params": [network.linear.bias]}], lr=7.0)
    (step,) = train(network, [[(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1.0]))]], optimizer=optimizer)
    assert step.learning_rate == 0.1
    assert weights(network) == pytest.approx([0.5 - 0.375, -1 - 0.75, 2 - 1.125, 0.25 - 0.75])


def test_accumulated_micro_batches_equal_one_big_batch() -> None:
    parts, whole = Line(), Line()
    for optimizer in (torch.optim.SGD, torch.optim.AdamW):
        in_parts = train(
            parts, [[batch_of(0, 1), batch_of(2, 3), batch_of(4, 5)]] * 4, optimizer=optimizer(parts.parameters())
        )
        at_once = train(whole, [[batch_of(0, 1, 2, 3, 4, 5)]] * 4, optimizer=optimizer(whole.parameters()))
        assert weights(parts) == pytest.approx(weights(whole), rel=1e-5)
        assert [step.loss for step in in_parts] == pytest.approx([step.loss for step in at_once], rel=1e-5)


def test_metrics_are_means_over_the_micro_batches() -> None:
    separate = [train(Line(), [[batch_of(row)]])[0].metrics["worst"] for row in (1, 4)]
    (step,) = train(Line(), [[batch_of(1), batch_of(4)]])
    assert step.metrics["worst"] == pytest.approx(sum(separate) / 2)


def test_the_learning_rate_is_that_of_the_step() -> None:
    network, moved = Line(), []
    rates = [0.0, 0.5, 0.25]
    fabric, optimizer = make_fabric("cpu", "fp32"), torch.optim.SGD(network.parameters(), lr=7.0)
    before = weights(network)
    for step in training_steps(fabric, network, optimizer, [[batch_of(1)]] * 2, rates.__getitem__, 0, first=1):
        assert step.learning_rate == rates[step.index]
        moved.append((step.index, weights(network) != before))
    assert moved == [(1, True), (2, True)]
    assert [group["lr"] for group in optimizer.param_groups] == [0.25]
    still = Line()
    train(still, [[batch_of(1)]], rates.__getitem__)
    assert weights(still) == before


def test_a_gradient_does_not_outlive_its_step() -> None:
    once, twice = Line(), Line()
    train(once, [[batch_of(2)]], first=1)
    train(twice, [[batch_of(1)], [batch_of(2)]], lambda step: 0.1 * step)
    assert weights(once) == weights(twice)


def test_dropout_is_a_function_of_the_step_alone() -> None:
    batches = [[batch_of(*range(8))] for _ in range(6)]

    def losses(first: int, seed: int = 0, noise: int = 0) -> list[float]:
        torch.manual_seed(noise)
        return [step.loss for step in train(Line(0.5), batches[first:], lambda _: 0.0, seed, first)]

    whole = losses(0)
    assert len(set(whole)) == len(whole)
    assert losses(0, noise=5) == whole and losses(3, noise=7) == whole[3:]
    assert losses(0, seed=1) != whole


def test_interrupted_and_resumed_steps_are_those_of_one_run() -> None:
    batches = [[batch_of(row, row + 1)] for row in range(6)]
    whole = Line(0.5)
    steps = train(whole, batches)
    part = Line(0.5)
    first = train(part, batches[:2])
    second = train(copy.deepcopy(part), batches[2:], first=2)
    assert [step.loss for step in first + second] == [step.loss for step in steps]
    assert [step.index for step in first + second] == list(range(6))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(wrong: float, place: int) -> None:
    network = Line()
    micro_batches: list[Any] = [batch_of(1), batch_of(2)]
    micro_batches[place] = (torch.full((1, 3), wrong), torch.zeros(1))
    seen = []
    fabric, optimizer = make_fabric("cpu", "fp32"), torch.optim.SGD(network.parameters(), lr=1.0)
    steps = training_steps(fabric, network, optimizer, [[batch_of(0)], micro_batches], lambda _: 0.01, 0, first=4)
    with pytest.raises(
        SwclError,
        match="The loss is not finite at step 5 (learning rate 0.01).".replace("(", r"\(").replace(")", r"\)"),
    ):
        for step in steps:
            seen.append((step.index, weights(network)))
    assert [index for index, _ in seen] == [4] and weights(network) == seen[0][1]


def test_the_loop_ends_with_the_batches() -> None:
    network = Line()
    before = weights(network)
    assert train(network, []) == [] and weights(network) == before


def test_the_network_is_in_training_mode_after_the_caller_has_judged_it() -> None:
    network, fabric = Line(0.5), make_fabric("cpu", "fp32")
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    for _ in training_steps(fabric, network, optimizer, [[batch_of(1)]] * 3, lambda _: 0.1, 0):
        assert network.training
        network.eval()


def test_norms_and_biases_do_not_decay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(4, 2))
    network[0].bias.requires_grad_(False)
    groups: list[dict[str, Any]] = list(parameter_groups(network, 0.3))
    decaying, free = groups
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.3, 0.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert [names[id(p)] for p in decaying["params"]] == ["0.weight", "4.weight"]
    assert [names[id(p)] for p in free["params"]] == [
        "1.weight",
        "1.bias",
        "2.weight",
        "2.bias",
        "4.bias",
    ]


def test_bf16_computes_in_bf16_and_keeps_its_weights_in_fp32() -> None:
    class Spy(Line):
        seen: torch.dtype

        def forward(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            self.seen = self.linear(batch[0]).dtype
            return super().forward(batch)

    network = Spy()
    fabric = make_fabric("cpu", "bf16")
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    prepared = fabric.setup_module(network)
    list(training_steps(fabric, prepared, optimizer, [[batch_of(1)]], lambda _: 0.1, 0))
    assert network.seen == torch.bfloat16 and network.linear.weight.dtype == torch.float32
