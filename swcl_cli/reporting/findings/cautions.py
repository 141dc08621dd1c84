"""Warn the reader, at the top of the page, of what weakens the numbers below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.data.shared import RULE, overlaps
from swcl_cli.data.splits import divided
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.damage import grouped
from swcl_cli.reporting.findings.consistency import inconsistencies
from swcl_cli.reporting.findings.copies import Leak, leaks, not_audited
from swcl_cli.reporting.findings.counts import counted
from swcl_cli.reporting.findings.health import ailments
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.percentages import percent, written
from swcl_cli.reporting.findings.protocols import is_taught
from swcl_cli.reporting.findings.recipes import in_words
from swcl_cli.reporting.findings.scores import primary
from swcl_cli.reporting.findings.splits import TEST
from swcl_cli.workspace import outgrown, remedy

FEW_RUNS = 3
MOST_NAMED = 6  # photographs
PHANTOM_EYES = (
    "These are phantom eyes, drawn by this program. The numbers show that the steps work; they say nothing about real "
    "eyes, and nothing about how good a method is."
)
WIDE = 0.10  # an interval as wide as the gaps between the methods of the paper's Table II


@dataclass(frozen=True)
class Caution:
    """Hold a warning in one line, and its details, an item each."""

    text: str
    details: tuple[str, ...] = ()


def cautions(contents: Contents) -> list[Caution]:
    """List all warnings that apply, the gravest first."""
    possible = [
        *(
            _learnt(contents),
            _leaks(contents),
            _taught(contents),
            _shared(contents),
            _phantom(contents),
            _damaged(contents),
        ),
        *(Caution(text, details) for text, details in (*ailments(contents), *inconsistencies(contents))),
        *(_outgrown(contents), _stale(contents), _undefined(contents), _few_runs(contents), _wide(contents)),
        *(_unfinished(contents), _set_aside(contents)),
    ]
    return [caution for caution in possible if caution]


def _if_any(text: str, details: Iterable[str]) -> Caution | None:
    """Return None where there is nothing to warn of."""
    return Caution(text, kept) if (kept := tuple(details)) else None


def _learnt(contents: Contents) -> Caution | None:
    details = []
    for (task, ids, tested), group in _grouped(leaks(contents)).items():
        named = f" ({', '.join(ids)})" if len(ids) <= MOST_NAMED else ""
        scores = "; ".join(map(_both_scores, group))
        details.append(f"{title(task)}: {len(ids):,} of {counted(tested, 'tested photographs')}{named}: {scores}")
    return _if_any("Copies of tested photographs were learnt: what is tested there was seen in training.", details)


def _both_scores(leak: Leak) -> str:
    if leak.official is None or leak.without is None:
        return f"{leak.name} (no score without them)"
    official, without = (written(each.mean, leak.measure) for each in (leak.official, leak.without))
    return f"{leak.name} {without} without, {official} with them"


def _grouped(found: Sequence[Leak]) -> dict[tuple[str, tuple[str, ...], int], list[Leak]]:
    """Put together the rows of a task that learnt copies of the same photographs."""
    groups: dict[tuple[str, tuple[str, ...], int], list[Leak]] = {}
    for leak in found:
        groups.setdefault((leak.task, leak.ids, leak.tested), []).append(leak)
    return groups


def _leaks(contents: Contents) -> Caution | None:
    details = []
    for dataset in contents.datasets.values():
        images = dataset.images
        leaking = images["group_id"].isin(divided(images["group_id"].tolist(), images["split"].tolist()))
        if count := int(leaking.sum()):
            splits = " and ".join(sorted(images.loc[leaking, "split"].unique()))
            details.append(f"{title(dataset.name)}: {counted(count, 'photographs')}, in {splits}")
    text = "Photographs of one patient, or equal photographs, lie in several splits: what is tested there was learnt."
    return _if_any(text, details)


def _shared(contents: Contents) -> Caution | None:
    splits = {name: dataset.images.set_index("image_id")["split"] for name, dataset in contents.datasets.items()}
    details = (overlap.words(title(overlap.dataset), title(overlap.other)) for overlap in overlaps(splits))
    return _if_any(f"Two data sets share photographs: {RULE}.", details)


def _taught(contents: Contents) -> Caution | None:
    names: dict[str, list[str]] = {}
    for task, name in contents.finetuned:
        if is_taught(contents, task, name):
            names.setdefault(task, []).append(name)
    text = "Pretrained on labels of photographs that are tested: these rows flatter themselves."
    return _if_any(text, (f"{title(task)}: {', '.join(of_task)}" for task, of_task in names.items()))


def _phantom(contents: Contents) -> Caution | None:
    if not contents.phantom:
        return None
    return Caution(PHANTOM_EYES)


def _damaged(contents: Contents) -> Caution | None:
    return _if_any("Files that could not be used; all else is reported.", grouped(contents.damaged))


def _unfinished(contents: Contents) -> Caution | None:
    text = "Unfinished work: what is not done is in no table. The same command that began it goes on."
    return _if_any(text, (f"{work.place}: {work.words}" for work in contents.unfinished))


def _outgrown(contents: Contents) -> Caution | None:
    details = [
        f"{artefact.path}: {in_words('; '.join(changed))}. {remedy(artefact.path)}"
        for artefact in contents.artefacts()
        if (changed := outgrown(artefact.provenance))
    ]
    text = "Made by an older version, otherwise than this one does it; what was made from that is so, too."
    return _if_any(text, details)


def _stale(contents: Contents) -> Caution | None:
    """Inputs are named by data set, `labeler` or `swap`; `init` is the encoder of the same name, where there is one."""
    here = {name: dataset.artefact for name, dataset in contents.datasets.items()}
    here |= {name: artefact for name, artefact in (("labeler", contents.labeler), ("swap", contents.swap)) if artefact}
    judged = (each.artefact for each in contents.judged.values())
    since = not_audited(contents)
    tested = (each.artefact for each in contents.elsewhere)
    several = (contents.labeler, contents.swap, *judged, *contents.encoders.values(), *tested)
    made = [(artefact, here) for artefact in several if artefact]
    for (_, name), artefact in contents.finetuned.items():
        encoder = contents.encoders.get(name)
        made.append((artefact, here | ({"init": encoder} if encoder else {})))
    details = [
        f"{artefact.path} was made from another {now[name].path} than the one that is here"
        for artefact, now in made
        for name, used in sorted(_inputs(artefact).items())
        if name in now and now[name].fingerprint != used
    ]
    details += [
        f"{each.artefact.path} are scores of models that {each.replaced} does not hold any more"
        for each in contents.elsewhere
        if each.replaced
    ]
    if since:
        details.append(f"audit.parquet knows nothing of {', '.join(since)} as prepared now; renew it with: swcl audit")
    return _if_any("Made from inputs that have changed since.", details)


def _inputs(artefact: Artefact) -> dict[str, str]:
    """Leave out inputs from outside the workspace, which nothing here can be compared with."""
    return {name: used for name, used in artefact.inputs.items() if name not in artefact.provenance.get("outside", [])}


def _undefined(contents: Contents) -> Caution | None:
    wanted = contents.results[contents.results["primary"].astype(bool)]
    details = [
        f"{title(str(task))}, {title(str(measure))} on {split}: {_listed(rows['name'] + ' ' + rows['run'])}"
        for (task, measure, split), rows in wanted[wanted["value"].isna()].groupby(["task", "measure", "split"])
    ]
    text = "Measures without a value (a class is absent); they are in no average."
    return _if_any(text, details)


def _few_runs(contents: Contents) -> Caution | None:
    runs = primary(contents.results, TEST).groupby(["task", "name"])["seed"].nunique().rename("runs").reset_index()
    details = [
        f"{title(str(task))}: {_listed(rows['name'] + ' (n = ' + rows['runs'].astype(str) + ')')}"
        for task, rows in runs[runs["runs"] < FEW_RUNS].groupby("task")
    ]
    text = (
        f"Fewer than {FEW_RUNS} runs: chance between runs is not averaged out, and its size is unknown. The folds of a "
        "seed are one run."
    )
    return _if_any(text, details)


def _listed(items: pd.Series) -> str:
    return ", ".join(items.tolist())


def _wide(contents: Contents) -> Caution | None:
    rows = primary(contents.results, TEST)
    rows = rows[[quality_of(str(measure)).is_share for measure in rows["measure"]] if len(rows) else slice(0)]
    wide = rows.assign(width=(rows["high"] - rows["low"]).astype(np.float64)).groupby("task")["width"].mean()
    details = [f"{title(str(task))}: ±{percent(width / 2)} points" for task, width in wide[wide > WIDE].items()]
    measured = contents.labeler_validation
    width = measured.get("auc_high", 0.0) - measured.get("auc_low", 0.0)
    details += [f"labeler: ±{percent(width / 2)} points"] if width > WIDE else []
    text = "Wide intervals: few patients were tested, so differences below these say nothing."
    return _if_any(text, details)


def _set_aside(contents: Contents) -> Caution | None:
    details = []
    for dataset in contents.datasets.values():
        if dataset.problems:
            listed = ", ".join(f"{problem} ({number:,})" for problem, number in sorted(dataset.problems.items()))
            details.append(f"{title(dataset.name)}: {listed}")
    return _if_any("Listed in data/DATASET/quarantine.csv: set aside, doubled, or without a label.", details)
