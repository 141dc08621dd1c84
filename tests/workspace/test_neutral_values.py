"""Settings that came later: what an older artefact lacks counts as the value that changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import TypeAdapter

from swcl_cli import settings
from swcl_cli.errors import SwclError
from swcl_cli.reporting.findings.recipes import recipe
from swcl_cli.settings import STEPS, StepSettings, neutral_values
from swcl_cli.settings.step import Rule, setting
from swcl_cli.training.run import is_begun
from swcl_cli.workspace import RESUME, as_before, differences, is_done, outgrown, provenance, write_safetensors

FIRST = {  # the settings that artefacts of version 0.1.0 tell, and `fold`, `grid_seed` and `seeds` of fine-tunings
    "prep": "chase_split crop_to_field dataset drawn drawn_size keywords name_pattern patients seed size",
    "train-labeler": "accumulate architecture batch_labelled batch_unlabelled colours crop epochs keep labelled "
    "learning_rate margin milestones mining precision seed triplet_weight unlabelled views weight_decay",
    "make-swap": "background batch labelled precision threshold unlabelled",
    "pretrain": "architecture batch_images batch_patches chunk colours data epochs flip labels learning_rate method "
    "precision projection seed smallest_crop temperature threshold views warmup_epochs weight_decay",
    "finetune": "architecture batch colours crop data decoder epochs eval fold fold_order folds fraction freeze grid "
    "grid_seed heads learning_rate output_stride precision seed seeds task validate_every weight_decay",
    "audit": "",
    "report": "no_images",
    "predict": "",
    "export": "",
    "study": "",
}
DECLARED = [pytest.param(step, name, id=f"{step} {name}") for step in STEPS for name in sorted(neutral_values(step))]


class Made(StepSettings):
    """A step to which two settings were added: one of them does something by default."""

    step: ClassVar[str] = "made"

    size: int = setting(1, "A setting of the first version.", panel="Data")
    rotation: int = setting(10, "One that was added, and is on by default.", panel="Data", neutral=0)
    weights: str | None = setting(
        None, "Another one, of which nothing is the neutral value.", panel="Data", neutral=None
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> type[Made]:
    monkeypatch.setitem(settings.STEPS, "made", Made)
    return Made


def _work(**values: Any) -> dict[str, Any]:
    return provenance("made", values, {})


@pytest.mark.parametrize("step", STEPS)
def test_a_setting_that_came_later_declares_its_neutral_value(step: str) -> None:
    """Whoever adds one that defines a result says what its absence meant: setting(..., neutral=VALUE)."""
    model = STEPS[step]
    added = set(model.model_fields) - model.runtime_fields() - set(FIRST[step].split())
    assert added <= neutral_values(step).keys(), "say what was done before there was this setting: neutral=VALUE"


@pytest.mark.parametrize("step", STEPS)
def test_what_the_first_version_told_is_still_known(step: str) -> None:
    """A setting that goes would make finished work look as made by a newer version."""
    assert set(FIRST[step].split()) <= STEPS[step].stored()


@pytest.mark.parametrize(("step", "name"), DECLARED)
def test_neutral_values_are_values_of_the_setting_as_json_has_them(step: str, name: str) -> None:
    if name in STEPS[step].rules:
        return
    value, field = neutral_values(step)[name], STEPS[step].model_fields[name]
    assert json.loads(json.dumps(value)) == value and name not in STEPS[step].runtime_fields()
    adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    assert adapter.dump_python(adapter.validate_python(value), mode="json") == value


@pytest.mark.parametrize(("step", "name"), DECLARED)
def test_without_it_an_artefact_is_as_with_its_neutral_value(step: str, name: str) -> None:
    value = neutral_values(step)[name]
    without, neutral, other = ({"step": step, "settings": more} for more in ({}, {name: value}, {name: "other"}))
    assert differences(without, neutral) == differences(neutral, without) == []
    assert differences(without, other) == [f"{name}: {value} -> other"]
    assert differences(other, without) == [f"{name}: other -> {value}"]


def test_what_is_not_declared_is_a_difference() -> None:
    assert differences(provenance("pretrain", {}, {}), provenance("pretrain", {"epochs": 40}, {})) == [
        "epochs: None -> 40"
    ]


@pytest.mark.usefixtures("made")
class TestAddedSettings:
    def test_neutral_values(self) -> None:
        assert neutral_values("made") == {"rotation": 0, "weights": None} and neutral_values("unheard of") == {}

    @pytest.mark.parametrize("name", ["rotation", "weights"])
    def test_they_are_held_as_those_of_real_steps_are(self, name: str) -> None:
        test_neutral_values_are_values_of_the_setting_as_json_has_them("made", name)
        test_without_it_an_artefact_is_as_with_its_neutral_value("made", name)

    @pytest.mark.parametrize("values", [{"rotation": 0}, {"weights": None}, {"rotation": 0, "weights": None}, {}])
    def test_an_older_artefact_is_done(self, tmp_path: Path, values: dict[str, Any]) -> None:
        """By all who ask: the finished artefact, the resume state, the report's recipe."""
        old, new = _work(size=1), _work(size=1, **values)
        for path in (tmp_path / "old.safetensors", tmp_path / RESUME):
            write_safetensors(path, {"weight": torch.zeros(1)}, old)
        assert is_done(tmp_path / "old.safetensors", new, fresh=False) and is_begun(tmp_path, new)
        assert differences(new, old) == [] and recipe(old) == recipe(_work(size=1, rotation=0))

    def test_another_value_is_told(self, tmp_path: Path) -> None:
        path, new = tmp_path / "old.safetensors", _work(size=1, rotation=10, weights="bit-m")
        write_safetensors(path, {"weight": torch.zeros(1)}, _work(size=1))
        with pytest.raises(SwclError, match=r"made differently \(rotation: 0 -> 10; weights: None -> bit-m\)"):
            is_done(path, new, fresh=False)
        write_safetensors(tmp_path / RESUME, {"weight": torch.zeros(1)}, _work(size=1))
        assert not is_begun(tmp_path, new) and recipe(_work(size=1)) != recipe(new)

    def test_what_a_newer_version_made_is_told(self, tmp_path: Path) -> None:
        """Its setting may do anything: no value of it is known to be neutral."""
        for value in (0, None, "x"):
            assert differences(_work(size=1, tilt=value), _work(size=2)) == [
                "size: 1 -> 2", f"tilt: {value}, made by a newer version of swcl",
            ]  # fmt: skip
        path = tmp_path / "new.safetensors"
        write_safetensors(path, {"weight": torch.zeros(1)}, _work(size=1, tilt=3))
        with pytest.raises(SwclError, match=r"made differently \(tilt: 3, made by a newer version of swcl\)"):
            is_done(path, _work(size=1), fresh=False)
        assert recipe(_work(size=1, tilt=3))["tilt"] == 3


class TestRules:
    """What no setting chooses, and an artefact tells all the same: an older one counts as made by the older rule."""

    @pytest.fixture(autouse=True)
    def ruled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Made, "rules", {"order": Rule(now="sorted", untold="as found")})
        monkeypatch.setitem(settings.STEPS, "made", Made)

    def test_artefacts_tell_them_as_settings(self) -> None:
        assert Made(size=1).defining() == {"size": 1, "rotation": 10, "weights": None, "order": "sorted"}
        assert neutral_values("made") == {"rotation": 0, "weights": None, "order": "as found"}
        assert "order" in Made.stored() and "order" not in Made.model_fields

    def test_an_older_artefact_is_another(self, tmp_path: Path) -> None:
        """To all who ask: the finished artefact, the resume state, the report's recipe."""
        old, new = _work(size=1), _work(size=1, order="sorted")
        for path in (tmp_path / "old.safetensors", tmp_path / RESUME):
            write_safetensors(path, {"weight": torch.zeros(1)}, old)
        with pytest.raises(SwclError, match=r"made differently \(order: as found -> sorted\). .*--fresh"):
            is_done(tmp_path / "old.safetensors", new, fresh=False)
        assert not is_begun(tmp_path, new) and as_before(old, new) == ""  # no option takes it as it is
        assert (recipe(old)["order"], recipe(new)["order"]) == ("as found", "sorted")

    def test_what_is_made_otherwise_now(self) -> None:
        assert outgrown(_work(size=1)) == ["order: as found -> sorted"]
        assert outgrown(_work(size=1, order="sorted")) == outgrown({"step": "unheard of"}) == outgrown({}) == []

    @pytest.mark.parametrize("step", STEPS)
    def test_those_of_the_steps_were_changed(self, step: str) -> None:
        rules = STEPS[step].rules
        assert all(rule.now != rule.untold for rule in rules.values()) and not rules.keys() & STEPS[step].model_fields
