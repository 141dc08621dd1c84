"""Commands as processes see them: exit codes, what is said of an error, and how long `--help` takes."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swcl_cli import __version__
from swcl_cli.errors import Interrupted
from swcl_cli.settings import STEPS
from swcl_cli.steps import report
from tests import downloads
from tests.commands import CALL, environment, finish, process, swcl

HEAVY = (
    "torch", "torchvision", "timm", "lightning_fabric", "pandas", "pyarrow", "cv2", "sklearn", "matplotlib", "numpy",
    "PIL", "safetensors", "scipy",
)  # fmt: skip
WATCHED = f"""
import atexit, sys
atexit.register(lambda: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr))
from swcl_cli.cli import app
app()
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        *[([step, "--help"], 0) for step in STEPS],
        (["--version"], 0),
        (["finetune", "drive", "--preset", "paper", "--dry-run"], 0),
        (["pretrain", "--epochs", "0"], 2),
        (["pretrain", "--epochs", "many"], 2),
        (["pretrain", "--preset", "papr"], 2),
        (["pretrian"], 2),
        ([], 2),
    ],
)
def test_no_heavy_import_for_help_or_a_settings_error(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == code and done.stderr.splitlines()[-1] == "[]"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["pretrain", "--help"]])
def test_help_takes_less_than_half_a_second(arguments: list[str], tmp_path: Path) -> None:
    """Of the processor, which other programs on the machine don't change much; with compiled modules, as installed."""
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert finish(process(*arguments, **compiled)).code == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(8)) < 0.5


def test_version() -> None:
    assert swcl("--version").out == f"swcl {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["pretrain", "--epoch", "3"], "No such option: --epoch (Possible options: --epochs, "),
        (["pretrain", "--learning_rate", "3"], "No such option: --learning_rate (Possible options: --learning-rate)"),
        (["train-labeler", "--minin", "batch-hard"], "--mining"),
        (["pretrian"], "No such command 'pretrian'. Did you mean 'pretrain'?"),
    ],
)
def test_an_unknown_option_or_command_names_the_nearest(arguments: list[str], nearest: str) -> None:
    done = swcl(*arguments)
    assert done.code == 2 and nearest in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["pretrain", "--epochs", "0"],
            "error: epochs = 0 (command line): input should be greater than or equal to 1.",
        ),
        (["make-swap", "--threshold", "2"], "input should be less than or equal to 1."),
        (["train-labeler", "--milestones", "3,x"], "milestones = 'x' (command line): input should be a valid integer"),
        (["prep", "odir", "somewhere", "--patients", "9"], ", not to odir."),
        (["finetune", "driv"], "'driv' is not one of 'messidor', 'idrid', "),
        (["finetune", "drive", "--output-stride", "12"], "output_stride = 12 (command line): input should be 8 or 16."),
        (["finetune"], "Missing argument 'task'. Choose from: messidor, idrid, "),
        (["pretrain", "--preset", "papr"], "did you mean 'paper'?"),
    ],
)
def test_usage_errors(arguments: list[str], message: str) -> None:
    done = swcl(*arguments)
    assert done.code == 2 and done.out == ""
    assert message in re.sub(r"[\s│]+", " ", done.err)
    assert "Traceback" not in done.err


EMPTY = [
    (["train-labeler"], "data/odir/manifest.parquet is missing. Make it with: swcl prep odir SOURCE"),
    (["make-swap"], "labeler.safetensors is missing. Make it with: swcl train-labeler"),
    (["pretrain"], "swap.parquet is missing. Make it with: swcl make-swap"),
    (["finetune", "drive"], "data/drive/manifest.parquet is missing. Make it with: swcl prep drive SOURCE"),
]


@pytest.mark.parametrize(("arguments", "message"), EMPTY)
def test_a_missing_artefact_names_the_file_and_the_command(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = swcl("--workspace", tmp_path, *arguments)
    assert done.code == 1 and done.out == ""
    assert done.err.startswith("error: ") and done.err.count("\n") == 1
    assert message in done.err and str(tmp_path) in done.err
    assert list(tmp_path.iterdir()) == []


def test_prep_needs_a_source(tmp_path: Path) -> None:
    """In an empty workspace: of a public data set the folder of the download has to be named, and to be there."""
    unnamed = swcl("--workspace", tmp_path, "prep", "odir")
    assert unnamed.code == 2 and "SOURCE" in unnamed.err
    missing = swcl("--workspace", tmp_path, "prep", "odir", tmp_path / "nowhere")
    assert missing.code == 1 and f"{tmp_path}/nowhere" in missing.err
    assert "Traceback" not in unnamed.err + missing.err


def test_report_of_an_empty_workspace(tmp_path: Path) -> None:
    done = swcl("--workspace", tmp_path, "report")
    assert done.code == 1 and done.err.startswith(f"error: {tmp_path} holds nothing to report yet.")
    assert "swcl prep phantom" in done.err and list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    for arguments in (["--debug", "make-swap"], ["make-swap", "--debug"]):
        done = swcl("--workspace", tmp_path, *arguments)
        assert done.code == 1
        assert "Traceback" in done.err and done.err.splitlines()[-1].startswith("error: ")


def test_a_file_that_can_not_be_written_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("a file")
    for arguments in (["report"], ["prep", "phantom"]):
        done = swcl("--workspace", tmp_path / "occupied", *arguments)
        assert done.code == 1 and str(tmp_path / "occupied") in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("arguments", [["report"], ["--debug", "report"]])
def test_an_interrupted_step_exits_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def stopped(_: Any) -> Path:
        raise Interrupted("Stopped after step 3.")

    monkeypatch.setattr(report, "run", stopped)
    done = swcl("--workspace", tmp_path, *arguments)
    assert done.code == 130 and "Stopped after step 3." in done.err


def test_ctrl_c_anywhere_else_exits_with_130_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(_: Any) -> Path:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError

    monkeypatch.setattr(report, "run", pressed)
    done = swcl("--workspace", tmp_path, "report")
    assert done.code == 130 and "Traceback" not in done.err


def test_letters_that_the_encoding_lacks_are_written_out(tmp_path: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = finish(process("--workspace", tmp_path / "\u00e4", "report", **ascii_only))
    assert done.code == 1 and "Traceback" not in done.err and f"{tmp_path}/\\xe4 holds nothing to report" in done.err
    listed = finish(process("--workspace", tmp_path / "\u00e4", "prep", "list", **ascii_only))
    assert listed.code == 0 and listed.out.endswith(f"-> {tmp_path}/\\xe4/data\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        ("> /dev/full", 1, "error: No space is left where output or a log is written.\n"),
        ("> /dev/full 2> /dev/full", 1, ""),
        (">&-", 0, ""),
    ],
)
def test_output_that_can_not_be_written_ends_quietly(redirection: str, code: int, said: str) -> None:
    command = f"{sys.executable} -c '{CALL}' prep list {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), timeout=60)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_full_output_is_not_the_folder_that_is_written_to(tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "source/a.jpg", 1)
    command = f"{sys.executable} -c '{CALL}' prep folder source --size 64 --workers 0 > /dev/full"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment(), timeout=60, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (1, "error: No space is left where output or a log is written.\n")


def test_a_reader_that_goes_ends_quietly() -> None:
    command = f"set -o pipefail; {sys.executable} -u -c '{CALL}' prep list | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode in (0, 1) and not done.stderr


def test_scarce_memory_is_a_line_that_names_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(_: Any) -> Path:
        raise MemoryError

    monkeypatch.setattr(report, "run", starved)
    done = swcl("report")
    assert done.code == 1 and done.err == (
        "error: The computer has too little memory for this command. Try --workers 0, or a smaller batch; "
        "--debug shows more.\n"
    )


def test_a_defect_of_ours_is_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr(report, "run", broken)
    with pytest.raises(ZeroDivisionError):
        swcl("report")
