"""`make-swap`: class activation maps -> retinal-SWAP, five weakly labelled patches an eye (paper III-B)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from swcl_cli import chance, console
from swcl_cli.data import manifest
from swcl_cli.data.lesion_masks import read_patch_lesions
from swcl_cli.data.loaders import make_loader
from swcl_cli.data.patches import five_crops
from swcl_cli.data.photographs import Photographs, Squares, manifest_of
from swcl_cli.data.swap import patch_rows
from swcl_cli.data.weak_labels import SCHEMA, is_abnormal
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.patch_scores import judge_patch_scores
from swcl_cli.models.cam import abnormal_probability_map
from swcl_cli.models.encoders import create_labeler, load_weights
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.training.loop import make_fabric
from swcl_cli.workspace import (
    Workspace,
    differences,
    fingerprint,
    provenance,
    read_provenance,
    write_parquet,
    write_safetensors,
)

GREY = 15 / 255  # what is darker counts as background (FACTS A6)
SHOWN_THRESHOLDS = (0.3, 0.4, 0.5)
SAVE_SECONDS = 60
EXAMPLES = 6  # photographs of each kind whose maps are kept for the report
COLUMNS = ["dataset", "patient_id", "image_id", "eye", "path", "width", "height", "lesion_mask_path"]


def run(settings: MakeSwapSettings) -> Path:
    """Scores all patches and writes swap.parquet, or only its labels where nothing but the threshold changed."""
    workspace = Workspace(settings.workspace)
    workspace.require(workspace.labeler, "swcl train-labeler")
    labeler = read_provenance(workspace.labeler)
    if "labeler" not in labeler:
        raise SwclError(f"{workspace.labeler} holds no labeler. Labelers are made by: swcl train-labeler")
    names = [*labeler["settings"]["labelled"], *labeler["settings"]["unlabelled"]]
    inputs = {"labeler": fingerprint(workspace.labeler)}
    inputs |= {name: fingerprint(manifest_of(workspace, name)) for name in names}
    if changed := workspace.changed_since(workspace.labeler):
        console.warn(
            f"{', '.join(changed)} changed since the labeler was trained; swcl train-labeler --fresh renews it."
        )
    work = provenance("make-swap", settings.defining(), inputs)

    if workspace.swap.exists() and not settings.fresh:
        changed = differences(read_provenance(workspace.swap), work)
        if changed and not all(change.startswith("threshold:") for change in changed):
            raise SwclError(f"{workspace.swap} was made differently ({'; '.join(changed)}). Score again with --fresh.")
        if not changed:
            console.say("retinal-SWAP is already made with these settings and data.")
            return workspace.swap
        patches = _relabelled(pq.read_table(workspace.swap), settings.threshold)
        console.say(f"Scores kept, labels rewritten: {'; '.join(changed)}.")
    else:
        table = _photographs(workspace, labeler)
        scores = _score(workspace, settings, table, labeler["labeler"], work)
        patches = pa.Table.from_pandas(patch_rows(table, scores, settings.threshold), SCHEMA, preserve_index=False)

    counts = _counts(patches)
    judgement = _judge(workspace, patches, names)
    write_parquet(workspace.swap, patches, {**work, "counts": counts, "judgement": judgement})
    _tell(counts, judgement, settings.threshold)
    return workspace.swap


def lesion_scores(maps: Tensor, images: Tensor, background: str, mean: Tensor, std: Tensor) -> Tensor:
    """Means of the abnormal class's maps over the five crops: (N, S, S), normalised images (N, 3, S, S) -> (N, 5).

    background "released": pixels whose normalised channels sum to less than those of grey 15/255 are zeroed before,
    and still count in the mean (FACTS A6).
    """
    if background == "released":
        maps = maps * (images.sum(dim=1) >= ((GREY - mean) / std).sum())
    side = maps.shape[-1]
    size = side // 2
    crops = five_crops(side, side, size).values()
    return torch.stack([maps[:, y : y + size, x : x + size].mean(dim=(1, 2)) for x, y in crops], dim=1)


def _photographs(workspace: Workspace, labeler: Mapping[str, Any]) -> pd.DataFrame:
    """All splits (FACTS A1) of the labeler's data sets; image_abnormal only where the set was its labelled one."""
    tables = []
    for name in [*labeler["settings"]["labelled"], *labeler["settings"]["unlabelled"]]:
        size = read_provenance(workspace.manifest(name))["settings"]["size"]
        if size != labeler["labeler"]["image_size"]:
            raise SwclError(
                f"{name} is prepared at {size} px, the labeler was trained at {labeler['labeler']['image_size']} px. "
                "Prepare it again at that --size."
            )
        labelled = name in labeler["settings"]["labelled"]
        table = manifest.read(workspace.manifest(name), columns=[*COLUMNS, *(["abnormal"] if labelled else [])])
        known = table["abnormal"] if labelled else pd.array([None] * len(table), dtype=pd.ArrowDtype(pa.bool_()))
        tables.append(table.assign(image_abnormal=known))
    return pd.concat(tables, ignore_index=True)


@torch.inference_mode()
def _score(
    workspace: Workspace,
    settings: MakeSwapSettings,
    table: pd.DataFrame,
    labeler: Mapping[str, Any],
    work: Mapping[str, Any],
) -> NDArray[np.float32]:
    """(N, 5) lesion scores, in the order of the table. The maps of a few photographs are kept for the report.

    What is scored so far is saved now and then; batches are always the same, so going on gives the same scores.
    """
    fabric = make_fabric(settings.accelerator, settings.precision)
    network: Any = create_labeler(labeler["architecture"])
    load_weights(network, load_file(workspace.labeler), str(workspace.labeler))
    network = fabric.to_device(network.eval().to(memory_format=torch.channels_last))
    mean, std = (fabric.to_device(torch.tensor(labeler[name])) for name in ("mean", "std"))

    photographs = Photographs.of(workspace, table)
    squares = Squares(photographs, labeler["mean"], labeler["std"])
    shown = _examples(table["image_abnormal"])
    progress = _Progress(workspace.run("make-swap") / "resume.safetensors", work, settings.fresh)
    console.say(f"{len(table):,} photographs to score, {5 * len(table):,} patches.")
    with console.progress("scoring", len(table), progress.done) as ticker:
        batches = squares.batches(settings.batch)[progress.batches :]
        for images in make_loader(squares, batches, settings.workers):
            images = fabric.to_device(images)
            with fabric.autocast():
                features = network.forward_features(images.to(memory_format=torch.channels_last))
            maps = abnormal_probability_map(features, network.fc.weight, images.shape[-1])
            scores = lesion_scores(maps, images, settings.background, mean, std).cpu()
            here = range(progress.done, progress.done + len(images))
            progress.add(
                scores, {photographs.path[item].as_py(): maps[item - here.start] for item in shown & set(here)}
            )
            ticker.advance(len(images))
    write_safetensors(workspace.run("make-swap") / "cams.safetensors", progress.maps, work)
    progress.path.unlink(missing_ok=True)
    return torch.cat(progress.scores).numpy()


class _Progress:
    """Scores and kept maps so far; saved every SAVE_SECONDS, taken up again by the same work."""

    def __init__(self, path: Path, work: Mapping[str, Any], fresh: bool) -> None:
        self.path, self.work = path, work
        self.scores: list[Tensor] = []
        self.maps: dict[str, Tensor] = {}
        self.batches = self.done = 0
        self.saved_at = time.monotonic()
        if path.exists() and not fresh and not differences(saved := read_provenance(path), work):
            tensors = load_file(path)
            self.scores, self.batches = [tensors.pop("scores")], saved["batches"]
            self.maps, self.done = tensors, len(self.scores[0])
            console.say(f"Resuming after {self.done:,} photographs.")

    def add(self, scores: Tensor, maps: Mapping[str, Tensor]) -> None:
        self.scores.append(scores)
        self.maps |= {path: (part * 255).round().to(torch.uint8).cpu() for path, part in maps.items()}
        self.batches, self.done = self.batches + 1, self.done + len(scores)
        if time.monotonic() - self.saved_at >= SAVE_SECONDS:
            tensors = {"scores": torch.cat(self.scores), **self.maps}
            write_safetensors(self.path, tensors, {**self.work, "batches": self.batches})
            self.saved_at = time.monotonic()


def _examples(image_abnormal: pd.Series) -> set[int]:
    """A keyed choice of photographs without image label, and of those labelled abnormal."""
    kinds = (image_abnormal.isna(), image_abnormal.fillna(False))
    rows = [np.flatnonzero(kind.to_numpy(dtype=bool)) for kind in kinds]
    draws = [chance.generator(0, "examples", item=item).permutation(part)[:EXAMPLES] for item, part in enumerate(rows)]
    return set(np.concatenate(draws).tolist())


def _relabelled(table: pa.Table, threshold: float) -> pa.Table:
    column = table.schema.get_field_index("abnormal")
    return table.set_column(
        column, SCHEMA.field("abnormal"), pa.array(is_abnormal(table["score"].to_numpy(), threshold))
    )


def _counts(patches: pa.Table) -> dict[str, int]:
    scores = patches["score"].to_numpy()
    counts = {str(threshold): int(is_abnormal(scores, threshold).sum()) for threshold in SHOWN_THRESHOLDS}
    return {**counts, "all": len(scores), "abnormal": int(patches["abnormal"].to_numpy().sum())}


def _judge(workspace: Workspace, patches: pa.Table, names: list[str]) -> dict[str, Any] | None:
    """How well the scores find lesions, where lesion masks say what there is to find."""
    masks = [
        manifest.read(workspace.manifest(name), columns=["path", "lesion_mask_path", "width", "height"])
        for name in names
    ]
    known = pd.concat(masks).dropna(subset=["lesion_mask_path"])
    if not len(known):
        return None
    frame = patches.drop_columns(["abnormal"]).to_pandas().merge(known, on="path")
    held = read_patch_lesions(workspace.root, frame)
    truth = held.any(axis=1).to_numpy()
    image_holds = pd.Series(truth).groupby(frame["path"]).transform("any").to_numpy(dtype=bool)
    judged = judge_patch_scores(
        truth,
        frame["score"].to_numpy(),
        image_holds,
        {kind: held[kind].to_numpy() for kind in held},
        frame["position"].to_numpy(dtype=str),
        (frame["dataset"] + "/" + frame["patient_id"]).to_numpy(dtype=str),
        seed=0,
    )
    return asdict(judged)


def _tell(counts: Mapping[str, int], judgement: Mapping[str, Any] | None, threshold: float) -> None:
    rows = [(f"{t}", f"{counts[str(t)]:,}", f"{100 * counts[str(t)] / counts['all']:.1f} %") for t in SHOWN_THRESHOLDS]
    console.table(f"retinal-SWAP: {counts['all']:,} patches", ("threshold", "abnormal", "share"), rows)
    console.say(f"Chosen threshold {threshold:g}: {counts['abnormal']:,} abnormal patches.")
    if judgement is not None:
        parts = {
            "all patches": "auc",
            "of photographs with lesions": "within_abnormal",
            "in the same place": "in_place",
        }
        told = [
            f"{words} {judgement[name]:.3f} ({judgement[f'{name}_interval'][0]:.3f} to "
            f"{judgement[f'{name}_interval'][1]:.3f})"
            for words, name in parts.items()
        ]
        console.say(
            f"Against the lesion masks, AUC with 95 % interval: {', '.join(told)}; "
            f"best F1 at t = {judgement['threshold']:.2f}."
        )
