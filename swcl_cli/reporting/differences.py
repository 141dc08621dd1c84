"""Paired differences between initialisations, from the stored predictions on the same photographs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.evaluation.metrics import bootstrap_interval
from swcl_cli.reporting import names
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.names import title
from swcl_cli.reporting.results import primary
from swcl_cli.reporting.tables import Cell, Table

REFERENCE = "random"
AGREEMENT = 1e-6


def per_photograph(contents: Contents) -> pd.DataFrame:
    """task, name, patient_id, image_id, score: each test photograph's own score, averaged over the runs.

    1 where all labels are right, or the F1 of its segmentation. Left out where their mean is not the task's measure
    (an AUC is no mean over photographs), or was measured on other photographs.
    """
    run, photograph = ["task", "name", "run"], ["image_id", "patient_id"]
    classified = contents.classified[contents.classified["split"] == "test"]
    right = classified.assign(score=(classified["truth"] == classified["prediction"]).astype(np.float64))
    joint = right.groupby([*run, *photograph], as_index=False).agg({"score": "min"})
    segmented = contents.segmented[contents.segmented["split"] == "test"]
    dice = segmented.assign(score=segmented["f1"].astype(np.float64))[[*run, *photograph, "score"]]
    single = pd.concat([joint, dice], ignore_index=True)

    measured = primary(contents.results, "test")[[*run, "value"]]
    means = single.groupby(run, as_index=False).agg({"score": "mean"}).merge(measured, on=run, how="left")
    agree = (means["score"] - means["value"].astype(np.float64)).abs() <= AGREEMENT
    foreign = means.loc[~agree, ["task", "name"]].drop_duplicates().assign(foreign=True)
    marked = single.merge(foreign, on=["task", "name"], how="left")
    kept = marked[marked["foreign"].isna()]
    return kept.groupby(["task", "name", *photograph], as_index=False).agg({"score": "mean"})


def differences_table(contents: Contents) -> Table | None:
    """Each initialisation minus random ones, with the 95 % interval of a bootstrap over patients."""
    table = per_photograph(contents)
    rows = []
    for task in names.in_paper_order(list(table["task"]), names.TASKS):
        of_task = table[table["task"] == task]
        reference = of_task[of_task["name"] == REFERENCE]
        for name in names.in_paper_order(list(of_task["name"]), names.INITIALISATIONS):
            both = of_task[of_task["name"] == name].merge(
                reference, on=["patient_id", "image_id"], suffixes=("", "_random")
            )
            if name == REFERENCE or both.empty:
                continue
            gap = (both["score"] - both["score_random"]).to_numpy(dtype=np.float64)
            low, high = difference_interval(gap, both["patient_id"].to_numpy(dtype=str))
            verdict = "better" if low > 0 else "worse" if high < 0 else "not told apart"
            shown = f"{100 * gap.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
            rows.append((Cell(title(task), task), Cell(name), Cell(shown, float(gap.mean())), Cell(verdict)))
    if not rows:
        return None
    return Table(
        name="differences",
        title="Against random initial weights",
        sentence="How many points each initialisation gains over random initial weights on the same test photographs, "
        "with the 95 % interval of a paired bootstrap over patients.",
        columns=("task", "initialisation", "points gained", "verdict"),
        rows=tuple(rows),
        notes=(
            "Each photograph's score is averaged over the runs first: the interval is that of the choice of patients.",
        ),
    )


def difference_interval(gap: NDArray[np.float64], patients: NDArray[np.str_]) -> tuple[float, float]:
    """95 % interval of the mean of gap (N,) when patients (N,) are drawn with replacement."""
    return bootstrap_interval(lambda rows: float(gap[rows].mean()), patients, seed=0)
