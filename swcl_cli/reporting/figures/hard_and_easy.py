"""Show the photographs that all classifiers together judge worst, and those that they judge best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from textwrap import wrap
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import Label
from swcl_cli.data.images import read_image
from swcl_cli.reporting.evidence.columns import LIKELIHOOD
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.alt_texts import shortened
from swcl_cli.reporting.figures.photographs import show
from swcl_cli.reporting.figures.style import Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.differences import dataset_of
from swcl_cli.reporting.findings.grouping import by_task
from swcl_cli.reporting.findings.names import slug, title
from swcl_cli.reporting.findings.questions import class_of
from swcl_cli.reporting.findings.splits import shown_rows, split_word

SHOWN = 4  # worst ones, and as many best ones
LEAST = 1e-6  # a probability below is taken for this: that of one run can't outweigh all others
LONGEST_ID, LONGEST_LINE = 26, 36  # letters above a photograph


@dataclass(frozen=True)
class Judged:
    """Hold a photograph (H, W, 3), and lines on how it was judged."""

    lines: tuple[str, ...]
    photograph: NDArray[np.uint8]


def worst_and_best(contents: Contents) -> list[Figure]:
    """Make a figure for each task. What can't be read is named among the damaged, the rest is shown."""
    figures = []
    for task, of_task in by_task(shown_rows(contents.classified)):
        ranked = ranking(of_task)
        half = min(SHOWN, len(ranked) // 2)
        worst = _read(contents, of_task, ranked.iloc[:half], "worst")
        best = _read(contents, of_task, ranked.iloc[len(ranked) - half :][::-1], "best")
        if not (worst or best):
            continue
        runs, names = len(of_task.drop_duplicates(["name", "run"])), of_task["name"].unique()
        over = f"{counted(runs, 'runs')} of {f'{len(names)} initialisations' if len(names) > 1 else names[0]}"
        lines = "; ".join(
            ", ".join((words, *photograph.lines[1:]))
            for words, photographs in (("worst", worst), ("best", best))
            for photograph in photographs[:2]
        )
        figures.append(
            Figure(
                f"cases-{slug(task)}",
                f"Hard and easy photographs of {title(task)}",
                f"The {split_word(of_task)} photographs that are judged worst, above, and best, below: those whose "
                f"true classes got the least and the most probability, over {over}. Shown are the true class, the one "
                "that most runs say, and how many of those that were tested on it say the true one. What all models "
                "get wrong may be a wrong label.",
                shortened(f"Photographs of {title(task)}, the first of each: {lines}."),
                partial(_draw, worst, best),
                photographic=True,
            )
        )
    return figures


def ranking(rows: pd.DataFrame) -> pd.DataFrame:
    """Rank photographs by the mean over runs of -log p(true class), summed over the heads; the worst first.

    Heads of which a photograph's label is not known count as the mean of its others.
    """
    loss = rows.assign(loss=-np.log(np.maximum(rows[LIKELIHOOD].to_numpy(dtype=np.float64), LEAST)))
    by_head = loss.groupby(["image_id", "path", "head"], as_index=False).agg({"loss": "mean"})
    of_photographs = by_head.groupby(["image_id", "path"])["loss"]
    lacking = by_head["head"].nunique() / of_photographs.size()
    by_photograph = (of_photographs.sum() * lacking).reset_index(name="loss")
    return by_photograph.sort_values(["loss", "image_id"], ascending=[False, True], ignore_index=True)


def _read(contents: Contents, rows: pd.DataFrame, ranked: pd.DataFrame, words: str) -> list[Judged]:
    """Read those of the ranked photographs that can be read."""
    photographs = [
        contents.attempt(partial(_judged, contents, rows[rows["image_id"] == row["image_id"]], row, words))
        for row in ranked.to_dict("records")
    ]
    return [photograph for photograph in photographs if photograph is not None]


def _judged(contents: Contents, rows: pd.DataFrame, ranked: Mapping[Any, Any], words: str) -> Judged:
    lines = (
        f"{words}: {_short(ranked['image_id'])}",
        *answers(rows, contents.labels, dataset_of(contents, str(rows["task"].iloc[0]))),
    )
    return Judged(lines, read_image(contents.root / ranked["path"]))


def answers(
    rows: pd.DataFrame, own: Mapping[tuple[str, str], Label] = MappingProxyType({}), dataset: str = ""
) -> list[str]:
    """Write a line for each head of a photograph: `DR grade: moderate, said mild; 3/10 right`.

    Of equal ones the lower counts. own: labels of people's own, by task and head; dataset: the task's.
    """
    lines, task = [], str(rows["task"].iloc[0])
    for head in rows["head"].unique():
        of_head = rows[rows["head"] == head]
        truth, classes = int(of_head["truth"].iloc[0]), of_head["prediction"].to_numpy(dtype=np.int64)
        common = int(np.bincount(classes).argmax())
        right = int((classes == truth).sum())
        true, said = (class_of(task, head, number, own.get((task, head)), dataset) for number in (truth, common))
        classes_told = f"{title(head)}: {true}, said {said}"
        lines.append(f"{classes_told}; {right:,}/{len(classes):,} right")
    return lines


def _short(image_id: str) -> str:
    return image_id if len(image_id) <= LONGEST_ID else f"…{image_id[1 - LONGEST_ID :]}"


def _draw(worst: list[Judged], best: list[Judged], theme: Theme) -> Drawing:
    height, width = (worst + best)[0].photograph.shape[:2]
    rows = [
        [[part for line in judged.lines for part in wrap(line, LONGEST_LINE)] for judged in row]
        for row in (worst, best)
    ]
    most = max(len(lines) for row in rows for lines in row)
    drawing = new_drawing(theme, 9.6, 0.2 + 2 * (0.25 + 0.18 * most + 2.25 * height / width))
    panels = drawing.subplots(2, SHOWN, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for row, part, words in zip(panels, (worst, best), rows, strict=True):
        for axes, judged, lines in zip(row, part, words, strict=False):
            show(axes, judged.photograph, "\n".join(lines), size=8)
    return drawing
