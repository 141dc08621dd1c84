from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.finetuning import POINTS, finetuning_learning, mean_band
from swcl_cli.reporting.figures.style import LIGHT
from swcl_cli.workspace import FINETUNE, RunName
from tests.reporting.predictions import results


def _line(*points: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(points, dtype=np.float64).T
    return x, y


def test_a_band_by_hand() -> None:
    """The second line has no point at 2, where it is half-way; the third ends at 2, and half of them go on to 3."""
    lines = [_line((1, 0), (2, 2), (3, 6)), _line((1, 2), (3, 4)), _line((1, 1), (2, 1))]
    x, middle, low, high = mean_band(lines)
    assert x.tolist() == [1, 2, 3]
    assert middle.tolist() == [1, 2, 5] and low.tolist() == [0, 1, 4] and high.tolist() == [2, 3, 6]


def test_a_band_ends_with_half_of_its_lines() -> None:
    lines = [_line((1, 0), (9, 0)), _line((1, 0), (2, 0)), _line((1, 0), (2, 0))]
    assert mean_band(lines)[0].tolist() == [1, 2]
    assert mean_band(lines[:2])[0].tolist() == [1, 2, 9]


def test_a_band_of_long_lines_has_few_points() -> None:
    long = np.arange(5000.0)
    x, middle, _, _ = mean_band([(long, long), (long, long + 2)])
    assert len(x) <= POINTS and (x[0], x[-1]) == (0, 4999)
    assert middle.tolist() == (x + 1).tolist()
    assert [len(part) for part in mean_band([(np.empty(0), np.empty(0))])] == [0] * 4


def _contents(contents: Contents, names: tuple[str, ...], seeds: int) -> Contents:
    contents.logs, measured = {}, []
    for name in names:
        for seed in range(seeds):
            measured.append(results("idrid", name, f"seed{seed}", "joint_accuracy", 0.5))
            steps = pd.DataFrame({"step": range(20), "loss": 1.0})
            epochs = pd.DataFrame({"step": [9, 19], "epoch": [0, 1], "validation": [0.25, 0.5 + 0.1 * seed]})
            training = RunName(FINETUNE, "idrid", name, f"seed{seed}")
            contents.logs[training] = pd.concat([steps, epochs], ignore_index=True)
    contents.results = pd.concat(measured, ignore_index=True)
    return contents


def test_few_runs_have_a_line_each(contents: Contents) -> None:
    (picture,) = finetuning_learning(_contents(contents, ("random", "swcl"), 3))
    assert "a line each run" in picture.sentence
    assert "6 runs of 2 initialisations" in picture.alt and "random 60.0 at best; swcl 60.0 at best" in picture.alt
    _, below = picture.draw(LIGHT).get_axes()
    values = [np.asarray(line.get_ydata()).tolist() for line in below.lines[:3]]
    assert values == [[0.25, 0.5], [0.25, 0.6], [0.25, 0.7]]


def test_many_runs_are_averaged(contents: Contents) -> None:
    (picture,) = finetuning_learning(_contents(contents, ("random", "swcl"), 4))
    assert "the average of each initialisation's runs, of several runs with the band" in picture.sentence
    _, below = picture.draw(LIGHT).get_axes()
    assert [line.get_ydata() for line in below.lines] == [pytest.approx([0.25, 0.65])] * 2
    assert len(below.collections) == 2


def test_a_single_epoch_has_bars_in_place_of_bands(contents: Contents) -> None:
    """Of one epoch a band would have no width, and a line no length."""
    measured = _contents(contents, ("random", "swcl"), 4)
    for run, log in measured.logs.items():
        measured.logs[run] = log[log["step"] < 10 if "epoch" not in log else (log["epoch"] != 1)]
    (picture,) = finetuning_learning(measured)
    _, below = picture.draw(LIGHT).get_axes()
    assert all(isinstance(drawn, LineCollection) for drawn in below.collections) and len(below.collections) == 2
    lines = [line for line in below.lines if len(np.asarray(line.get_xdata())) == 1]
    assert len(lines) == 2 and all(line.get_marker() not in ("None", "") for line in lines)


def test_single_runs_promise_no_band(contents: Contents) -> None:
    (picture,) = finetuning_learning(_contents(contents, tuple("abcdefg"), 1))
    assert "band" not in picture.sentence


def test_many_initialisations_have_no_bands(contents: Contents) -> None:
    (picture,) = finetuning_learning(_contents(contents, tuple("abcdefg"), 2))
    assert "band" not in picture.sentence
    above, below = picture.draw(LIGHT).get_axes()
    assert len(above.lines) == len(below.lines) == 7 and not below.collections


def test_a_log_without_a_measure_shows_its_loss(contents: Contents) -> None:
    """As that of drive in the golden workspace."""
    idrid, drive = finetuning_learning(contents)
    assert idrid.name == "finetuning-idrid" and "9 runs of 3" in idrid.alt
    above, below = drive.draw(LIGHT).get_axes()
    assert len(above.lines) > 0 and all(np.asarray(line.get_xdata()).size == 0 for line in below.lines)
