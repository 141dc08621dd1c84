"""Probe an encoder in training by its k nearest neighbours, to show without a head what it has learnt so far."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.catalogue.labels import PROBED
from swcl_cli.data import manifest
from swcl_cli.data.augment import View, center_view
from swcl_cli.data.colour import Colour
from swcl_cli.data.loaders import Key, make_loader
from swcl_cli.data.photographs import Photographs, manifest_of
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.intervals import interval
from swcl_cli.evaluation.metrics import auc
from swcl_cli.evaluation.neighbours import knn_scores
from swcl_cli.evaluation.resampling import auc_measure
from swcl_cli.workspace import Workspace

MOST = {"train": 2000, "val": 1000}  # photographs: an AUC good to 0.04, in 20 s of a core for ResNet-18 at 96 px
BATCH = 32
SEED = 0  # not the training's: all runs are probed with the same photographs


class _WholeViews(Dataset[View]):
    """Make the view of a whole photograph's central square at the encoder's input size: (0, item) -> (3, S, S)."""

    def __init__(self, photographs: Photographs, size: int, mean: Colour, std: Colour) -> None:
        self.photographs, self.size, self.mean, self.std = photographs, size, mean, std

    def __getitem__(self, key: Key) -> View:
        return center_view(self.photographs.read(key[1]), self.size, self.size, self.mean, self.std)


@dataclass(frozen=True)
class Probe:
    """Let photographs of the train split vote on those of the val split; `positive` (N,) has all rows, train first.

    Where an encoder trains on patches of the same photographs, as SWCL does on ODIR's, this shows the course of the
    training, but does not score the encoder on new photographs.
    """

    views: Dataset[View]
    positive: NDArray[np.bool_]
    group: NDArray[np.str_]  # of patients who share a photograph
    bank: int
    summary: str

    @classmethod
    def of(cls, workspace: Workspace, dataset: str, image_size: int, mean: Colour, std: Colour) -> Probe:
        """Read a data set's manifest. Raises SwclError where it is not prepared, or train or val lacks a class."""
        path = manifest_of(workspace, dataset)
        table = manifest.read(path, columns=["split", "group_id", "path", "checksum", *PROBED])
        label = next((name for name in PROBED if table[name].notna().any()), None)
        if label is None:
            raise SwclError(f"{dataset} has no label to probe ({', '.join(PROBED)}): name another with --probe-data.")
        table = table[table[label].notna()]
        parts = [_some(table[table["split"] == split], dataset, split, label) for split in MOST]
        rows = pd.concat(parts, ignore_index=True)
        return cls(
            _WholeViews(Photographs.of(workspace, rows), image_size, mean, std),
            _positive(rows, label),
            rows["group_id"].to_numpy(dtype=str),
            len(parts[0]),
            f"{len(parts[0]):,} train photographs of {dataset} vote on {len(parts[1]):,} of val: {label}",
        )

    def measure(self, fabric: Fabric, encoder: nn.Module, workers: int) -> dict[str, float]:
        """Return the AUC of the votes with its 95 % interval over patients; NaN where an embedding is not finite.

        The encoder is not changed, batch statistics and modes included, and no generator is advanced.
        """
        embeddings = self._embed(fabric, encoder, workers)
        score = knn_scores(embeddings[: self.bank], self.positive[: self.bank], embeddings[self.bank :])
        if not np.isfinite(score).all():
            return dict.fromkeys(("knn_auc", "knn_low", "knn_high"), math.nan)
        truth = self.positive[self.bank :]
        low, high = interval(auc_measure(truth, score), self.group[self.bank :])
        return {"knn_auc": auc(truth, score), "knn_low": low, "knn_high": high}

    @torch.inference_mode()
    def _embed(self, fabric: Fabric, encoder: nn.Module, workers: int) -> NDArray[np.float32]:
        count = len(self.positive)
        batches = ([(0, item) for item in range(at, min(at + BATCH, count))] for at in range(0, count, BATCH))
        parts = []
        with _evaluating(encoder), torch.random.fork_rng(devices=[]):  # a DataLoader draws a seed for its workers
            for images in make_loader(self.views, batches, workers):
                with fabric.autocast():
                    parts.append(encoder(fabric.to_device(images)).float().cpu().numpy())
        return np.concatenate(parts)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode in this context; afterwards each part is again in its earlier mode."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _some(rows: pd.DataFrame, dataset: str, split: str, label: str) -> Any:
    """Draw at most MOST rows of a split, by the split's key alone."""
    positives = int(_positive(rows, label).sum())
    if positives in (0, len(rows)):
        raise SwclError(
            f"{dataset} can't be probed: {positives:,} of the {len(rows):,} photographs in its {split} split have "
            f"{label} above 0, and both kinds are needed. Name another data set with --probe-data."
        )
    count = min(len(rows), MOST[split])
    drawn = chance.generator(SEED, f"probe of {dataset} {split}").choice(len(rows), count, replace=False)
    return rows.iloc[np.sort(drawn)]


def _positive(rows: pd.DataFrame, label: str) -> NDArray[np.bool_]:
    positive: NDArray[np.bool_] = rows[label].to_numpy(dtype=np.int64) > 0
    return positive
