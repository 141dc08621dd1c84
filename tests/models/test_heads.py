"""Projector and joint heads."""

from typing import Any

import torch

from swcl_cli.models.heads import JointHeads, Projector


def test_projector_is_linear_relu_linear() -> None:
    projector = Projector(6)
    features = torch.randn(5, 6)
    first: Any = projector[0]
    last: Any = projector[2]
    expected = (features @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(projector(features), expected)
    assert projector(features).shape == (5, 128)
    assert Projector(6, 10)(features).shape == (5, 10)


def test_joint_heads_give_logits_by_name() -> None:
    heads = JointHeads(6, {"dr_grade": 5, "dme_grade": 3})
    logits = heads(torch.randn(4, 6))
    assert {name: tuple(values.shape) for name, values in logits.items()} == {"dr_grade": (4, 5), "dme_grade": (4, 3)}
    sum(values.sum() for values in logits.values()).backward()
    assert all(parameter.grad is not None for parameter in heads.parameters())


def test_labels_may_have_any_name() -> None:
    """torch takes no dots in names, and keeps those of its own to itself."""
    names = ["type", "%type", "v1.2", "v1%2E2", "left eye", "\u00e4", "eval", "label"]
    heads = JointHeads(6, dict.fromkeys(names, 2))
    features = torch.randn(3, 6)
    logits = heads(features)
    assert list(logits) == names
    for name in names:
        torch.testing.assert_close(logits[name], heads.of(name)(features))
    again = JointHeads(6, dict.fromkeys(names, 2))
    again.load_state_dict(heads.state_dict())
    assert all(torch.equal(again(features)[name], logits[name]) for name in names)
