"""The grid search of `finetune`: every point once, the choice on validation alone, the same bytes however often it was
broken off.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from swcl_cli.chance import generator
from swcl_cli.errors import Diverged, Interrupted, SwclError
from swcl_cli.steps import finetune
from swcl_cli.tasks import fitting, grid, runs
from swcl_cli.tasks.fitting import fit
from swcl_cli.tasks.grid import GRID
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.saved import Study
from swcl_cli.tasks.trial import Trial
from swcl_cli.tasks.trial import prepare as prepare_trial
from swcl_cli.training.grid import best
from swcl_cli.training.loop import training_steps
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared
from tests.folders import contents, read_log
from tests.light import judged, light, lighten, pressed, same, state
from tests.planted import IDRID, options, write_idrid

__all__ = ["light"]
SEARCH: dict[str, Any] = {"grid": True, "epochs": 2, "batch": 6}  # three steps an epoch
POINTS = [f"lr{rate}-wd{decay}" for rate in ("0.1", "0.03", "0.01") for decay in ("0.001", "0.0005")]
pytestmark = pytest.mark.usefixtures("light", "hasty")


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each training is stopped early, after an epoch."""
    monkeypatch.setattr(fitting, "PATIENCE", 0)
    monkeypatch.setattr(fitting, "LEAST_CHANCES", 0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    hasten(monkeypatch)


def results(root: Path) -> Path:
    return Workspace(root).finetune("idrid", "random")


def table(root: Path) -> pd.DataFrame:
    return pd.read_parquet(results(root) / "grid.parquet")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_idrid(root, 30)
    return root / "data"


@pytest.fixture
def root(data: Path, tmp_path: Path) -> Path:
    shutil.copytree(data, tmp_path / "data")
    return tmp_path


def test_the_points_are_those_of_the_paper_page() -> None:
    assert [rates.name for rates in GRID] == POINTS


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([0.1, 0.3, 0.2], 1),
        ([0.3, 0.1, 0.3], 0),
        ([math.nan, 0.0, math.nan], 1),
        ([math.nan, -0.5, -0.2], 2),
    ],
)
def test_the_best_is_the_first_of_the_largest_and_always_a_number(values: list[float], place: int) -> None:
    assert best(GRID, values) == place
    with pytest.raises(SwclError, match="diverged at every point of the grid; try one with --learning-rate 0.001."):
        best(GRID, [math.nan, math.nan])


def test_six_runs_one_choice_and_every_seed_with_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = judged(monkeypatch)
    finetune.run(options(root, IDRID, **SEARCH, seeds=3))
    assert [call for call in calls if call[1] == "test"] == [(f"seed{seed}", "test") for seed in range(3)]
    assert calls[-1] == ("seed2", "test")
    found = table(root)
    assert [f"lr{row.learning_rate:g}-wd{row.weight_decay:g}" for row in found.itertuples()] == POINTS
    assert set(found["run"]) == {"seed0"} and set(found["measure"]) == {"joint_accuracy"} and found["chosen"].sum() == 1
    chosen = found[found["chosen"]].iloc[0]
    assert chosen["value"] == found["value"].max() and chosen.name == best(GRID, found["value"].tolist())
    for seed in range(3):
        made = read_provenance(results(root) / f"seed{seed}" / "model.safetensors")
        assert made["settings"].items() >= {
            "grid": True, "seed": seed, "grid_seed": 0, "learning_rate": chosen["learning_rate"],
            "weight_decay": chosen["weight_decay"],
        }.items()  # fmt: skip
    first = read_provenance(results(root) / "seed0/model.safetensors")["validation"]
    assert first.items() >= {"best": chosen["value"], "best_epoch": chosen["best_epoch"]}.items()
    whole = read_provenance(results(root) / "results.parquet")["settings"]
    assert whole["grid"] and whole["learning_rate"] is None and "grid_seed" not in whole
    names = {path.name for path in (results(root) / "seed0").iterdir()}
    assert names == {"grid.parquet", "model.safetensors", "predictions.parquet", "results.parquet"}
    folder = Workspace(root).finetuning("idrid", "random", "seed0").folder
    assert read_log(folder) == read_log(folder / f"lr{chosen['learning_rate']:g}-wd{chosen['weight_decay']:g}")


def test_the_run_is_that_of_its_rates_alone(root: Path) -> None:
    finetune.run(options(root, IDRID, **SEARCH))
    row = table(root)[table(root)["chosen"]].iloc[0]
    rates = {"learning_rate": float(row["learning_rate"]), "weight_decay": float(row["weight_decay"])}
    finetune.run(options(root, {**IDRID, **SEARCH, **rates}, grid=False, name="plain"))
    models = [state(path / "seed0/model.safetensors") for path in (results(root), results(root).with_name("plain"))]
    assert same(*models)


def with_drawn_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task's measure is a number drawn by the weights and the labels of the split: no two are equal."""
    original = prepare_trial

    def prepare(study: Study, *given: Any) -> Trial:
        trial, splits = original(study, *given), study.rows

        def judge(fabric: Any, split: str, folder: Path | None) -> Judgement:
            judgement = trial.judge(fabric, split, folder)
            weights = trial.network.state_dict()["encoder.linear.weight"]
            drawn = hashlib.blake2b(f"{weights.tolist()} {splits[split]['dr_grade'].tolist()}".encode()).digest()[0]
            return replace(judgement, measures={**judgement.measures, "joint_accuracy": drawn / 256})

        return replace(trial, judge=judge)

    monkeypatch.setattr(runs, "prepare", prepare)


def test_test_labels_do_not_change_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_drawn_measures(monkeypatch)
    made = []
    for seed in range(3):
        root = tmp_path / f"{seed}"
        rows = write_idrid(root, 30)
        grades, test = rows["dr_grade"].to_numpy(dtype=np.int8).copy(), (rows["split"] == "test").to_numpy()
        grades[test] = generator(seed, "grades").integers(0, 5, test.sum())
        prepared.change(root, "idrid", dr_grade=grades)
        finetune.run(options(root, IDRID, **SEARCH))
        scores = pd.read_parquet(results(root) / "results.parquet").set_index(["split", "measure"])["value"]
        made.append((table(root), state(results(root) / "seed0/model.safetensors"), scores))
    assert made[0][0]["value"].nunique() > 4
    for other in made[1:]:
        pd.testing.assert_frame_equal(made[0][0], other[0])
        assert same(made[0][1], other[1]) and made[0][2]["val"].equals(other[2]["val"])
    assert len({scores["test", "joint_accuracy"] for *_, scores in made}) == 3


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a search and two seeds leave, made in one go."""
    root = tmp_path_factory.mktemp("unbroken")
    shutil.copytree(data, root / "data")
    with pytest.MonkeyPatch.context() as patched:
        lighten(patched)
        hasten(patched)
        finetune.run(options(root, IDRID, **SEARCH, seeds=2))
    return contents(root / "finetune")


@pytest.mark.parametrize(
    ("folder", "step", "first"),
    [
        pytest.param(POINTS[0], 2, [2, 0, 0, 0, 0, 0, 0], id="in the first point"),
        pytest.param(POINTS[4], 1, [1, 0, 0], id="in the fifth"),
        pytest.param(POINTS[5], 3, [0], id="at the end of the last"),
        pytest.param("seed1", 2, [2], id="in the second seed"),
    ],
)
def test_broken_off_in_a_training_it_goes_on(
    root: Path, unbroken: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, folder: str, step: int, first: list[int]
) -> None:
    with monkeypatch.context() as patched:
        pressed(patched, lambda: signal.raise_signal(signal.SIGINT), folder, step)
        with pytest.raises(Interrupted, match="Stopped after .*; the same command goes on from there"):
            finetune.run(options(root, IDRID, **SEARCH, seeds=2))
    began: list[int] = []

    def counted(*given: Any, **named: Any) -> Any:
        began.append(given[-1])
        return training_steps(*given, **named)

    monkeypatch.setattr(fitting, "training_steps", counted)
    finetune.run(options(root, IDRID, **SEARCH, seeds=2, workers=len(first) == 1))
    assert began == first
    assert contents(root / "finetune") == unbroken


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        pytest.param(grid, "write_safetensors", 3, id="before the third point is written"),
        pytest.param(grid, "validation_of", 3, id="after the third point is written"),
        pytest.param(grid, "write_parquet", 1, id="before the choice is written"),
        pytest.param(runs, "write_parquet", 1, id="after the choice"),
        pytest.param(runs, "write_safetensors", 1, id="after the test"),
        pytest.param(runs, "remove_tree", 1, id="after the model is written"),
    ],
)
def test_killed_between_trainings_it_goes_on(
    root: Path, unbroken: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, module: Any, name: str, call: int
) -> None:
    original, calls = getattr(module, name), []

    def kill(*given: Any, **named: Any) -> Any:
        calls.append(given)
        if len(calls) == call:
            raise Killed
        return original(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, kill)
        with pytest.raises(Killed):
            finetune.run(options(root, IDRID, **SEARCH))
    trained: list[Any] = []

    def counted(*given: Any, **named: Any) -> Any:
        trained.append(given)
        return fit(*given)

    monkeypatch.setattr(runs, "fit", counted)
    finetune.run(options(root, IDRID, **SEARCH, seeds=2))
    left = {"write_safetensors": 4, "validation_of": 3}.get(name, 0) if module is grid else 0
    assert len(trained) == left + 1
    assert contents(root / "finetune") == unbroken


def test_a_point_that_diverges_is_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverging(*given: Any, **named: Any) -> Any:
        if given[4](0) == 0.1:
            raise Diverged("The loss is not finite at step 0 (learning rate 0.1).")
        return training_steps(*given, **named)

    monkeypatch.setattr(fitting, "training_steps", diverging)
    finetune.run(options(root, IDRID, **SEARCH))
    found = table(root)
    assert found["value"].isna().tolist() == [True, True, False, False, False, False]
    assert found["best_epoch"].isna().tolist() == found["value"].isna().tolist()
    assert not found["chosen"][:2].any() and found["chosen"].sum() == 1
    said = capsys.readouterr()
    assert said.err.count("This point of the grid is out.") == 2 and said.out.count("diverged") == 2


def test_a_grid_is_not_mixed_with_rates_nor_with_another_first_seed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune.run(options(root, IDRID, **SEARCH, seeds=2))
    monkeypatch.setattr(fitting, "training_steps", None)
    with pytest.raises(SwclError, match="grid: True -> False"):
        finetune.run(options(root, IDRID, **{**SEARCH, "grid": False}))
    with pytest.raises(SwclError, match="grid_seed: 0 -> 1"):
        finetune.run(options(root, IDRID, **SEARCH, seed=1))
