"""Embed photographs by an encoder: of `pretrain`, of other people's weights, or of a fine-tuned model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from torch import nn

from swcl_cli import console
from swcl_cli.catalogue.labels import Label
from swcl_cli.catalogue.tasks import CLASSIFICATION
from swcl_cli.data import manifest
from swcl_cli.data.columns import EMBEDDED, embedded
from swcl_cli.data.photographs import manifest_of
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.planes import neighbour_plane, principal_plane
from swcl_cli.models.asking import require_size
from swcl_cli.models.encoders import in_its_memory_format
from swcl_cli.models.initialisation import Initial, initialise
from swcl_cli.predicting.folder import Row, set_aside
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import Found
from swcl_cli.tasks.features import Features
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.tasks.saved import Description
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace

CROP = 224  # px, of an encoder whose origin does not say it
SAVE_SECONDS = 120.0  # between two files of features, which are what an interrupted command leaves


@dataclass(frozen=True)
class Embeddings:
    """Hold the vectors (N, C) of photographs, the rows that tell of these, and the labels among their columns.

    unreadable, remarks: rows of the files of these names.
    """

    rows: pd.DataFrame
    vectors: NDArray[np.float32]
    labels: Sequence[Label] = ()
    unreadable: Sequence[Row] = ()
    remarks: Sequence[Row] = ()

    def table(self) -> tuple[pa.Table, tuple[float, float]]:
        """Return the table of embeddings.parquet, and the shares of the variance along its two principal axes."""
        principal, shares = principal_plane(self.vectors)
        planes = {"pca": principal, "umap": neighbour_plane(self.vectors)}
        frame = self.rows.copy()
        for name, plane in planes.items():
            if plane is not None:
                frame[f"{name}_1"], frame[f"{name}_2"] = plane.T
        columns = embedded(self.labels, planes["umap"] is not None)
        width = self.vectors.shape[1]
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(self.vectors.ravel(), pa.float32()), width)
        return columns.table(frame).append_column("vector", vectors), shares


def load_embedder(
    source: str,
    architecture: str | None,
    workspace: Path,
    accelerator: Literal["auto", "cpu", "gpu"],
    crop: int | None = None,
    fit: str = "crop",
) -> tuple[Predictor, Initial]:
    """Load an encoder from any source of weights, and what applies it to photographs.

    crop, fit: how a photograph becomes the square that it gets. Raises SwclError where the source is none, or the
    encoder can't take images of this size.
    """
    initial = initialise(source, architecture, colours="rgb", seed=0, workspace=workspace)
    crop = crop or initial.image_size or CROP
    require_size(initial.encoder, initial.architecture, crop, "photographs")
    model = Description(
        task="",
        kind=CLASSIFICATION,
        heads={},
        crop=crop,
        architecture=initial.architecture,
        mean=initial.mean,
        std=initial.std,
        precision="fp32",
        size=0,
        square=False,
        crop_to_field=False,
        lossless=True,
        sizes=(0, 0),
        facts={"fit": fit},
    )
    network = nn.ModuleDict({"encoder": initial.encoder})
    in_its_memory_format(network, initial.encoder)
    fabric = make_fabric(accelerator, model.precision)
    return Predictor(model, network.eval().to(fabric.device), fabric), initial


def embed_files(predictor: Predictor, found: Found, workers: int) -> Embeddings:
    """Embed photographs that were found. Raises SwclError where none can be read."""
    rows: list[Row] = []
    vectors = []
    unreadable = [set_aside(name, problem) for name, problem in found.aside.items()]
    remarks: list[Row] = []
    answers = predictor.embed(list(found.files.values()), workers)
    with console.progress("embedding", len(found.files)) as bar:
        for (name, path), (taken, features) in zip(found.files.items(), answers, strict=True):
            if isinstance(taken, Unusable):
                unreadable.append(set_aside(name, taken))
            else:
                rows.append({"image_id": _text(name), "path": _text(str(path))})
                vectors.append(features.numpy())
                remarks += [{"image": name, "remark": note} for note in taken.notes]
            bar.advance()
    if not rows:
        return Embeddings(pd.DataFrame(), np.empty((0, 0), np.float32), (), unreadable, remarks)
    return Embeddings(_complete(pd.DataFrame(rows)), _finite(np.stack(vectors)), (), unreadable, remarks)


def embed_prepared(predictor: Predictor, workspace: Workspace, names: Sequence[str], workers: int) -> Embeddings:
    """Embed the photographs of prepared data sets, with their labels; features that probes have kept are taken.

    Raises SwclError where a data set is not prepared, or a photograph can't be read.
    """
    labels: dict[str, Label] = {}
    frames, vectors = [], []
    for name in dict.fromkeys(names):
        path = manifest_of(workspace, name)
        held = manifest.read_labels(path)
        labels |= {label.name: label for label in held}
        if clashing := sorted({label.name for label in held} & {*EMBEDDED.names, "umap_1", "umap_2", "vector"}):
            raise SwclError(
                f"{path}: the label {clashing[0]} has the name of a column of embeddings.parquet. Prepare {name} "
                f"again with --label {clashing[0]}=none, or another name in its table."
            )
        wanted = [column for column in EMBEDDED.names if not column.startswith("pca")]
        rows = manifest.read(path, [*wanted, "checksum", *(label.name for label in held)])
        features = Features(workspace, name, SAVE_SECONDS).of(predictor, rows, workers)
        frames.append(rows.drop(columns="checksum"))
        vectors.append(features.numpy())
    rows = _complete(pd.concat(frames, ignore_index=True))
    return Embeddings(rows, _finite(np.concatenate(vectors)), list(labels.values()))


def described(predictor: Predictor, initial: Initial) -> dict[str, Any]:
    """Return what made the vectors, for the metadata."""
    model = predictor.model
    told: dict[str, Any] = {"source": initial.source, "architecture": model.architecture, "image_size": model.crop}
    return told | {"fit": model.facts["fit"], "mean": list(model.mean), "std": list(model.std)}


def _complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the columns that no photograph has."""
    missing = [name for name in EMBEDDED.names if name not in rows and not name.startswith("pca")]
    return rows.assign(**dict.fromkeys(missing, None))


def _finite(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(vectors).all():
        raise SwclError("An embedding is not a number: the encoder is damaged, or diverged in training.")
    return vectors


def _text(name: str) -> str:
    """Return a file's name as text that parquet can hold: bytes that are no UTF-8 are written as `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
