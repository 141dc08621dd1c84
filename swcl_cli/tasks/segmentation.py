"""Segmentation with DeepLabv3+, or a U-Net (paper IV-B; FACTS E5 to E9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.data import manifest
from swcl_cli.data.augment import IGNORED, normalise, segmentation_view
from swcl_cli.data.colour import Colour
from swcl_cli.data.images import read_image, read_mask
from swcl_cli.data.loaders import Key, epoch_plan
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.metrics import bootstrap_interval, dice_per_image, f1_vessels
from swcl_cli.evaluation.sliding_window import predict_windows
from swcl_cli.models.deeplab import DeepLabV3Plus
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.unet import Unet
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import Task
from swcl_cli.tasks.trial import Judgement, Trial
from swcl_cli.workspace import Workspace, atomic

ON = 127  # a prepared mask holds 0 and 255


def encoder_stride(settings: FinetuneSettings) -> int:
    """The output stride at which the decoder wants its encoder."""
    return 32 if settings.decoder == "smp-unet" else settings.output_stride


def _network(settings: FinetuneSettings, encoder: nn.Module, task: Task) -> DeepLabV3Plus | Unet:
    return Unet(encoder, task.heads) if settings.decoder == "smp-unet" else DeepLabV3Plus(encoder, task.heads)


class Segmenter(nn.Module):
    """The network and the sum over heads of the pixels' mean cross-entropy; IGNORED pixels do not count."""

    def __init__(self, network: DeepLabV3Plus | Unet) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """batch: image (N, 3, S, S), mask (N, S, S)."""
        logits = self.network(batch["image"])
        losses = [cross_entropy(part.float(), batch["mask"], ignore_index=IGNORED) for part in logits.values()]
        return torch.stack(losses).sum(), {}


class CroppedViews(Dataset[dict[str, Any]]):
    """(epoch, item) -> image float32 (3, S, S) and mask int64 (S, S), cropped and flipped together.

    Decoded photographs stay in memory: these sets are of tens of images, and each is drawn from hundreds of times.
    """

    def __init__(self, root: Path, rows: pd.DataFrame, crop: int, seed: int, mean: Colour, std: Colour) -> None:
        self.crop, self.seed, self.mean, self.std = crop, seed, mean, std
        self.images = [read_image(root / path) for path in rows["path"]]
        self.masks = [(read_mask(root / path) > ON).astype(np.uint8) for path in rows["mask_path"]]

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, item = key
        draw = chance.generator(self.seed, "segmentation view", epoch, item)
        image, mask = segmentation_view(self.images[item], self.masks[item], self.crop, draw, self.mean, self.std)
        return {"image": image, "mask": mask}


def prepare(
    task: Task,
    settings: FinetuneSettings,
    workspace: Workspace,
    seed: int,
    encoder: nn.Module,
    channels: int,
    mean: Colour,
    std: Colour,
) -> Trial:
    """Raises SwclError where photographs of a split have no mask, naming them."""
    columns = ["split", "image_id", "patient_id", "path", "mask_path", "fov_path"]
    table = manifest.read(workspace.manifest(task.dataset), columns=columns)
    bare = table[table["mask_path"].isna()]
    if len(bare):
        raise SwclError(
            f"{len(bare)} photographs of {task.dataset} have no mask ({', '.join(bare['image_id'][:3])}, ...): their "
            f"split can't be scored. Add the masks to the download and run: swcl prep {task.dataset} SOURCE"
        )
    splits = {split: table[table["split"] == split].reset_index(drop=True) for split in ("train", "val", "test")}
    with keyed_weights(seed, "head weights"):
        network = _network(settings, encoder, task)
    plan, steps = epoch_plan(seed, "image order", len(splits["train"]), settings.batch, padded=False)
    (head,) = task.heads

    def judge(fabric: Fabric, split: str, folder: Path | None) -> Judgement:
        rows = splits[split]
        root = workspace.root
        truths = [read_mask(root / path) > ON for path in rows["mask_path"]]
        fovs = [read_mask(root / path) > ON for path in rows["fov_path"]] if rows["fov_path"].notna().all() else None
        scores = [
            predict_map(fabric, network, normalise(read_image(root / path), mean, std), head, settings.crop)
            for path in rows["path"]
        ]
        measures = f1_vessels(truths, scores, fovs)
        if folder is None:
            return Judgement(measures)
        predictions = _rows(rows, truths, scores)
        predictions["map_path"] = [
            _write_map(workspace, folder / "maps" / f"{image}.png", score)
            for image, score in zip(rows["image_id"], scores, strict=True)
        ]
        f1 = predictions["f1"].to_numpy()
        interval = bootstrap_interval(
            lambda drawn: float(f1[drawn].mean()), rows["patient_id"].to_numpy(dtype=str), settings.seed
        )
        return Judgement(measures, {"f1": interval}, predictions)

    views = CroppedViews(workspace.root, splits["train"], settings.crop, seed, mean, std)
    return Trial(
        Segmenter(network), network, views, plan, steps, {split: len(rows) for split, rows in splits.items()}, judge
    )


@torch.inference_mode()
def predict_map(
    fabric: Fabric, network: DeepLabV3Plus | Unet, image: NDArray[np.float32], head: str, window: int
) -> NDArray[np.float32]:
    """Probability of the head's class 1: normalised (3, H, W) of any size -> (H, W), by stitched windows (FACTS E7)."""
    network.eval()

    def logits(windows: Tensor) -> Tensor:
        with fabric.autocast():
            scores: Tensor = network(windows)[head]
        return scores.float()

    stitched = predict_windows(logits, fabric.to_device(torch.from_numpy(image)[None]), window)
    return stitched.softmax(dim=1)[0, 1].cpu().numpy()


def _rows(rows: pd.DataFrame, truths: list[NDArray[np.bool_]], scores: list[NDArray[np.float32]]) -> pd.DataFrame:
    """One row an image, with its counts of pixels and its F1 on the whole image (FACTS E9)."""
    predicted = [score > 0.5 for score in scores]
    hits = np.array([(truth & found).sum() for truth, found in zip(truths, predicted, strict=True)])
    false = np.array([(~truth & found).sum() for truth, found in zip(truths, predicted, strict=True)])
    missed = np.array([(truth & ~found).sum() for truth, found in zip(truths, predicted, strict=True)])
    columns = rows[["image_id", "patient_id", "path", "mask_path", "fov_path"]]
    f1 = dice_per_image(truths, predicted)
    return columns.assign(f1=f1, true_positives=hits, false_positives=false, false_negatives=missed)


def _write_map(workspace: Workspace, path: Path, score: NDArray[np.float32]) -> str:
    with atomic(path) as partial:
        Image.fromarray(np.rint(score * 255).astype(np.uint8)).save(partial, format="PNG")
    return workspace.relative(path)
