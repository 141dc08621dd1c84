"""Read the labels of whole photographs, for the patches that are cut out of them (FACTS C13)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swcl_cli.catalogue.labels import ABNORMAL, DR_GRADE
from swcl_cli.data import manifest
from swcl_cli.data.columns import SWAP
from swcl_cli.data.photographs import manifest_of
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.swap.weak_labels import UNLABELLED
from swcl_cli.workspace import Workspace, fingerprint

COLUMNS = ["dataset", "path", "image_abnormal"]


def image_labels(workspace: Workspace, swap: Path) -> tuple[NDArray[np.int8], dict[str, str]]:
    """Return the photograph's label of each patch in swap.parquet (N,): 1 abnormal, 0 normal, UNLABELLED unknown.

    A label that swap.parquet does not hold comes from the manifest: `abnormal`, else a grade of retinopathy above 0.
    Photographs are found there by data set and path. Also returns the fingerprints of the manifests that were read.
    Raises SwclError where a manifest is missing, or no photograph has a label.
    """
    table = read_columns(swap, SWAP.only(COLUMNS)).to_pandas()
    labelled = table["image_abnormal"].notna()
    label = np.where(labelled, table["image_abnormal"] == True, UNLABELLED).astype(np.int8)  # noqa: E712
    datasets = sorted(table.loc[~labelled, "dataset"].unique())
    inputs = {}
    for dataset in datasets:
        path = manifest_of(workspace, dataset)
        inputs[dataset] = fingerprint(path)
        rows = ~labelled & (table["dataset"] == dataset)
        label[rows] = table.loc[rows, "path"].map(_labels_of(path)).fillna(UNLABELLED)
    if (label == UNLABELLED).all():
        raise SwclError(
            f"None of the {len(label):,} patches in {swap} is of a photograph with a label: neither {swap.name} nor "
            f"the manifest of {', '.join(datasets)} says which are abnormal. Prepare data sets with labels."
        )
    return label, inputs


def _labels_of(path: Path) -> pd.Series:
    """Read a manifest's labels by the path of the photograph: 1 abnormal, 0 normal; without unlabelled photographs."""
    table = manifest.read(path, columns=["path", ABNORMAL, DR_GRADE])
    abnormal = table[ABNORMAL].astype("Int8").fillna((table[DR_GRADE] > 0).astype("Int8"))
    return pd.Series(abnormal.to_numpy(), table["path"].to_numpy()).dropna()
