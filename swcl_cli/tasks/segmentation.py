"""Segment photographs by DeepLabv3+ or a decoder of segmentation-models-pytorch (paper IV-B; FACTS E5 to E10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image
from segmentation_models_pytorch.losses import BINARY_MODE, MULTICLASS_MODE, DiceLoss
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from swcl_cli.catalogue.structures import Structures, file_of
from swcl_cli.catalogue.tasks import NO_STRUCTURES, OWN, Task
from swcl_cli.data.augment import IGNORED, View, normalise
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.evaluation.pixel_measures import diameter_ratio
from swcl_cli.settings import FinetuneSettings, prep_command
from swcl_cli.tasks.answer import Answer, Record
from swcl_cli.tasks.crops import CroppedViews
from swcl_cli.tasks.kind import Judgement, Kind
from swcl_cli.tasks.masks import is_there, read_structures
from swcl_cli.tasks.networks import segmenter, stride_for
from swcl_cli.tasks.saved import Description, Study
from swcl_cli.tasks.segmented import LogOdds, Segmented, against_others, at_size, predict_log_odds, shares
from swcl_cli.tasks.written import as_given
from swcl_cli.training.processes import of_all_processes
from swcl_cli.workspace import read_provenance

STRUCTURES = "structures"  # among the facts of a model
JOINT = "structures"  # the head of all of them, where they exclude each other
SMALLEST = 1e-12  # of probabilities, so that log odds are finite


class Segmenter(nn.Module):
    """Compute the loss of a network: the sum over heads of the pixels' mean cross-entropy, without IGNORED pixels.

    A head of two classes is a structure; one of more is all structures of a task, which exclude each other. dice: adds
    1 - 2 |p t| / (|p| + |t|) of each structure, over all pixels of the batch, where t is the structure and p its
    probability (arXiv 1606.04797); 0 where no pixel of the batch is of the structure (FACTS E12). Of structures that
    exclude each other it adds the mean.
    """

    def __init__(self, network: nn.Module, dice: bool = False) -> None:
        super().__init__()
        self.network = network
        self.dice = DiceLoss(BINARY_MODE, ignore_index=IGNORED) if dice else None

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of all processes' images, no metrics.

        batch: image (N, 3, S, S), mask (N, S, S), see `read_structures`.
        """
        mask = of_all_processes(batch["mask"])
        outside = mask == IGNORED
        losses = []
        for number, own in enumerate(self.network(batch["image"]).values()):
            logits = of_all_processes(own)
            joint = logits.shape[1] > 2
            truth = mask if joint else ((mask >> number) & 1).masked_fill(outside, IGNORED)
            losses.append(cross_entropy(logits.float(), truth, ignore_index=IGNORED))
            if self.dice is not None:
                log_odds = logits[:, 1].float() - logits[:, 0].float()
                losses.append(_joint_dice(logits, truth) if joint else self.dice(log_odds[:, None], truth[:, None]))
        return torch.stack(losses).sum(), {}


def _joint_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the mean Dice loss of structures that exclude each other. logits: (N, K + 1, H, W), the background first;
    truth: (N, H, W).
    """
    structures = list(range(1, logits.shape[1]))
    loss: Tensor = DiceLoss(MULTICLASS_MODE, structures, ignore_index=IGNORED)(logits.float(), truth)
    return loss


class Segmentation(Kind):
    """Learn structures in photographs from masks: each head is one of the structures, and has two classes."""

    saves = ("decoder", "output_stride", "ratio")

    def columns(self, task: Task) -> list[str]:
        return ["mask_path"]

    def require(self, study: Study) -> None:
        """Raise SwclError where a photograph has no mask, or was cropped, so that its mask does not fit, or where no
        training photograph holds a structure.
        """
        task = study.task
        for split, rows in sorted(study.rows.items()):
            _require_masks(rows, split, task)
        if read_provenance(study.workspace.manifest(task.dataset))["settings"].get("crop_to_field"):
            raise SwclError(
                f"{task.dataset} was prepared with --crop-to-field, which crops photographs, not their masks."
            )
        if absent := _absent(study, "train"):
            raise SwclError(
                f"{_none_of(task, 'train', absent)}: that can't be learnt. {_remedy(task)}, or take a larger "
                "--fraction."
            )

    def cautions(self, study: Study) -> list[str]:
        """Name the structures that a split lacks: it says nothing of how they are found."""
        sentences = []
        for split in study.rows:
            if absent := _absent(study, split):
                sentences.append(
                    f"{_none_of(study.task, split, absent)}: its F1 counts what is found there as false alone. "
                    f"{_remedy(study.task)}."
                )
        return sentences

    def require_settings(self, settings: FinetuneSettings) -> None:
        """Raise UsageError where a setting is of labels."""
        if settings.balance:
            raise UsageError(f"--balance is for labels: {settings.task} has masks, for which there is --loss dice.")
        if settings.loss == "corn":
            raise UsageError(f"--loss corn is for grades: {settings.task} has masks, for which there is --loss dice.")
        if settings.probe:
            raise UsageError(f"--probe is for labels: {settings.task} has masks, of which --freeze trains the decoder.")
        if settings.fit != "crop":
            raise UsageError(
                f"--fit is for labels: {settings.task} has masks, which are predicted of whole photographs."
            )

    def facts(self, task: Task, settings: FinetuneSettings) -> dict[str, Any]:
        facts = {"ratio": task.ratio, "decoder": settings.decoder, "output_stride": settings.output_stride}
        return facts | ({STRUCTURES: task.structures.described()} if task.structures.are_told else {})

    def output_stride(self, facts: Mapping[str, Any]) -> int:
        return stride_for(facts["decoder"], facts["output_stride"])

    def network(self, encoder: nn.Module, heads: Mapping[str, int], facts: Mapping[str, Any]) -> nn.Module:
        joint = structures_of(facts)
        return segmenter(facts["decoder"], encoder, {JOINT: len(joint.names) + 1} if joint.exclusive else heads)

    def objective(self, network: nn.Module, study: Study) -> Segmenter:
        return Segmenter(network, study.settings.loss == "dice")

    def training_views(self, study: Study, model: Description, seed: int) -> CroppedViews:
        root, rows = study.workspace.root, study.rows["train"]
        focus = study.settings.focus
        return CroppedViews(root, rows, study.task, model.crop, seed, model.mean, model.std, focus)

    def view(self, photograph: NDArray[np.uint8], model: Description) -> View:
        """Normalise the whole photograph: float32 (3, H, W)."""
        return normalise(photograph, model.mean, model.std)

    def scores(self, fabric: Fabric, network: nn.Module, views: Tensor, model: Description) -> list[LogOdds]:
        """Return the log odds (K, H, W) of each photograph, of structures against the background."""
        return [predict_log_odds(fabric, network, view[None], model.crop) for view in views]

    def judge(
        self, study: Study, split: str, scores_of: Callable[[str], Iterable[LogOdds]], folder: Path | None
    ) -> Judgement:
        segmented = Segmented(study.task, study.workspace, study.rows[split], folder)
        scores = scores_of(split)
        segmented.count(map(against_others, scores) if study.task.structures.exclusive else scores)
        return segmented.judgement()

    def mean(self, scores: list[LogOdds], model: Description) -> LogOdds:
        """Average the probabilities (K, H, W) that the log odds of each model give, and return their log odds."""
        if len(scores) == 1:
            return scores[0]
        exclusive = structures_of(model.facts).exclusive
        of_each = [shares(each) if exclusive else torch.from_numpy(each).sigmoid().numpy() for each in scores]
        mean = np.mean(of_each, axis=0, dtype=np.float64)
        others = 1 - (mean.sum(axis=0, keepdims=True) if exclusive else mean)  # of the background
        log_odds = np.log(np.maximum(mean, SMALLEST)) - np.log(np.maximum(others, SMALLEST))
        return log_odds.astype(np.float32)

    def answer(self, scores: LogOdds, size: tuple[int, int], model: Description) -> Answer:
        """Return masks and probabilities at the photograph's own size, and the share of each structure."""
        width, height = size
        structures = structures_of(model.facts)
        names = structures.names if structures.exclusive else model.heads
        log_odds = [at_size(part, (height, width)) for part in scores]
        if structures.exclusive:
            probabilities = dict(zip(names, shares(np.stack(log_odds)), strict=True))
            log_odds = list(against_others(np.stack(log_odds)))
        else:
            parts = [torch.from_numpy(part).sigmoid().numpy() for part in log_odds]
            probabilities = dict(zip(names, parts, strict=True))
        masks = {name: part > 0 for name, part in zip(names, log_odds, strict=True)}
        numbers = {f"{head}_share": float(mask.mean()) for head, mask in masks.items()}
        if ratio := model.facts["ratio"]:
            numbers["_to_".join(ratio)] = diameter_ratio(*(masks[head] for head in ratio))
        return Answer(width, height, probabilities=probabilities, masks=masks, numbers=numbers)

    def record(self, answer: Answer, name: str, model: Description) -> Record:
        cells: dict[str, Any] = {}
        images = {}
        numbers = dict(answer.numbers)
        together = as_given(answer.masks, structures_of(model.facts))
        for head, mask in answer.masks.items():
            cells[f"{head}_share"] = f"{numbers.pop(f'{head}_share'):.6f}"
            if together is None:
                file = f"masks/{file_of(name, head, answer.masks)}.png"
                images[file] = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
                cells[f"{head}_mask"] = file
        if together is not None:
            cells["mask"] = f"masks/{name}.png"
            images[cells["mask"]] = together
        return Record(cells | {number: f"{value:.4f}" for number, value in numbers.items()}, images)


def structures_of(facts: Mapping[str, Any]) -> Structures:
    """Return the structures that a model's facts describe; none, where each structure has a head of its own."""
    return Structures.read(facts[STRUCTURES]) if STRUCTURES in facts else NO_STRUCTURES


def _absent(study: Study, split: str) -> list[str]:
    """List the structures that no photograph of a split holds. Masks are read until all structures have been seen."""
    task, rows = study.task, study.rows[split]
    absent = dict(enumerate(task.structures.names))
    if len(absent) < 2:  # the loss and the scores of a single structure say it
        return []
    for path, width, height in rows[["mask_path", "width", "height"]].itertuples(index=False):
        truth = read_structures(study.workspace.root / path, task, (int(height), int(width)))
        known = truth != IGNORED
        absent = {number: name for number, name in absent.items() if not is_there(truth[known], number, task).any()}
        if not absent:
            break
    return list(absent.values())


def _none_of(task: Task, split: str, structures: list[str]) -> str:
    return f"No {split} photograph of {task.dataset} holds any {' or '.join(structures)}"


def _remedy(task: Task) -> str:
    others = f"--heads without them leaves them out, or put some there by {prep_command(task.dataset)} --split-file"
    return others if task.name.startswith(OWN) else f"Put some there by {prep_command(task.dataset)} --split-file"


def _require_masks(rows: pd.DataFrame, split: str, task: Task) -> None:
    """Raise SwclError where a photograph of a split has no mask."""
    unmasked = rows.loc[rows["mask_path"].isna(), "image_id"]
    if not len(unmasked):
        return
    first = unmasked.iloc[0]
    if split == "test":
        raise SwclError(
            f"{len(unmasked):,} of {len(rows):,} test photographs of {task.dataset} have no mask, such as {first}: "
            "they can't be scored. Score the validation photographs with --eval val, or add the masks to the download "
            f"and run: {prep_command(task.dataset)}"
        )
    raise SwclError(
        f"{len(unmasked):,} {split} photographs of {task.dataset} have no mask, such as {first}: they can't be "
        f"learnt or scored. Add the masks to the download and run: {prep_command(task.dataset)}"
    )
