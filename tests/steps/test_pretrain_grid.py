"""The grid of `pretrain`: every point once, the choice by the probe alone, the same bytes however often it was broken
off.
"""

from __future__ import annotations

import hashlib
import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from swcl_cli.errors import Diverged, Interrupted, SwclError
from swcl_cli.pretraining import fitting
from swcl_cli.pretraining.grid import GRID
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.settings import PretrainSettings
from swcl_cli.steps import pretrain
from swcl_cli.training.loop import training_steps
from swcl_cli.training.probe import Probe
from swcl_cli.training.run import Run
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared
from tests.folders import read_log
from tests.methods import tiny_encoder

POINTS = [f"lr{rate}-wd{decay}" for rate in ("0.001", "0.003", "0.0003") for decay in ("0.0001", "0.01")]
RATES = ("learning_rate", "weight_decay")


def options(root: Path, **values: Any) -> PretrainSettings:
    """Two steps an epoch, two epochs; the probe asks 4 photographs of odir."""
    run = {"epochs": 2, "warmup_epochs": 1, "workers": 0, "accelerator": "cpu", "batch_images": 8, "data": "odir"}
    named = {"workspace": root, "method": "simclr", "architecture": "resnet18", "grid": True, "probe_every": 0}
    return PretrainSettings(**{**named, **run, **values})


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    with tiny_encoder.in_place_of_timms("group"):
        yield tmp_path


@pytest.fixture
def auc_by_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the probe return numbers drawn by the weights, which its own few photographs would not tell apart."""

    def measure(_: Probe, __: Any, encoder: Any, workers: int) -> dict[str, float]:
        weights = next(iter(encoder.state_dict().values()))
        value = int.from_bytes(hashlib.blake2b(f"{weights.flatten().tolist()}".encode()).digest()[:4]) / 2**32
        return {"knn_auc": value, "knn_low": 0.0, "knn_high": 1.0}

    monkeypatch.setattr(Probe, "measure", measure)


def grid_of(path: Path) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = read_provenance(path)["grid"]
    return points


def best_of(path: Path) -> dict[str, Any]:
    return max(grid_of(path), key=lambda point: point["knn_auc"])


def rates_of(point: dict[str, Any]) -> dict[str, float]:
    return {name: point[name] for name in RATES}


def same(path: Path, other: Path) -> bool:
    one, two = load_file(path), load_file(other)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_the_grid_begins_with_the_published_rates() -> None:
    assert [rates.name for rates in GRID] == POINTS


@pytest.mark.usefixtures("auc_by_weights")
def test_all_points_are_told_and_the_best_is_the_encoder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = pretrain.run(options(root))
    points, said = grid_of(path), capsys.readouterr().out
    assert [f"lr{point['learning_rate']:g}-wd{point['weight_decay']:g}" for point in points] == POINTS
    assert len({point["knn_auc"] for point in points}) == 6
    best, made = best_of(path), read_provenance(path)["settings"]
    assert made.items() >= {"grid": True, "grid_share": 1.0, "grid_probe": "odir", **rates_of(best)}.items()
    assert f"{best['knn_auc']:.3f} (0.000 to 1.000)" in said and said.count("chosen") == 1
    plain = pretrain.run(options(root, grid=False, name="plain", **rates_of(best)))
    assert same(path, plain) and "grid" not in read_provenance(plain)
    folder = Workspace(root).pretraining("simclr").folder
    assert read_log(folder) == read_log(folder / f"lr{best['learning_rate']:g}-wd{best['weight_decay']:g}")
    assert sorted(part.name for part in folder.iterdir()) == sorted([*POINTS, "log.jsonl"])
    assert not list(folder.rglob("*.safetensors"))


@pytest.mark.usefixtures("auc_by_weights")
def test_short_points_and_then_the_whole_training(root: Path) -> None:
    """Half of the steps a point: two of four, with a schedule of their own; then all four with the chosen rates."""
    path = pretrain.run(options(root, grid_share=0.5))
    folder = Workspace(root).pretraining("simclr").folder
    for name in POINTS:
        lines = [line for line in read_log(folder / name) if "loss" in line]
        assert [line["step"] for line in lines] == [0, 1]
        assert lines[0]["learning_rate"] == pytest.approx(float(name[2:].split("-")[0]))
    assert [line["step"] for line in read_log(folder) if "loss" in line] == [0, 1, 2, 3]
    rates = rates_of(best_of(path))
    assert same(path, pretrain.run(options(root, grid=False, name="plain", **rates)))
    made = read_provenance(path)["settings"]
    assert made["grid_share"] == 0.5 and made["views"] is None and rates.items() <= made.items()


@pytest.mark.usefixtures("auc_by_weights")
@pytest.mark.parametrize(
    ("share", "dies_in", "left"), [(1.0, 1, 6), (1.0, 4, 3), (0.5, 4, 4), (0.5, 7, 1)]
)  # the seventh training is that with the chosen rates
def test_broken_off_it_goes_on_to_the_same_bytes(
    root: Path, monkeypatch: pytest.MonkeyPatch, share: float, dies_in: int, left: int
) -> None:
    whole = pretrain.run(options(root, name="whole", grid_share=share))
    torn = options(root, name="torn", grid_share=share, save_seconds=0)
    began: list[int] = []

    def dying(*given: Any, **named: Any) -> Any:
        began.append(given[6])
        for step in training_steps(*given, **named):
            yield step
            if len(began) == dies_in:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(fitting, "training_steps", dying)
        with pytest.raises(KeyboardInterrupt):
            pretrain.run(torn)
    (unfinished,) = read_contents(Workspace(root)).unfinished
    assert unfinished.place == "runs/pretrain/torn"
    assert ("of the grid tried" in unfinished.words) == (dies_in < 7)
    began.clear()
    monkeypatch.setattr(fitting, "training_steps", dying)
    dies_in = 0
    assert pretrain.run(torn).read_bytes() == whole.read_bytes()
    assert began == [1] + [0] * (left - 1)  # what was begun goes on, what is done is not trained again
    pretrain.run(torn)
    assert len(began) == left and not read_contents(Workspace(root)).unfinished


def test_stopped_at_the_last_step_of_a_point_its_probe_is_measured_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, write = pretrain.run(options(root, name="whole")), Run.log

    def stopping(self: Run, **record: Any) -> None:
        write(self, **record)
        if self.state.step == 4 and "loss" in record:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "log", stopping)
        with pytest.raises(Interrupted, match="Stopped after step 4"):
            pretrain.run(options(root, name="torn"))
    assert pretrain.run(options(root, name="torn")).read_bytes() == whole.read_bytes()
    assert all(math.isfinite(point["knn_auc"]) for point in grid_of(whole))


@pytest.mark.usefixtures("auc_by_weights")
def test_a_point_that_diverges_is_out(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    least = [0.0005]

    def diverging(*given: Any, **named: Any) -> Any:
        if given[4](1) > least[0]:  # the rate after the warm-up
            raise Diverged("The loss is not finite.")
        return training_steps(*given, **named)

    monkeypatch.setattr(fitting, "training_steps", diverging)
    path = pretrain.run(options(root))
    assert [point["knn_auc"] is None for point in grid_of(path)] == [True] * 4 + [False] * 2
    assert read_provenance(path)["settings"]["learning_rate"] == 0.0003
    said = capsys.readouterr()
    assert said.err.count("This point of the grid is out.") == 4 and said.out.count("diverged") == 4
    least[0] = 0.0
    with pytest.raises(SwclError, match="diverged at every point of the grid; try one with --learning-rate 3e-05."):
        pretrain.run(options(root, name="none"))


def test_labels_of_test_photographs_do_not_change_the_choice(tmp_path: Path) -> None:
    """They are all turned around; the real probe chooses."""
    found = []
    for number, turned in enumerate((False, True)):
        table = prepared.labelled_eyes(tmp_path / f"{number}", "odir", 8)
        test = (table["split"] == "test").to_numpy(dtype=bool)
        labels = table["abnormal"].to_numpy(dtype=bool) ^ (test & turned)
        prepared.change(tmp_path / f"{number}", "odir", abnormal=labels.tolist())
        with tiny_encoder.in_place_of_timms("group"):
            path = pretrain.run(options(tmp_path / f"{number}"))
        found.append(path)
    assert grid_of(found[0]) == grid_of(found[1]) and same(*found)


@pytest.mark.usefixtures("auc_by_weights")
def test_what_the_choice_depends_on_is_told_apart(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pretrain.run(options(root))
    before = path.read_bytes()
    prepared.labelled_eyes(root, "eyes", 8)
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "training_steps", None)
        assert pretrain.run(options(root, workers=1)) == path
        values: dict[str, Any]
        for values, told in (
            ({"grid": False}, "grid: True -> False"),
            ({"grid_share": 0.5}, "grid_share: 1.0 -> 0.5"),
            ({"probe_data": "eyes"}, "grid_probe: odir -> eyes"),
            ({"temperature": 0.5}, "temperature: 0.1 -> 0.5"),
        ):
            with pytest.raises(SwclError, match=rf"simclr.safetensors was made differently .*{told}.*--fresh"):
                pretrain.run(options(root, **values))
    assert pretrain.run(options(root, fresh=True)).read_bytes() == before
    other = pretrain.run(options(root, name="other", probe_data="eyes"))
    assert read_provenance(other)["inputs"].keys() == {"odir", "eyes"}
    prepared.change(root, "eyes", abnormal=[True, False] * 8)
    with pytest.raises(SwclError, match="made differently .*eyes: "):
        pretrain.run(options(root, name="other", probe_data="eyes"))


def test_without_a_probe_there_is_no_choice(root: Path) -> None:
    prepared.change(root, "odir", abnormal=[None] * 16)
    with pytest.raises(SwclError, match="odir has no label to probe"):
        pretrain.run(options(root))
    with pytest.raises(ValidationError, match="grid_share: there is no grid without --grid"):
        options(root, grid=False, grid_share=0.5)


@pytest.mark.parametrize(
    ("variant", "probed", "refused"), [("released", "odir", True), ("released", "eyes", False), ("ours", "odir", False)]
)
def test_photographs_that_were_learnt_choose_nothing(variant: str, probed: str, refused: bool) -> None:
    given: dict[str, Any] = {"method": "supervised-odir", "variant": variant, "probe_data": probed, "grid": True}
    if refused:
        with pytest.raises(ValidationError, match="supervised-odir trains on all photographs of odir, with"):
            PretrainSettings(**given)
    else:
        assert PretrainSettings(**given).grid
