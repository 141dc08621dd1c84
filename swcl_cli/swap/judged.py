"""Judge lesion scores on photographs whose lesions are known, and whose patches nothing is pretrained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from swcl_cli import console
from swcl_cli.data import manifest
from swcl_cli.data.columns import JUDGED
from swcl_cli.data.photographs import Photographs, Squares, manifest_of
from swcl_cli.data.stored import read_columns
from swcl_cli.datasets import DATASETS, KNOWN_LESIONS
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.concordance import concordance_measure
from swcl_cli.evaluation.intervals import interval
from swcl_cli.evaluation.resampling import Measure
from swcl_cli.models.initialisation import Labeler
from swcl_cli.preparation.photograph import prepare_photograph
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.settings.labelled_sets import data_set
from swcl_cli.swap.alignment import Alignment
from swcl_cli.swap.judgement import judge_rows, stratified_measure
from swcl_cli.swap.lesion_masks import (
    LESION_VALUES,
    LesionMasks,
    lesion_masks_of,
    read_lesion_shares,
    read_patch_lesions,
)
from swcl_cli.swap.maps import Scorer, scored
from swcl_cli.swap.rows import lying, patch_rows
from swcl_cli.swap.weak_labels import label_ids
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace, differences, fingerprint, provenance, read_provenance, write_parquet

COLUMNS = [
    *("dataset", "split", "patient_id", "group_id", "image_id", "eye", "path", "width", "height", "checksum"),
]


@dataclass(frozen=True)
class Resized(Photographs):
    """Read photographs with their shorter side at `size` pixels, as `prep` makes them, whatever their prepared size."""

    size: int

    def read(self, item: int) -> NDArray[np.uint8]:
        photograph, _ = prepare_photograph(Image.fromarray(super().read(item)), self.size)
        return np.asarray(photograph)


@dataclass(frozen=True)
class Known:
    """Hold the photographs of a data set on which lesion scores are judged.

    table: a row each, with COLUMNS and the path of the mask; left_out: how many others were left out, by the reason.
    """

    name: str
    masks: LesionMasks
    table: pd.DataFrame
    left_out: dict[str, int]


def known_photographs(workspace: Workspace, settings: MakeSwapSettings, scored_sets: Sequence[str]) -> list[Known]:
    """Find the data sets to judge on: those of the settings, else all public ones with lesions that are prepared.

    scored_sets: those whose patches are pretrained on. Raises SwclError where one that is named is among them, is not
    prepared, or has no photograph to judge on; of one that is not named a warning tells this.
    """
    if settings.judge_on is None:
        names = [name for name in KNOWN_LESIONS if name not in scored_sets and workspace.manifest(name).exists()]
    else:
        names = list(dict.fromkeys(settings.judge_on))
    sets = []
    for name in names:
        if name in scored_sets:
            raise SwclError(
                f"judge_on: patches of {name} are pretrained on. Judge on another data set, or leave {name} out of "
                "--labelled and --unlabelled."
            )
        known = _known(workspace, name)
        if len(known.table):
            sets.append(known)
            continue
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in known.left_out.items())
        message = f"{name} has no photograph that scores can be judged on ({reasons})."
        if settings.judge_on is not None:
            raise SwclError(f"judge_on: {message}")
        console.warn(message)
    return sets


def _known(workspace: Workspace, name: str) -> Known:
    """Find the photographs of a data set with a lesion mask that no task is tested on: labeler and threshold are
    chosen by what is judged here.
    """
    path, masks = manifest_of(workspace, name), lesion_masks_of(workspace.manifest(name))
    table = manifest.read(path, columns=[*COLUMNS, masks.column])
    shared = DATASETS[name].shared if name in DATASETS else {}
    reasons = {
        "without a mask of lesions": table[masks.column].isna(),
        "of its test split": table["split"] == "test",
        **{
            f"of the test split of {other}, too": table["image_id"].isin(list(splits.get("test", ())))
            for other, splits in shared.items()
        },
    }
    left_out = {}
    for reason, rows in reasons.items():
        rows = rows.reindex(table.index).to_numpy(dtype=bool)
        if count := int(rows.sum()):
            left_out[reason] = count
        table = table[~rows]
    return Known(name, masks, table.reset_index(drop=True), left_out)


def judge_on(
    workspace: Workspace,
    settings: MakeSwapSettings,
    labeler: Labeler,
    sets: Sequence[Known],
    aligned: Alignment,
    work: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Score the patches of each data set, and judge the scores; return the judgements of those that are new.

    work: provenance of retinal-SWAP, by the same labeler and settings. Each data set becomes a table of its own, beside
    its judgement: retinal-SWAP is the same with and without it. Nothing is scored again for another threshold.
    """
    judgements = {}
    for known in sets:
        path = workspace.judged(known.name)
        scored_sets = ("labelled", "unlabelled", "normal")
        about = {key: value for key, value in work["settings"].items() if key not in scored_sets}
        inputs = {"labeler": work["inputs"]["labeler"], known.name: fingerprint(workspace.manifest(known.name))}
        outside = {key: work[key] for key in ("outside",) if key in work}
        made = provenance("make-swap", about, inputs, **outside)
        changed = differences(read_provenance(path), made) if path.exists() and not settings.fresh else ["all"]
        if not changed:
            continue
        if all(change.startswith("threshold:") for change in changed):
            frame = read_columns(path, JUDGED).to_pandas()
        else:
            console.say(f"{known.name}: {len(known.table):,} photographs to judge the scores on.")
            frame = _scored(workspace, settings, labeler, replace(known, table=aligned.of(known.table)))
        judgement = {**_judgement(frame, settings.threshold, known.left_out), "seen": _seen(labeler, known.name)}
        more = {"judgement": judgement, LESION_VALUES: known.masks.values.tolist()}
        write_parquet(path, JUDGED.table(frame), {**made, **more})
        judgements[known.name] = judgement
    return judgements


def _seen(labeler: Labeler, name: str) -> list[str]:
    """List the data sets that the labeler was trained on and that hold photographs of this one."""
    holding = {name, *(DATASETS[name].shared if name in DATASETS else ())}
    return sorted(holding & {*map(data_set, labeler.labelled or ()), *(labeler.unlabelled or ())})


def _scored(workspace: Workspace, settings: MakeSwapSettings, labeler: Labeler, known: Known) -> pd.DataFrame:
    """Score the five patches of each photograph, and read which kinds of lesion they hold: columns of JUDGED."""
    fabric = make_fabric(settings.accelerator, settings.precision)
    scorer = Scorer(fabric, labeler.network, labeler.mean, labeler.std, settings.background)
    of_table = Photographs.of(workspace, known.table)
    photographs = Resized(of_table.root, of_table.path, of_table.checksum, labeler.image_size)
    squares = Squares(photographs, labeler.mean, labeler.std)
    batches = scored(scorer, squares, lying(known.table), settings.batch, settings.workers)
    scores = np.concatenate([part.cpu().numpy() for _, part in batches])
    rows = patch_rows(known.table.assign(image_abnormal=None), scores, settings.threshold)
    masks = known.table[["path", "group_id", "width", "height", known.masks.column]]
    rows = rows.merge(masks, on="path", how="left", validate="many_to_one")
    lesions = read_patch_lesions(workspace.root, rows, known.masks)
    kinds = [lesions.columns[held].tolist() for held in lesions.to_numpy()]
    shares = read_lesion_shares(workspace.root, rows, known.masks)
    return rows.assign(lesions=kinds, lesion_share=shares, mask_path=rows[known.masks.column])[JUDGED.names]


def _judgement(frame: pd.DataFrame, threshold: float, left_out: Mapping[str, int]) -> dict[str, Any]:
    """Judge the rows of JUDGED; beside the scores stand the numbers of photographs and patches.

    Where nearly each patch holds some lesion, few are left to compare with. Hence also how often the score orders two
    patches as the share of lesions in them does, of one photograph or in the same place of two; and, of each kind, the
    AUC of patches with it against all without it, in the same place.
    """
    kinds = sorted({kind for held in frame["lesions"] for kind in held})
    lesions = pd.DataFrame({kind: [kind in held for held in frame["lesions"]] for kind in kinds}, index=frame.index)
    patients = label_ids(frame, ["dataset", "group_id"])
    score, place = frame["score"].to_numpy(np.float64), label_ids(frame, ["position"])
    amounts = {"more_in_photograph": label_ids(frame, ["path"]), "more_in_place": place}
    ordered = {name: concordance_measure(frame["lesion_share"], score, strata) for name, strata in amounts.items()}
    of_kind = {kind: stratified_measure(lesions[kind].to_numpy(), score, place) for kind in kinds}
    return {
        **asdict(judge_rows(frame, lesions, threshold, parts=True)),
        **{name: _value(measure, len(frame)) for name, measure in ordered.items()},
        **{f"{name}_interval": interval(measure, patients) for name, measure in ordered.items()},
        "kind_in_place": {kind: _value(measure, len(frame)) for kind, measure in of_kind.items()},
        "kind_in_place_interval": {kind: interval(measure, patients) for kind, measure in of_kind.items()},
        "photographs": frame["path"].nunique(),
        "patches": len(frame),
        "with_lesions": int(lesions.any(axis=1).sum()),
        "left_out": dict(left_out),
    }


def _value(measure: Measure, rows: int) -> float:
    return float(measure.of(np.ones((1, rows)))[0])
