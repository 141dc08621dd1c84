"""What the labeler begins with: random weights, or an encoder's of any source, under its colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from swcl_cli.data import colour
from swcl_cli.errors import UsageError
from swcl_cli.models.encoders import create_labeler, encoder_state
from swcl_cli.models.initialisation.starting_labelers import StartingLabeler, starting_labeler
from swcl_cli.steps import train_labeler
from swcl_cli.steps.train_labeler import S4L
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_safetensors
from tests import prepared
from tests.labeler_runs import options


def start(source: str, architecture: str, root: Path = Path("."), **given: Any) -> StartingLabeler:
    usual: dict[str, Any] = {"colours": "rgb", "seed": 3, "last_norm": "zero", "sizes": (64,), "workspace": root}
    return starting_labeler(source, architecture, **{**usual, **given})


@pytest.mark.parametrize("architecture", ["resnet18", "vit_tiny_patch16_224"])
def test_random_weights_are_those_of_the_seed(architecture: str) -> None:
    begun, expected = start("random", architecture), create_labeler(architecture, 3).state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in begun.network.state_dict().items())
    assert (begun.inputs, begun.summary, (begun.mean, begun.std)) == ({}, "", colour.constants("rgb"))


@pytest.mark.parametrize(("architecture", "prefix"), [("resnet18", ""), ("convnext_atto", "encoder.")])
def test_an_encoders_weights_with_a_random_classifier(architecture: str, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    weights = prepared.encoder(path, architecture)
    work = read_provenance(path)
    work["encoder"] |= {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    write_safetensors(path, weights, work)
    begun = start("mine.safetensors", architecture, tmp_path)
    state, random = encoder_state(begun.network), create_labeler(architecture, 3).state_dict()
    assert state.keys() == {f"{prefix}{key}" for key in weights} | {"fc.weight", "fc.bias"}
    assert all(torch.equal(state[f"{prefix}{key}"], tensor) for key, tensor in weights.items())
    assert torch.equal(state["fc.weight"], random["fc.weight"])
    assert (begun.mean, begun.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert begun.inputs == {"init": fingerprint(path)} and f"from {path}" in begun.summary


def test_sizes_that_it_can_not_take() -> None:
    with pytest.raises(UsageError, match="can't take views of 100 px .*: take 96 or 112 px"):
        start("random", "vit_tiny_patch16_224", sizes=(64, 100))


def test_train_labeler_tells_its_weights_and_takes_their_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[S4L] = []

    class Seen(S4L):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            trained.append(self)

    monkeypatch.setattr(train_labeler, "S4L", Seen)
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.encoder(tmp_path / "mine.safetensors")
    path = tmp_path / "mine.safetensors"
    work = read_provenance(path)
    work["encoder"]["mean"] = [0.1, 0.2, 0.3]
    write_safetensors(path, prepared.encoder(path), work)
    train_labeler.run(options(tmp_path, init="mine.safetensors", unlabelled=[], epochs=1, milestones=[]))
    made = read_provenance(Workspace(tmp_path).labeler)
    assert made["labeler"]["mean"] == [0.1, 0.2, 0.3] and made["inputs"]["init"] == fingerprint(path)
    assert "init" not in made["settings"]
    expected = torch.tensor([0.1, 0.2, 0.3]) / torch.tensor(work["encoder"]["std"])
    torch.testing.assert_close(trained[0].shift.flatten(), expected)
