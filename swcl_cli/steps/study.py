"""Plan the comparison of initialisations on the workspace's own data, or collect what came of it: the step `study`."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from swcl_cli import console
from swcl_cli.catalogue.encoders import DEFAULT
from swcl_cli.data.manifest import prepared_size
from swcl_cli.errors import SwclError
from swcl_cli.settings import PretrainSettings, StudySettings
from swcl_cli.settings.resolve import preset_names, resolve
from swcl_cli.study import initialisations, memory, subjects
from swcl_cli.study.costs import Costs
from swcl_cli.study.memory import PLAN, Kept
from swcl_cli.study.plan import PRETRAINING, Command, Study
from swcl_cli.study.record import collect
from swcl_cli.study.script import minutes, script
from swcl_cli.workspace import Workspace, locked, write_text

TITLE = "Does SWCL help here?"


def run(settings: StudySettings) -> Path:
    """Print the plan and write it as a shell script, or add finished runs to a folder's tables; return their path.

    Raises SwclError where nothing is there that could be compared, or the last plan was made for something else.
    """
    workspace = Workspace(settings.workspace)
    if settings.collect is not None:
        return collect(workspace, settings.collect)
    with locked(workspace.study, "study"):
        return _planned(workspace, settings)


def _planned(workspace: Workspace, settings: StudySettings) -> Path:
    """Choose what is compared, and write the plan of it."""
    preset = settings.preset if settings.preset in preset_names() else str(Path(settings.preset).resolve())
    architecture = resolve(PretrainSettings, {}, preset).settings.architecture or DEFAULT
    available = initialisations.sources(workspace)
    compared, lacking = initialisations.chosen(
        settings.initialisations, available, workspace, architecture, settings.preset
    )
    tasks, missing = subjects.chosen(settings.tasks, workspace, settings.preset)
    for line in (*missing, *lacking):
        console.warn(f"left out: {line}.")
    if not tasks or not compared:
        what = "no task" if not tasks else "none of these initialisations"
        raise SwclError(f"There is {what} to study in {workspace.root}: the lines above say what each lacks.")
    size = prepared_size(workspace.manifest((*available.labelled, *available.unlabelled)[0])) if any(
        each.method for each in compared
    ) else 0  # fmt: skip
    study = Study(workspace, preset, architecture, tasks, compared, available, size, (settings.seed, settings.seeds))
    kept = _kept(workspace, settings, preset, architecture)
    costs = Costs(workspace, architecture, kept.seconds_a_view)
    views = settings.views or kept.views or _fitting(study, settings.hours, costs)
    commands = study.commands(views, costs)
    memory.write(workspace, kept.model_copy(update={"views": views}))
    taught = study.left_out()
    for line in taught:
        console.warn(f"left out: {line}.")
    notes = [
        f"Preset {preset}, encoder {architecture}"
        + (f", {views:,} views of each pretraining." if study.pretrained else "."),
        *(f"Left out: {line}." for line in (*missing, *lacking, *taught)),
    ]
    _show(commands, settings.hours, notes[0])
    path = workspace.study / PLAN
    write_text(path, script(TITLE, notes, settings.hours, commands))
    return path


def _kept(workspace: Workspace, settings: StudySettings, preset: str, architecture: str) -> Kept:
    """Return what the last plan kept, or the start of a new one. Raises SwclError where that was of something else."""
    last = None if settings.fresh else memory.read(workspace)
    if last is None:
        return Kept(preset=preset, architecture=architecture)
    now = {"preset": preset, "architecture": architecture} | ({"views": settings.views} if settings.views else {})
    changed = [
        f"{name}: {was} -> {now[name]}" for name, was in last.model_dump().items() if was and now.get(name, was) != was
    ]
    if changed:
        raise SwclError(
            f"The plan of {workspace.study} was made differently ({'; '.join(changed)}): --fresh plans anew, and keeps "
            "finished work."
        )
    return last


def _fitting(study: Study, hours: float, costs: Costs) -> int:
    """Choose the views of each pretraining by the hours that weak labels leave."""
    if not study.pretrained:
        return 0
    spent = sum(command.seconds for command in study.weak_labels(costs) if not command.done)
    allowed = PRETRAINING * (3600 * hours - spent)
    views = study.fitting_views(allowed, costs)
    if (needed := study.pretraining_seconds(views, costs)) > allowed:
        console.warn(
            f"{len(study.pretrained)} pretrainings of {views:,} views, the least, take {minutes(needed)} minutes of "
            f"{60 * hours:g}: name fewer by --initialisations, or give more --hours."
        )
    return views


def _show(commands: list[Command], hours: float, about: str) -> None:
    """Show the commands that are expected to end within the hours, and count the others."""
    waiting = [command for command in commands if not command.done]
    ends = list(accumulate(command.seconds for command in waiting))
    fitting = [(command, end) for command, end in zip(waiting, ends, strict=True) if end <= 3600 * hours]
    rows = [
        (f"swcl {' '.join(command.words)}", command.stage, minutes(command.seconds), f"{end / 3600:.2f}")
        for command, end in fitting
    ]
    if rows:
        console.table(f"{TITLE} {about}", ("command", "for", "minutes, at most", "hours by then"), rows)
    done, beyond = len(commands) - len(waiting), len(waiting) - len(fitting)
    later = f", {beyond} may not fit into {hours:g} hours ({ends[-1] / 3600:.1f} in all)" if beyond else ""
    console.say(f"{done} of {len(commands)} commands are done{later}.")
