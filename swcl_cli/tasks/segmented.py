"""Evaluate a split that a network segments: pixel counts, maps, and predictions of each image and structure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from swcl_cli import console
from swcl_cli.catalogue.structures import file_of
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.augment import IGNORED
from swcl_cli.data.columns import segmented
from swcl_cli.evaluation.intervals import intervals
from swcl_cli.evaluation.pixel_measures import Outcomes, diameter_ratio, pixel_measures, ratio_error
from swcl_cli.evaluation.pixel_tally import Histograms, PixelTally
from swcl_cli.evaluation.resampling import Measure, evaluate
from swcl_cli.evaluation.sliding_window import predict_windows
from swcl_cli.tasks.kind import Judgement, require_finite
from swcl_cli.tasks.masks import is_there, read_field, read_structures
from swcl_cli.workspace import Workspace, atomic

LogOdds = NDArray[np.float32]


def predict_log_odds(fabric: Fabric, network: nn.Module, image: Tensor, window: int) -> LogOdds:
    """Predict log odds of each head's class 1 by stitched windows (FACTS E7): (1, 3, H, W), any size -> (K, H, W)."""

    def log_odds(windows: Tensor) -> Tensor:
        with fabric.autocast():
            logits = network(windows)
        return torch.cat([part[:, 1:].float() - part[:, :1].float() for part in logits.values()], dim=1)

    (stitched,) = predict_windows(log_odds, image, window)
    scores: LogOdds = stitched.cpu().numpy()
    return scores


def against_others(log_odds: LogOdds) -> LogOdds:
    """Turn log odds against the background into those against the likeliest other class, (K, H, W) each.

    Of structures that exclude each other at most one is above 0 at a pixel: the likeliest class, if it is a structure.
    """
    first = np.zeros_like(log_odds[0])
    second = np.full_like(first, -np.inf)
    for part in log_odds:
        second = np.maximum(second, np.minimum(first, part))
        first = np.maximum(first, part)
    margins: LogOdds = np.where(log_odds == first, log_odds - second, log_odds - first)
    return margins


def shares(log_odds: LogOdds) -> LogOdds:
    """Turn log odds against the background into probabilities of structures that exclude each other, (K, H, W)."""
    background = torch.zeros_like(scores := torch.from_numpy(log_odds))[:1]
    probabilities: LogOdds = torch.cat([background, scores]).softmax(dim=0)[1:].numpy()
    return probabilities


def at_size(log_odds: LogOdds, shape: tuple[int, int]) -> LogOdds:
    """Resize log odds (H, W) to another height and width, bilinearly (FACTS E10)."""
    if log_odds.shape == shape:
        return log_odds
    scaled: LogOdds = cv2.resize(log_odds, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return scaled


def grey_levels(log_odds: LogOdds) -> NDArray[np.uint8]:
    """Return probabilities as 0 to 255; pixels that are predicted positive, with log odds above 0, are above 127."""
    probability = torch.from_numpy(log_odds).double().sigmoid().numpy()
    return np.ceil(255 * probability - 0.5).astype(np.uint8)


def cross_entropy(truth: NDArray[np.bool_], log_odds: LogOdds) -> float:
    """Return the mean over pixels of the cross-entropy of one structure. truth, log_odds: (H, W)."""
    target = torch.from_numpy(truth).float()
    return float(binary_cross_entropy_with_logits(torch.from_numpy(log_odds), target))


@dataclass
class Segmented:
    """Count the pixels of each photograph and judge them, in memory that does not grow with the pixels.

    Masks keep their own size, and predictions are resized to it (FACTS E10). folder: where maps are written, at the
    size of the prepared photographs; None: no maps.
    """

    task: Task
    workspace: Workspace
    rows: pd.DataFrame
    folder: Path | None
    whole: dict[str, PixelTally] = field(default_factory=dict)
    inside: dict[str, PixelTally] = field(default_factory=dict)  # the fields of view, where all photographs have one
    maps: dict[str, list[str]] = field(default_factory=dict)
    ratios: list[tuple[float, float]] = field(default_factory=list)  # true and predicted
    losses: list[float] = field(default_factory=list)  # of photographs: sums over heads of the pixels' cross-entropy

    def count(self, scores: Iterable[LogOdds]) -> None:
        """Count pixels, and write maps. scores: (K, H, W) of each row's photograph, at its prepared size."""
        heads = list(self.task.heads)
        self.whole = {head: PixelTally() for head in heads}
        if self.rows["fov_path"].notna().all():
            self.inside = {head: PixelTally() for head in heads}
        self.maps = {head: [] for head in heads}
        for row, log_odds in zip(self._with_progress(self.rows.to_dict("records")), scores, strict=True):
            require_finite(log_odds)
            self._count(row, log_odds)
            if self.folder is not None:
                for head, part in zip(heads, log_odds, strict=True):
                    self.maps[head].append(self._write_map(file_of(row["image_id"], head, heads), part))

    def judgement(self) -> Judgement:
        """Return the measures of the split; where there is a folder, intervals and predictions too."""
        histograms = {head: tally.histograms() for head, tally in self.whole.items()}
        inside = {head: tally.histograms() for head, tally in self.inside.items()}
        measures = self._measures(histograms, inside)
        values, reasons = evaluate(measures, len(self.rows))
        if self.folder is None:
            return Judgement(values, reasons=reasons, loss=float(np.mean(self.losses)))
        ranges = intervals(measures, self.rows["group_id"].to_numpy(dtype=str))
        parts = [self._predictions(head, histograms[head], inside.get(head)) for head in self.task.heads]
        columns = segmented(self.task.ratio, in_field=bool(self.inside))
        return Judgement(values, ranges, pd.concat(parts, ignore_index=True), reasons, columns)

    def _with_progress(self, rows: list[dict[Any, Any]]) -> Iterator[dict[Any, Any]]:
        """Yield the rows under a progress bar; without one in training, which has its own."""
        if self.folder is None:
            yield from rows
            return
        with console.progress("segmenting", len(rows)) as bar:
            for row in rows:
                yield row
                bar.advance()

    def _count(self, row: dict[str, str], log_odds: LogOdds) -> None:
        """Count the pixels of a photograph, in the whole and in its field of view, and note its ratio of diameters."""
        height, width = log_odds.shape[1:]
        truth = read_structures(self.workspace.root / row["mask_path"], self.task, (height, width))
        known = truth != IGNORED
        inside = known & read_field(self.workspace.root / row["fov_path"], truth) if self.inside else None
        whole = ... if known.all() else known
        truths, predictions, loss = {}, {}, 0.0
        for number, head in enumerate(self.task.heads):
            scores, truths[head] = at_size(log_odds[number], truth.shape), is_there(truth, number, self.task)
            self.whole[head].add(truths[head][whole], scores[whole])
            predictions[head] = scores > 0
            loss += cross_entropy(truths[head][whole], scores[whole]) if self.folder is None else 0.0
            if inside is not None:
                self.inside[head].add(truths[head][inside], scores[inside])
        self.losses.append(loss)
        if self.task.ratio:
            inner, outer = self.task.ratio
            true, predicted = (diameter_ratio(masks[inner], masks[outer]) for masks in (truths, predictions))
            self.ratios.append((true, float(np.nan_to_num(predicted))))

    def _measures(self, whole: dict[str, Histograms], inside: dict[str, Histograms]) -> dict[str, Measure]:
        measures = pixel_measures({head: (part, self.whole[head].auc()) for head, part in whole.items()})
        if self.task.ratio:
            inner, outer = self.task.ratio
            true, predicted = np.array(self.ratios).T
            measures[f"{inner}_to_{outer}_error"] = ratio_error(true, predicted, outer)
        fields = {head: (part, self.inside[head].auc()) for head, part in inside.items()}
        return measures | (pixel_measures(fields, "_fov") if fields else {})

    def _predictions(self, head: str, whole: Histograms, inside: Histograms | None) -> pd.DataFrame:
        """Return the table of predictions of a structure, a row for each image.

        `shades`: the values of the mask that are the structure; `log_odds`: the lower bounds of the bins in which
        `positives` and `negatives` count pixels.
        """
        outcomes, count = Outcomes.of(whole), len(self.rows)
        columns: dict[str, object] = {
            "structure": head,
            "shades": [np.array(self.task.structures.codes_of(head), np.int16)] * count,
            "map_path": self.maps[head],
            "f1": outcomes.f1,
            "true_positives": outcomes.true_positives,
            "false_positives": outcomes.false_positives,
            "false_negatives": outcomes.false_negatives,
            "true_negatives": outcomes.true_negatives,
        }
        if self.task.ratio:
            name = "_to_".join(self.task.ratio)
            columns |= dict(zip((f"{name}_truth", name), np.array(self.ratios).T, strict=True))
        for suffix, part in (("", whole), ("_fov", inside)):
            if part is not None:
                columns |= {
                    f"log_odds{suffix}": [part.bound] * count,
                    f"positives{suffix}": list(part.positive),
                    f"negatives{suffix}": list(part.negative),
                }
        return self.rows[["image_id", "patient_id", "path", "mask_path", "fov_path"]].assign(**columns)

    def _write_map(self, name: str, log_odds: LogOdds) -> str:
        """Write the probabilities of a structure as a PNG; return its path in the workspace."""
        assert self.folder is not None
        with atomic(self.folder / "maps" / f"{name}.png") as path:
            Image.fromarray(grey_levels(log_odds)).save(path, format="PNG")
        return self.workspace.relative(self.folder / "maps" / f"{name}.png")
