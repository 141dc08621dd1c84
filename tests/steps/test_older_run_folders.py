"""Work that an older version began, in flat folders below runs/, goes on to the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from swcl_cli.errors import Interrupted, SwclError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.steps import finetune, make_swap, pretrain
from swcl_cli.workspace import RunFolder, Workspace
from tests import prepared, swap_runs
from tests.light import light, pressed
from tests.planted import IDRID, options, write_idrid
from tests.steps import test_pretrain

__all__ = ["light"]


def _flattened(run: RunFolder, root: Path) -> Path:
    """Moves the run to where older versions kept it."""
    flat = root / "runs" / "-".join(filter(None, run.named))
    os.rename(run.folder, flat)
    shutil.rmtree(root / "runs" / run.step)
    return flat


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _broken_off(monkeypatch: pytest.MonkeyPatch, settings: FinetuneSettings, folder: str) -> None:
    with monkeypatch.context() as patched:
        pressed(patched, lambda: signal.raise_signal(signal.SIGINT), folder, 2)
        with pytest.raises(Interrupted):
            finetune.run(settings)


@pytest.mark.usefixtures("light")
class TestFinetune:
    def one(self, root: Path, **values: Any) -> FinetuneSettings:
        return options(root, IDRID, **{"epochs": 2, "batch": 6, **values})

    @pytest.mark.parametrize(("grid", "folder"), [(False, "seed0"), (True, "lr0.1-wd0.0005")])
    def test_it_goes_on(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        grid: bool,
        folder: str,
    ) -> None:
        write_idrid(tmp_path, 30)
        shutil.copytree(tmp_path / "data", tmp_path / "whole/data")
        _broken_off(monkeypatch, self.one(tmp_path, grid=grid), folder)
        run = Workspace(tmp_path).finetuning("idrid", "random", "seed0")
        flat = _flattened(run, tmp_path)
        capsys.readouterr()
        finetune.run(self.one(tmp_path, grid=grid))
        assert "after step 2." in capsys.readouterr().out and not flat.exists()
        finetune.run(self.one(tmp_path / "whole", grid=grid))
        for part in ("finetune", "runs"):
            before, after = (_files(root / part) for root in (tmp_path / "whole", tmp_path))
            assert before.keys() == after.keys()
            assert part == "runs" or before == after

    def test_other_settings_are_told_as_ever(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_idrid(tmp_path, 30)
        _broken_off(monkeypatch, self.one(tmp_path), "seed0")
        _flattened(Workspace(tmp_path).finetuning("idrid", "random", "seed0"), tmp_path)
        with pytest.raises(SwclError, match=r"is of a run that differs \(epochs: 2 -> 3\). Start over with --fresh"):
            finetune.run(self.one(tmp_path, epochs=3))

    def test_fresh_starts_over_and_leaves_none_of_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_idrid(tmp_path, 30)
        _broken_off(monkeypatch, self.one(tmp_path), "seed0")
        _flattened(Workspace(tmp_path).finetuning("idrid", "random", "seed0"), tmp_path)
        finetune.run(self.one(tmp_path, epochs=1, fresh=True))
        assert {path.name for path in (tmp_path / "runs").iterdir()} == {"finetune"}

    def test_a_finished_run_keeps_its_log(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 30)
        finetune.run(self.one(tmp_path, epochs=1))
        run = Workspace(tmp_path).finetuning("idrid", "random", "seed0")
        flat = _flattened(run, tmp_path)
        log = (flat / "log.jsonl").read_bytes()
        finetune.run(self.one(tmp_path, epochs=1))
        assert run.log.read_bytes() == log and not flat.exists()


def test_a_pretraining_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labeler(tmp_path, ["odir"], [])
    make_swap.run(swap_runs.options(tmp_path))
    chosen = {"epochs": 1, "warmup_epochs": 0, "probe_every": 0}
    whole = pretrain.run(test_pretrain.options(tmp_path, **chosen, name="whole")).read_bytes()
    with monkeypatch.context() as patched:
        pressed(patched, lambda: signal.raise_signal(signal.SIGINT), "broken-off", 2)
        with pytest.raises(Interrupted):
            pretrain.run(test_pretrain.options(tmp_path, **chosen, name="broken-off"))
    run = Workspace(tmp_path).pretraining("broken-off")
    flat = _flattened(run, tmp_path)
    capsys.readouterr()
    path = pretrain.run(test_pretrain.options(tmp_path, **chosen, name="broken-off"))
    assert "after step 2." in capsys.readouterr().out
    assert path.read_bytes() == whole and run.log.exists() and not flat.exists()
