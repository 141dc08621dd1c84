from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.health import ailments
from swcl_cli.workspace import PRETRAIN, RunName

RECORDS = pd.DataFrame({"step": [0, 1, 1], "loss": [4.0, 3.0, np.nan], "epoch": [np.nan, np.nan, 0.0]})


def _with_log(contents: Contents, **columns: list[float]) -> Contents:
    return replace(contents, logs={RunName(PRETRAIN, name="swcl"): RECORDS.assign(**columns)})


def _details(contents: Contents, words: str) -> tuple[str, ...]:
    return next((details for text, details in ailments(contents) if words in text), ())


def test_the_golden_workspace_is_healthy(contents: Contents) -> None:
    assert ailments(contents) == []


@pytest.mark.parametrize(("spread", "told"), [(0.099, True), (0.1, False)])
def test_collapse_by_the_bound_that_training_warns_at(contents: Contents, spread: float, told: bool) -> None:
    """The last step counts: it may have recovered, or have collapsed late."""
    found = _details(_with_log(contents, embedding_spread=[1.0 - spread, spread, np.nan]), "Collapsed")
    assert found == (("pretrain-swcl: spread 0.10, where 1 is uniform on the sphere",) if told else ())


@pytest.mark.parametrize(
    ("entropy", "words"),
    [(0.001, "has put all photographs into one class"), (0.9995, "finds all classes alike"), (0.5, "")],
)
def test_a_teacher_that_tells_nothing_apart(contents: Contents, entropy: float, words: str) -> None:
    found = _details(_with_log(contents, teacher_entropy=[0.5, entropy, np.nan]), "Collapsed")
    assert found == ((f"pretrain-swcl: the teacher {words} (entropy {entropy:.4f} of 1)",) if words else ())


def test_divergence(contents: Contents) -> None:
    worse = _with_log(contents, loss=[4.0, np.inf, np.nan], knn_auc=[np.nan] * 3, gradient_norm=[1.0, 2.0, np.nan])
    assert _details(worse, "diverged") == ("pretrain-swcl: loss, knn_auc not finite",)


def test_points_of_a_grid_that_diverged(contents: Contents) -> None:
    grids = pd.DataFrame(
        {
            "task": "idrid",
            "name": ["swcl"] * 4 + ["random"],
            "run": "seed0",
            "weight_decay": 1e-3,
            "learning_rate": [0.1, 0.1, 0.03, 0.01, 0.1],
            "value": [np.nan, np.nan, np.nan, 0.5, 0.4],
        }
    )
    expected = "IDRiD, swcl: 3 of 4 points of its grid, at learning rate 0.1, 0.03; none was chosen"
    assert _details(replace(contents, grids=grids), "diverged") == (expected,)


@pytest.mark.parametrize(("low", "told"), [(0.5, True), (0.501, False)])
def test_a_labeler_at_chance(contents: Contents, low: float, told: bool) -> None:
    labeler = contents.labeler
    assert labeler is not None
    measured = {"auc": 0.55, "auc_low": low, "auc_high": 0.6}
    changed = replace(contents, labeler=replace(labeler, provenance={**labeler.provenance, "validation": measured}))
    assert _details(changed, "chance") == (("AUC 55.0 [50.0, 60.0] on its validation photographs",) if told else ())


def test_the_gravest_first(contents: Contents) -> None:
    """Phantom eyes, then damage, then what taught nothing, before what is only uncertain or not done yet."""
    ill = _with_log(
        replace(contents, phantom=True, damaged=["swap.parquet can't be used"]), embedding_spread=[0.01] * 3
    )
    order = [caution.text for caution in cautions(ill)]
    starts = ("These are phantom", "Files that could not", "Collapsed", "Fewer than", "Wide intervals", "Listed in")
    assert [next(i for i, text in enumerate(order) if text.startswith(start)) for start in starts] == sorted(
        next(i for i, text in enumerate(order) if text.startswith(start)) for start in starts
    )
    assert order[0].startswith("These are phantom") and order[2].startswith("Collapsed")
