"""Schedules and lengths by tables of values worked out by hand."""

from __future__ import annotations

import pytest

from swcl_cli.training.schedules import cosine_momentum, count_steps, linear, step_decay, warmup_cosine


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0),  # warm-up: 1/4, 2/4, 3/4, 4/4
        (4, 1.0),  # cos 0
        (6, 0.8535533905932737),  # (1 + cos 45 degrees) / 2
        (8, 0.5), (10, 0.14644660940672627), (11, 0.03806023374435663),  # 90, 135, 157.5 degrees
        (12, 0.0),
    ],
)  # fmt: skip
def test_warmup_and_cosine(step: int, factor: float) -> None:
    assert warmup_cosine(step, warmup=4, total=12) == pytest.approx(factor, abs=1e-15)


def test_no_warmup() -> None:
    assert [warmup_cosine(step, 0, 2) for step in range(3)] == pytest.approx([1.0, 0.5, 0.0])


def test_warmup_as_long_as_the_run_or_longer() -> None:
    assert [warmup_cosine(step, 2, 2) for step in range(2)] == [0.5, 1.0]
    assert [warmup_cosine(step, 4, 2) for step in range(2)] == [0.25, 0.5]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_fall_ends_at_zero_however_short_it_is(length: int) -> None:
    assert warmup_cosine(5, 5, 5 + length) == 1.0
    assert warmup_cosine(5 + length, 5, 5 + length) == 0.0


def test_the_paper_s_pretraining() -> None:
    """995 steps an epoch, 5 of 40 epochs of warm-up (FACTS 1)."""
    factors = [warmup_cosine(step, 5 * 995, 40 * 995) for step in range(40 * 995)]
    assert factors[0] == 1 / 4975 and factors[4974] == 1.0 and max(factors) == 1.0
    assert factors[4975 + 35 * 995 // 2] == pytest.approx(0.5, abs=1e-4)
    assert 0 < factors[-1] < 1e-8 and factors[4975:] == sorted(factors[4975:], reverse=True)


@pytest.mark.parametrize(
    ("epoch", "factor"),
    [(0, 1), (139, 1), (140, 0.1), (159, 0.1), (160, 0.01), (179, 0.01), (180, 0.001), (199, 0.001)],
)
def test_a_tenth_after_each_milestone(epoch: int, factor: float) -> None:
    assert step_decay(epoch, (140, 160, 180)) == pytest.approx(factor)
    assert step_decay(epoch, ()) == 1.0


@pytest.mark.parametrize(
    ("step", "momentum"),
    [(0, 0.996), (2, 0.997), (3, 0.998), (4, 0.999), (6, 1.0)],  # cos 0, 60, 90, 120, 180 degrees
)
def test_a_teachers_momentum(step: int, momentum: float) -> None:
    assert cosine_momentum(step, 6, 0.996) == pytest.approx(momentum, abs=1e-12)


@pytest.mark.parametrize(
    ("step", "temperature"), [(0, 0.04), (10, 0.05), (15, 0.055), (29, 0.069), (30, 0.07), (31, 0.07), (400, 0.07)]
)
def test_a_teachers_temperature(step: int, temperature: float) -> None:
    assert linear(step, 30, 0.04, 0.07) == pytest.approx(temperature, abs=1e-12)


@pytest.mark.parametrize(
    ("views", "steps"),
    [(None, 12), (1, 1), (8, 1), (9, 2), (96, 12), (800, 100)],  # 3 epochs of 4 steps of 8 views
)
def test_steps_of_a_run(views: int | None, steps: int) -> None:
    assert count_steps(3, 4, views, 8) == steps
