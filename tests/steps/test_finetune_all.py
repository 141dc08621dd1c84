"""`finetune all`, and `finetune folder`, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.errors import UsageError
from swcl_cli.steps import finetune
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.commands import Finished, swcl
from tests.light import light
from tests.planted import IDRID, options, write_idrid

__all__ = ["light"]
pytestmark = pytest.mark.usefixtures("light")
TINY = """
[finetune]
architecture = "resnet18"
crop = 32
epochs = 1
seeds = 1
accelerator = "cpu"
workers = 0
[finetune.idrid]
batch = 9
"""


def call(root: Path, *words: object) -> Finished:
    (root / "tiny.toml").write_text(TINY)
    return swcl("--workspace", root, "finetune", *words, "--preset", root / "tiny.toml")


def write_folder(root: Path, name: str, **labels: Sequence[object]) -> pd.DataFrame:
    rows = [
        {
            "split": ("train", "train", "val", "test")[item % 4],
            "image": prepared.photograph(item, 40, 40),
            **{label: values[item] for label, values in labels.items()},
        }
        for item in range(24)
    ]
    return prepared.write(root, name, rows)


def test_all_does_what_is_prepared_and_names_the_commands_for_the_rest(tmp_path: Path) -> None:
    write_idrid(tmp_path, 30)
    done = call(tmp_path, "all", "--init", "random")
    assert done.code == 0
    words = " ".join(done.out.split())
    for task in (name for name in TASKS if name not in ("idrid", "folder")):
        assert f"│ {task} │ run: swcl prep {task} SOURCE │" in words
    assert "│ idrid │ prepared │" in words and "│ folder" not in words
    assert done.out.endswith(f"-> {tmp_path}/finetune/idrid/random/results.parquet\n")
    assert "-> done" not in done.out and "This run is already done." in call(tmp_path, "all").out


def test_all_takes_rows_and_sub_tables_of_each_task(tmp_path: Path) -> None:
    done = call(tmp_path, "all", "--dry-run")
    assert done.code == 0 and done.out.count("swcl finetune") == len(TASKS) - 1
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.out.splitlines() if "│" in line]
    batches = [row[1:] for row in rows if row[0] == "batch"]
    assert [batch[0] for batch in batches] == ["64", "9", "64", "8", "8", "8", "8", "8"]
    assert batches[1][1].startswith("preset") and batches[3][1] == "task drive"


def test_a_task_that_fails_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    write_idrid(tmp_path, 30)
    prepared.write(tmp_path, "drive", [{"image": prepared.photograph(0)}])
    done = call(tmp_path, "all")
    assert done.code == 1 and (tmp_path / "finetune/idrid/random/results.parquet").exists()
    assert "error: drive: drive has 1 train, 0 val, 0 test photographs: each split needs some." in done.err
    assert done.err.rstrip().endswith("error: 1 of 2 tasks could not be done: drive; see above.")


def test_a_wrong_word_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise UsageError("--init gone.safetensors: no such file.")

    write_idrid(tmp_path, 30)
    prepared.write(tmp_path, "drive", [{"image": prepared.photograph(0)}])
    monkeypatch.setattr(finetune, "initialise_for", gone)
    done = call(tmp_path, "all", "--init", "gone.safetensors")
    assert done.code == 2 and done.err == "error: --init gone.safetensors: no such file.\n"


def test_all_without_data(tmp_path: Path) -> None:
    done = call(tmp_path, "all")
    assert done.code == 1 and "No task's data are prepared. Make them with: swcl prep DATASET SOURCE" in done.err


def test_all_is_of_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="call run_all with the settings of each"):
        finetune.run(options(tmp_path, {**IDRID, "task": "all"}))


def test_own_photographs(tmp_path: Path) -> None:
    abnormal = [item % 3 == 0 for item in range(24)]
    write_folder(tmp_path, "folder", abnormal=abnormal)
    write_folder(tmp_path, "clinic", abnormal=abnormal, dr_grade=[item % 5 for item in range(24)])
    assert call(tmp_path, "folder").code == 0
    assert call(tmp_path, "folder", "--data", "clinic", "--name", "mine").code == 0
    folder = Workspace(tmp_path).finetune("folder", "random")
    clinic = Workspace(tmp_path).finetune("folder-clinic", "mine")
    for path, task, measure in ((folder, "folder", "auc"), (clinic, "folder-clinic", "joint_accuracy")):
        table = pd.read_parquet(path / "results.parquet")
        assert set(table["task"]) == {task} and set(table[table["primary"]]["measure"]) == {measure}
    assert (tmp_path / "runs/finetune/folder-clinic/mine/seed0/log.jsonl").exists()


def test_own_photographs_in_folds(tmp_path: Path) -> None:
    write_folder(tmp_path, "folder", abnormal=np.arange(24) % 3 == 0)
    assert call(tmp_path, "folder", "--folds", 4).code == 0
    path = Workspace(tmp_path).finetune("folder", "random") / "predictions.parquet"
    assert sorted(pd.read_parquet(path)["image_id"]) == sorted(f"{item}" for item in range(24))


def test_wrong_words(tmp_path: Path) -> None:
    done = call(tmp_path, "folder", "--data", "clinic")
    assert done.code == 1 and "data/clinic/manifest.parquet is missing" in done.err
    done = call(tmp_path, "idrid", "--data", "clinic")
    assert done.code == 2 and "data belongs to folder, not to idrid" in done.err
    done = call(tmp_path, "idrid", "--folds", 1)
    assert done.code == 2 and "of one fold nothing is left to train on" in done.err
    done = call(tmp_path, "messidor", "--seeds", 2)
    assert done.code == 1 and "messidor/manifest.parquet is missing. Make it with: swcl prep messidor" in done.err
