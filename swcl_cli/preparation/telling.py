"""Tell on the terminal what was prepared, what was set aside, and where a download is not as it was published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from swcl_cli import console
from swcl_cli.data import manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.datasets.download import Download, Problem
from swcl_cli.preparation.jobs import OVER_THE_FIELD
from swcl_cli.preparation.masks import BAD_MASK


def tell_counts(dataset: str, counts: Counter[str], colour: dict[str, Any], unchanged: bool) -> None:
    """Show the counts by split and problem, and the colour statistics."""
    if unchanged:
        console.say(f"{dataset}: everything was prepared already; nothing has changed.")
    rows = [(split, f"{counts[split]:,}") for split in manifest.SPLITS if counts[split]]
    rows += [(problem, f"{count:,}") for problem, count in sorted(counts.items()) if problem not in manifest.SPLITS]
    console.table(f"{dataset}: images by split, and what quarantine.csv lists", ("", "count"), rows)
    for name, mean, std in (
        ("measured", colour["mean"], colour["std"]),
        ("measured in the field of view", colour["fov_mean"], colour["fov_std"]),
        ("constant, used to normalise", MEAN, STD),
    ):
        console.say(f"colour {name}: mean {_triple(mean)}, std {_triple(std)}")


def warn_of_masks(dataset: str, problems: Sequence[Problem]) -> None:
    """Warn of masks that set their photographs aside, and of those that cover most of the field of view."""
    for kind, words in ((BAD_MASK, "set aside for their masks"), (OVER_THE_FIELD, "used all the same")):
        if found := [problem for problem in problems if problem.problem == kind]:
            console.warn(
                f"{dataset}: {len(found):,} photographs {words}, such as {found[0].source_path}: {found[0].detail}."
            )


def compare_with_published(dataset: str, download: Download) -> None:
    """Warn where a split has another number of labelled images than its publication counts."""
    differing = [
        f"{download.labelled[split]:,} of {published:,} in {split}"
        for split, published in download.published.items()
        if download.labelled[split] != published
    ]
    if differing:
        console.warn(f"{dataset}: not the published number of labelled images is here: {', '.join(differing)}.")


def _triple(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
