"""Segmentation with DeepLabv3+, or a decoder of segmentation-models-pytorch (paper IV-B; FACTS E5 to E10)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.catalogue.tasks import Task
from swcl_cli.data import manifest
from swcl_cli.data.augment import IGNORED, segmentation_view
from swcl_cli.data.colour import Colour
from swcl_cli.data.images import read_image
from swcl_cli.data.loaders import Key, epoch_plan
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.tasks.masks import Bits, read_structures, resized
from swcl_cli.tasks.networks import segmenter, stride_for
from swcl_cli.tasks.segmented import Segmented
from swcl_cli.tasks.trial import Judgement, Trial, splits_of
from swcl_cli.workspace import Workspace, read_provenance

COLUMNS = ["split", "image_id", "patient_id", "path", "width", "height", "checksum", "mask_path", "fov_path"]
KEPT_BYTES = 1 << 30  # of decoded photographs and masks; sets that are larger are decoded at each draw


def encoder_stride(settings: FinetuneSettings) -> int:
    return stride_for(settings.decoder, settings.output_stride)


class Segmenter(nn.Module):
    """The network and the sum over heads of the pixels' mean cross-entropy; IGNORED pixels do not count."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """batch: image (N, 3, S, S), mask (N, S, S), of which bit k is the k-th head's class."""
        mask = batch["mask"]
        outside = mask == IGNORED
        losses = []
        for number, logits in enumerate(self.network(batch["image"]).values()):
            truth = ((mask >> number) & 1).masked_fill(outside, IGNORED)
            losses.append(cross_entropy(logits.float(), truth, ignore_index=IGNORED))
        return torch.stack(losses).sum(), {}


class CroppedViews(Dataset[dict[str, Any]]):
    """(epoch, item) -> image float32 (3, S, S) and mask int64 (S, S), cropped and flipped together.

    Decoded photographs stay in memory, up to KEPT_BYTES: most sets are of tens of images, each drawn hundreds of times.
    """

    def __init__(
        self, root: Path, rows: pd.DataFrame, task: Task, crop: int, seed: int, mean: Colour, std: Colour
    ) -> None:
        self.root, self.task, self.crop, self.seed, self.mean, self.std = root, task, crop, seed, mean, std
        self.rows = rows[["path", "checksum", "mask_path"]].to_numpy(dtype=object)
        small = 4 * int((rows["width"].astype("int64") * rows["height"].astype("int64")).sum()) <= KEPT_BYTES
        self.kept = [self._read(item) for item in range(len(rows))] if small else None

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        draw = chance.generator(self.seed, "segmentation view", epoch, item)
        image, mask = self._read(item) if self.kept is None else self.kept[item]
        view, labels = segmentation_view(image, mask, self.crop, draw, self.mean, self.std)
        return {"image": view, "mask": labels}

    def _read(self, item: int) -> tuple[NDArray[np.uint8], Bits]:
        path, checksum, mask_path = self.rows[item]
        image = read_image(self.root / path, checksum)
        shape = image.shape[:2]
        return image, resized(read_structures(self.root / mask_path, self.task, shape), shape)


def prepare(
    task: Task,
    settings: FinetuneSettings,
    workspace: Workspace,
    seed: int,
    encoder: nn.Module,
    channels: int,
    mean: Colour,
    std: Colour,
    splits: Mapping[str, pd.DataFrame] | None = None,
) -> Trial:
    """splits: rows of the manifest, in place of its own. Raises SwclError where one of the photographs has no mask."""
    path = workspace.manifest(task.dataset)
    rows = splits or splits_of(manifest.read(path, columns=COLUMNS))
    for split, table in rows.items():
        _require_masks(table, split, task)
    if read_provenance(path)["settings"].get("crop_to_field"):
        raise SwclError(f"{task.dataset} was prepared with --crop-to-field, which crops photographs, not their masks.")
    with keyed_weights(seed, "head weights"):
        network = segmenter(settings.decoder, encoder, task.heads)
    plan, steps = epoch_plan(seed, "image order", len(rows["train"]), settings.batch, padded=False)

    def judge(fabric: Fabric, split: str, folder: Path | None) -> Judgement:
        segmented = Segmented(task, workspace, rows[split], folder)
        segmented.predict(fabric, network, settings.crop, mean, std)
        return segmented.judgement(settings.seed)

    views = CroppedViews(workspace.root, rows["train"], task, settings.crop, seed, mean, std)
    images = {split: len(table) for split, table in rows.items()}
    return Trial(Segmenter(network), network, views, plan, steps, images, judge)


def _require_masks(rows: pd.DataFrame, split: str, task: Task) -> None:
    bare = rows.loc[rows["mask_path"].isna(), "image_id"]
    if len(bare):
        raise SwclError(
            f"{len(bare):,} {split} photographs of {task.dataset} have no mask, such as {bare.iloc[0]}: they can't be "
            f"learnt or scored. Add the masks to the download and run: {prep_command(task.dataset)}"
        )
