"""Every task on its phantom download, from raw photographs to scores and predictions of the raw test photographs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.workspace import Workspace
from tests.commands import swcl

pytestmark = pytest.mark.slow
PUBLIC = [name for name, task in TASKS.items() if not task.open]
SEED = 2  # each grade of Messidor twice, so that two folds can have it
PRESET = """
[finetune]
architecture = "resnet18"
epochs = 1
seeds = 1
batch = 4
crop = 64
output_stride = 16
workers = 0
""" + "".join(f"[finetune.{name}]\ncrop = 192\n" for name in ("drive", "stare", "chase-db1", "refuge-seg"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tasks")
    (root / "tiny.toml").write_text(PRESET)
    drawn = ",".join([*PUBLIC, "folder"])
    done = swcl(
        "--workspace", root, "prep", "phantom", "--patients", 20, "--drawn-size", 128, "--drawn", drawn, "--seed", SEED
    )
    assert done.code == 0, done.err
    return root


def finetune(root: Path, task: str, *more: object) -> pd.DataFrame:
    done = swcl("--workspace", root, "finetune", task, "--preset", root / "tiny.toml", *more)
    assert done.code == 0, done.err
    return pd.read_parquet(Workspace(root).finetune(task, "random") / "results.parquet")


@pytest.mark.parametrize("task", PUBLIC)
def test_from_the_download_to_scores_and_predictions(workspace: Path, task: str) -> None:
    found = finetune(workspace, task, *(["--folds", 2] if task == "messidor" else []))
    primary = found[found["primary"]]
    assert primary["value"].between(0, 1).all() and set(primary["measure"]) == {TASKS[task].measure}
    assert (found["reason"].notna() == found["value"].isna()).all()

    run = primary["run"].iloc[-1]
    folder = Workspace(workspace).finetune(task, "random")
    rows = pd.read_parquet(folder / "predictions.parquet")
    table = pd.read_parquet(Workspace(workspace).manifest(TASKS[task].dataset)).set_index("image_id")
    tested = table.loc[sorted(set(rows.loc[rows["run"] == run, "image_id"])), "source_path"]
    source = workspace / "phantom" / ("refuge" if task.startswith("refuge") else task)
    out = workspace / "out" / task
    raw = [source / path for path in tested]
    done = swcl("predict", folder / run / "model.safetensors", *raw, "--out", out, "--workers", 0)
    assert done.code == 0, done.err
    assert len(pd.read_csv(out / "predictions.csv")) == len(tested) > 0


def test_the_report_shows_them(workspace: Path) -> None:
    """Of all that the tests above have made; run by itself it finds nothing to ask for."""
    trained = sorted(path.parent.parent.name for path in workspace.glob("finetune/*/*/results.parquet"))
    done = swcl("--workspace", workspace, "report")
    assert done.code == 0, done.err
    assert sorted(set(pd.read_csv(workspace / "report/tables/results.csv")["task"])) == trained
    pictures = {path.stem for path in (workspace / "report/figures").glob("segmentation-*.png")}
    assert pictures == {f"segmentation-{task}" for task in trained if TASKS[task].kind == "segmentation"}


def test_photographs_of_ones_own(workspace: Path) -> None:
    found = finetune(workspace, "folder", "--eval", "val")
    assert {"joint_accuracy", "abnormal_auc", "dr_grade_kappa"} < set(found["measure"])
