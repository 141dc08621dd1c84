"""Options generated from the settings models: what `--help` shows, and what reaches a step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from swcl_cli.manual import COMMANDS
from swcl_cli.settings import STEPS, FinetuneSettings, PretrainSettings, StepSettings, TrainLabelerSettings, resolve
from swcl_cli.settings.options import PANELS
from swcl_cli.settings.rows import owners
from tests.commands import swcl

POSITIONAL = {step: names for step, (names, _) in COMMANDS.items()}
OPTIONS = [(step, name) for step, model in STEPS.items() for name in model.model_fields if name not in POSITIONAL[step]]


def shown(step: str) -> str:
    """The help of a step on single spaces, frames left out."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", swcl(step, "--help").out)


def described(step: str, name: str) -> str:
    """The description; of a setting that not all choices have, behind those that have it."""
    text, choices = str(STEPS[step].model_fields[name].description), owners(step, name)
    begun = text if re.match("[A-Z]{2}", text) else text[0].lower() + text[1:]
    return f"{', '.join(choices)}: {begun}" if choices else text


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    return {step: shown(step) for step in STEPS}


def test_words_in_capitals_stay_so(helps: dict[str, str]) -> None:
    odd = {step: re.findall(r"(?<!\S)[a-z][A-Z]{2,}\S*", text) for step, text in helps.items()}
    assert not any(odd.values()), odd


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> dict[str, StepSettings]:
    """The settings that reach each step, instead of its work."""
    caught: dict[str, StepSettings] = {}

    class Steps:
        @staticmethod
        def import_module(_: str) -> Any:
            return Steps

        @staticmethod
        def run(settings: StepSettings) -> Path:
            caught[settings.step] = settings
            return Path("made")

    monkeypatch.setattr("swcl_cli.cli.importlib", Steps)
    return caught


def test_the_commands_are_the_steps_in_their_order() -> None:
    assert list(COMMANDS) == list(STEPS)
    listed = swcl("--help").out
    places = [listed.index(f"│ {step} ") for step in STEPS]
    assert places == sorted(places)


@pytest.mark.parametrize(("step", "name"), OPTIONS)
def test_each_setting_is_an_option_with_its_description(helps: dict[str, str], step: str, name: str) -> None:
    description = described(step, name)
    assert re.search(f" --{name.replace('_', '-')}[ ,]", helps[step])
    assert description in helps[step]


@pytest.mark.parametrize("step", STEPS)
def test_arguments_shared_options_and_panels(helps: dict[str, str], step: str) -> None:
    for name in POSITIONAL[step]:
        assert f"--{name}" not in helps[step].replace(f"--{name}s", "")
        assert str(STEPS[step].model_fields[name].description) in helps[step]
    for flag in ("--preset", "--dry-run", "--debug", "--help"):
        assert f" {flag} " in helps[step]
    extras = [field.json_schema_extra for name, field in STEPS[step].model_fields.items() if (step, name) in OPTIONS]
    panels = {str(extra["panel"]) for extra in extras if isinstance(extra, dict)}
    shown = helps[step].replace(" * --", " --")  # the star of a required option
    places = [shown.index(f" {panel} --") for panel in PANELS if panel in panels]
    assert places == sorted(places)


def test_defaults_ranges_and_choices_are_shown(helps: dict[str, str]) -> None:
    for step, name, form, default in (
        ("pretrain", "batch_patches", "INT >=4", "496"),
        ("make-swap", "threshold", "FLOAT >=0, <=1", "0.4"),
        ("train-labeler", "milestones", "A,B,...", "140,160,180"),
        ("finetune", "output_stride", "8 | 16", "8"),
    ):
        description = described(step, name)
        assert f"--{name.replace('_', '-')} {form} {description} [default: {default}]" in helps[step]
    assert "swcl, simclr, swcl-image: width of the projector's output." in helps["pretrain"]
    assert "[default: (by task: messidor 224, idrid 224, " in helps["finetune"]
    assert re.search(r"\[default: \(by task: messidor 5,.* else 0\)\]", helps["finetune"])
    assert " --learning-rate,--lr FLOAT >0 " in helps["finetune"]
    assert "[default: (by dataset: odir 448, eyepacs 448, " in helps["prep"]
    assert "semi-hard | batch-hard" in helps["train-labeler"] and "[default: semi-hard]" in helps["train-labeler"]
    assert "[default: None]" not in "".join(helps.values())
    for name in resolve.preset_names():
        assert name in helps["pretrain"]


def test_what_is_typed_reaches_the_step(taken: dict[str, StepSettings], tmp_path: Path) -> None:
    done = swcl(
        "train-labeler", "--milestones", "3,5", "--labelled", "odir, idrid", "--unlabelled", "", "--learning-rate",
        "1e-2", "--mining", "batch-hard", "--fresh", "--workspace", tmp_path,
    )  # fmt: skip
    assert (done.code, done.out) == (0, "-> made\n")
    assert taken["train-labeler"] == TrainLabelerSettings(
        milestones=[3, 5], labelled=["odir", "idrid"], unlabelled=[], learning_rate=0.01, mining="batch-hard",
        fresh=True, workspace=tmp_path,
    )  # fmt: skip
    assert swcl("pretrain", "--threshold", "0.3", "--labels", "patient").code == 0
    assert taken["pretrain"] == PretrainSettings(threshold=0.3, labels=["patient"])
    assert swcl("finetune", "drive", "--output-stride", "16", "--architecture", "resnet18").code == 0
    assert taken["finetune"] == FinetuneSettings(
        task="drive", output_stride=16, architecture="resnet18", crop=384, batch=8, epochs=300
    )
    assert swcl("prep", "odir", tmp_path, "--size", "0").code == 0
    assert taken["prep"].model_dump()["size"] == 0 and taken["prep"].model_dump()["source"] == tmp_path


def test_a_value_typed_as_the_default_still_wins(taken: dict[str, StepSettings], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[pretrain]\nepochs = 3\nseed = 4\n")
    swcl("pretrain", "--preset", tmp_path / "mine.toml", "--epochs", "40")
    assert taken["pretrain"] == PretrainSettings(epochs=40, seed=4)


def test_the_workspace_stands_before_or_after_or_outside(
    taken: dict[str, StepSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def workspace(*arguments: str) -> str:
        assert swcl(*arguments).code == 0
        return str(taken["report"].workspace)

    assert workspace("report") == "."
    assert workspace("--workspace", "before", "report") == "before"
    assert workspace("report", "--workspace", "after") == "after"
    assert workspace("--workspace", "before", "report", "--workspace", "after") == "after"
    monkeypatch.setenv("SWCL_WORKSPACE", "outside")
    assert workspace("report") == "outside"
    assert workspace("--workspace", "before", "report") == "before"
    assert workspace("report", "--workspace", "after") == "after"
    assert re.search(r"workspace +│ outside +│ SWCL_WORKSPACE ", swcl("report", "--dry-run").out)


def test_the_scheduler_may_stand_outside(taken: dict[str, StepSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that have no use for it take no notice."""
    monkeypatch.setenv("SWCL_SCHEDULER", "tcp://outside:8786")
    assert swcl("make-swap").code == 0 and swcl("report").code == 0
    assert dict(taken["make-swap"])["scheduler"] == "tcp://outside:8786" and "scheduler" not in dict(taken["report"])
    assert re.search(r"scheduler +│ tcp://outside:8786 +│ SWCL_SCHEDULER ", swcl("make-swap", "--dry-run").out)
    assert swcl("make-swap", "--scheduler", "tcp://typed:8786").code == 0
    assert dict(taken["make-swap"])["scheduler"] == "tcp://typed:8786"


def test_a_dry_run_prints_values_and_origins_and_does_nothing(
    taken: dict[str, StepSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    preset = Path("mine.toml")  # a short name: the table is as wide as the terminal
    preset.write_text('[finetune]\narchitecture = "resnet18"\n[finetune.drive]\ncrop = 96\n')
    done = swcl("finetune", "drive", "--preset", preset, "--seed", "3", "--dry-run")
    assert done.code == 0 and not taken
    rows = {cells[0]: cells[1:] for line in done.out.splitlines() if len(cells := re.split(r" *│ *", line)[1:-1]) == 3}
    assert rows["seed"] == ["3", "command line"]
    assert rows["task"] == ["drive", "command line"]
    assert rows["architecture"] == ["resnet18", f"preset {preset}"]
    assert rows["crop"] == ["96", f"preset {preset} [finetune.drive]"]
    assert rows["batch"] == ["8", "task drive"]
    assert rows["weight_decay"] == ["0.0005", "default"]
    assert rows.keys() == FinetuneSettings.model_fields.keys() - {"data", "heads"}


def test_a_switch_of_a_preset_can_be_undone(taken: dict[str, StepSettings], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[finetune]\ngrid = true\nfreeze = true\n[report]\nno_images = true\n")
    given = ("finetune", "idrid", "--init", "random", "--preset", tmp_path / "mine.toml")
    told = swcl(*given, "--no-grid", "--learning-rate", 0.1)
    assert isinstance(chosen := taken["finetune"], FinetuneSettings) and not chosen.grid and chosen.freeze
    assert "no say" not in told.err
    assert "warning: learning_rate (command line): no say, since grid (preset" in swcl(*given, "--lr", 0.1).err
    swcl("report", "--preset", tmp_path / "mine.toml", "--images")
    assert not taken["report"].model_dump()["no_images"]
