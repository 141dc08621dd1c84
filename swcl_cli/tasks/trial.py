"""Build the network that `finetune` trains, with its training views and its judgement on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import Dataset

from swcl_cli.data.loaders import Plan, epoch_plan, workers_for
from swcl_cli.data.photographs import Photographs
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.initialisation import Initial
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.tasks.saved import Description, Study, describe


@dataclass(frozen=True)
class Trial:
    """Hold what a training needs: objective(batch) -> (loss, metrics) trains `network`, which `model` describes.

    judge(fabric, split, folder) judges the present weights. Where `folder` is given it writes prediction maps there,
    and fills in intervals and predictions.
    """

    objective: nn.Module
    network: nn.Module
    encoder: nn.Module
    model: Description
    dataset: Dataset[Any]
    plan: Plan
    steps_per_epoch: int
    images: dict[str, int]
    judge: Callable[[Fabric, str, Path | None], Judgement]


def prepare(study: Study, initial: Initial, seed: int) -> Trial:
    """Build the network of a study on its initial encoder, with what trains and judges it."""
    kind, task, rows = KINDS[study.task.kind], study.task, study.rows
    facts = {**kind.facts(task, study.settings), **kind.learnt(study)}
    model = describe(study, initial, facts)
    with keyed_weights(seed, "head weights"):
        network = kind.network(initial.encoder, task.heads, facts)
    plan, steps = epoch_plan(seed, "image order", len(rows["train"]), study.settings.batch, padded=False)
    workers = study.settings.workers if kind.batch > 1 else 0  # a single photograph takes longer to score than to read

    def judge(fabric: Fabric, split: str, folder: Path | None) -> Judgement:
        predictor = Predictor(model, network, fabric)

        def scores_of(split: str) -> Iterator[Any]:
            photographs = Photographs.of(study.workspace, rows[split])
            return predictor.scores(photographs, workers_for(len(photographs), workers))

        return kind.judge(study, split, scores_of, folder)

    views = kind.training_views(study, model, seed)
    images = {split: len(table) for split, table in rows.items()}
    objective = kind.objective(network, study)
    return Trial(objective, network, initial.encoder, model, views, plan, steps, images, judge)
