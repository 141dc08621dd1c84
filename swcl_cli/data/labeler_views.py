"""Make the labeler's batches of labelled and unlabelled photographs, each a function of the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.data import colour, manifest
from swcl_cli.data.augment import labeler_pixels
from swcl_cli.data.images import read_image
from swcl_cli.data.left_out import NOTHING, LeftOut
from swcl_cli.data.loaders import Key, Plan, remembered_order
from swcl_cli.data.manifest import prepared_size
from swcl_cli.data.normality import read_normality
from swcl_cli.data.photographs import Photographs, manifest_of
from swcl_cli.errors import SwclError
from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.settings.labelled_sets import data_set
from swcl_cli.workspace import Workspace, fingerprint

UNLABELLED = -1
IDENTIFIED = ["dataset", "image_id", "patient_id", "group_id"]
VALIDATED = [*IDENTIFIED, "abnormal"]


@dataclass(frozen=True)
class LabelerData:
    """Hold the photographs that the labeler learns from.

    abnormal: (N,) bool, the labels of `labelled`; validated: VALIDATED's columns of the photographs in `validation`;
    copies: photographs that were left out of `labelled` and `unlabelled`, since `validation` holds the same pixels.
    cautions: what is to be known of the labels, a sentence each.
    """

    labelled: Photographs
    abnormal: NDArray[np.bool_]
    unlabelled: Photographs
    validation: Photographs
    validated: pd.DataFrame
    copies: int
    inputs: dict[str, str]
    size: int
    mean: colour.Colour
    std: colour.Colour
    cautions: tuple[str, ...] = ()

    def description(self, settings: TrainLabelerSettings) -> dict[str, Any]:
        """Describe the labeler for the commands that use it."""
        return {
            "architecture": settings.architecture,
            "image_size": self.size,
            "mean": self.mean,
            "std": self.std,
            "classes": ["normal", "abnormal"],
        }


def read_photographs(workspace: Workspace, settings: TrainLabelerSettings, left_out: LeftOut = NOTHING) -> LabelerData:
    """Read the photographs of all data sets from their manifests. No label of an unlabelled set is read (FACTS B9).

    left_out: photographs that are neither learnt nor validated on.

    The validation split stays whole: what training would share with it is left out of training (FACTS B8).
    Raises SwclError where a set is not prepared, lacks its label, or was prepared at another size.
    """
    names = [*map(data_set, settings.labelled), *settings.unlabelled]
    if len(set(names)) < len(names):
        raise SwclError(
            f"A data set is named twice: --labelled {settings.labelled}, --unlabelled {settings.unlabelled}."
        )
    inputs = {name: fingerprint(manifest_of(workspace, name)) for name in names}
    sizes = {name: prepared_size(workspace.manifest(name)) for name in names}
    if len(set(sizes.values())) > 1:
        raise SwclError(
            f"The data sets were prepared at different sizes ({manifest.in_words(sizes)}); run prep with one --size "
            "for all."
        )
    told = read_normality(workspace, settings.labelled, settings.normal, ["split", "path", "checksum", *IDENTIFIED])
    labelled = pd.concat([part.table[part.table["abnormal"].notna()] for part in told.values()])
    unlabelled = [manifest.read(workspace.manifest(name), columns=["path", "checksum"]) for name in settings.unlabelled]
    labelled, *unlabelled = (left_out.without(rows) for rows in (labelled, *unlabelled))
    train, validation = (labelled[labelled["split"] == split] for split in ("train", "val"))
    shown = pd.concat(unlabelled) if unlabelled else train[:0]
    before = len(train) + len(shown)
    train, shown = (_without_copies(workspace, rows, validation) for rows in (train, shown))
    for split, rows in (("train", train), ("val", validation)):
        if rows["abnormal"].nunique() < 2:
            state = f"are all {'abnormal' if rows['abnormal'].iloc[0] else 'normal'}" if len(rows) else "are none"
            raise SwclError(
                f"The {split} photographs of {', '.join(settings.labelled)} {state}; normal and abnormal ones are "
                "needed. Name data sets that have both (--labelled), or split anew: swcl prep --split-file."
            )
    cautions = [sentence for name, part in told.items() for sentence in part.cautions(name)]
    size = next(iter(sizes.values()))
    if settings.crop > size:
        raise SwclError(f"--crop {settings.crop} is more than the prepared size, {size} px.")
    mean, std = colour.constants(settings.colours)
    return LabelerData(
        labelled=Photographs.of(workspace, train),
        abnormal=train["abnormal"].to_numpy(dtype=bool),
        unlabelled=Photographs.of(workspace, shown),
        validation=Photographs.of(workspace, validation),
        validated=validation[VALIDATED].reset_index(drop=True),
        copies=before - len(train) - len(shown),
        inputs=inputs,
        size=size,
        mean=mean,
        std=std,
        cautions=tuple(cautions),
    )


def _without_copies(workspace: Workspace, rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Leave out the photographs of which the pixels are those of one of the others.

    Equal pixels have been prepared to equal files, hence to equal checksums; only where these agree are pixels read.
    """
    paths = others.groupby("checksum")["path"].agg(list)
    suspects = rows["checksum"].isin(paths.index).to_numpy(dtype=bool)
    copies = np.zeros(len(rows), dtype=bool)
    for place in np.flatnonzero(suspects).tolist():
        row = rows.iloc[place]
        pixels = read_image(workspace.root / row["path"], row["checksum"])
        twins = (read_image(workspace.root / path, row["checksum"]) for path in paths[row["checksum"]])
        copies[place] = any(np.array_equal(pixels, twin) for twin in twins)
    return rows[~copies]


def labeler_plan(settings: TrainLabelerSettings, labelled: int, unlabelled: int) -> tuple[Plan, int]:
    """Plan joint batches; return the plan and the steps of an epoch, a pass over the labelled photographs (FACTS B4).

    Items 0 to labelled - 1 are labelled, those above are not. A step has up to `accumulate` micro-batches, the last
    step of an epoch perhaps fewer. Unlabelled photographs come in an endless sequence of keyed permutations, of which
    each micro-batch takes the next part.
    """
    micros = -(-labelled // settings.batch_labelled)
    steps = -(-micros // settings.accumulate)
    labelled_order = remembered_order(settings.seed, "labelled order", labelled)
    unlabelled_order = remembered_order(settings.seed, "unlabelled order", unlabelled)

    def micro_batch(epoch: int, micro: int) -> list[Key]:
        part = labelled_order(epoch)[micro * settings.batch_labelled : (micro + 1) * settings.batch_labelled]
        keys = [(epoch, int(item)) for item in part]
        if unlabelled:
            start = (epoch * micros + micro) * settings.batch_unlabelled
            for place in range(start, start + settings.batch_unlabelled):
                turn, index = divmod(place, unlabelled)
                keys.append((turn, labelled + int(unlabelled_order(turn)[index])))
        return keys

    def plan(step: int) -> list[list[Key]]:
        epoch, number = divmod(step, steps)
        first = number * settings.accumulate
        return [micro_batch(epoch, micro) for micro in range(first, min(first + settings.accumulate, micros))]

    return plan, steps


class LabelerViews(Dataset[dict[str, Any]]):
    """Make views of a photograph: (epoch, item) -> uint8 (V, 3, S, S), its label (-1 unlabelled), and its item.

    Bytes are a quarter of what they are normalised: a step of the paper's size has 2,048 views of 384 px.
    """

    def __init__(self, data: LabelerData, settings: TrainLabelerSettings) -> None:
        self.data, self.settings = data, settings

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        labelled = item < len(self.data.labelled)
        image = self.data.labelled.read(item) if labelled else self.data.unlabelled.read(item - len(self.data.labelled))
        views = [
            labeler_pixels(image, self.settings.crop, self._chance(epoch, item, view)).transpose(2, 0, 1)
            for view in range(self.settings.views)
        ]
        label = int(self.data.abnormal[item]) if labelled else UNLABELLED
        return {"views": np.stack(views), "label": label, "item": item}

    def _chance(self, epoch: int, item: int, view: int) -> np.random.Generator:
        return chance.generator(self.settings.seed, "labeler view", epoch, item, view)
