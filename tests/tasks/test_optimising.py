"""Rates and decays of a fine-tuning's parameters, beside timm's own groups and the table of BEiT and MAE."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import nn

from swcl_cli.models.heads import JointHeads
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks.classifier import JointClassifier
from swcl_cli.tasks.fitting import freeze_encoder
from swcl_cli.tasks.optimising import layered_groups, make_optimizer, rate_of_step
from swcl_cli.training.grid import Rates

HEADS = {"dr_grade": 5}
VIT: dict[str, Any] = {"model_name": "vit_tiny_patch16_224", "depth": 4, "embed_dim": 24, "num_heads": 2}


def classifier(encoder: nn.Module, channels: int) -> JointClassifier:
    return JointClassifier(encoder, JointHeads(channels, HEADS))


def vit() -> nn.Module:
    return timm.create_model(**VIT, num_classes=0)


def by_name(module: nn.Module, groups: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """(share of the rate, weight decay) of each parameter that trains."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    listed = [
        (names[id(parameter)], (group.get("lr_scale", 1.0), group["weight_decay"]))
        for group in groups
        for parameter in group["params"]
    ]
    assert len(dict(listed)) == len(listed), "a parameter stands in two groups"
    return dict(listed)


@pytest.mark.parametrize(
    ("made", "channels", "head"), [({"model_name": "resnet18"}, 512, "fc"), (VIT, 24, "head")], ids=["resnet", "vit"]
)
def test_layers_are_those_of_timms_network_with_classifier(made: dict[str, Any], channels: int, head: str) -> None:
    module = classifier(timm.create_model(**made, num_classes=0), channels)
    found = by_name(module, layered_groups(module, module.encoder, 0.05, 0.65))
    whole = timm.create_model(**made, num_classes=5)
    undecayed: set[str] = getattr(whole, "no_weight_decay", set)()
    theirs = by_name(whole, param_groups_layer_decay(whole, 0.05, undecayed, layer_decay=0.65))
    renamed = {name.replace(f"{head}.", "heads.heads.dr_grade."): value for name, value in theirs.items()}
    assert found.keys() == {name if name.startswith("heads.") else f"encoder.{name}" for name in renamed}
    for name, (scale, decay) in found.items():
        assert [scale, decay] == pytest.approx(renamed[name.removeprefix("encoder.")]), name


def test_a_transformers_rates_are_those_of_mae() -> None:
    """0.65 to the power of the layers above: four blocks, then the head; what stands before them is a layer too."""
    module = classifier(vit(), 24)
    found = by_name(module, layered_groups(module, module.encoder, 0.05, 0.65))
    assert {name: found[name] for name in (
        "heads.heads.dr_grade.weight", "heads.heads.dr_grade.bias", "encoder.blocks.3.mlp.fc1.weight",
        "encoder.blocks.0.attn.qkv.weight", "encoder.blocks.0.attn.qkv.bias", "encoder.patch_embed.proj.weight",
        "encoder.pos_embed", "encoder.cls_token",
    )} == {
        "heads.heads.dr_grade.weight": (1.0, 0.05), "heads.heads.dr_grade.bias": (1.0, 0.0),
        "encoder.blocks.3.mlp.fc1.weight": (pytest.approx(0.65), 0.05),
        "encoder.blocks.0.attn.qkv.weight": (pytest.approx(0.65**4), 0.05),
        "encoder.blocks.0.attn.qkv.bias": (pytest.approx(0.65**4), 0.0),
        "encoder.patch_embed.proj.weight": (pytest.approx(0.65**5), 0.05),
        "encoder.pos_embed": (pytest.approx(0.65**5), 0.0), "encoder.cls_token": (pytest.approx(0.65**5), 0.0),
    }  # fmt: skip
    assert found.keys() == dict(module.named_parameters()).keys()


def test_a_frozen_encoder_has_no_group() -> None:
    module = classifier(vit(), 24)
    freeze_encoder(module.encoder, module)
    found = by_name(module, layered_groups(module, module.encoder, 0.05, 0.65))
    assert found == {"heads.heads.dr_grade.weight": (1.0, 0.05), "heads.heads.dr_grade.bias": (1.0, 0.0)}


def test_the_optimizer_is_the_one_that_was_asked_for() -> None:
    module, rates = classifier(vit(), 24), Rates(0.01, 0.05)
    plain = FinetuneSettings(task="idrid")
    by_default = make_optimizer(module, module.encoder, plain, rates)
    assert type(by_default) is torch.optim.SGD and len(by_default.param_groups) == 2
    assert all(group["momentum"] == 0.9 and group["nesterov"] for group in by_default.param_groups)
    layered = plain.model_copy(update={"optimizer": "adamw", "layer_decay": 0.5})
    chosen = make_optimizer(module, module.encoder, layered, rates)
    assert type(chosen) is torch.optim.AdamW and {
        group["lr_scale"] for group in chosen.param_groups if "lr_scale" in group
    }


@pytest.mark.parametrize(
    ("schedule", "warmup", "rates"),
    [
        ("constant", 0, [2.0] * 8),
        ("constant", 1, [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]),
        ("cosine", 1, [1.0, 2.0, 2.0, 1.8660254, 1.5, 1.0, 0.5, 0.1339746]),  # 1 + cos 0, 30, 60, ... degrees
        ("cosine", 0, [2.0, 1.9238795, 1.7071068, 1.3826834, 1.0, 0.6173166, 0.2928932, 0.0761205]),  # 0, 22.5, 45, ...
    ],
)
def test_rates_of_four_epochs_of_two_steps(schedule: Any, warmup: int, rates: list[float]) -> None:
    settings = FinetuneSettings(task="idrid", epochs=4, schedule=schedule, warmup_epochs=warmup, learning_rate=7)
    course = rate_of_step(settings, 2.0, 2)
    assert [course(step) for step in range(8)] == pytest.approx(rates, abs=1e-6)
