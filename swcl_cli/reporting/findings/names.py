"""Give tasks, initialisations and measures their titles and the paper's order; others keep their own names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.catalogue.measures import MEASURES
from swcl_cli.catalogue.paper import INITIALISATIONS, TASK_ORDER
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.datasets import DATASETS

SWCL, ILSVRC = "swcl", "imagenet"
TITLES = {
    **{name: each.title for several in (DATASETS, TASKS, LABELS) for name, each in several.items()},
    **{name: quality.title for name, quality in MEASURES.items()},
}


def title(name: str) -> str:
    return TITLES.get(name, name)


def base(name: str, known: tuple[str, ...]) -> str | None:
    """Return the known name that this is, or begins with: `swcl-image-0.1` is a swcl-image, `BiT-S-R50x1` a bit-s."""
    plain = name.lower().replace("_", "-")
    bases = [each for each in known if plain.startswith(each) and not plain[len(each) : len(each) + 1].isalnum()]
    return max(bases, key=len, default=None)


def ordered_tasks(names: Iterable[str]) -> list[str]:
    return _in_paper_order(names, TASK_ORDER)


def ordered_initialisations(names: Iterable[str]) -> list[str]:
    return _in_paper_order(names, INITIALISATIONS)


def _in_paper_order(names: Iterable[str], order: tuple[str, ...]) -> list[str]:
    """Order names, each once: the paper's first, each with its variants, then the others by name."""

    def place(name: str) -> tuple[int, bool, str]:
        known = base(name, order)
        return len(order) if known is None else order.index(known), name != known, name

    return sorted(set(names), key=place)


def slug(name: str) -> str:
    """Make a file name of small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
