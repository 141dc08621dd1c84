"""The protocol of `finetune`: folds, parts of train, validation alone, frozen encoders; test is judged once."""

from __future__ import annotations

import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from swcl_cli.data.images import read_mask
from swcl_cli.errors import Interrupted, SwclError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.steps import finetune
from swcl_cli.tasks import fitting, runs
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.trial import Trial
from swcl_cli.tasks.trial import prepare as prepare_trial
from swcl_cli.workspace import Workspace, read_provenance, write_safetensors
from tests import prepared
from tests.folders import contents, read_log
from tests.light import judged, light, pressed, same, state
from tests.planted import DRIVE, IDRID, options, write_drive, write_idrid

__all__ = ["light"]


def folder(root: Path, name: str = "random", task: str = "idrid") -> Path:
    return Workspace(root).finetune(task, name)


@pytest.mark.usefixtures("light")
class TestFolds:
    def test_each_fold_is_a_run_and_each_photograph_is_tested_once_a_seed(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 60)
        path = finetune.run(options(tmp_path, IDRID, epochs=1, folds=3, seeds=2))
        names = [f"fold{fold}-seed{seed}" for seed in range(2) for fold in range(3)]
        results, predictions = pd.read_parquet(path), pd.read_parquet(path.with_name("predictions.parquet"))
        assert list(results["run"].unique()) == names
        assert sorted(set(zip(results["run"], results["seed"], results["fold"], strict=True))) == sorted(
            (f"fold{fold}-seed{seed}", seed, fold) for seed in range(2) for fold in range(3)
        )
        assert sorted(one.name for one in path.parent.iterdir() if one.is_dir()) == sorted(names)
        tested = predictions.groupby("run")["image_id"].agg(set)
        for seed in range(2):
            parts = [tested[f"fold{fold}-seed{seed}"] for fold in range(3)]
            assert set.union(*parts) == {f"{item}" for item in range(60)} and sum(map(len, parts)) == 60
        assert read_provenance(path.parent / "fold1-seed0/model.safetensors")["settings"]["fold"] == 1
        whole = read_provenance(path)["settings"]
        assert whole["folds"] == 3 and whole["seeds"] == 2 and "fold" not in whole

    def test_the_grid_is_searched_in_each_fold(self, tmp_path: Path) -> None:
        """On its own validation photographs: those of another fold are tested in this one."""
        write_idrid(tmp_path, 60)
        path = finetune.run(options(tmp_path, IDRID, epochs=1, folds=2, seeds=2, grid=True))
        found = pd.read_parquet(path.with_name("grid.parquet"))
        assert found.groupby("fold")["chosen"].agg(["size", "sum"]).to_numpy().tolist() == [[6, 1]] * 2
        for row in found[found["chosen"]].itertuples():
            for seed in range(2):
                made = read_provenance(path.parent / f"fold{row.fold}-seed{seed}/model.safetensors")["settings"]
                assert (made["learning_rate"], made["weight_decay"]) == (row.learning_rate, row.weight_decay)

    def test_more_seeds_add_runs(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_idrid(tmp_path, 60)
        finetune.run(options(tmp_path, IDRID, epochs=1, folds=2))
        before = contents(tmp_path / "finetune")
        capsys.readouterr()
        finetune.run(options(tmp_path, IDRID, epochs=1, folds=2, seeds=2))
        after, said = contents(tmp_path / "finetune"), capsys.readouterr().out
        assert all(after[name] == data for name, data in before.items() if name.count("/") > 2)
        assert "idrid from random: 2 of 4 done" in said and "idrid from random: 3 of 4 done" in said
        assert said.count("This run is already done.") == 2


def test_a_column_may_be_empty_in_one_run(tmp_path: Path) -> None:
    """As where no photograph of a fold has a field of view."""
    write_drive(tmp_path, 10)
    path = finetune.run(options(tmp_path, DRIVE, epochs=1, seeds=2)).with_name("predictions.parquet")
    one = path.parent / "seed1/predictions.parquet"
    table = pq.read_table(one)
    pq.write_table(table.set_column(table.column_names.index("fov_path"), "fov_path", pa.nulls(len(table))), one)
    finetune.run(options(tmp_path, DRIVE, epochs=1, seeds=2))
    assert pd.read_parquet(path).groupby("run")["fov_path"].count().to_dict() == {"seed0": len(table), "seed1": 0}


@pytest.mark.usefixtures("light")
def test_the_test_split_is_judged_once_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idrid(tmp_path, 30)
    calls = judged(monkeypatch)
    finetune.run(options(tmp_path, IDRID, epochs=4))
    assert [split for _, split in calls].count("test") == 1 and calls[-1] == ("seed0", "test")
    assert len(calls) > 3
    calls.clear()
    finetune.run(options(tmp_path, IDRID, epochs=4))
    assert not calls


class TestValidationAlone:
    @pytest.mark.usefixtures("light")
    def test_results_hold_it_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_idrid(tmp_path, 30)
        calls = judged(monkeypatch)
        path = finetune.run(options(tmp_path, IDRID, epochs=2, eval="val"))
        assert {split for _, split in calls} == {"val"}
        results, predictions = pd.read_parquet(path), pd.read_parquet(path.with_name("predictions.parquet"))
        assert set(results["split"]) == set(predictions["split"]) == {"val"}
        primary = results[results["primary"]].iloc[0]
        assert primary["low"] <= primary["value"] <= primary["high"]
        with pytest.raises(SwclError, match="eval: val -> test"):
            finetune.run(options(tmp_path, IDRID, epochs=2))

    def test_vessels_without_test_masks(self, tmp_path: Path) -> None:
        rows = write_drive(tmp_path, 5)
        paths = [None if row.split == "test" else row.mask_path for row in rows.itertuples()]
        prepared.change(tmp_path, "drive", mask_path=paths)
        with pytest.raises(SwclError, match="1 of 1 test photographs of drive have no mask, such as 4.*--eval val"):
            finetune.run(options(tmp_path, DRIVE, epochs=1))
        path = finetune.run(options(tmp_path, DRIVE, epochs=1, eval="val"))
        assert set(pd.read_parquet(path)["split"]) == {"val"}
        maps = sorted(one.name for one in (path.parent / "seed0/maps").rglob("*.png"))
        assert maps == ["3.png"] and read_mask(path.parent / "seed0/maps/3.png").shape == (40, 48)


@pytest.mark.usefixtures("light")
def test_a_fraction_is_part_of_the_name_and_of_what_defines_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_idrid(tmp_path, 60)
    whole = finetune.run(options(tmp_path, IDRID, epochs=1, name="whole"))
    part = finetune.run(options(tmp_path, IDRID, epochs=1, fraction=0.5))
    assert part.parent.name == "random-0.5"
    said = capsys.readouterr().out
    assert "36 train, 12 val, 12 test photographs" in said and "18 train, 12 val, 12 test photographs" in said
    assert len(pd.read_parquet(whole)) == len(pd.read_parquet(part))
    with pytest.raises(SwclError, match=r"made differently \(fraction: 1.0 -> 0.5\)"):
        finetune.run(options(tmp_path, IDRID, epochs=1, fraction=0.5, name="whole"))


class TestFreeze:
    @pytest.mark.parametrize("task", ["idrid", "drive"])
    def test_the_encoder_is_the_file_after_training_too(self, tmp_path: Path, task: str) -> None:
        """Batch statistics included."""
        write_idrid(tmp_path, 20) if task == "idrid" else write_drive(tmp_path, 5)
        weights = prepared.encoder(tmp_path / "swcl.safetensors")
        one = options(
            tmp_path,
            IDRID if task == "idrid" else DRIVE,
            init="swcl.safetensors",
            freeze=True,
            epochs=1,
            architecture=None,
        )
        path = finetune.run(one)
        assert path.parent.name == "swcl-frozen"
        faster = finetune.run(one.model_copy(update={"learning_rate": 0.1, "name": "faster"}))
        first, second = (state(made.parent / "seed0/model.safetensors") for made in (path, faster))
        for trained in (first, second):
            encoder = {key.removeprefix("encoder."): trained[key] for key in trained if key.startswith("encoder.")}
            assert same(encoder, weights)
        heads = [key for key in first if not key.startswith("encoder.") and key.endswith("weight")]
        assert heads and not any(np.array_equal(first[key], second[key]) for key in heads)

    def test_without_it_the_encoder_trains(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 20)
        weights = prepared.encoder(tmp_path / "swcl.safetensors")
        path = finetune.run(options(tmp_path, IDRID, init="swcl.safetensors", epochs=1, architecture=None))
        trained = state(path.parent / "seed0/model.safetensors")
        changed = [key for key, tensor in weights.items() if not np.array_equal(trained[f"encoder.{key}"], tensor)]
        assert {"conv1.weight", "bn1.running_mean"} <= set(changed)


class TestBatchStatistics:
    def runs(self, root: Path, task: dict[str, Any], **values: Any) -> list[dict[str, Tensor]]:
        """The state after a fine-tuning with estimated statistics, and with those of the training."""
        made = []
        for precise_bn in (20, 0):
            settings = options(root, task, precise_bn=precise_bn, name=f"p{precise_bn}", **values)
            made.append(state(finetune.run(settings).parent / "seed0/model.safetensors"))
        return made

    @pytest.mark.parametrize("task", ["idrid", "drive"])
    def test_the_training_goes_on_as_if_nothing_had_happened(self, tmp_path: Path, task: str) -> None:
        """Dropout's draws and BatchNorm's running statistics included."""
        write_idrid(tmp_path, 30) if task == "idrid" else write_drive(tmp_path, 5)
        estimated, running = self.runs(tmp_path, IDRID if task == "idrid" else DRIVE, epochs=3, batch=2)
        folders = [Workspace(tmp_path).finetuning(task, name, "seed0").folder for name in ("p20", "p0")]
        losses = [[line["loss"] for line in read_log(folder) if "loss" in line] for folder in folders]
        assert losses[0] == losses[1] and len(losses[0]) > 3
        statistics = {key for key in estimated if key.split(".")[-1] in ("running_mean", "running_var")}
        assert statistics and not any(torch.equal(estimated[key], running[key]) for key in statistics)

    @pytest.mark.usefixtures("light")
    def test_views_are_those_of_the_last_steps_since_the_validation(self, tmp_path: Path) -> None:
        """The statistics of the first layer say which: nothing is learnt before it."""
        write_idrid(tmp_path, 30)
        few = options(tmp_path, IDRID, epochs=4, batch=6, validate_every=2, precise_bn=20)
        trials: list[Trial] = []

        def prepare(*given: Any) -> Trial:
            trials.append(prepare_trial(*given))
            return trials[-1]

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(runs, "prepare", prepare)
            path = finetune.run(few).parent / "seed0/model.safetensors"
        (trial,) = trials
        epoch = int(read_provenance(path)["validation"]["best_epoch"])
        steps = range((epoch - 1) * 3, (epoch + 1) * 3)  # 18 photographs in batches of 6, two epochs a validation
        means = [self.mean(trial, keys) for step in steps for keys in trial.plan(step)]
        kept = state(path)
        torch.testing.assert_close(kept["encoder.norm.running_mean"], torch.stack(means).mean(dim=0))
        assert int(kept["encoder.norm.num_batches_tracked"]) == 6

    @staticmethod
    def mean(trial: Trial, keys: Any) -> Tensor:
        views = torch.stack([torch.as_tensor(trial.dataset[key]["image"]) for key in keys])
        mean: Tensor = nn.AdaptiveAvgPool2d(2)(views).mean(dim=(0, 2, 3))
        return mean

    @pytest.mark.usefixtures("light")
    def test_no_more_steps_than_the_setting_says(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 30)
        path = finetune.run(options(tmp_path, IDRID, epochs=1, batch=2, precise_bn=4))
        kept = state(path.parent / "seed0/model.safetensors")
        assert int(kept["encoder.norm.num_batches_tracked"]) == 4

    @pytest.mark.usefixtures("light")
    def test_a_validation_has_the_statistics_that_are_kept(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 30)
        path = finetune.run(options(tmp_path, IDRID, epochs=3, batch=6))
        chosen = read_provenance(path.parent / "seed0/model.safetensors")["validation"]
        table = pd.read_parquet(path)
        row = table[(table["split"] == "val") & table["primary"]].iloc[0]
        assert row["value"] == chosen["best"]

    def test_a_network_without_batch_norm_is_the_same_to_the_byte(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 10)
        bit = {"architecture": "resnetv2_50x1_bit", "epochs": 1, "batch": 4}
        estimated, running = self.runs(tmp_path, IDRID, **bit)
        assert same(estimated, running)

    @pytest.mark.usefixtures("light")
    def test_a_finished_run_of_before_is_told(self, tmp_path: Path) -> None:
        """A table never mixes them with others; `--precise-bn 0` keeps them."""
        write_idrid(tmp_path, 20)
        old = options(tmp_path, IDRID, epochs=1, precise_bn=0)
        path = finetune.run(old).parent / "seed0/model.safetensors"
        as_of_before(path)
        with pytest.raises(SwclError, match=r"\(precise_bn: 0 -> 20\).*--fresh.* --precise-bn 0 takes it as it is"):
            finetune.run(options(tmp_path, IDRID, epochs=1))
        with pytest.raises(SwclError, match=r"\(epochs: 1 -> 2; precise_bn: 0 -> 20\)") as caught:
            finetune.run(options(tmp_path, IDRID, epochs=2))
        assert "--precise-bn" not in str(caught.value)
        finetune.run(old)


def as_of_before(path: Path) -> None:
    """The model without the setting, as version 0.1 wrote it."""
    made = read_provenance(path)
    del made["settings"]["precise_bn"]
    write_safetensors(path, state(path), made)


@pytest.mark.usefixtures("light")
class TestStartingOver:
    def one(self, root: Path, **values: Any) -> FinetuneSettings:
        return options(root, IDRID, **{"epochs": 2, "batch": 6, "seeds": 2, **values})

    def test_fresh_goes_on_without_it_where_it_was_broken_off(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Though its first results were of other settings."""
        write_idrid(tmp_path, 30)
        shutil.copytree(tmp_path / "data", tmp_path / "other/data")
        finetune.run(self.one(tmp_path, learning_rate=0.5, seeds=3))
        with monkeypatch.context() as patched:
            pressed(patched, lambda: signal.raise_signal(signal.SIGTERM), "seed1", 2)
            with pytest.raises(Interrupted, match="the same command without --fresh goes on"):
                finetune.run(self.one(tmp_path, fresh=True))
        finetune.run(self.one(tmp_path))
        finetune.run(self.one(tmp_path / "other"))
        assert contents(tmp_path / "finetune") == contents(tmp_path / "other/finetune")

    def test_a_name_that_another_one_begins_with_is_left_alone(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 30)
        finetune.run(self.one(tmp_path, name="swcl-seed0", seeds=1))
        before = contents(tmp_path / "finetune")
        finetune.run(self.one(tmp_path, name="swcl", seeds=1))
        finetune.run(self.one(tmp_path, name="swcl", seeds=1, fresh=True))
        assert {name: data for name, data in contents(tmp_path / "finetune").items() if name in before} == before
        assert read_log(Workspace(tmp_path).finetuning("idrid", "swcl-seed0", "seed0").folder)


@pytest.mark.usefixtures("light")
def test_a_recipe_of_today_goes_on_as_if_it_had_not_been_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe: dict[str, Any] = {
        "optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 1, "layer_decay": 0.7, "clip": 0.5, "epochs": 4,
        "batch": 6,
    }  # fmt: skip
    for root in (tmp_path / "whole", tmp_path / "broken"):
        write_idrid(root, 30)
    finetune.run(options(tmp_path / "whole", IDRID, **recipe))
    with monkeypatch.context() as patched:
        pressed(patched, lambda: signal.raise_signal(signal.SIGTERM), "seed0", 7)
        with pytest.raises(Interrupted):
            finetune.run(options(tmp_path / "broken", IDRID, **recipe))
    finetune.run(options(tmp_path / "broken", IDRID, **recipe))
    assert contents(tmp_path / "whole/finetune") == contents(tmp_path / "broken/finetune")
    logs = [
        read_log(Workspace(tmp_path / name).finetuning("idrid", "random", "seed0").folder)
        for name in ("whole", "broken")
    ]
    rates = [[line["learning_rate"] for line in log if "loss" in line] for log in logs]
    assert rates[0] == rates[1] and max(rates[0]) == IDRID["learning_rate"] > 20 * rates[0][-1]


def with_values(monkeypatch: pytest.MonkeyPatch, values: list[float], reason: str = "") -> None:
    """Validation gives these, one after the other."""
    original, left = prepare_trial, list(values)

    def prepare(*given: Any) -> Trial:
        trial = original(*given)

        def judge(fabric: Any, split: str, folder: Path | None) -> Judgement:
            found = trial.judge(fabric, split, folder)
            value = left.pop(0) if left else 0.5
            return replace(
                found, measures={**found.measures, "joint_accuracy": value}, reasons={"joint_accuracy": reason}
            )

        return replace(trial, judge=judge)

    monkeypatch.setattr(runs, "prepare", prepare)


@pytest.mark.usefixtures("light")
class TestNotANumber:
    def test_it_ranks_below_every_number(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_idrid(tmp_path, 20)
        monkeypatch.setattr(fitting, "PATIENCE", 1)
        with_values(monkeypatch, [math.nan, 0.2, math.nan, 0.1])
        path = finetune.run(options(tmp_path, IDRID, epochs=4))
        chosen = read_provenance(path.parent / "seed0/model.safetensors")["validation"]
        assert chosen.items() >= {"best": 0.2, "best_epoch": 1, "last_best_epoch": 1}.items()

    def test_without_any_number_no_epoch_can_be_chosen(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_idrid(tmp_path, 20)
        with_values(monkeypatch, [math.nan] * 4, "one class alone")
        with pytest.raises(SwclError, match=r"joint_accuracy on validation is not a number \(one class alone\)"):
            finetune.run(options(tmp_path, IDRID, epochs=2))

    def test_the_reason_stands_in_the_results(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_idrid(tmp_path, 20)
        with_values(monkeypatch, [0.5, 0.5, math.nan], "no such class")
        table = pd.read_parquet(finetune.run(options(tmp_path, IDRID, epochs=1)))
        row = table[(table["split"] == "test") & table["primary"]].iloc[0]
        assert math.isnan(row["value"]) and row["reason"] == "no such class"
        assert table[table["measure"] != "joint_accuracy"]["reason"].isna().all()
