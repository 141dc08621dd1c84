"""Which of two values of a measure is better, and how they are written."""

from __future__ import annotations

import math

import pytest

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.reporting.findings.percentages import (
    besides_percent,
    decimals_of,
    factor_of,
    unit_of,
    with_deviation,
    with_interval,
    written,
)
from swcl_cli.tasks.fitting import better_notes


@pytest.mark.parametrize(
    ("measure", "lower", "unit"),
    [
        ("auc", False, "percent"),
        ("dr_grade_kappa", False, "percent"),
        ("joint_accuracy", False, "percent"),
        ("x_mae_accuracy", False, "percent"),  # of a label called x_mae
        ("cup_to_disc_error", True, "percent"),
        ("mae", True, "own"),
        ("age in years_mae", True, "own"),
        ("age_r2", False, "plain"),
        ("pearson", False, "plain"),
        ("mean", False, "percent"),
        ("threshold_at_90", False, "percent"),
    ],
)
def test_qualities(measure: str, lower: bool, unit: str) -> None:
    assert (quality_of(measure).lower, quality_of(measure).unit) == (lower, unit)
    merit = quality_of(measure).merit
    assert (merit(2.0) < merit(1.0)) == lower and merit(math.nan) < merit(-1e9) and merit(math.nan) < merit(1e9)


def test_a_mean_with_r2_has_no_least_value() -> None:
    assert quality_of("mean").least == quality_of("age_r2").least == -math.inf and quality_of("auc").least == -1


def test_errors_are_written_in_their_own_unit() -> None:
    assert written(0.6123, "auc") == "61.2" and written(0.6123, "r2") == "0.61" and written(8.1234, "mae") == "8.12"
    assert [written(value, "mae") for value in (0.0, 0.04567, 123.4, 98765.4)] == ["0.00", "0.0457", "123", "98765"]
    assert with_interval(8.1234, 7.5, 10.25, "age_mae") == "8.12 [7.50, 10.25]"
    assert with_interval(0.5, 0.25, 0.75) == "50.0 [25.0, 75.0]" and with_interval(8.0, math.nan, 9, "mae") == "8.00"
    assert with_deviation([8.0, 9.0], "mae") == "8.50 ± 0.71 (n = 2)"
    assert (factor_of("mae"), factor_of("auc"), decimals_of("auc", 8.0)) == (1, 100, 1)
    assert (unit_of("mae"), unit_of("auc"), unit_of("r2")) == ("in the label's own unit", "percent", "")
    assert besides_percent(["auc", "f1"]) == "" and "less is better" in besides_percent(["auc", "mae"])


def test_the_epoch_of_the_least_error_is_the_best() -> None:
    notes: dict[str, float] = {}
    for epoch, (value, loss) in enumerate(
        [(9.0, 1.0), (7.0, 1.0), (7.0, 0.5), (math.nan, 0.1), (8.0, 0.1), (7.0, 2.0)]
    ):
        notes = better_notes(notes, epoch, value, loss, "age_mae")
    assert notes == {"best": 7.0, "best_loss": 0.5, "best_epoch": 2, "last_best_epoch": 5}
