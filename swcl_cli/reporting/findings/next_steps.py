"""Say what to do next, with commands: what is missing, what is not told apart yet, and how a model is used."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.catalogue.tasks import OWN, TASKS
from swcl_cli.datasets import DATASETS
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.cautions import FEW_RUNS
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.initialisations import initialisation, weights_of
from swcl_cli.reporting.findings.names import ordered_tasks, title
from swcl_cli.reporting.findings.origins import command_of
from swcl_cli.reporting.findings.scores import Score
from swcl_cli.reporting.findings.splits import TEST
from swcl_cli.reporting.findings.standings import measured, standing
from swcl_cli.workspace.places import MODEL

MOST_COMMANDS = 3  # of one step


@dataclass(frozen=True)
class Step:
    """Hold a piece of advice, and the commands that follow it, in this workspace."""

    words: str
    commands: tuple[str, ...] = ()


def next_steps(contents: Contents) -> list[Step]:
    """List what to do next, the first things first."""
    tested = [score for score in measured(contents) if score.split == TEST]
    makers = (_real_eyes, _finish, _audit, _weak_labels, _fine_tune, _random_weights)
    steps = [step for make in makers for step in make(contents)]
    return [*steps, *_more_runs(contents, tested), *_more_patients(contents, tested), *_use(contents, tested)]


def _real_eyes(contents: Contents) -> Iterator[Step]:
    if contents.phantom:
        words = "See where photographs of real eyes are had, and prepare some in a workspace of their own."
        yield Step(words, ("swcl prep list", "swcl --workspace real prep odir SOURCE --preset small"))


def _finish(contents: Contents) -> Iterator[Step]:
    if contents.unfinished:
        pieces = counted(len(contents.unfinished), "pieces")
        yield Step(
            f"Finish {pieces} of work, which the warnings at the top name: each goes on by the command that began it."
        )


def _audit(contents: Contents) -> Iterator[Step]:
    if contents.audit is None and contents.datasets:
        yield Step("Look for copies of photographs, within the data sets and between them.", ("swcl audit",))


def _weak_labels(contents: Contents) -> Iterator[Step]:
    if contents.labeler is None and {"odir", "eyepacs"} <= contents.datasets.keys():
        yield Step("Train a labeler, which scores patches.", ("swcl train-labeler",))
    elif contents.labeler is not None and contents.swap is None:
        yield Step("Cut the photographs into patches that the labeler scores.", ("swcl make-swap",))
    elif contents.swap is not None and not contents.encoders:
        yield Step("Pretrain an encoder on the patches.", ("swcl pretrain",))


def _fine_tune(contents: Contents) -> Iterator[Step]:
    """Name the tasks that the data sets allow: for each encoder that no task was learnt with, or random weights."""
    tuned = {artefact.inputs.get("init") for artefact in contents.finetuned.values()}
    idle = [(_file(name), name) for name, encoder in contents.encoders.items() if encoder.fingerprint not in tuned]
    public = ordered_tasks(name for name in contents.datasets if name in TASKS)
    own = [f"{OWN} --data {shlex.quote(name)}" for name in contents.datasets if name not in DATASETS]
    starts = idle or ([] if contents.finetuned else [(UNTRAINED, UNTRAINED)])
    commands = [
        f"swcl finetune {task} --init {init} --name {shlex.quote(name)}"
        for task in (*public, *own)
        for init, name in starts
    ]
    if commands:
        words = "Fine-tune on labels that are here" + (", and see whether pretraining helps." if idle else ".")
        yield Step(words, tuple(commands[:MOST_COMMANDS]))


def _file(name: str) -> str:
    return shlex.quote(f"{name}.safetensors")


def _random_weights(contents: Contents) -> Iterator[Step]:
    """Ask for the row that says what pretraining adds, made as one that is there."""
    commands = []
    for task in ordered_tasks(task for task, _ in contents.finetuned):
        names = [name for of, name in contents.finetuned if of == task]
        if not any(initialisation(contents, task, name).domain == "none" for name in names):
            commands.append(command_of(contents.finetuned[task, names[0]], init=UNTRAINED, name=UNTRAINED))
    if commands:
        words = "Fine-tune random weights in the same way: only beside them is it known what pretraining adds."
        yield Step(words, tuple(commands[:MOST_COMMANDS]))


def _more_runs(contents: Contents, tested: list[Score]) -> Iterator[Step]:
    """Ask for seeds where there are few, first where rows are not told apart."""
    commands = []
    for score in sorted(tested, key=lambda score: score.runs):
        artefact = contents.finetuned.get((score.task, score.name))
        if artefact is None or score.runs >= FEW_RUNS:
            continue
        weights = weights_of(contents, artefact)
        commands.append(command_of(artefact, init=weights, name=score.name, seeds=FEW_RUNS))
    if commands:
        words = f"Train {FEW_RUNS} runs of each row, so that chance between runs shows. What is done is not done again."
        more = (
            f" {counted(len(commands) - MOST_COMMANDS, 'other rows')} need the same."
            if len(commands) > MOST_COMMANDS
            else ""
        )
        yield Step(words + more, tuple(commands[:MOST_COMMANDS]))


def _more_patients(contents: Contents, tested: list[Score]) -> Iterator[Step]:
    level = []
    for task in ordered_tasks(score.task for score in tested):
        place = standing(contents, [score for score in tested if score.task == task])
        if place.level and min(score.runs for score in (place.best, *place.level)) >= FEW_RUNS:
            level.append(title(task))
    if level:
        words = (
            f"Not told apart after {FEW_RUNS} runs and more: {', '.join(level)}. More patients to test on narrow the "
            "intervals as more runs do not; swcl study compares at equal cost on all data that are here."
        )
        yield Step(words, ("swcl study --hours 2",))


def _use(contents: Contents, tested: list[Score]) -> Iterator[Step]:
    """Show how a model of the workspace is applied and passed on: the best of the task that was tested on most."""
    for score in sorted(tested, key=lambda score: (-score.runs, -score.merit)):
        runs = [run for task, name, run in contents.runs if (task, name) == (score.task, score.name)]
        folder = f"finetune/{score.task}/{score.name}"
        models = [f"{folder}/{run}/{MODEL}" for run in sorted(runs)]
        if model := next((model for model in models if (contents.root / model).is_file()), None):
            place = shlex.quote(model)
            yield Step(
                "Apply a model to other photographs, or take it out of the workspace with its card.",
                (f"swcl predict {place} PHOTOGRAPHS --out answers", f"swcl export {place} --to folder --out exported"),
            )
            return
