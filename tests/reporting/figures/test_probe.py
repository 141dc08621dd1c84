from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.figures.embeddings import embeddings_figure
from swcl_cli.reporting.figures.probe import probe_figure
from swcl_cli.reporting.figures.style import LIGHT
from swcl_cli.workspace import PRETRAIN, RunName


def _log(auc: float, spread: float = 0.5) -> pd.DataFrame:
    """Two epochs of five steps, each probed."""
    steps = [{"step": step, "loss": 1.0, "embedding_spread": spread, "alignment": 0.3} for step in range(10)]
    probes = [
        {
            "step": 5 * epoch + 4,
            "epoch": epoch,
            "knn_auc": auc + 0.1 * epoch,
            "knn_low": auc - 0.1,
            "knn_high": auc + 0.3,
        }
        for epoch in range(2)
    ]
    return pd.DataFrame([*steps, *probes])


def _encoder(method: str, settings: dict[str, Any]) -> Artefact:
    return Artefact("swcl.safetensors", {"settings": {"method": method, **settings}}, "0" * 16)


def test_encoders_are_compared_by_the_views_they_saw(contents: Contents) -> None:
    """Two views of each of 64 patches, or of 32 photographs, a step."""
    contents.encoders = {
        "swcl": _encoder("swcl", {"batch_patches": 64}),
        "byol": _encoder("byol", {"batch_images": 32}),
    }
    contents.logs = {RunName(PRETRAIN, name="swcl"): _log(0.6), RunName(PRETRAIN, name="byol"): _log(0.5)}
    picture = probe_figure(contents)
    assert picture is not None
    assert "byol 60.0 at last; swcl 70.0 at last" in picture.alt
    assert "is no score on new photographs: by default SWCL and the multi-task baseline train on" in picture.sentence
    (axes,) = picture.draw(LIGHT).get_axes()
    lines = {line.get_label(): line for line in axes.lines}
    assert np.asarray(lines["swcl"].get_xydata()) == pytest.approx(np.array([[0.64, 60], [1.28, 70]]))
    assert np.asarray(lines["byol"].get_xydata()) == pytest.approx(np.array([[0.32, 50], [0.64, 60]]))
    assert axes.get_xlabel() == "thousand views seen" and len(axes.collections) == 2


@pytest.mark.parametrize(("variant", "views"), [({}, 2), ({"variant": "ours"}, 2), ({"variant": "released"}, 1)])
def test_a_supervised_baseline_sees_one_view_as_released(
    contents: Contents, variant: dict[str, str], views: int
) -> None:
    contents.encoders = {"mine": _encoder("supervised-odir", {"batch_images": 50, **variant})}
    contents.logs = {RunName(PRETRAIN, name="mine"): _log(0.6)}
    picture = probe_figure(contents)
    assert picture is not None
    (axes,) = picture.draw(LIGHT).get_axes()
    assert np.asarray(axes.lines[0].get_xdata()) == pytest.approx([0.25 * views, 0.5 * views])


def test_where_views_are_unknown_steps_are_counted(contents: Contents) -> None:
    """Of a run that goes on, the encoder with its settings is not there yet."""
    contents.encoders = {"swcl": _encoder("swcl", {"batch_patches": 64})}
    contents.logs = {RunName(PRETRAIN, name="swcl"): _log(0.6), RunName(PRETRAIN, name="byol"): _log(0.5)}
    picture = probe_figure(contents)
    assert picture is not None
    (axes,) = picture.draw(LIGHT).get_axes()
    assert axes.get_xlabel() == "optimiser steps"
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == [5, 10]


def test_a_single_probe_has_a_bar(contents: Contents) -> None:
    contents.logs = {RunName(PRETRAIN, name=name): _log(0.5).query("epoch != 1") for name in ("swcl", "byol")}
    picture = probe_figure(contents)
    assert picture is not None and "the bars are the 95 % intervals" in picture.sentence
    (axes,) = picture.draw(LIGHT).get_axes()
    assert [type(drawn) for drawn in axes.collections] == [LineCollection] * 2
    ends = [np.ptp(np.asarray(drawn.get_paths()[0].vertices)[:, 1]) for drawn in axes.collections]
    assert ends == pytest.approx([40, 40])  # of 0.4 to 0.8


def test_many_intervals_are_told_and_not_drawn(contents: Contents) -> None:
    contents.logs = {RunName(PRETRAIN, name=name): _log(0.5) for name in "abcdef"}
    picture = probe_figure(contents)
    assert picture is not None and "not shown: about ±20.0 points" in picture.sentence
    (axes,) = picture.draw(LIGHT).get_axes()
    assert not axes.collections


def test_embeddings_have_a_panel_a_measure(contents: Contents) -> None:
    contents.logs = {
        RunName(PRETRAIN, name="swcl"): _log(0.5, 0.8),
        RunName(PRETRAIN, name="byol"): _log(0.5, 0.2).drop(columns="alignment"),
    }
    picture = embeddings_figure(contents)
    assert picture is not None and "byol 0.20; swcl 0.80" in picture.alt
    spread, distance = (axes for axes in picture.draw(LIGHT).get_axes() if axes.get_visible())
    assert [line.get_label() for line in spread.lines] == ["byol", "swcl"]
    assert [line.get_label() for line in distance.lines] == ["swcl"]
    assert spread.get_ylim()[0] == 0


def test_logs_without_probes_or_embeddings_give_nothing(contents: Contents) -> None:
    """As in the golden workspace, whose log holds the loss alone."""
    assert probe_figure(contents) is None and embeddings_figure(contents) is None
