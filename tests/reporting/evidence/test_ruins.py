"""The whole command on workspaces without numbers, with one kind of artefact, or in ruins; figures are drawn small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.figures.style import LIGHT, Figure
from swcl_cli.reporting.page.rendering import Rendered
from swcl_cli.workspace import Workspace, read_provenance, write_parquet
from tests.commands import swcl
from tests.reporting import golden

RESULTS, MANIFEST, SWAP = "finetune/idrid/random/results.parquet", "data/odir/manifest.parquet", "swap.parquet"


@pytest.fixture(autouse=True)
def small_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    def render(figure: Figure, named: Callable[[str], str] | None = None) -> Rendered:
        drawing = figure.draw(LIGHT)
        drawing.set_layout_engine("none")
        drawing.set_dpi(15)
        canvas = FigureCanvasAgg(drawing)
        canvas.draw()
        return Rendered(figure, bytes(canvas.buffer_rgba()), b"", b"", "data:,", "data:,", (1, 1))

    monkeypatch.setattr("swcl_cli.reporting.page.report.render", render)


# --- numbers that are none ---


def _with_results(workspace: Workspace, task: str, **columns: Any) -> None:
    for path in workspace.root.glob(f"finetune/{task}/*/results.parquet"):
        made, frame = read_provenance(path), pd.read_parquet(path)
        write_parquet(path, pa.Table.from_pandas(frame.assign(**columns), preserve_index=False), made)


@pytest.mark.parametrize("task", ["idrid", "drive"])
def test_a_task_without_any_number(workspace: Workspace, task: str) -> None:
    nan = float("nan")
    _with_results(workspace, task, value=nan, low=nan, high=nan)
    page = _written(workspace)
    assert f"{ {'idrid': 'IDRiD', 'drive': 'DRIVE'}[task] }" in page and "Measures without a value" in page


def test_no_task_has_any_number(workspace: Workspace) -> None:
    for task in ("idrid", "drive"):
        _with_results(workspace, task, value=float("nan"))
    assert "Measures without a value" in _written(workspace)


def test_no_interval_is_known(workspace: Workspace) -> None:
    for task in ("idrid", "drive"):
        _with_results(workspace, task, low=None, high=None)
    _written(workspace)


def test_predictions_of_one_class(workspace: Workspace) -> None:
    for path in workspace.root.glob("finetune/idrid/*/predictions.parquet"):
        made, frame = read_provenance(path), pd.read_parquet(path)
        write_parquet(path, pa.Table.from_pandas(frame.assign(truth=0, prediction=0), preserve_index=False), made)
    _written(workspace)


def _written(workspace: Workspace) -> str:
    """The page of the whole command, in which no figure or table failed."""
    done = swcl("report", "--workspace", workspace.root)
    assert done.code == 0, done.err
    page = (workspace.report / "index.html").read_text()
    assert "left out: " not in done.err + page, done.err
    return page


# --- the command ---


def test_the_command_on_a_workspace_in_ruins(workspace: Workspace) -> None:
    for path in (RESULTS, MANIFEST, SWAP, "swcl.safetensors"):
        (workspace.root / path).write_bytes(b"PAR1 no more")
    workspace.labeler_run.log.write_text('{"step": 0, "loss": 1.0}\nrubbish\n{"step": 1, "loss": 2}\n')
    done = swcl("report", "--workspace", workspace.root)
    assert done.code == 0 and "Traceback" not in done.err
    page = (workspace.report / "index.html").read_text()
    for path in (RESULTS, MANIFEST, SWAP, "swcl.safetensors", "runs/train-labeler/log.jsonl"):
        assert done.err.replace("\n", "").count(f"{path} can") + done.err.count(f"{path}: a line is") == 1, done.err
        assert path in page
    assert "75.0" in page  # swcl on drive


def test_the_command_where_nothing_can_be_read(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.swap.write_bytes(b"PAR1 no more")
    done = swcl("report", "--workspace", tmp_path)
    assert done.code == 1 and "swap.parquet can't be used" in done.err and "Traceback" not in done.err
    assert not workspace.report.exists()


@pytest.mark.parametrize(
    "kept", ["data", "labeler.safetensors", "swap.parquet", "swcl.safetensors", "finetune", "runs"]
)
def test_a_workspace_with_one_kind_of_artefact(workspace: Workspace, kept: str) -> None:
    for path in sorted(workspace.root.rglob("*"), reverse=True):
        if workspace.relative(path).split("/")[0] != kept:
            path.unlink() if path.is_file() else path.rmdir()
    page = _written(workspace)
    assert ("Behind the numbers" in page) and ("IDRiD" in page) == (kept in ("data", "finetune"))


def test_names_of_any_letters(workspace: Workspace) -> None:
    name = "a b=<i>&$_#%'\"ü"
    path = workspace.finetune("idrid", "random")
    path.rename(path.with_name(name))
    contents = read_contents(workspace)
    assert ("idrid", name) in contents.finetuned and not contents.damaged
    _written(workspace)


def test_equal_workspaces_give_equal_reports(tmp_path: Path) -> None:
    """In ruins, too."""
    reports = []
    for place in ("one", "other/and deeper"):
        root = golden.build(tmp_path / place).root
        (root / RESULTS).write_bytes(b"PAR1 no more")
        (root / sorted(read_contents(Workspace(root)).cams)[0]).write_bytes(b"no picture")
        records = [{"step": 0, "loss": 1.0, "embedding_spread": 0.01}]
        golden.write_log(Workspace(root).pretraining("dino").folder, records)
        assert swcl("report", "--workspace", root).code == 0
        files = sorted(path for path in (root / "report").rglob("*") if path.is_file())
        reports.append({path.relative_to(root).as_posix(): path.read_bytes() for path in files})
    assert sorted(reports[0]) == sorted(reports[1])
    assert [name for name in reports[0] if reports[0][name] != reports[1][name]] == []
