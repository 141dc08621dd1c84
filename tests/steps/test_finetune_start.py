"""Where `finetune` starts from, key by key, and which epoch it keeps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from swcl_cli.data import colour
from swcl_cli.data.columns import RESULTS
from swcl_cli.data.loaders import step_batches
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.steps import finetune
from swcl_cli.tasks import fitting, predictor, runs
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.trial import Trial
from swcl_cli.tasks.trial import prepare as prepare_trial
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_parquet, write_safetensors
from tests import prepared
from tests.folders import read_log
from tests.foreign_weights import network, released_resnet
from tests.planted import DRIVE, IDRID, options, write_drive, write_idrid


class Stopped(Exception):
    pass


def start(monkeypatch: pytest.MonkeyPatch, settings: FinetuneSettings) -> dict[str, Tensor]:
    """The state of the objective before its first step."""
    states: list[dict[str, Tensor]] = []

    def seen(_: Any, objective: Any, *rest: Any, **named: Any) -> Any:
        states.append({key: tensor.clone() for key, tensor in objective.state_dict().items()})
        raise Stopped

    monkeypatch.setattr(fitting, "training_steps", seen)
    with pytest.raises(Stopped):
        finetune.run(settings)
    return states[0]


@pytest.mark.parametrize(
    ("task", "architecture"), [("idrid", "resnet18"), ("drive", "resnet18"), ("drive", "resnetv2_50x1_bit")]
)
def test_step_0_is_the_file_key_by_key(
    task: str, architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idrid(tmp_path, 10) if task == "idrid" else write_drive(tmp_path, 5)
    weights = prepared.encoder(tmp_path / "swcl.safetensors", architecture)
    state = start(
        monkeypatch,
        options(tmp_path, IDRID if task == "idrid" else DRIVE, init="swcl.safetensors", architecture=None),
    )
    inside = "encoder." if task == "idrid" else "network.encoder."
    arrived = {key.removeprefix(inside): tensor for key, tensor in state.items() if key.startswith(inside)}
    assert arrived.keys() == weights.keys()
    assert all(torch.equal(arrived[key], weights[key]) for key in weights)
    assert ("norm.weight" in arrived) == (architecture == "resnetv2_50x1_bit")


def test_random_weights_differ_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_idrid(tmp_path, 10)
    first, again, other = (start(monkeypatch, options(tmp_path, IDRID, seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["encoder.conv1.weight"], other["encoder.conv1.weight"])


def test_colours_and_name_come_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "elsewhere/mine.safetensors"
    prepared.encoder(path)
    work = read_provenance(path)
    work["encoder"]["mean"] = [0.1, 0.2, 0.3]
    write_safetensors(path, load_file(path), work)
    write_idrid(tmp_path, 10)
    settings = options(tmp_path, IDRID, init=str(path), architecture=None, epochs=1)
    written = finetune.run(settings)
    assert written == tmp_path / "finetune/idrid/mine/results.parquet"
    model = read_provenance(written.parent / "seed0/model.safetensors")
    assert model["model"]["mean"] == [0.1, 0.2, 0.3] and model["inputs"].keys() == {"idrid", "init"}
    assert finetune.run(settings.model_copy(update={"name": "other"})).parent.name == "other"


class TestInit:
    @pytest.fixture(autouse=True)
    def _data(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 10)

    def test_the_weights_are_told(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        prepared.labeler(tmp_path, ["odir"], [])
        finetune.run(options(tmp_path, IDRID, init="labeler.safetensors", epochs=1))
        told = f"Encoder: 100 of 100 weights of resnet18 from {tmp_path}/labeler.safetensors; left aside: fc.bias"
        assert told in capsys.readouterr().out

    def test_a_file_of_others(self, tmp_path: Path) -> None:
        path = tmp_path / "pytorch_model.bin"
        torch.save(released_resnet(network("resnet18")), path)
        written = finetune.run(options(tmp_path, IDRID, init=path.name, epochs=1, architecture=None))
        assert written.parent.name == "pytorch_model"
        model = read_provenance(written.parent / "seed0/model.safetensors")
        assert (model["model"]["mean"], model["model"]["std"]) == tuple(map(list, colour.constants("released")))
        assert model["inputs"]["init"] == fingerprint(path)
        assert model["settings"]["architecture"] == "resnet18"

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SwclError, match="--init gone.safetensors: no such file here or in .*swcl pretrain"):
            finetune.run(options(tmp_path, IDRID, init="gone.safetensors"))

    def test_nothing_fits(self, tmp_path: Path) -> None:
        save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "theirs.safetensors")
        with pytest.raises(SwclError, match="theirs.safetensors holds no encoder that is known here"):
            finetune.run(options(tmp_path, IDRID, init="theirs.safetensors"))

    def test_another_architecture(self, tmp_path: Path) -> None:
        prepared.encoder(tmp_path / "swcl.safetensors")
        with pytest.raises(UsageError, match="holds a resnet18, not the --architecture resnet34"):
            finetune.run(options(tmp_path, IDRID, init="swcl.safetensors", architecture="resnet34"))


def test_a_task_that_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="drive/manifest.parquet is missing. Make it with: swcl prep drive SOURCE"):
        finetune.run(options(tmp_path, DRIVE))


def with_curve(
    monkeypatch: pytest.MonkeyPatch, curve: list[float], losses: Sequence[float] = ()
) -> list[dict[str, Tensor]]:
    """Validation follows the curve, whatever was learnt; returns the weights at each validation."""
    weights: list[dict[str, Tensor]] = []
    tested: list[str] = []
    original = prepare_trial

    def prepare(*given: Any) -> Trial:
        trial = original(*given)

        def judge(fabric: Any, split: str, folder: Path | None) -> Judgement:
            state = {key: tensor.clone() for key, tensor in trial.network.state_dict().items()}
            if folder is not None:
                tested.append(split)
                assert tested == ["test"]
                return trial.judge(fabric, split, folder)
            weights.append(state)
            loss = losses[min(len(weights), len(losses)) - 1] if losses else 0.5
            return Judgement({"joint_accuracy": [*curve, -1][min(len(weights) - 1, len(curve))]}, loss=loss)

        return dataclasses.replace(trial, judge=judge)

    monkeypatch.setattr(runs, "prepare", prepare)
    return weights


@pytest.mark.parametrize(
    ("curve", "epochs", "every", "validated", "best"),
    [
        pytest.param([0.2, 0.5, 0.4, 0.4], 10, 1, [0, 1, 2, 3], 1, id="stops 2 epochs after its best"),
        pytest.param([0.5, 0.4, 0.5, 0.4, 0.3], 10, 1, [0, 1, 2, 3, 4], 0, id="2 epochs after it was last reached"),
        pytest.param([0.5] * 10, 10, 1, list(range(10)), 0, id="equal measures cost no patience"),
        pytest.param([0.1, 0.2, 0.3, 0.2, 0.4, 0.3], 6, 1, [0, 1, 2, 3, 4, 5], 4, id="goes on to the end"),
        pytest.param([0.3, 0.2, 0.1], 14, 3, [2, 5, 8], 2, id="two validations without progress, where a fifth is one"),
        pytest.param([0.0, 0.0, 0.4], 9, 3, [2, 5, 8], 8, id="one validation without progress stops nothing"),
        pytest.param([0.3, 0.4, 0.5], 7, 3, [2, 5, 6], 6, id="the last epoch counts"),
    ],
)
def test_early_stopping_keeps_the_best_epoch(
    curve: list[float], epochs: int, every: int, validated: list[int], best: int,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_idrid(tmp_path, 10)
    weights = with_curve(monkeypatch, curve)
    finetune.run(options(tmp_path, IDRID, epochs=epochs, validate_every=every))
    folder = Workspace(tmp_path).finetuning("idrid", "random", "seed0").folder
    lines = [line for line in read_log(folder) if "validation" in line]
    assert [line["epoch"] for line in lines] == validated
    assert [line["validation"] for line in lines] == curve[: len(validated)]
    path = Workspace(tmp_path).finetune("idrid", "random") / "seed0/model.safetensors"
    assert read_provenance(path)["validation"].items() >= {"best": max(curve), "best_epoch": best}.items()
    kept = load_file(path)
    matching = [all(torch.equal(kept[key], one[key]) for key in kept) for one in weights[: len(validated)]]
    assert matching == [epoch == best for epoch in validated]


def test_it_does_not_stop_before_the_least_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends with the third epoch of two steps; the first validation from then on that is late enough stops."""
    write_idrid(tmp_path, 10)
    for least, epochs in ((6, 3), (7, 4), (1000, 6)):
        name = f"least{least}"
        with_curve(monkeypatch, [0.5, 0.4, 0.3, 0.2, 0.1, 0.0])
        finetune.run(options(tmp_path, IDRID, epochs=6, batch=4, least_steps=least, name=name))
        log = read_log(Workspace(tmp_path).finetuning("idrid", name, "seed0").folder)
        assert [line["step"] for line in log if "validation" in line] == [2 * epoch + 1 for epoch in range(epochs)]


def test_what_all_trainings_cost_is_told_before_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few photographs a step has fewer views than a batch; a grid has six trainings in place of the first seed's."""
    write_idrid(tmp_path, 10)
    foretold: list[tuple[int, int]] = []

    def note(*_: Any) -> None:
        foretold.append(_[4:])

    monkeypatch.setattr(fitting, "foretell", note)
    finetune.run(options(tmp_path, IDRID, epochs=2, seeds=3, batch=64, name="seeds"))
    assert foretold == [(2 * 6, 3), (2 * 6, 1), (2 * 6, 1)]
    foretold.clear()
    finetune.run(options(tmp_path, IDRID, epochs=2, seeds=2, batch=4, grid=True, name="grid"))
    assert foretold == [(2 * 6, 7)] * 6 + [(2 * 6, 1)]


def test_few_photographs_are_validated_without_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They train with one; starting one for each validation takes longer than reading 2 or 6 photographs."""
    write_idrid(tmp_path, 10)
    workers: list[int] = []

    def note(*given: Any) -> Any:
        workers.append(given[4])
        return step_batches(*given)

    monkeypatch.setattr(fitting, "step_batches", note)
    monkeypatch.setattr(predictor, "make_loader", None)
    finetune.run(options(tmp_path, IDRID, epochs=2, workers=1, name="few"))
    assert workers == [1, 0, 0]  # training, and BatchNorm's statistics of two validations


def test_of_epochs_with_equal_measures_the_lowest_loss_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lower loss does not make up for a lower measure."""
    write_idrid(tmp_path, 10)
    losses = [0.5, 0.4, 0.3, 0.1, 0.2, 0.3]
    weights = with_curve(monkeypatch, [0.2, 0.5, 0.5, 0.4, 0.5, 0.4], losses)
    finetune.run(options(tmp_path, IDRID, epochs=6))
    path = Workspace(tmp_path).finetune("idrid", "random") / "seed0/model.safetensors"
    assert read_provenance(path)["validation"] == {
        "best": 0.5, "best_loss": 0.2, "best_epoch": 4, "last_best_epoch": 4
    }  # fmt: skip
    kept = load_file(path)
    assert [all(torch.equal(kept[key], one[key]) for key in kept) for one in weights[:6]] == [
        epoch == 4 for epoch in range(6)
    ]
    folder = Workspace(tmp_path).finetuning("idrid", "random", "seed0").folder
    assert [line["validation_loss"] for line in read_log(folder) if "validation" in line] == losses


def test_a_measure_without_a_value_shows_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seeded = {
        "task": "idrid",
        "name": "swcl",
        "run": "seed0",
        "seed": 0,
        "fold": None,
        "split": "test",
        "primary": True,
    }
    none = {"low": math.nan, "high": math.nan}
    rows = [
        {**seeded, **none, "measure": "auc", "value": math.nan, "reason": "no photograph has dr_grade above 0"},
        {**seeded, **none, "measure": "accuracy", "value": 0.75, "reason": None},
    ]
    write_parquet(tmp_path / "results.parquet", RESULTS.table(pd.DataFrame(rows)), {"step": "finetune"})
    finetune._show_results(tmp_path / "results.parquet", FinetuneSettings(task="idrid"), "idrid from swcl")
    said = capsys.readouterr().out
    assert "none: no photograph has dr_grade above 0" in said and "0.750" in said and "nan" not in said


def test_the_primary_measure_and_five_others_are_shown_unless_all_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_run = {"task": "idrid", "name": "swcl", "run": "seed0", "seed": 0, "fold": None, "split": "test"}
    names = [*(f"other{number}" for number in range(9)), "joint_accuracy"]
    rows = [
        {**of_run, "measure": name, "value": 0.5, "low": 0.4, "high": 0.6, "reason": None, "primary": name == names[-1]}
        for name in names
    ]
    path = tmp_path / "results.parquet"
    write_parquet(path, RESULTS.table(pd.DataFrame(rows)), {"step": "finetune"})
    finetune._show_results(path, FinetuneSettings(task="idrid"), "idrid from swcl")
    said = capsys.readouterr().out
    shown = [word for word in said.split() if word in names]
    assert shown == ["joint_accuracy", *names[:5]]
    assert "4 more measures are in" in said and "--all-measures" in said
    finetune._show_results(path, FinetuneSettings(task="idrid", all_measures=True), "idrid from swcl")
    said = capsys.readouterr().out
    assert [word for word in said.split() if word in names] == ["joint_accuracy", *names[:-1]]
    assert "--all-measures" not in said
