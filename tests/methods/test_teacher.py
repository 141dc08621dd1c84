"""A teacher against the mean written as a loop; what is neither copied nor trained."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from swcl_cli.methods.teacher import Teacher
from swcl_cli.training.schedules import cosine_momentum

STEPS = 5


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))


def views(step: int) -> Tensor:
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(step))


def train(student: nn.Module, step: int) -> None:
    """Weights and running statistics change."""
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    student(views(step)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_weights_are_the_running_mean_and_statistics_the_teachers_own(memory_format: torch.memory_format) -> None:
    student = network()
    expected = copy.deepcopy(student)
    convolution = expected.get_submodule("0")
    mean, variance = torch.zeros(4), torch.ones(4)  # of BatchNorm, by its definition
    teacher = Teacher(student)
    student.to(memory_format=memory_format)
    teacher.to(memory_format=memory_format)
    for step in range(STEPS):
        momentum = cosine_momentum(step, STEPS, 0.9)
        shown = convolution(views(step)).transpose(0, 1).flatten(1)
        mean, variance = 0.9 * mean + 0.1 * shown.mean(1), 0.9 * variance + 0.1 * shown.var(1)
        outputs = teacher(views(step))
        assert not outputs.requires_grad
        torch.testing.assert_close(outputs, expected(views(step)))
        train(student, step)
        teacher.update(student, momentum)
        with torch.no_grad():
            for own, other in zip(expected.parameters(), student.parameters(), strict=True):
                own.copy_(momentum * own + (1 - momentum) * other)
        for (name, own), other in zip(teacher.network.named_parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(own, other, msg=name)
    state = teacher.state_dict()
    torch.testing.assert_close(state["network.1.running_mean"], mean)
    torch.testing.assert_close(state["network.1.running_var"], variance)
    assert int(state["network.1.num_batches_tracked"]) == STEPS
    assert not torch.allclose(student.get_buffer("1.running_mean"), mean, rtol=1e-3)


def test_its_ends() -> None:
    """Momentum 1 keeps all, 0 takes all."""
    student = network()
    teacher = Teacher(student)
    before = copy.deepcopy(teacher.state_dict())
    train(student, 0)
    teacher.update(student, 1.0)
    assert all(torch.equal(teacher.state_dict()[key], before[key]) for key in before)
    teacher.update(student, 0.0)
    pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))
    assert all(torch.equal(own, other) for own, other in pairs)
    assert all(own.data_ptr() != other.data_ptr() for own, other in pairs)


def test_no_gradient_reaches_it_and_the_update_is_in_place() -> None:
    student = network()
    teacher = Teacher(student)
    assert not any(weight.requires_grad for weight in teacher.parameters())
    assert all(weight.requires_grad for weight in student.parameters())
    places = [weight.data_ptr() for weight in teacher.parameters()]
    train(student, 0)
    teacher.update(student, 0.5)
    assert places == [weight.data_ptr() for weight in teacher.parameters()]


def test_weights_are_lightlys() -> None:
    update_momentum = pytest.importorskip("lightly.models.utils").update_momentum
    student = network()
    teacher, theirs = Teacher(student), copy.deepcopy(student).requires_grad_(False)
    for step in range(STEPS):
        train(student, step)
        teacher.update(student, 0.9)
        update_momentum(student, theirs, 0.9)
    for own, other in zip(teacher.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other)
