"""Tell which initialisation is best on a task, and whether the paired comparison tells it apart from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.differences import PATIENTS_ALONE, over_patients, sampled_by_task
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.paired import NOT_TOLD_APART, comparable, difference
from swcl_cli.reporting.findings.scores import Score, scores

MOST_NAMED = 3  # initialisations in a sentence
ONE_SEED = f" Where either has one seed, over {PATIENTS_ALONE}."


@dataclass(frozen=True)
class Standing:
    """Hold the best mean of a task, and the other ones, the better first.

    below: those that it is told apart from; level: all others, among them those that can't be compared with it.
    seeds: whether each comparison is over seeds too, not over patients alone.
    """

    best: Score
    below: tuple[Score, ...] = ()
    level: tuple[Score, ...] = ()
    seeds: bool = True

    @property
    def is_clear(self) -> bool:
        """Tell whether there are others, and it is told apart from each of them."""
        return bool(self.below) and not self.level

    @property
    def is_alone(self) -> bool:
        return not (self.below or self.level)


def measured(contents: Contents) -> list[Score]:
    """Average by task and initialisation, with intervals over patients."""
    return contents.once(
        "scores", lambda held: scores(held.results, over_patients=over_patients(sampled_by_task(held)))
    )


def standing(contents: Contents, rivals: Sequence[Score]) -> Standing:
    """Compare the best of these scores, of one task and split, with each other one. Raises ValueError for none."""
    ranked = sorted(rivals, key=lambda score: -score.merit)
    best, others = ranked[0], ranked[1:]
    samples = sampled_by_task(contents).get((best.task, best.split), {})
    below: list[Score] = []
    level: list[Score] = []
    seeds = True
    for other in others:
        ours, theirs = samples.get(best.name), samples.get(other.name)
        gap = difference(ours, theirs) if ours and theirs and comparable(ours, theirs) else None
        is_below = gap is not None and gap.verdict != NOT_TOLD_APART and other.merit < best.merit
        (below if is_below else level).append(other)
        seeds &= gap is None or gap.with_runs
    return Standing(best, tuple(below), tuple(level), seeds)


def sentence(standing: Standing) -> str:
    """Say in words whether the best one is told apart; empty where there is no other."""
    if standing.is_alone:
        return ""
    best = standing.best
    alone = "" if standing.seeds else ONE_SEED
    if standing.is_clear:
        others = counted(len(standing.below), "others") if len(standing.below) > 1 else standing.below[0].name
        return f"{title(best.task)}: {named(best)} is told apart from {others}.{alone}"
    return f"{title(best.task)}: not told apart: {listed((best, *standing.level))}.{alone}"


def listed(several: Sequence[Score]) -> str:
    """Name scores with their means, of many the first."""
    if len(several) > MOST_NAMED + 1:
        more = counted(len(several) - MOST_NAMED, "others")
        return f"{', '.join(map(named, several[:MOST_NAMED]))} and {more}"
    return " and ".join([*filter(None, [", ".join(map(named, several[:-1]))]), named(several[-1])])


def named(score: Score) -> str:
    return f"{score.name} ({score.shown})"
