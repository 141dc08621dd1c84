"""DINO's loss and centre as loops over views, its schedules, its frozen layer, and its words on a collapse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from swcl_cli.data.colour import MEAN, STD
from swcl_cli.methods import dino
from swcl_cli.methods.dino import SelfDistillation
from swcl_cli.methods.embedding import Embedding
from swcl_cli.models.self_distillation_heads import Bottleneck, Prototypes
from swcl_cli.settings import PretrainSettings
from swcl_cli.steps import pretrain
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.methods import killed, tiny_encoder

LAST_LAYER = "student.1.weight"


def options(root: Path, **values: Any) -> PretrainSettings:
    small = {"workspace": root, "method": "dino", "architecture": "resnet18", "batch_images": 4, "data": "odir"}
    return PretrainSettings(**{**small, **values})


def parts(released: bool = False) -> tuple[Embedding, Prototypes]:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(48, 24))
    return Embedding(encoder, Bottleneck(24, 16, 8, released), MEAN, STD, chunk=0), Prototypes(8, 6)


def objective(centre: list[float] | None = None) -> SelfDistillation:
    """The teacher is moved away from its start, so that it matters which of the two is asked. centre: as released."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = SelfDistillation(*parts(bool(centre)), torch.tensor(centre) if centre else None)
        module.teacher.update(nn.Sequential(*parts(bool(centre))), 0.5)
    return module


def batch_of(photographs: int, seed: int = 0) -> dict[str, Tensor]:
    drawn = torch.randint(0, 256, (photographs, 2, 4, 4, 3), generator=torch.Generator().manual_seed(seed))
    return {"views": drawn.to(torch.uint8), "label": torch.arange(photographs)}


def shares(outputs: list[float], temperature: float) -> list[float]:
    powers = [math.exp(output / temperature) for output in outputs]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("first", [None, [0.1, 0.9, 0.4, 0.0, 0.7, 0.2]], ids=["ours", "released"])
@pytest.mark.parametrize("photographs", [1, 2, 5])
def test_loss_entropy_and_centre_by_loops(photographs: int, first: list[float] | None) -> None:
    """Over three steps: the centre moves by a tenth each, after it was used."""
    module, centre = objective(first), first or [0.0] * 6
    for step, module.temperature in enumerate((0.04, 0.05, 0.07)):
        batch = batch_of(photographs, seed=step)
        total = entropy = 0.0
        seen = [0.0] * 6
        for views in batch["views"]:
            for other, wanted in ((0, 1), (1, 0)):
                teacher = module.teacher(views[wanted, None])[0].tolist()
                student = module.student(views[other, None])[0].tolist()
                p = shares([t - c for t, c in zip(teacher, centre, strict=True)], module.temperature)
                total -= sum(a * math.log(b) for a, b in zip(p, shares(student, 0.1), strict=True))
                entropy -= sum(a * math.log(a) for a in p if a)
                seen = [s + t / (2 * photographs) for s, t in zip(seen, teacher, strict=True)]
        loss, metrics = module(batch)
        centre = [0.9 * c + 0.1 * s for c, s in zip(centre, seen, strict=True)]
        assert loss.item() == pytest.approx(total / (2 * photographs), rel=1e-4)
        assert metrics["teacher_entropy"].item() == pytest.approx(entropy / (2 * photographs) / math.log(6), rel=1e-4)
        assert module.centre.tolist() == pytest.approx(centre, abs=1e-6)
    loss.backward()
    for name, weight in module.named_parameters():
        assert (weight.grad is None) == name.startswith("teacher."), name
        assert weight.grad is None or weight.grad.isfinite().all(), name


def test_centre_and_teacher_are_in_the_state() -> None:
    state = objective().state_dict()
    assert state["centre"].shape == (6,) and "teacher.network.1.weight" in state
    assert not any("parametrizations" in key for key in state)


def test_views_that_are_all_alike() -> None:
    """One class for all, as long as the centre lags behind; then all classes alike. The gradient stays finite."""
    module, batch = objective(), batch_of(3)
    batch["views"][:] = 128
    for _ in range(200):
        loss, metrics = module(batch)
    loss.backward()
    assert metrics["teacher_entropy"].item() == pytest.approx(1, abs=1e-4)
    assert metrics["embedding_spread"].item() == pytest.approx(0, abs=1e-3)
    assert all(weight.grad.isfinite().all() for weight in module.parameters() if weight.grad is not None)


def test_prepare(tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 4)
    method: Any = dino.prepare(options(tmp_path), Workspace(tmp_path))
    student, teacher = method.objective.student, method.objective.teacher.network
    assert method.encoder is teacher[0].encoder and method.encoder is not student[0].encoder
    assert student[1].weight.shape == (4096, 256)
    assert all(torch.equal(value, teacher.state_dict()[key]) for key, value in student.state_dict().items())
    assert (method.image_size, method.views_a_step, method.steps_per_epoch) == (32, 8, 2)
    other = dino.prepare(options(tmp_path, seed=1), Workspace(tmp_path)).objective.state_dict()
    for key in ("student.0.encoder.conv1.weight", "student.0.projector.0.weight", LAST_LAYER):
        assert not torch.equal(method.objective.state_dict()[key], other[key])


def test_as_released_the_student_is_kept_and_the_first_centre_is_drawn(tmp_path: Path) -> None:
    """Two layers with ReLU before the last one; a centre in [0, 1), by the seed (FACTS D1)."""
    prepared.labelled_eyes(tmp_path, "odir", 4)
    methods: list[Any] = [
        dino.prepare(options(tmp_path, variant="released", seed=seed), Workspace(tmp_path)) for seed in (0, 0, 1)
    ]
    first, student = methods[0], methods[0].objective.student
    assert first.encoder is student[0].encoder
    assert [type(layer) for layer in student[0].projector] == [nn.Linear, nn.ReLU, nn.Linear]
    centre, same, unlike = (method.objective.centre for method in methods)
    assert centre.shape == (4096,) and centre.min() >= 0 and centre.max() < 1 and abs(centre.mean() - 0.5) < 0.02
    assert torch.equal(centre, same) and not torch.equal(centre, unlike)
    for step in (0, 1, 2):
        first.before_step(step)
        assert first.objective.frozen is False
    plain: Any = dino.prepare(options(tmp_path), Workspace(tmp_path)).objective
    assert not plain.centre.any()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    prepared.labelled_eyes(tmp_path, "odir", 4)
    with tiny_encoder.in_place_of_timms("batch"):
        yield tmp_path


def test_schedules(small: Path) -> None:
    """Two steps an epoch: the temperature rises for 60 steps, whatever the run's length."""
    for run in ({"epochs": 3}, {"epochs": 200}, {"views": 16}):
        method: Any = dino.prepare(options(small, **run), Workspace(small))
        for step, temperature, frozen in (
            (0, 0.04, True),
            (1, 0.0405, True),
            (2, 0.041, False),
            (20, 0.05, False),
            (60, 0.07, False),
            (99, 0.07, False),
        ):
            method.before_step(step)
            assert method.objective.temperature == pytest.approx(temperature)
            assert method.objective.frozen is frozen
    teacher, student = method.objective.teacher.network[1].weight, method.objective.student[1].weight
    before = teacher.clone()
    with torch.no_grad():
        student.add_(1)
    method.after_step(1)  # of 2: a cosine of 90 degrees
    torch.testing.assert_close(teacher, 0.998 * before + 0.002 * student.detach(), rtol=0, atol=1e-6)


def test_the_last_layer_is_frozen_in_the_first_epoch_also_where_it_was_resumed(
    small: Path,
) -> None:
    """Six steps in three epochs, killed in each of the first two."""
    run = {"epochs": 3, "warmup_epochs": 1, "workers": 0, "accelerator": "cpu", "probe_every": 0, "save_seconds": 0}
    whole = pretrain.run(options(small, name="whole", **run))
    start = dino.prepare(options(small, **run), Workspace(small)).objective.state_dict()
    for dies_at, saved in ((2, 1), (4, 3)):
        with killed.once_logged(dies_at):
            pretrain.run(options(small, name="broken", **run))
        state = load_file(Workspace(small).pretraining("broken").resume)
        assert torch.equal(state[f"module.{LAST_LAYER}"], start[LAST_LAYER]) == (saved < 2)
        assert not torch.equal(state["module.student.0.projector.0.weight"], start["student.0.projector.0.weight"])
        counts = {int(tensor) for key, tensor in state.items() if key.endswith(".step")}
        assert counts == ({saved} if saved < 2 else {saved, saved - 2})  # the frozen one's moments start with it
        assert state["module.centre"].any()
    broken = pretrain.run(options(small, name="broken", **run))
    assert broken.read_bytes() == whole.read_bytes()


def test_as_released_the_last_layer_trains_from_the_start_and_the_student_is_written(small: Path) -> None:
    run = {"epochs": 3, "warmup_epochs": 1, "workers": 0, "accelerator": "cpu", "probe_every": 0, "save_seconds": 0}
    start = dino.prepare(options(small, variant="released"), Workspace(small)).objective.state_dict()
    with killed.once_logged(6):
        pretrain.run(options(small, variant="released", **run))
    state = load_file(Workspace(small).pretraining("dino").resume)
    assert {int(tensor) for key, tensor in state.items() if key.endswith(".step")} == {5}  # of all weights, as long
    assert not torch.equal(state[f"module.{LAST_LAYER}"], start[LAST_LAYER])
    kept = load_file(pretrain.run(options(small, variant="released", **run)))
    weights = [name for name, tensor in kept.items() if tensor.ndim > 1]  # no running statistics
    moved, apart = (
        sum(float((kept[name] - state[f"module.{network}.0.encoder.{name}"]).square().sum()) for name in weights)
        for network in ("student", "teacher.network")
    )
    assert 0 < moved < apart / 4  # a step away from the student, many from the teacher


@pytest.mark.parametrize(
    ("entropy", "words"),
    [(0.001, "has put all photographs into one class"), (0.9995, "finds all classes alike"), (0.9, None), (0.2, None)],
)
def test_collapse_is_told_at_the_end_of_an_epoch(
    small: Path, capsys: pytest.CaptureFixture[str], entropy: float, words: str | None
) -> None:
    method = dino.prepare(options(small), Workspace(small))
    method.objective.teacher_entropy = torch.tensor(entropy)
    method.after_step(2)
    assert not capsys.readouterr().err
    method.after_step(3)
    told = capsys.readouterr().err
    assert (f"Epoch 2: the teacher {words} (entropy {entropy:.4f} of 1)" in told) if words else not told
