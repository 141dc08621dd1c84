"""Foretell what trainings cost: measure a step of their networks on random pixels, and count their views."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data import manifest
from swcl_cli.data.manifest import prepared_size
from swcl_cli.models.encoders import create_encoder, create_labeler, keyed_weights
from swcl_cli.settings import FinetuneSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.study.initialisations import Sources
from swcl_cli.study.subjects import Subject
from swcl_cli.tasks.networks import segmenter, stride_for
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace

VIEWS = 8  # of a measured step
MEASURED = 2  # steps, of which the better counts; one before them warms up
OTHER = 1.2  # share of the computing that a training takes in all: photographs are decoded, views drawn, states saved
STARTING = 6.0  # seconds that a command takes before its first step
PASSES = 3  # a training step takes about as long as three forward passes


@dataclass(frozen=True)
class Pace:
    """Hold the seconds that a view takes: trained, trained below a frozen encoder, and scored."""

    train: float
    frozen: float
    score: float


class Costs:
    """Tell the seconds of commands. known: what was measured before, by network and size; new ones are added to it."""

    def __init__(self, workspace: Workspace, architecture: str, known: dict[str, list[float]]) -> None:
        self.workspace, self.architecture, self.known = workspace, architecture, known

    def labeler(self, settings: TrainLabelerSettings, available: Sources) -> float:
        """Return the seconds of training the labeler."""
        sizes = settings.batch_labelled + (settings.batch_unlabelled if available.unlabelled else 0)
        labelled = sum(self._photographs(name, "train") for name in available.labelled)
        views = settings.epochs * -(-labelled // settings.batch_labelled) * sizes * settings.views
        return STARTING + OTHER * views * self._labeler_pace(settings).train

    def swap(self, settings: TrainLabelerSettings, available: Sources) -> float:
        """Return the seconds of scoring the patches of all photographs."""
        names = (*available.labelled, *available.unlabelled)
        area = (prepared_size(self.workspace.manifest(names[0])) / settings.crop) ** 2
        return STARTING + OTHER * area * sum(map(self._photographs, names)) * self._labeler_pace(settings).score

    def view(self, settings: PretrainSettings, size: int) -> float:
        """Return the seconds of a view of pretraining, at half the size of prepared photographs."""
        passes = 1 + bool(settings.chunk) / PASSES  # views in chunks are encoded twice
        return OTHER * passes * self._pace(size // 2).train

    def finetuning(self, subject: Subject, settings: FinetuneSettings) -> float:
        """Return the seconds of a run that trains for all of its epochs; early stopping may end it before."""
        counts = {split: subject.photographs.get(split, 0) for split in manifest.SPLITS}
        if settings.folds:  # each photograph is tested once
            whole = sum(counts.values())
            counts = {"train": round(whole * 0.64), "val": round(whole * 0.16), "test": whole // settings.folds}
        trained = max(1, round(counts["train"] * settings.fraction))
        if subject.is_classification:
            pace, windows = self._pace(settings.crop), 1.0
        else:
            pace = self._pace(settings.crop, settings.decoder, settings.output_stride)
            windows = max(1.0, subject.pixels / settings.crop**2)
        if settings.probe:
            return STARTING + OTHER * pace.score * (trained + counts["val"] + counts["test"])
        rounds = -(-settings.epochs // settings.validate_every)
        again = min(settings.precise_bn * settings.batch, trained * settings.validate_every)
        scored = rounds * (again + windows * counts["val"]) + windows * (counts["val"] + counts["test"])
        of_view = pace.frozen if settings.freeze else pace.train
        return STARTING / 2 + OTHER * (settings.epochs * trained * of_view + scored * pace.score)

    def _photographs(self, dataset: str, split: str | None = None) -> int:
        table = manifest.read(self.workspace.manifest(dataset), ["split"])
        return int((table["split"] == split).sum()) if split else len(table)

    def _labeler_pace(self, settings: TrainLabelerSettings) -> Pace:
        def build() -> tuple[nn.Module, nn.Module]:
            labeler = create_labeler(settings.architecture)
            return labeler, labeler

        return self._measured(f"labeler {settings.architecture} {settings.crop}", build, settings.crop)

    def _pace(self, size: int, decoder: str = "", output_stride: int = 32) -> Pace:
        stride = stride_for(decoder, output_stride) if decoder else output_stride

        def build() -> tuple[nn.Module, nn.Module]:
            encoder = create_encoder(self.architecture, 0, stride)
            with keyed_weights(0, "measured"):
                return encoder, segmenter(decoder, encoder, {"mask": 2}) if decoder else encoder

        return self._measured(f"{decoder or 'encoder'} {stride} {size}", build, size)

    def _measured(self, key: str, build: Callable[[], tuple[nn.Module, nn.Module]], size: int) -> Pace:
        if key not in self.known:
            encoder, network = build()
            self.known[key] = measure(make_fabric("auto", "fp32"), encoder, network, size)
        return Pace(*self.known[key])


def views_a_step(settings: PretrainSettings) -> int:
    """Return how many views a step of pretraining sees."""
    batch = settings.batch_patches if "batch_patches" in METHODS[settings.method].options else settings.batch_images
    return batch * METHODS[settings.method].views(settings.variant)


def measure(fabric: Fabric, encoder: nn.Module, network: nn.Module, size: int) -> list[float]:
    """Measure the seconds that a view of this size takes: trained, below a frozen encoder, and scored."""
    network.to(fabric.device)
    views = fabric.to_device(torch.linspace(-2, 2, VIEWS * 3 * size * size).reshape(VIEWS, 3, size, size))

    def score() -> None:
        with torch.inference_mode():
            _scalar(network(views)).item()

    def train() -> None:
        network.zero_grad(set_to_none=True)
        loss = _scalar(network(views))
        if loss.requires_grad:
            loss.backward()
        loss.item()

    network.train()
    whole = _seconds(train)
    encoder.requires_grad_(False)
    frozen = _seconds(train)
    network.eval()
    return [seconds / VIEWS for seconds in (whole, frozen, _seconds(score))]


def _scalar(answers: Any) -> torch.Tensor:
    """Average what a network says, of which heads may be several."""
    parts = list(answers.values()) if isinstance(answers, dict) else [answers]
    return torch.stack([part.float().mean() for part in parts]).sum()


def _seconds(work: Callable[[], None]) -> float:
    times = []
    for _ in range(1 + MEASURED):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times[1:])
