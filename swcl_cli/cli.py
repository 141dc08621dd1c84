"""Define the commands, in the paper's order. They parse, call a step and print; nothing is computed here."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from swcl_cli import __version__, console
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.manual import COMMANDS, HELP, OPPOSITES

if TYPE_CHECKING:
    from swcl_cli.settings import StepSettings

GIVING_WAY = 5  # seconds
MARKUP: Literal["rich"] = "rich"


class Steps(TyperGroup):
    """Make a step's command only when it is called: listing the commands needs neither settings nor options."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        shown = {step: TyperCommand(step, help=text, rich_markup_mode=MARKUP) for step, (_, text) in COMMANDS.items()}
        self.commands.update(shown)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called, with its options."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, _whole(str(name)), rest


class StepCommand(TyperCommand):
    """Show a step's help without a column for the opposites of switches, which would narrow all others."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        opposites = {option: option.secondary_opts for option in self.params}
        for option in opposites:
            option.secondary_opts = []
        super().format_help(ctx, formatter)
        for option, names in opposites.items():
            option.secondary_opts = names


def _is_launched(processes: int) -> bool:
    """Tell whether this is one of the processes that train as one. Raises UsageError where torchrun started others."""
    started = os.environ.get("LOCAL_WORLD_SIZE")
    if started is not None and int(started) != processes:
        raise UsageError(f"--processes {processes}: torchrun has started {started} on this machine; leave it out.")
    return started is not None


def _whole(step: str) -> Any:
    from swcl_cli.settings import STEPS
    from swcl_cli.settings.options import command_for

    arguments, text = COMMANDS[step]
    alone = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
    alone.command(step, cls=StepCommand, help=text, epilog=OPPOSITES)(command_for(STEPS[step], arguments, _act))
    return typer.main.get_command(alone)


class Application(typer.Typer):
    """Turn an error that the user can put right into a line or two and an exit code; --debug shows its traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        console.prepare_streams()
        try:
            try:
                return super().__call__(*args, **kwargs)
            finally:
                console.flush()
        except SwclError as error:
            _give_way()
            _stop(str(error), error.exit_code)
        except (OSError, MemoryError, RuntimeError, ImportError) as error:
            _give_way()
            _stop(_outside(error), SwclError.exit_code)


def _give_way() -> None:
    """Let the first of several processes speak: all may have the same to say, and it ends the others."""
    if _rank():
        time.sleep(GIVING_WAY)


def _rank() -> int:
    """Return the number of this process among those that train as one; the first is 0."""
    return int(os.environ.get("RANK", "0"))  # torchrun's


def _outside(error: Exception) -> str:
    """Say what is wrong outside of this program; empty where nobody reads it. Raises the error if it is a defect."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EBADF):
        return ""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "No space is left where output or a log is written."
    from swcl_cli.workers import lack

    if reason := lack(error):
        return f"The computer has {reason} for this command. Try --workers 0, or a smaller batch; --debug shows more."
    raise error


def _stop(message: str, code: int) -> NoReturn:
    if "--debug" not in sys.argv:
        sys.unraisablehook = lambda _: None  # of what was left half made: the message says why
    try:
        if "--debug" in sys.argv:
            traceback.print_exc()
        if message:
            console.fail(message)
        console.flush()
    except OSError:
        message = ""
    if not message:
        console.give_up_streams()
    sys.exit(code)


app = Application(cls=Steps, help=HELP, no_args_is_help=True, rich_markup_mode=MARKUP, pretty_exceptions_enable=False)


def _version(requested: bool) -> None:
    if requested:
        console.say(f"swcl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    ctx: typer.Context,
    workspace: Annotated[
        Path, typer.Option("--workspace", envvar="SWCL_WORKSPACE", help="Folder that holds all artefacts.")
    ] = Path("."),
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Read the options before the command; --workspace and --debug may stand after it as well."""
    source = ctx.get_parameter_source("workspace")
    ctx.obj = {source.name: {"workspace": workspace}} if source else {}


def _act(
    model: type[StepSettings], given: dict[str, Any], environment: dict[str, Any], preset: str | None, dry_run: bool
) -> None:
    from swcl_cli.settings.resolve import resolve_each

    if "scheduler" in model.model_fields and (address := os.environ.get("SWCL_SCHEDULER")):
        environment = {**environment, "scheduler": address}
    several = resolve_each(model, given, preset, environment)
    for sentence in dict.fromkeys(sentence for resolved in several for sentence in resolved.overruled()):
        console.warn(sentence)
    if dry_run:
        for resolved in several:
            settings, foreign = resolved.settings, resolved.settings.foreign()
            own = [(name, origin) for name, origin in resolved.origins.items() if name not in foreign]
            rows = [(name, getattr(settings, name), origin) for name, origin in own]
            console.table(f"swcl {model.step}", ("setting", "value", "from"), rows)
        return
    if _rank():
        console.only_errors()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads are four times slower on a busy machine
    if (processes := getattr(several[0].settings, "processes", 1)) > 1 and not _is_launched(processes):
        from swcl_cli.training.launching import launch

        return launch(processes)
    module = f"swcl_cli.steps.{model.step.replace('-', '_')}"
    if "accelerator" in model.model_fields:
        from swcl_cli.workers import scarce_addresses

        if sentence := scarce_addresses(module):
            console.warn(sentence)
    step = importlib.import_module(module)
    if len(several) == 1:
        artefacts = [step.run(several[0].settings)]
    else:
        artefacts = step.run_all([resolved.settings for resolved in several])
    for path in artefacts:
        console.say(f"-> {path}")
