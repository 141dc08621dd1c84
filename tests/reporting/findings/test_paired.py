"""Against a bootstrap in plain loops, and on data of which the truth is known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from swcl_cli import chance
from swcl_cli.evaluation import resampling
from swcl_cli.evaluation.intervals import score_interval
from swcl_cli.evaluation.metrics import auc
from swcl_cli.reporting.findings import paired
from swcl_cli.reporting.findings.paired import Sampled, best_other, difference, expanded_tail, sample
from swcl_cli.reporting.tables.differences import points

RESAMPLES = 60


def _rows(rng: np.random.Generator, names: dict[str, list[int]], folds: int = 0, parts: tuple[str, ...] = ("",)) -> Any:
    """12 patients with two photographs each; every run has scores of its own."""
    found = []
    for name, seeds in names.items():
        for seed in seeds:
            for photograph in range(24):
                fold = photograph % folds if folds else -1
                for part in parts:
                    about = {"name": name, "seed": seed, "fold": fold, "image_id": f"i{photograph}", "part": part}
                    scored = {"score": rng.random(), "truth": photograph % 3 == 0, "positive": rng.integers(5) / 5}
                    found.append({**about, "patient_id": f"p{photograph // 2}", **scored})
    return pd.DataFrame(found)


def _value(rows: pd.DataFrame, times: dict[str, int], measure: str) -> float:
    """Of one run, each row as often as its patient was drawn."""
    drawn = rows.loc[rows.index.repeat([times[patient] for patient in rows["patient_id"]])]
    if measure == "auc":
        return auc(drawn["truth"].to_numpy(dtype=bool), drawn["positive"].to_numpy(dtype=float))
    return float(np.mean([part["score"].mean() for _, part in drawn.groupby("part")]))


def _naive(rows: pd.DataFrame, one: str, other: str, measure: str, with_runs: bool) -> list[float]:
    """The differences, resample by resample, in the order in which the module draws."""
    patients = sorted(set(rows["patient_id"]))
    seeds = [sorted(set(rows.loc[rows["name"] == name, "seed"])) for name in (one, other)]
    shared = sorted(set(seeds[0]) & set(seeds[1]))
    sides = (" of the first", " of the second")
    if with_runs and len(shared) > 1:
        seeds, sides = [shared, shared], ("", "")
    draw = chance.generator(0, "bootstrap")
    patient_draws = draw.integers(len(patients), size=(RESAMPLES, len(patients)))
    run_draws = [
        chance.generator(0, f"bootstrap of runs{side}").integers(len(own), size=(RESAMPLES, len(own) - 1))
        for own, side in zip(seeds, sides, strict=True)
    ]
    gaps = []
    for resample in range(RESAMPLES):
        times = dict.fromkeys(patients, 0)
        for place in patient_draws[resample]:
            times[patients[place]] += 1
        means = []
        for name, own, draws in zip((one, other), seeds, run_draws, strict=True):
            values = []
            for seed in [own[place] for place in draws[resample]] if with_runs else own:
                runs = rows[(rows["name"] == name) & (rows["seed"] == seed)]
                values.append(np.mean([_value(run, times, measure) for _, run in runs.groupby("fold")]))
            means.append(float(np.mean(values)) if values else np.nan)
        gaps.append(means[0] - means[1])
    return gaps


@pytest.mark.parametrize(
    ("measure", "folds", "parts", "seeds", "with_runs", "paired"),
    [
        ("joint_accuracy", 0, ("",), {"a": [0, 1, 2], "b": [0, 1, 2]}, True, None),
        ("auc", 0, ("",), {"a": [0, 1, 2], "b": [0, 1, 2]}, True, None),
        ("f1", 0, ("disc", "cup"), {"a": [0, 1, 2], "b": [0, 1, 2]}, True, None),
        ("joint_accuracy", 3, ("",), {"a": [0, 1], "b": [0, 1]}, True, None),
        ("joint_accuracy", 0, ("",), {"a": [0, 1, 2], "b": [1, 2, 7, 8]}, True, 2),
        ("joint_accuracy", 3, ("",), {"a": [0, 1, 2], "b": [2, 3]}, True, 0),
        ("f1", 0, ("vessel",), {"a": [0, 1, 2], "b": [0]}, False, None),
        ("auc", 0, ("",), {"a": [3], "b": [0]}, False, None),
    ],
)
def test_equal_to_plain_loops(
    measure: str, folds: int, parts: tuple[str, ...], seeds: dict[str, list[int]], with_runs: bool, paired: int | None
) -> None:
    rows = _rows(np.random.default_rng(0), seeds, folds, parts)
    sampled = sample(rows, measure, RESAMPLES)
    found = difference(sampled["a"], sampled["b"])
    gaps = [gap for gap in _naive(rows, "a", "b", measure, with_runs) if not np.isnan(gap)]
    assert len(gaps) > RESAMPLES / 2
    assert (found.with_runs, found.paired) == (with_runs, paired)
    tail = norm.cdf(-math.sqrt(12 / 11) * t.ppf(0.975, 11))  # of 12 patients
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(gaps, [tail, 1 - tail])), abs=1e-9)
    once = dict.fromkeys(rows["patient_id"], 1)
    shared = set(seeds["a"]) & set(seeds["b"]) if paired else {*seeds["a"], *seeds["b"]}
    means = []
    for name in ("a", "b"):
        runs = rows[(rows["name"] == name) & rows["seed"].isin(shared)].groupby(["seed", "fold"])
        means.append(np.mean([_value(run, once, measure) for _, run in runs]))
    assert found.value == pytest.approx(means[0] - means[1], abs=1e-9)
    if not paired:
        assert sampled["a"].mean == pytest.approx(means[0])


def test_the_interval_of_several_runs_is_of_their_mean_over_the_same_patients() -> None:
    """Each left out in turn, of all folds and seeds at once."""
    rows = _rows(np.random.default_rng(5), {"a": [0, 1, 2]}, folds=2)
    names = sorted(set(rows["patient_id"]))

    def mean(left_out: str) -> float:
        kept = rows[rows["patient_id"] != left_out]
        folds = kept.groupby(["seed", "fold"])["score"].mean()
        return float(folds.groupby("seed").mean().mean())

    variance = float((len(names) - 1) * np.var([mean(name) for name in names]))
    expected = score_interval(mean(""), variance, len(names))
    assert sample(rows, "joint_accuracy", RESAMPLES)["a"].interval == pytest.approx(expected, abs=1e-9)
    truth = rows.assign(truth=rows["patient_id"].isin(names[:3]))  # three patients stand behind the AUC
    low, high = sample(truth, "auc", RESAMPLES)["a"].interval
    assert high - low > 0.2 and sample(truth.assign(positive=0.5), "auc", RESAMPLES)["a"].interval == pytest.approx(
        score_interval(0.5, 0.25 / 12, 3)
    )


def test_tails_of_many_patients_are_those_of_a_percentile_interval() -> None:
    assert expanded_tail(10**9) == pytest.approx(0.025) and expanded_tail(1) == 0
    assert expanded_tail(4) < expanded_tail(12) < expanded_tail(100) < 0.025


@pytest.mark.parametrize("measure", ["joint_accuracy", "auc", "f1"])
def test_the_same_answers_differ_by_nothing(measure: str) -> None:
    rows = _rows(np.random.default_rng(1), {"a": [0, 1, 2, 3, 4]})
    both = pd.concat([rows, rows.assign(name="b")], ignore_index=True)
    sampled = sample(both, measure, RESAMPLES)
    found = difference(sampled["a"], sampled["b"])
    assert (found.value, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, "not told apart")
    assert f"{found.low:+.1f}" == "+0.0"


def test_a_constant_gap_is_told_apart_and_patients_are_drawn_whole() -> None:
    rows = _rows(np.random.default_rng(2), {"a": [0, 1]})
    higher = pd.concat([rows, rows.assign(name="b", score=rows["score"] + 0.25)], ignore_index=True)
    sampled = sample(higher, "f1", RESAMPLES)
    found = difference(sampled["b"], sampled["a"])
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.verdict == "better" and difference(sampled["a"], sampled["b"]).verdict == "worse"
    eyes = rows.assign(score=np.tile([1.0, -1.0], len(rows) // 2))  # of a patient, they cancel out
    assert sample(eyes, "f1", RESAMPLES)["a"].values == pytest.approx(0)


def test_a_resample_without_one_class_is_left_out() -> None:
    rows = _rows(np.random.default_rng(3), {"a": [0], "b": [0]}).assign(truth=lambda rows: rows["image_id"] == "i0")
    sampled = sample(rows, "auc", RESAMPLES)
    assert np.isnan(sampled["a"].values).any()
    found = difference(sampled["a"], sampled["b"])
    assert np.isfinite([found.value, found.low, found.high]).all()
    without = difference(*(replace(sampled[name], values=sampled[name].values[:1]) for name in "ab"))
    assert np.isfinite(without.value) and np.isnan([without.low, without.high]).all()
    assert points(without) == f"{100 * without.value:+.1f}" and without.verdict == "not told apart"


def test_many_patients_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows(np.random.default_rng(4), {"a": [0, 1], "b": [0, 1]})
    whole = {measure: sample(rows, measure, RESAMPLES)["a"].values for measure in ("f1", "auc")}
    monkeypatch.setattr(resampling, "NUMBERS_AT_ONCE", 100)
    for measure, values in whole.items():
        assert sample(rows, measure, RESAMPLES)["a"].values == pytest.approx(values, nan_ok=True, abs=1e-12)


def test_the_best_other_one_saw_the_same_photographs() -> None:
    def one(value: float, photographs: int = 4) -> Sampled:
        values = np.full((1, 1), value)
        return Sampled(np.array([0]), values, values[0], np.arange(photographs), photographs, (0, 1))

    sampled = {"a": one(0.5), "b": one(0.7), "c": one(0.7), "d": one(0.9, photographs=5)}
    assert [best_other(sampled, name, list("abcd")) for name in "abcd"] == ["b", "c", "b", None]


def test_of_errors_the_smaller_is_better() -> None:
    """In their own unit, as their difference and its interval are."""
    rng = np.random.default_rng(3)
    rows = _rows(rng, {"a": [0, 1, 2], "b": [0, 1, 2], "c": [0, 1, 2]})
    rows["score"] = 10 + rows["score"] - 3.0 * (rows["name"] == "b")
    errors = sample(rows, "mae", RESAMPLES)
    assert best_other(errors, "a", list("abc")) == "b" and errors["a"].interval[1] > 10
    gap = difference(errors["b"], errors["a"])
    means = rows.groupby("name")["score"].mean()
    assert gap.value == pytest.approx(means["b"] - means["a"]) and gap.low < gap.value < gap.high < 0
    assert (gap.verdict, difference(errors["a"], errors["b"]).verdict) == ("better", "worse")
    assert points(gap) == f"{gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]"
    accuracies = sample(rows, "f1", RESAMPLES)
    assert difference(accuracies["b"], accuracies["a"]).verdict == "worse"


def test_unknown_measures_are_refused() -> None:
    with pytest.raises(ValueError, match="kappa"):
        sample(_rows(np.random.default_rng(0), {"a": [0]}), "kappa")


def test_intervals_cover_the_truth() -> None:
    """Five runs of 40 patients whose true difference is known: about 95 of 100 intervals hold it."""
    rng, covered, truth = np.random.default_rng(0), 0, 0.1
    for _ in range(150):
        patient = rng.normal(0, 0.2, 40)
        gaps = truth + rng.normal(0, 0.2, 40) + rng.normal(0, 0.06, (5, 1)) + rng.normal(0, 0.1, (5, 40))  # of a to b
        scores = {"a": patient + gaps, "b": np.tile(patient, (5, 1))}
        frame = pd.concat([
            pd.DataFrame({
                "name": name, "seed": np.repeat(np.arange(5), 40), "fold": -1, "part": "",
                "image_id": np.tile(np.arange(40), 5), "patient_id": np.tile(np.arange(40), 5), "score": values.ravel(),
            })
            for name, values in scores.items()
        ])  # fmt: skip
        sampled = sample(frame, "f1", 200)
        found = difference(sampled["a"], sampled["b"])
        covered += found.low <= truth <= found.high
    assert 0.88 <= covered / 150 <= 0.99, covered / 150
    assert paired.RESAMPLES >= 1000
