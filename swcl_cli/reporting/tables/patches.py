"""Make tables of retinal-SWAP: how many patches count as abnormal, and how well their scores find lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from swcl_cli.catalogue.paper import ABNORMAL_PATCHES, PATCHES
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.patches import THRESHOLDS, Judgement, abnormal_counts, judgements
from swcl_cli.reporting.findings.percentages import percent
from swcl_cli.reporting.findings.published import is_as_in_paper
from swcl_cli.reporting.tables.table import Cell, Table, Value, count, score_cell
from swcl_cli.swap.judgement import counted

PUBLISHED = (
    f"The paper has {PATCHES:,} patches; {ABNORMAL_PATCHES:,} ({percent(ABNORMAL_PATCHES / PATCHES)} %) of them are "
    "abnormal at t = 0.4."
)


def swap_table(contents: Contents) -> Table | None:
    """Count patches of each data set, and abnormal ones at the paper's thresholds and at the chosen one."""
    if contents.swap is None or contents.patches is None:
        return None
    chosen = float(contents.swap.settings["threshold"])
    thresholds = sorted({*THRESHOLDS, chosen})
    groups = [(title(str(name)), part) for name, part in contents.patches.groupby("dataset", sort=True)]
    rows, records = [], []
    for name, part in [*groups, ("all", contents.patches)]:
        photographs, patches, abnormal = part["path"].nunique(), len(part), abnormal_counts(part["score"], thresholds)
        shares = [number / patches for number in abnormal]
        cells = [Cell(f"{number:,} ({percent(share)} %)") for number, share in zip(abnormal, shares, strict=True)]
        rows.append((Cell(name), count(photographs), count(patches), *cells))
        records.append((name, photographs, patches, *abnormal, *shares))
    numbers = (f"{kind}_at_{threshold:g}" for kind in ("abnormal", "share") for threshold in thresholds)
    header: tuple[Value, ...] = ("dataset", "photographs", "patches", *numbers)
    columns = (f"t = {t:g}{' (chosen)' if t == chosen else ''}" for t in thresholds)
    return Table(
        name="retinal-swap",
        title="Patches and thresholds",
        sentence="Patches cut from the photographs, and how many of them count as abnormal at each threshold t.",
        columns=("data set", "photographs", "patches", *columns),
        rows=tuple(rows),
        notes=(PUBLISHED,) if is_as_in_paper(contents, contents.swap) else (),
        records=(header, *records),
    )


def judgement_table(contents: Contents) -> Table | None:
    """Show the lesion scores against lesion masks, where there are masks: a column for each set of patches."""
    judged = judgements(contents)
    if not judged:
        return None
    among = {
        "all patches": "auc",
        "patches of photographs with lesions": "within_abnormal",
        "of these, in the same place": "in_place",
    }
    if any("more_in_photograph" in each.values for each in judged):
        among |= {
            "two patches of one photograph": "more_in_photograph",
            "two patches in the same place": "more_in_place",
        }
    return Table(
        name="patch-scores",
        title="Lesion scores against lesion masks",
        sentence="How well the lesion score finds the patches that really hold a lesion: AUC in percent, 50 is chance.",
        columns=("among", *_aucs(judged)),
        rows=tuple((Cell(words), *(_score(each, key) for each in judged)) for words, key in among.items()),
        notes=(
            "Within photographs that hold lesions, knowing which photograph is abnormal earns nothing: only finding "
            "the place does.",
            *(
                ["Of two patches: how often the one of which lesions fill a larger share has the higher score."]
                if "two patches of one photograph" in among
                else []
            ),
            *(f"{each.name}, on which nothing is pretrained: {counted(each.values)}" for each in judged if each.apart),
        ),
    )


def _aucs(judged: Sequence[Judgement]) -> tuple[str, ...]:
    return tuple(f"{each.name}: AUC, 95 % interval" for each in judged)


def _score(judged: Judgement, *keys: str) -> Cell:
    """Write a value of a judgement, and its interval where it has one."""
    values = judged.values
    if len(keys) == 1:
        return score_cell(values.get(keys[0]), values.get(f"{keys[0]}_interval"))
    (group, part) = keys
    return score_cell((values.get(group) or {}).get(part), (values.get(f"{group}_interval") or {}).get(part))


def judged_thresholds_table(contents: Contents) -> Table | None:
    """Show the chosen threshold beside the one that finds lesions best."""
    judged = [each for each in judgements(contents) if np.isfinite(each.values.get("f1", np.nan))]
    rows = []
    for each in judged:
        best = float(each.values["threshold"])
        rows += [
            (Cell(each.name), Cell("chosen"), Cell(f"{each.threshold:g}", each.threshold), _score(each, "f1_chosen")),
            (Cell(each.name), Cell("best by F1"), Cell(f"{best:.2f}", best), _score(each, "f1")),
        ]
    if not rows:
        return None
    return Table(
        name="patch-thresholds",
        title="The threshold, judged",
        sentence="How well the label abnormal finds the patches that really hold a lesion, at the threshold that was "
        "chosen and at the best one: F1 in percent.",
        columns=("patches", "threshold", "t", "F1"),
        rows=tuple(rows),
        notes=tuple(_all_abnormal(each) for each in judged if each.apart),
    )


def _all_abnormal(judged: Judgement) -> str:
    """Say what F1 it has to call all patches abnormal, which is hard to beat where nearly all hold lesions."""
    share = judged.values["with_lesions"] / judged.values["patches"]
    return (
        f"{judged.name}: {percent(share)} % of the patches hold a lesion. Calling all of them abnormal has an F1 of "
        f"{percent(2 * share / (1 + share))}."
    )


def judgement_parts_table(contents: Contents) -> Table | None:
    """Show the same by kind of lesion and by position of the patch."""
    judged = judgements(contents)
    parts = {"lesion: {}": "by_kind", "lesion: {}, in the same place": "kind_in_place", "position: {}": "by_position"}
    rows = [
        (Cell(words.format(part)), *(_score(each, key, part) for each in judged))
        for words, key in parts.items()
        for part in sorted({part for each in judged for part in each.values.get(key) or {}})
    ]
    if not rows:
        return None
    return Table(
        name="patch-scores-parts",
        title="Lesion scores, by kind of lesion and by position",
        sentence="The same for patches with one kind of lesion against patches without any, and for each position. In "
        "the same place: against all patches there without this kind.",
        columns=("among", *_aucs(judged)),
        rows=tuple(rows),
    )
