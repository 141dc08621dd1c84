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

if TYPE_CHECKING:
    from swcl_cli.settings import StepSettings

GIVING_WAY = 5  # seconds
MARKUP: Literal["rich"] = "rich"

CHECKOUT = (Path(__file__).parents[1] / "Makefile").is_file()
START = "make demo" if CHECKOUT else "swcl prep phantom"
HELP = f"""
Encoders for retinal photographs that transfer, from few labels and many photographs.

The steps, in order: prep, train-labeler, make-swap, pretrain, finetune, report. Each reads what the ones before it
left in the workspace and names the command to run where something is missing. Start with: {START}

Whether photographs are copies of others, such as of tested ones, is told by: audit
A model of `finetune`, or an encoder, is applied to other photographs by: predict
Either is written for other programs by: export
Whether all this helps on your data is answered by: study
"""

OPPOSITES = "Each switch has an opposite for what a preset turns on: --no- and its name."
COMMANDS: dict[str, tuple[tuple[str, ...], str]] = {  # by step: settings that are positional, and the help text
    "prep": (
        ("dataset", "source"),
        """
Prepare a raw public download: check it, resize it, and write images, masks and a manifest to data/DATASET.

The download is never modified. Bad images are set aside and listed in quarantine.csv; a bad label file stops the step.

Examples:

  swcl prep list

  swcl prep phantom

  swcl prep odir ~/downloads/ODIR-5K --preset small

  swcl prep folder ~/photographs --name clinic-a
""",
    ),
    "audit": (
        (),
        """
Find photographs that are copies of others, within and across all prepared data sets. Writes audit.parquet.

Copies are found resized, compressed again, cropped, brightened, mirrored or turned. Told are two labels for one
photograph, copies that splits part, and test photographs that a labeler or encoder of the workspace has learnt.
The same eye in two photographs is told apart: it is no copy.

Examples:

  swcl audit

  swcl audit --data idrid,idrid-seg --workers 4
""",
    ),
    "train-labeler": (
        (),
        """
Train the labeler (S4L): cross-entropy on the labelled photographs, triplet loss on all. Writes labeler.safetensors.

An interrupted run goes on when the same command is given again.

Example:

  swcl train-labeler --preset small
""",
    ),
    "make-swap": (
        (),
        """
Turn the labeler's class activation maps into retinal-SWAP: five scored patches an eye. Writes swap.parquet.

With another --threshold on an existing file only the labels are rewritten; the scores stay.

Examples:

  swcl make-swap --threshold 0.4

  swcl make-swap --labeler pytorch_model.bin --materialize swap-files
""",
    ),
    "pretrain": (
        (),
        """
Pretrain an encoder, by default by SWCL on retinal-SWAP. Writes NAME.safetensors, which timm loads without this program.

An interrupted run goes on when the same command is given again. With --processes, or under torchrun, all train as one.

Examples:

  swcl pretrain --preset small

  swcl pretrain --init imagenet --chunk 32

  swcl pretrain --method simclr --views 1000000

  swcl pretrain --processes 8
""",
    ),
    "finetune": (
        ("task",),
        """
Fine-tune an encoder on a public task and score it on the task's test images. Writes finetune/TASK/NAME.

TASK all: each public task whose data are prepared. Finished runs are skipped, and an interrupted one goes on.

Examples:

  swcl finetune drive --init swcl.safetensors

  swcl finetune idrid --init random --architecture resnet18 --seeds 3

  swcl finetune all --init swcl.safetensors --grid

  swcl finetune folder --init swcl.safetensors --freeze
""",
    ),
    "report": (
        (),
        """
Write tables, figures and one self-contained page from all that the workspace holds: report/index.html.

Examples:

  swcl report

  swcl report --no-images
""",
    ),
    "predict": (
        ("model", "images"),
        """
Apply a model of `finetune` to photographs of any size and format. Writes OUT: a table, masks and overlays.

The model file alone is enough. Nothing of the photographs is modified; unreadable ones are listed in unreadable.csv.

Example:

  swcl predict finetune/drive/swcl/seed0/model.safetensors photographs --out vessels

  swcl predict finetune/folder-a/swcl/*/model.safetensors --data b
""",
    ),
    "export": (
        ("model",),
        """
Write a model or an encoder for other programs, with a model card. Writes OUT: model.onnx, model.pt, or timm's form.

What is written is compared with `swcl predict` on synthetic eyes, and refused where it differs. No network is needed.

Examples:

  swcl export finetune/idrid/swcl/seed0/model.safetensors --to onnx --out grades

  swcl export swcl.safetensors --to folder --out encoder
""",
    ),
    "study": (
        (),
        """
Plan an answer to "does SWCL help here?" on the workspace's own data. Prints it, and writes study/plan.sh.

Its commands are those above: pretraining by each method from random and from ImageNet weights, at equal views, then on
each task linear probes, few labels and all, in an order that can be cut anywhere. The plan stays the same when it is
called again, less what is done; what is not in the workspace is named beforehand.

Examples:

  swcl study --hours 2

  swcl study --hours 8 --tasks drive,idrid --initialisations random,swcl,simclr

  swcl study --collect tests/evidence
""",
    ),
}


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
