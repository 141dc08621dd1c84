"""What to do next: each command is one that the program takes, and what is done is advised no more."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.unfinished import Unfinished
from swcl_cli.reporting.findings.next_steps import next_steps
from tests.commands import swcl


def _words(contents: Contents) -> str:
    return " ".join(step.words for step in next_steps(contents))


def _states(contents: Contents) -> dict[str, Contents]:
    """The golden workspace, and what it was before each of its steps."""
    weak = replace(contents, results=contents.results[:0], finetuned={})
    alone = {"clinic": contents.datasets["idrid"]}
    return {
        "whole": contents,
        "phantom": replace(contents, phantom=True),
        "pretrained": weak,
        "patches": replace(weak, encoders={}),
        "labeler": replace(weak, encoders={}, swap=None, patches=None),
        "prepared": replace(weak, encoders={}, swap=None, patches=None, labeler=None),
        "own": replace(weak, encoders={}, swap=None, patches=None, labeler=None, datasets=alone),
    }


def test_every_command_is_one_that_the_program_takes(contents: Contents, tmp_path: Path) -> None:
    """As far as `--dry-run` looks; files that a command names need not be there for it."""
    commands = {
        command for held in _states(contents).values() for step in next_steps(held) for command in step.commands
    }
    assert len(commands) > 10 and {shlex.split(command)[1] for command in commands} >= {
        "audit", "finetune", "train-labeler", "make-swap", "pretrain", "prep",
    }  # fmt: skip
    for command in commands:
        program, *words = shlex.split(command)
        place = [] if words[0] == "--workspace" else ["--workspace", str(tmp_path)]
        done = swcl(*place, *words, "--dry-run")
        assert (program, done.code) == ("swcl", 0), (command, done.err)


def test_what_is_missing_comes_next(contents: Contents) -> None:
    states = _states(contents)
    told = {name: [command for step in next_steps(held) for command in step.commands] for name, held in states.items()}
    for name, command in {
        "prepared": "swcl train-labeler", "labeler": "swcl make-swap", "patches": "swcl pretrain",
        "pretrained": "swcl finetune idrid --init swcl.safetensors --name swcl", "whole": "swcl audit",
        "own": "swcl finetune folder --data clinic --init random --name random",
    }.items():  # fmt: skip
        assert command in told[name], name
    assert "swcl pretrain" not in told["whole"] and "swcl prep list" in told["phantom"]
    assert "prep list" not in " ".join(told["whole"])


def test_an_encoder_fine_tuned_under_another_name_is_no_idle_one(contents: Contents) -> None:
    words = "Fine-tune on labels that are here"
    renamed = {"mine": contents.encoders["swcl"]}
    assert words not in _words(replace(contents, encoders=renamed))
    fresh = {"mine": replace(contents.encoders["swcl"], fingerprint="f" * 16)}
    (step,) = [step for step in next_steps(replace(contents, encoders=fresh)) if words in step.words]
    assert step.commands[0] == "swcl finetune idrid --init mine.safetensors --name mine"


def test_few_runs_are_made_more_by_the_command_that_made_them(contents: Contents) -> None:
    (step,) = [step for step in next_steps(contents) if "3 runs of each row" in step.words]
    assert step.commands == (
        "swcl finetune drive --init random --name random --seeds 3 --architecture resnet18",
        "swcl finetune drive --init swcl.safetensors --name swcl --seeds 3 --architecture resnet18",
    )
    enough = contents.results[contents.results["task"] == "idrid"]
    words = _words(replace(contents, results=enough))
    assert "3 runs of each row" not in words and "Not told apart after 3 runs and more: IDRiD." in words


def test_without_random_weights_they_are_asked_for(contents: Contents) -> None:
    words = "random weights in the same way"
    assert words not in _words(contents)
    kept = {key: each for key, each in contents.finetuned.items() if key != ("idrid", "random")}
    (step,) = [step for step in next_steps(replace(contents, finetuned=kept)) if words in step.words]
    (command,) = step.commands
    assert command.startswith("swcl finetune idrid --init random --name random ") and "--learning-rate 0.03" in command


def test_work_that_was_begun_is_finished_first(contents: Contents) -> None:
    held = replace(contents, unfinished=[Unfinished("runs/x", "5 steps done")], audit=Artefact("a", {}, "0"))
    steps = next_steps(held)
    assert steps[0].words.startswith("Finish 1 piece of work") and not any("audit" in step.words for step in steps)


def test_a_model_that_is_there_can_be_used(contents: Contents) -> None:
    assert "Apply a model" not in _words(contents)
    path = contents.root / "finetune/idrid/swcl/seed1/model.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    runs = {("idrid", "swcl", "seed1"): Artefact("r", {}, "0")}
    (step,) = [step for step in next_steps(replace(contents, runs=runs)) if "Apply a model" in step.words]
    assert [command.split()[:3] for command in step.commands] == [
        ["swcl", "predict", "finetune/idrid/swcl/seed1/model.safetensors"],
        ["swcl", "export", "finetune/idrid/swcl/seed1/model.safetensors"],
    ]
