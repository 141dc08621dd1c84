"""The settings models against the registries that they name, and against what options and artefacts need of them."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from swcl_cli import settings
from swcl_cli.catalogue.encoders import DEFAULT, ENCODERS, TAGS, WIDE_MAPS
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.datasets import DATASETS
from swcl_cli.settings import STEPS, PrepSettings, PretrainSettings, StepSettings, TrainLabelerSettings
from swcl_cli.settings.options import PANELS
from swcl_cli.swap.weak_labels import COLUMN_OF
from swcl_cli.tasks import KINDS
from swcl_cli.training.processes import PRECISIONS

FIELDS = [(model, name) for model in STEPS.values() for name in model.model_fields]
NEEDED: dict[str, dict[str, Any]] = {
    "prep": {"dataset": "phantom"},
    "finetune": {"task": "idrid"},
    "predict": {"model": "m.safetensors", "images": ["a.jpg"], "out": "out"},
    "export": {"model": "m.safetensors", "out": "out"},
}


def of_step(step: str, **values: Any) -> StepSettings:
    return STEPS[step](**{**NEEDED.get(step, {}), **values})


def test_the_catalogue_names_what_exists() -> None:
    assert set(WIDE_MAPS) <= set(ENCODERS) and DEFAULT in ENCODERS
    assert {name for tags in TAGS.values() for name in tags} <= set(ENCODERS)
    assert set(get_args(settings.Precision)) == set(PRECISIONS)
    assert set(get_args(settings.WeakLabel)) == set(COLUMN_OF)
    assert {task.kind for task in TASKS.values()} <= set(KINDS)
    assert {task.dataset for task in TASKS.values()} <= set(DATASETS)
    for method in METHODS.values():
        module, _, function = method.prepare.partition(":")
        assert callable(getattr(import_module(f"swcl_cli.methods.{module}"), function)), method.name


def test_each_choice_has_a_row_of_known_settings() -> None:
    for step, rows in settings.ROWS.items():
        assert settings.ROW_KEY[step] in STEPS[step].model_fields
        for name, row in rows.items():
            assert row.keys() <= STEPS[step].model_fields.keys(), f"{step}.{name}"
            of_step(step, **{settings.ROW_KEY[step]: name, **row})


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_each_field_can_be_shown(model: type[StepSettings], name: str) -> None:
    field = model.model_fields[name]
    assert isinstance(field.json_schema_extra, dict)
    assert field.json_schema_extra["panel"] in PANELS
    assert field.description and field.description.endswith(".")


@pytest.mark.parametrize("step", STEPS)
def test_runtime_fields_define_nothing(step: str) -> None:
    chosen = of_step(step)
    defining, runtime, foreign = chosen.defining(), chosen.runtime_fields(), chosen.foreign().keys()
    assert {"workspace"} <= runtime and not (runtime | foreign) & defining.keys()
    assert runtime | foreign | defining.keys() == STEPS[step].model_fields.keys() | STEPS[step].rules.keys()


@pytest.mark.parametrize("step", settings.OPTIONS)
def test_what_one_choice_does_not_have_another_one_has(step: str) -> None:
    key, options = settings.ROW_KEY[step], settings.OPTIONS[step]
    assert options.keys() <= settings.ROWS[step].keys()
    assert {name for names in options.values() for name in names} <= STEPS[step].model_fields.keys()
    for choice, row in settings.ROWS[step].items():
        chosen = of_step(step, **{key: choice, **row})
        own = set(options.get(choice, ()))
        assert not own & chosen.foreign().keys()
        for name, owners in chosen.foreign().items():
            assert owners == [owner for owner, names in options.items() if name in names] and choice not in owners
            default = STEPS[step].model_fields[name].default
            with pytest.raises(ValidationError, match=f"{name} belongs to {', '.join(owners)}, not to {choice}"):
                of_step(step, **{key: choice, name: default})


def test_where_and_how_fast_is_runtime() -> None:
    """What the same result may be computed with; all else must refuse to resume."""
    here = {"workspace", "workers", "accelerator", "save_seconds", "fresh", "tensorboard", "processes"}
    here |= {"name", "probe_every", "probe_data"}
    by_fingerprint = {"init", "swap"}
    assert PretrainSettings.runtime_fields() == here | by_fingerprint
    same = {"workers": 7, "accelerator": "cpu", "save_seconds": 3, "fresh": True, "name": "x", "workspace": "/there"}
    same |= {"tensorboard": True}
    assert of_step("pretrain", **same).defining() == of_step("pretrain").defining()
    assert of_step("pretrain", seed=1).defining() != of_step("pretrain").defining()


def test_defining_settings_are_json_values() -> None:
    defining = of_step("prep", source="/absolute", lesion_masks="/absolute", patients=9).defining()
    assert json.loads(json.dumps(defining)) == defining
    assert defining.items() >= {"dataset": "phantom", "size": 448, "patients": 9, "drawn_size": 512, "seed": 0}.items()
    assert not {"source", "lesion_masks"} & defining.keys()
    assert not {"patients", "drawn_size"} & of_step("prep", dataset="drive").defining().keys()


def test_lists_are_comma_separated_text() -> None:
    chosen = PretrainSettings.model_validate({"labels": "position, patient"})
    assert chosen.labels == ["position", "patient"]
    chosen_labeler = TrainLabelerSettings.model_validate({"milestones": "3,5", "unlabelled": ""})
    assert (chosen_labeler.milestones, chosen_labeler.unlabelled) == ([3, 5], [])
    for wrong in ({"labels": ""}, {"labels": "position,severity"}):
        with pytest.raises(ValidationError):
            PretrainSettings.model_validate(wrong)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0])
def test_a_learning_rate_is_a_positive_number(value: float) -> None:
    with pytest.raises(ValidationError):
        PretrainSettings(learning_rate=value)


@pytest.mark.parametrize("step", [step for step, model in STEPS.items() if "seed" in model.model_fields])
def test_a_seed_fits_a_key(step: str) -> None:
    for wrong in (-1, 2**64):
        with pytest.raises(ValidationError):
            of_step(step, seed=wrong)


def test_settings_can_not_change() -> None:
    with pytest.raises(ValidationError):
        PretrainSettings().seed = 1
    with pytest.raises(ValidationError):
        PretrainSettings(epoch=3)  # type: ignore[call-arg]


def test_patients_belong_to_phantom_eyes() -> None:
    with pytest.raises(ValidationError, match=r"patients .* not to odir"):
        PrepSettings(dataset="odir", patients=9)
