"""Contact sheets of classification: the photographs that all models together judge worst, and best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from swcl_cli.data.images import read_image
from swcl_cli.reporting.evidence.contents import LIKELIHOOD, Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.style import Picture, Theme, new_figure
from swcl_cli.reporting.findings import names
from swcl_cli.reporting.findings.judged import judged, kind_of
from swcl_cli.reporting.findings.names import slug, title
from swcl_cli.reporting.findings.questions import grade_of

SHOWN = 4  # worst ones, and as many best ones
LEAST = 1e-6  # a probability below is taken for this: that of one run can't outweigh all others
LONGEST_ID = 26  # letters above a photograph


@dataclass(frozen=True)
class Case:
    """A photograph (H, W, 3), and what there is to say of it, a line each."""

    lines: tuple[str, ...]
    photograph: NDArray[np.uint8]


def worst_and_best(contents: Contents) -> list[Picture]:
    """A picture a task. What can't be read is named among the damaged, the rest is shown."""
    table, pictures = judged(contents.classified), []
    for task in names.in_paper_order(list(table["task"]), names.TASKS):
        of_task = table[table["task"] == task]
        ranked = ranking(of_task)
        half = min(SHOWN, len(ranked) // 2)
        worst = _read(contents, of_task, ranked.iloc[:half], "worst")
        best = _read(contents, of_task, ranked.iloc[len(ranked) - half :][::-1], "best")
        if not (worst or best):
            continue
        runs, found = len(of_task.drop_duplicates(["name", "run"])), of_task["name"].nunique()
        over = (
            f"{runs:,} runs of {found} initialisations" if found > 1 else f"{runs:,} runs of {of_task['name'].iloc[0]}"
        )
        said = "; ".join(
            ", ".join((words, *case.lines[1:]))
            for words, part in (("worst", worst), ("best", best))
            for case in part[:2]
        )
        pictures.append(
            Picture(
                f"cases-{slug(task)}",
                f"Hard and easy photographs of {title(task)}",
                f"The {kind_of(of_task)} photographs that are judged worst, above, and best, below: those whose true "
                f"grades got the least and the most probability, over {over}. Shown are the true grade, the one that "
                "most runs say, and how many of those that were tested on it say the true one. What all models get "
                "wrong may be a wrong label.",
                shortened(f"Photographs of {title(task)}, the first of each: {said}."),
                partial(_draw, worst, best),
                photographic=True,
            )
        )
    return pictures


def ranking(rows: pd.DataFrame) -> pd.DataFrame:
    """image_id, path, loss: the mean over runs of -log p(true class), summed over the heads; the worst first."""
    loss = rows.assign(loss=-np.log(np.maximum(rows[LIKELIHOOD].to_numpy(dtype=np.float64), LEAST)))
    by_head = loss.groupby(["image_id", "path", "head"], as_index=False).agg({"loss": "mean"})
    found = by_head.groupby(["image_id", "path"], as_index=False).agg({"loss": "sum"})
    return found.sort_values(["loss", "image_id"], ascending=[False, True], ignore_index=True)


def _read(contents: Contents, rows: pd.DataFrame, ranked: pd.DataFrame, words: str) -> list[Case]:
    """Those of the ranked photographs that can be read."""
    tried = [
        contents.tried(partial(_case, contents.root, rows[rows["image_id"] == row["image_id"]], row, words))
        for row in ranked.to_dict("records")
    ]
    return [case for case in tried if case is not None]


def _case(root: Path, rows: pd.DataFrame, ranked: Mapping[Any, Any], words: str) -> Case:
    return Case((f"{words}: {_short(ranked['image_id'])}", *told(rows)), read_image(root / ranked["path"]))


def told(rows: pd.DataFrame) -> list[str]:
    """A line a head of one photograph: `DR grade 2, said 0; 3/10 right`. Of equally frequent ones the lower."""
    lines, task = [], str(rows["task"].iloc[0])
    for head in rows["head"].unique():
        of_head = rows[rows["head"] == head]
        truth, answers = int(of_head["truth"].iloc[0]), of_head["prediction"].to_numpy(dtype=np.int64)
        said = int(np.bincount(answers).argmax())
        right = int((answers == truth).sum())
        true, common = grade_of(task, head, truth), grade_of(task, head, said)
        lines.append(f"{title(head)} {true}, said {common}; {right:,}/{len(answers):,} right")
    return lines


def _short(image_id: str) -> str:
    return image_id if len(image_id) <= LONGEST_ID else f"…{image_id[1 - LONGEST_ID :]}"


def _draw(worst: list[Case], best: list[Case], theme: Theme) -> Figure:
    first = (worst + best)[0]
    height, width = first.photograph.shape[:2]
    figure = new_figure(theme, 9.6, 0.2 + 2 * (0.25 + 0.18 * len(first.lines) + 2.25 * height / width))
    panels = figure.subplots(2, SHOWN, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for row, part in zip(panels, (worst, best), strict=True):
        for axes, case in zip(row, part, strict=False):
            show(axes, case.photograph, "\n".join(case.lines), size=8)
    return figure
