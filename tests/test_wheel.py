"""The built wheel, installed away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from swcl_cli.settings import ROWS, STEPS
from swcl_cli.settings.resolve import preset_names

ROOT = Path(__file__).parents[1]
CHOICES = {step: [[name] for name in rows if name != "list"] for step, rows in ROWS.items()}
CHOICES |= {
    "pretrain": [["--method", *row] for row in CHOICES["pretrain"]],
    "predict": [["MODEL", "PHOTOS", "--out", "answers"]],
    "export": [["MODEL", "--out", "exported"]],
}


@pytest.fixture(scope="module")
def swcl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in an environment of its own, which borrows the packages it depends on from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next((venv / "lib").glob("python*/site-packages"))
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(venv / "bin/python"),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin/swcl"


@pytest.fixture
def outside(tmp_path: Path) -> dict[str, str]:
    """A home that can't be written to, and nothing that leads back to the checkout."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    return {"HOME": str(home), "PATH": os.defpath, "COLUMNS": "220", "PYTHONDONTWRITEBYTECODE": "1"}


def called(swcl: Path, outside: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [swcl, *arguments], cwd=outside["HOME"], env=outside, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_it_runs_from_its_own_place(swcl: Path, outside: dict[str, str]) -> None:
    code = "import swcl_cli.settings.resolve as r; print(r.__file__); print(r.preset_folder())"
    python = swcl.parent / "python"
    printed = subprocess.run(
        [python, "-c", code], cwd=outside["HOME"], env=outside, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert all(Path(line).is_relative_to(swcl.parents[1]) for line in printed)
    assert sorted(path.stem for path in Path(printed[1]).iterdir()) == preset_names()


@pytest.mark.slow
def test_it_carries_its_facts_and_says_that_it_is_typed(swcl: Path) -> None:
    (package,) = swcl.parents[1].glob("lib/python*/site-packages/swcl_cli")
    assert (package / "FACTS.md").read_bytes() == (ROOT / "swcl_cli/FACTS.md").read_bytes()
    assert (package / "py.typed").exists()


@pytest.mark.slow
@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("step", STEPS)
def test_every_preset_passes_a_dry_run(swcl: Path, outside: dict[str, str], step: str, preset: str) -> None:
    for arguments in CHOICES.get(step, [[]]):
        done = called(swcl, outside, step, *arguments, "--preset", preset, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert f"swcl {step}" in done.stdout
    assert not list(Path(outside["HOME"]).iterdir())


@pytest.mark.slow
def test_what_to_start_with_is_there(swcl: Path, outside: dict[str, str]) -> None:
    shown = called(swcl, outside, "--help").stdout
    assert "Start with: swcl prep phantom" in " ".join(shown.split()) and "make demo" not in shown


@pytest.mark.slow
def test_an_error_is_a_line_there_too(swcl: Path, outside: dict[str, str]) -> None:
    done = called(swcl, outside, "make-swap")
    assert done.returncode == 1 and "labeler.safetensors is missing. Make it with: swcl train-labeler" in done.stderr
    assert called(swcl, outside, "pretrain", "--preset", "papr").returncode == 2
