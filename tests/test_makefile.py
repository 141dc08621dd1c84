"""`make demo`, `make ablation` and `make study`, dry: which commands they would run."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from swcl_cli.catalogue.paper import TABLE_THREE
from swcl_cli.reporting.findings.configurations import Configuration
from swcl_cli.reporting.findings.names import SWCL
from swcl_cli.settings import FinetuneSettings, PretrainSettings
from swcl_cli.settings.resolve import resolve
from swcl_cli.study.costs import views_a_step

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def _make(workspace: Path, *variables: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", "ablation", f"WORKSPACE={workspace}", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _commands(workspace: Path, *variables: str) -> list[list[str]]:
    """The words behind `swcl --workspace FOLDER` of each command."""
    done = _make(workspace, *variables)
    assert not done.returncode, done.stderr
    return _words(done.stdout, workspace)


def _words(told: str, workspace: Path) -> list[list[str]]:
    lines = told.replace("\\\n", "").splitlines()
    words = [shlex.split(line) for line in lines if "swcl --workspace" in line]
    assert {line[2] for line in words} == {str(workspace)}
    return [line[3:] for line in words]


def _options(command: list[str]) -> dict[str, str]:
    given = [word for word in command if word.startswith("--")]
    return {option[2:]: command[command.index(option) + 1] for option in given}


def _prepared(workspace: Path, *datasets: str) -> Path:
    for dataset in datasets:
        (workspace / "data" / dataset).mkdir(parents=True)
        (workspace / "data" / dataset / "manifest.parquet").touch()
    return workspace


def _demo(workspace: Path, *variables: str) -> list[list[str]]:
    command = ["make", "--dry-run", "demo", f"DEMO={workspace}", *variables]
    return _words(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout, workspace)


def test_the_demo_gives_all_initialisations_equal_views_and_the_same_fine_tuning(tmp_path: Path) -> None:
    commands = _demo(tmp_path)
    pretrained, tuned = {}, defaultdict(list)
    for step, *words in commands:
        options = _options([step, *words])
        if step == "pretrain":
            made = resolve(PretrainSettings, {"method": options["method"]}, options["preset"]).settings
            pretrained[f"{options['method']}.safetensors"] = (made.views, views_a_step(made), made.architecture)
        if step == "finetune":
            settings = resolve(FinetuneSettings, {"task": words[0]}, options["preset"]).settings
            assert settings.freeze or settings.probe  # so that no row can forget what it began with
            given = {name: options[name] for name in options.keys() - {"init", "name"}}
            tuned[options["init"]].append((words[0], given))
            assert options["name"] == options["init"].removesuffix(".safetensors")
    assert len(set(pretrained.values())) == 1 and len(pretrained) == 2
    assert tuned.keys() == {"random", *pretrained} and all(each == tuned["random"] for each in tuned.values())
    assert commands[-1] == ["report"]


def test_the_demo_draws_all_by_the_seed_that_is_given(tmp_path: Path) -> None:
    assert {_options(command).get("seed") for command in _demo(tmp_path)} == {"0", None}
    given = {command[0]: _options(command).get("seed") for command in _demo(tmp_path, "SEED=3")}
    assert {step for step, seed in given.items() if seed != "3"} == {"make-swap", "report"}  # which draw nothing


def test_all_eleven_configurations_are_there(tmp_path: Path) -> None:
    commands = _commands(_prepared(tmp_path, "refuge-cls", "idrid"))
    found, encoders = [], {}
    for command in commands:
        options = _options(command)
        if command[0] == "pretrain":
            given = {key: options[key] for key in ("method", "threshold", "labels")}
            made = resolve(PretrainSettings, given, options["preset"]).settings
            assert (made.architecture, made.batch_patches, made.epochs) == ("resnet18", 512, 40)
            assert made.threshold is not None
            name = str(tmp_path / f"{options['name']}.safetensors")
            encoders[name] = Configuration(SWCL, tuple(made.labels), made.threshold)
        if command[0] == "finetune":
            assert (command[1], options["eval"], options["preset"]) == ("refuge-cls", "val", "ablation")
            tuned = resolve(FinetuneSettings, {"task": command[1], "eval": "val"}, options["preset"]).settings
            assert (tuned.architecture, tuned.grid, tuned.seeds) == ("resnet18", True, 5)
            found.append(encoders.get(options["init"], Configuration(options["init"])))
    rows = [(one.method, one.removed, one.threshold) for one in found]
    assert len(set(rows)) == len(rows) == 11
    assert set(rows) == set(TABLE_THREE)
    assert found[-1].method == "imagenet"  # may need a network: all else is done before
    assert commands[-1][0] == "finetune" and "report" in commands[-1]


def test_another_task_preset_or_file_can_be_named(tmp_path: Path) -> None:
    variables = ("TASK=idrid", "PRESET=small", "ILSVRC=weights.pth")
    commands = _commands(_prepared(tmp_path, "idrid"), *variables)
    tuned = [command for command in commands if command[0] == "finetune"]
    assert {command[1] for command in tuned} == {"idrid"}
    assert {_options(command)["preset"] for command in commands} == {"small"}
    assert _options(tuned[-1])["init"] == "weights.pth"


@pytest.mark.parametrize(
    ("variables", "words"),
    [((), "swcl prep refuge-cls SOURCE, or name TASK=idrid"), (("TASK=drive",), "swcl prep drive SOURCE")],
)
def test_without_data_one_line_says_what_to_do(tmp_path: Path, variables: tuple[str, ...], words: str) -> None:
    done = _make(tmp_path, *variables)
    assert done.returncode and "swcl --workspace" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert words in line and "is not prepared" in line


def test_help_tells_of_it() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "make ablation  Table III" in told and "TASK=NAME" in told


def _study(*variables: str) -> str:
    command = ["make", "--dry-run", "study", *variables]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.replace("\\\n", "")


def test_a_study_is_planned_run_and_reported(tmp_path: Path) -> None:
    told = _study(f"WORKSPACE={tmp_path}", "HOURS=3", "OPTIONS=--tasks drive --seeds 5")
    planned = told.index(f".venv/bin/swcl --workspace '{tmp_path}' study --hours 3 --tasks drive --seeds 5")
    run = told.index(f"sh '{tmp_path}/study/plan.sh'")
    assert planned < run < told.index(f".venv/bin/swcl --workspace '{tmp_path}' report")
    assert f'PATH="{ROOT}/.venv/bin:$PATH"' in told


def test_a_study_takes_two_hours_unless_told(tmp_path: Path) -> None:
    assert "study --hours 2" in _study(f"WORKSPACE={tmp_path}")


@pytest.mark.parametrize(("status", "reported"), [(0, True), (1, True), (130, False)])
def test_a_study_that_was_stopped_is_not_reported_and_what_failed_is(
    status: int, reported: bool, tmp_path: Path
) -> None:
    """The recipe's own lines, with stand-ins for the plan and the command."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study/plan.sh").write_text(f"exit {status}\n")
    stand_in = tmp_path / "swcl"
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o755)
    command = ["make", "--silent", "--old-file=setup", "study", f"WORKSPACE={tmp_path}", f"SWCL={stand_in}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (status == 0), done.stderr
    assert (f"--workspace {tmp_path} report" in done.stdout) == reported
