from __future__ import annotations

import pytest

from swcl_cli.errors import UsageError
from swcl_cli.reporting.findings.recipes import differing, preset_recipe, recipe, text


def _finetune(**settings: object) -> dict[str, object]:
    return recipe({"step": "finetune", "settings": {"task": "drive", **settings}})


def test_seeds_and_rates_that_a_grid_chose_define_nothing() -> None:
    assert _finetune(seed=1, seeds=5, fold=2, grid_seed=0) == _finetune()
    assert _finetune(grid=True, learning_rate=0.03) == _finetune(grid=True, learning_rate=0.1)
    assert differing([_finetune(learning_rate=0.03), _finetune(learning_rate=0.1)]) == ["learning_rate"]
    assert differing([_finetune(grid=True), _finetune(learning_rate=0.03)]) == ["grid"]


def test_what_an_older_version_did_not_store_is_at_its_default() -> None:
    assert differing([_finetune(), _finetune(fraction=1.0, freeze=False, crop=384, epochs=300)]) == []
    assert differing([_finetune(), _finetune(fraction=0.1, crop=224)]) == ["crop", "fraction"]
    assert "heads" not in _finetune() and "heads" in recipe({"step": "finetune", "settings": {"task": "folder"}})
    assert recipe({"step": "pretrain", "settings": {"method": "swcl"}})["batch_patches"] == 496


def test_presets_are_compared_as_they_are_stored() -> None:
    assert preset_recipe("paper", "finetune", "messidor")["folds"] == 5
    assert preset_recipe("paper", "finetune", "messidor")["learning_rate"] is None
    assert preset_recipe("paper", "pretrain", "swcl")["architecture"] == "resnetv2_50x1_bit"
    assert preset_recipe("ablation", "pretrain", "swcl", threshold=0.3)["threshold"] == 0.3
    with pytest.raises(UsageError):
        preset_recipe("paper", "finetune", "mine")
    with pytest.raises(UsageError):
        preset_recipe("paper", "fly", "")


def test_values_read_as_on_the_command_line() -> None:
    assert list(map(text, (None, True, 0.5, "val", ["a", "b"], []))) == [
        "nothing",
        "true",
        "0.5",
        "val",
        "a,b",
        "nothing",
    ]
