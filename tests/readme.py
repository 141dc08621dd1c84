"""Write the README's tables from the catalogue and the data sets: python -m tests.readme"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.catalogue.methods import METHODS, Method
from swcl_cli.catalogue.paper import TABLE_TWO, TASK_ORDER, TITLES
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.datasets import DATASETS
from swcl_cli.reporting.findings.names import title
from swcl_cli.settings import PretrainSettings
from swcl_cli.study.summary import COUNTED, DETAILED, Summary

README = Path(__file__).parents[1] / "README.md"
EVIDENCE = Path(__file__).with_name("evidence")


def written(text: str) -> str:
    """The text with each table between `<!-- NAME -->` and `<!-- end -->` made anew."""
    made = {
        "data sets": data_sets(),
        "tasks": tasks(),
        "methods": methods(),
        "paper": paper(),
        "study": study(Summary(EVIDENCE)),
    }
    for name, lines in made.items():
        block = f"<!-- {name} -->\n{lines}<!-- end -->"
        text, count = re.subn(rf"<!-- {name} -->\n.*?<!-- end -->", lambda _: block, text, flags=re.DOTALL)  # noqa: B023
        assert count == 1, f"README.md has no table of {name}"
    return text


def data_sets() -> str:
    rows = [
        (
            f"`{name}`",
            f"[{source.about}]({source.page})" if source.page else source.about,
            " / ".join(f"{count:,} {split}" for split, count in source.published.items()) or "any",
            source.size,
            source.terms,
        )
        for name, source in DATASETS.items()
    ]
    return _table(("data set", "what it is", "photographs", "download", "terms"), rows)


def tasks() -> str:
    rows = [
        (f"`{name}`", "any labels or masks", "by what is learnt")
        if task.open
        else (f"`{name}`", " and ".join(map(_head, *zip(*task.heads.items(), strict=True))), title(task.measure))
        for name, task in TASKS.items()
    ]
    return _table(("task", "what is learnt", "measure"), rows)


def _head(name: str, classes: int) -> str:
    return f"{LABELS[name].title}, {classes} classes" if name in LABELS else name


def paper() -> str:
    """Table II of the paper."""
    rows = [(TITLES.get(name, name), *(f"{value:.1f}" for value in scores)) for name, scores in TABLE_TWO.items()]
    return _table(("initial weights", *(TASKS[task].title for task in TASK_ORDER)), rows)


def methods() -> str:
    plain = PretrainSettings()
    batch = {"batch_patches": plain.batch_patches, "batch_images": plain.batch_images}
    rows = [
        (
            f"`{name}`",
            method.reads,
            f"{_views(method) * next(batch[option] for option in method.options if option in batch):,}",
            "the paper's" if method.tuned else "SWCL's, not tuned",
            method.about,
        )
        for name, method in METHODS.items()
    ]
    return _table(("method", "trains on", "views a step", "rates", "what it is"), rows)


def study(summary: Summary) -> str:
    """Tell what was collected on real photographs, wins and losses alike."""
    if not len(summary.runs):
        return "Nothing was collected so far.\n"
    reached = (
        f"{len(summary.runs):,} runs so far, {summary.hours:.1f} hours of training. Of "
        "all tasks and protocols, how often each pretraining is better than the weights that it began with, not told "
        "apart, or worse; and SWCL from the same weights, with as many views, than it:\n\n"
    )
    beside = "\nSWCL beside the weights that it began with, percent and points:\n\n"
    return reached + _table(COUNTED, summary.counts()) + beside + _table(DETAILED, summary.details())


def _views(method: Method) -> int:
    return method.views(method.defaults.get("variant"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
