"""Make retinal-SWAP, five weakly labelled patches an eye, from class activation maps (paper III-B): `make-swap`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from swcl_cli import chance, console
from swcl_cli.audit.without_tests import without_tests
from swcl_cli.data.columns import SWAP
from swcl_cli.data.photographs import Photographs, manifest_of
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation import Labeler, located, read_labeler
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.settings.labelled_sets import data_set
from swcl_cli.swap.alignment import alignment
from swcl_cli.swap.crops import POSITIONS
from swcl_cli.swap.judged import judge_on, known_photographs
from swcl_cli.swap.judgement import counted, judge
from swcl_cli.swap.released import TABLE, is_written, require_ours, write_released
from swcl_cli.swap.rows import lying, patch_rows
from swcl_cli.swap.sources import data_sets, photographs_to_score, tell_of_sides
from swcl_cli.swap.spread import Source, score_here, score_on_workers
from swcl_cli.swap.weak_labels import is_abnormal
from swcl_cli.training.run import is_begun
from swcl_cli.workspace import (
    Damaged,
    Workspace,
    differences,
    fingerprint,
    locked,
    provenance,
    read_provenance,
    read_safetensors,
    require_own,
    write_parquet,
    write_safetensors,
)

SHOWN_THRESHOLDS = (0.3, 0.4, 0.5)
SAVE_SECONDS = 60
EXAMPLES = 6  # photographs of each kind whose maps are kept for the report


def run(settings: MakeSwapSettings) -> Path:
    """Score all patches and write swap.parquet, or only its labels where nothing but the threshold changed.

    Return its path. Raises SwclError where it was made with other settings or data, and --fresh is not set.
    """
    workspace = Workspace(settings.workspace)
    require_own(workspace.swap, "make-swap")
    if settings.materialize:
        require_ours(settings.materialize)
    if settings.labeler:
        path, key = located(str(settings.labeler), workspace.root) or (settings.labeler, None)
    else:
        path, key = workspace.require(workspace.labeler, "swcl train-labeler, or name one: --labeler FILE"), None
    labeler = read_labeler(path, key)
    labelled, unlabelled, normal = data_sets(settings, labeler)
    names = [*map(data_set, labelled), *unlabelled]
    known = known_photographs(workspace, settings, names)
    left_out = without_tests(workspace, settings.without_tests, names)
    aligned = alignment(workspace, settings.align, [*names, *(part.name for part in known)])
    inputs = {"labeler": fingerprint(path) + (f"#{key}" if key else "")}
    inputs |= {name: fingerprint(manifest_of(workspace, name)) for name in names}
    outside = path.resolve() != workspace.labeler.resolve()
    if not outside and (changed := workspace.changed_since(path)):
        console.warn(
            f"{', '.join(changed)} changed since the labeler was trained; swcl train-labeler --fresh renews it."
        )
    chosen = {**settings.defining(), "labelled": labelled, "unlabelled": unlabelled, "normal": normal}
    facts = {**left_out.facts, **({"outside": ["labeler"]} if outside else {})}
    work = provenance("make-swap", {**chosen, **left_out.setting, **aligned.setting}, inputs, **facts)
    scoring = {**work, "settings": {name: value for name, value in work["settings"].items() if name != "threshold"}}

    with locked(workspace.swap_run.folder, "make-swap"):
        if workspace.swap.exists() and not settings.fresh and not is_begun(workspace.swap_run.folder, scoring):
            changed = differences(read_provenance(workspace.swap), work)
            if changed and not all(change.startswith("threshold:") for change in changed):
                raise SwclError(
                    f"{workspace.swap} was made differently ({'; '.join(changed)}). Score again with --fresh."
                )
            if changed:
                console.say(f"Scores kept, labels rewritten: {'; '.join(changed)}.")
                _write(workspace, _relabelled(read_columns(workspace.swap, SWAP), settings.threshold), work)
            else:
                console.say("retinal-SWAP is already made with these settings and data.")
        else:
            left_out.tell(workspace.swap_run.left_out, names)
            table = photographs_to_score(workspace, labelled, unlabelled, normal, labeler.image_size, left_out)
            aligned.tell(table)
            table = aligned.of(table)
            tell_of_sides(table, settings.align)
            source = Source(path, key, fingerprint(path))
            scores = _score(workspace, settings, table, labeler, source, scoring)
            rows = patch_rows(table, scores, settings.threshold)
            _write(workspace, SWAP.table(rows), work)
            workspace.swap_run.resume.unlink(missing_ok=True)
        for name, judgement in judge_on(workspace, settings, labeler, known, aligned, work).items():
            _show_judgement(judgement, settings.threshold, name)
        if settings.materialize:
            _materialize(workspace, settings.materialize, settings.workers)
    return workspace.swap


def _score(
    workspace: Workspace,
    settings: MakeSwapSettings,
    table: pd.DataFrame,
    labeler: Labeler,
    source: Source,
    work: Mapping[str, Any],
) -> NDArray[np.float32]:
    """Score the patches: (N, 5) lesion scores, in the order of the table. Write a few photographs' maps for the report.

    The maps lie as the patches do: turned where photographs are, and those of right eyes are mirrored. Scores are saved
    now and then; batches are always the same, so that a resumed run gives the same scores.
    """
    photographs, laid = Photographs.of(workspace, table), lying(table)
    shown = _examples(table["image_abnormal"])
    progress = _Progress(workspace.swap_run.resume, work, len(table), settings.fresh)
    given = (photographs, laid, shown, progress.done)
    parts = score_on_workers(settings, source, *given) if settings.scheduler else score_here(settings, labeler, *given)
    with console.progress("scoring", len(table), progress.done) as ticker:
        for scores, maps in parts:
            progress.add(scores.cpu().numpy(), {photographs.path[item].as_py(): maps[item] for item in maps})
            ticker.advance(len(scores))
    write_safetensors(workspace.maps, progress.maps, work)
    return progress.scores


class _Progress:
    """Hold the scores and example maps so far; save them every SAVE_SECONDS, and load those of the same work."""

    def __init__(self, path: Path, work: Mapping[str, Any], count: int, fresh: bool) -> None:
        self.path, self.work = path, work
        self.scores = np.empty((count, len(POSITIONS)), np.float32)
        self.maps: dict[str, Tensor] = {}
        self.done = 0
        self.saved_at = time.monotonic()
        if fresh:
            path.unlink(missing_ok=True)
        if is_begun(path.parent, work):
            self.maps = read_safetensors(path)
            saved = self.maps.pop("scores", torch.empty(0)).numpy()
            if saved.shape[1:] != self.scores.shape[1:] or len(saved) > count:
                raise Damaged(path, "its scores are not those of the photographs")
            self.done = len(saved)
            self.scores[: self.done] = saved
            console.say(f"Resuming after {self.done:,} photographs.")
        elif path.exists():
            changed = "; ".join(differences(read_provenance(path), work))
            console.say(f"An interrupted scoring was another one ({changed}): it is not continued.")

    def add(self, scores: NDArray[np.float32], maps: Mapping[str, Tensor]) -> None:
        """Add the scores (n, 5) of the next photographs, and maps by path, as uint8; save when it is time."""
        self.scores[self.done : self.done + len(scores)] = scores
        self.maps |= {path: (part * 255).round().to(torch.uint8).cpu() for path, part in maps.items()}
        self.done += len(scores)
        if time.monotonic() - self.saved_at >= SAVE_SECONDS:
            tensors = {"scores": torch.from_numpy(self.scores[: self.done]), **self.maps}
            write_safetensors(self.path, tensors, self.work)
            self.saved_at = time.monotonic()


def _examples(image_abnormal: pd.Series) -> set[int]:
    """Draw by key some photographs without image label, and some that are labelled abnormal; return their items."""
    kinds = (image_abnormal.isna(), image_abnormal.fillna(False))
    rows = [np.flatnonzero(kind.to_numpy(dtype=bool)) for kind in kinds]
    draws = [chance.generator(0, "examples", item=item).permutation(part)[:EXAMPLES] for item, part in enumerate(rows)]
    return set(np.concatenate(draws).tolist())


def _relabelled(table: pa.Table, threshold: float) -> pa.Table:
    """Return the table with the labels that its scores have at another threshold."""
    column = table.schema.get_field_index("abnormal")
    return table.set_column(
        column, SWAP.schema.field("abnormal"), pa.array(is_abnormal(table["score"].to_numpy(), threshold))
    )


def _write(workspace: Workspace, patches: pa.Table, work: Mapping[str, Any]) -> None:
    """Write the patches with their counts and their judgement against lesion masks, and show both."""
    settings = work["settings"]
    counts = _counts(patches)
    names = [*map(data_set, settings["labelled"]), *settings["unlabelled"]]
    judgement = judge(workspace, patches, names, settings["threshold"])
    write_parquet(workspace.swap, patches, {**work, "counts": counts, "judgement": judgement})
    _show(counts, judgement, settings["threshold"])


def _counts(patches: pa.Table) -> dict[str, int]:
    """Count all patches, those labelled abnormal, and those that some thresholds would label so."""
    scores = patches["score"].to_numpy()
    counts = {str(threshold): int(is_abnormal(scores, threshold).sum()) for threshold in SHOWN_THRESHOLDS}
    return {**counts, "all": len(scores), "abnormal": int(patches["abnormal"].to_numpy().sum())}


def _show(counts: Mapping[str, int], judgement: Mapping[str, Any] | None, threshold: float) -> None:
    """Show how many patches are abnormal, and how well their scores find the lesions of the masks, if there are any."""
    rows = [(f"{t}", f"{counts[str(t)]:,}", f"{100 * counts[str(t)] / counts['all']:.1f} %") for t in SHOWN_THRESHOLDS]
    console.table(f"retinal-SWAP: {counts['all']:,} patches", ("threshold", "abnormal", "share"), rows)
    console.say(f"Chosen threshold {threshold:g}: {counts['abnormal']:,} abnormal patches.")
    if counts["abnormal"] in (0, counts["all"]):
        console.warn(f"At {threshold:g} all patches have one label, which teaches nothing: choose another --threshold.")
    if judgement is not None:
        _show_judgement(judgement, threshold)


def _show_judgement(judgement: Mapping[str, Any], threshold: float, dataset: str = "") -> None:
    """Show how well scores find lesions. dataset: of the patches, where those are not of retinal-SWAP."""
    parts = {
        "all patches": "auc",
        "of photographs with lesions": "within_abnormal",
        "in the same place": "in_place",
    }
    areas = [f"{words} {_measured(judgement, name)}" for words, name in parts.items()]
    if dataset:
        console.say(f"{dataset}, which nothing is pretrained on: {counted(judgement)}")
    console.say(f"Against the lesion masks, AUC with 95 % interval: {', '.join(areas)}.")
    for words, name in (("kind of lesion", "by_kind"), ("position", "by_position")):
        known = [f"{part} {value:.3f}" for part, value in sorted(judgement[name].items()) if value == value]
        console.say(f"By {words}: {', '.join(known) or 'none of both classes'}.")
    if dataset:
        console.say(
            "The score orders two patches as the share of lesions in them does: of one photograph in "
            f"{_measured(judgement, 'more_in_photograph')} of pairs, in the same place of two in "
            f"{_measured(judgement, 'more_in_place')}."
        )
    if np.isnan(judgement["f1"]):
        console.say("F1 of abnormal patches as lesion finders: none (no patch holds a lesion).")
    else:
        console.say(
            f"F1 of abnormal patches as lesion finders: {judgement['f1_chosen']:.3f} at the chosen t = {threshold:g}, "
            f"at best {judgement['f1']:.3f} at t = {judgement['threshold']:.2f}."
        )


def _measured(judgement: Mapping[str, Any], name: str) -> str:
    """Write a score, or that it has none, with its interval in brackets: that of a single patient has none."""
    low, high = judgement[f"{name}_interval"]
    if np.isnan(judgement[name]):
        return "none (a class is absent)"
    return f"{judgement[name]:.3f}" + (f" ({low:.3f} to {high:.3f})" if np.isfinite(low) else "")


def _materialize(workspace: Workspace, folder: Path, workers: int) -> None:
    """Write the patches as images, in the layout of the released data set, unless the folder holds them already."""
    if is_written(workspace.swap, folder):
        console.say(f"{folder} already holds these patches.")
        return
    with console.progress("writing patches", pq.read_metadata(workspace.swap).num_rows) as ticker:
        write_released(workspace.root, workspace.swap, folder, workers, ticker.advance)
    console.say(f"Patches and {TABLE} are in {folder}.")
