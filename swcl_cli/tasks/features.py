"""Encode photographs by a frozen encoder, each of them once: features stay in the workspace (FACTS E14)."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from swcl_cli import console
from swcl_cli.data.columns import FEATURES
from swcl_cli.data.loaders import workers_for
from swcl_cli.data.photographs import Photographs
from swcl_cli.data.stored import read_columns
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.workspace import Damaged, Workspace, provenance, write_parquet

MEGABYTE = 1e6
Name: TypeAlias = tuple[str, int]  # path and checksum of a photograph


class Features:
    """Keep the features of one data set's photographs, in memory and in the workspace.

    What they depend on names the folder of their files: the encoder's weights, the view, precision, device and
    versions. Where another encoder comes, those in memory are dropped. The folder may be removed at any time.
    """

    def __init__(self, workspace: Workspace, dataset: str, save_seconds: float) -> None:
        """save_seconds: between two files, which are what an interrupted command leaves for the next one."""
        self.workspace, self.root, self.save_seconds = workspace, workspace.features(dataset), save_seconds
        self._folder = Path()
        self._kept: dict[Name, Tensor] = {}

    def of(self, predictor: Predictor, rows: pd.DataFrame, workers: int) -> Tensor:
        """Return the features (N, C) of the photographs of a manifest's rows, on the CPU, by the predictor's encoder.

        Raises SwclError where a file of features is damaged, or a photograph can't be read.
        """
        work = _work(predictor)
        folder = self.root / _digest([work["settings"], work["versions"]])
        if folder != self._folder:
            self._folder, self._kept = folder, _read(folder)
            if self._kept:
                console.say(f"{self._size()} are taken from {folder}.")
        names = _names(rows)
        if missing := [item for item, name in enumerate(names) if name not in self._kept]:
            self._encode(predictor, rows.iloc[missing], workers_for(len(missing), workers), work)
            console.say(f"{self._size()} are kept in {folder}, for other probes; the folder may be removed.")
        return torch.stack([self._kept[name] for name in names])

    def _encode(self, predictor: Predictor, rows: pd.DataFrame, workers: int, work: dict[str, Any]) -> None:
        """Encode photographs, and write a file whenever it is time: of whole batches, so that those that follow in the
        next command are batches of an uninterrupted one.
        """
        saved_at, waiting, names = time.monotonic(), list[Name](), _names(rows)
        features_of_each = predictor.features(Photographs.of(self.workspace, rows), workers)
        with console.progress("encoding", len(names)) as bar:
            for number, (name, features) in enumerate(zip(names, features_of_each, strict=True), 1):
                self._kept[name] = features
                waiting.append(name)
                bar.advance()
                is_time = time.monotonic() - saved_at >= self.save_seconds and number % predictor.kind.batch == 0
                if is_time or number == len(names):
                    self._write(waiting, work)
                    saved_at, waiting = time.monotonic(), []

    def _write(self, names: list[Name], work: dict[str, Any]) -> None:
        frame = pd.DataFrame(names, columns=["path", "checksum"])
        frame["features"] = [self._kept[name].numpy() for name in names]
        write_parquet(self._folder / f"{_digest(names)}.parquet", FEATURES.table(frame), work)

    def _size(self) -> str:
        """Say how many features are kept, and how large they are."""
        size = sum(features.nbytes for features in self._kept.values())
        return f"Features of {len(self._kept):,} photographs ({size / MEGABYTE:,.1f} MB)"


def _work(predictor: Predictor) -> dict[str, Any]:
    """Return the provenance of features: all that they depend on beside the photographs."""
    model = predictor.model
    settings = {
        "encoder": fingerprint_of(predictor.network.get_submodule("encoder")),
        **{name: getattr(model, name) for name in ("architecture", "crop", "mean", "std", "precision")},
        "fit": model.facts.get("fit"),
        "device": predictor.fabric.device.type,
    }
    return provenance("finetune", settings, {})


def _read(folder: Path) -> dict[Name, Tensor]:
    """Read all features of a folder; none where there is no such folder."""
    kept: dict[Name, Tensor] = {}
    for path in sorted(folder.glob("*.parquet")):
        table = read_columns(path, FEATURES)
        features = table["features"].combine_chunks()
        values = features.values.to_numpy(zero_copy_only=False)
        if len(set(features.value_lengths().to_pylist())) != 1 or not np.isfinite(values).all():
            raise Damaged(path, "its features are not of one width, or not all numbers")
        names = zip(table["path"].to_pylist(), table["checksum"].to_pylist(), strict=True)
        kept |= zip(names, torch.from_numpy(values.reshape(len(table), -1).copy()), strict=True)
    return kept


def _names(rows: pd.DataFrame) -> list[Name]:
    return list(zip(rows["path"].tolist(), rows["checksum"].tolist(), strict=True))


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint_of(module: nn.Module) -> str:
    """Return a hash of all weights and buffers."""
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
