"""Fit a classifier's linear heads to features of its frozen encoder: a linear probe (FACTS E14)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from swcl_cli import console
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.class_measures import is_known
from swcl_cli.models.heads import JointHeads
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.class_labels import labels_of
from swcl_cli.tasks.classifier import classifier
from swcl_cli.tasks.features import Features
from swcl_cli.tasks.fitting import Fitted, better_notes
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.number_labels import NUMBERS, standardised
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.tasks.saved import Study
from swcl_cli.tasks.trial import Trial
from swcl_cli.training.log import TrainingLog

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # scikit-learn's C, strongest regularisation first
MOST_ITERATIONS = 5000
NEVER = -1e4  # logit of a class without training photographs: its probability is 0 in all precisions


class Probe:
    """Fit and judge the heads of a trial's network on features of the test view of each photograph."""

    def __init__(self, study: Study, trial: Trial, fabric: Fabric, kept: Features) -> None:
        """kept: the features that all runs of a command share."""
        self.study, self.trial, self.fabric = study, trial, fabric
        self.kind = KINDS[study.task.kind]
        rows, workers = pd.concat(study.rows.values()), study.settings.workers
        features = kept.of(Predictor(trial.model, trial.network, fabric), rows, workers)
        counts = [len(part) for part in study.rows.values()]
        self.features = dict(zip(study.rows, features.split(counts), strict=True))  # (N, C) by split
        self.heads: JointHeads = trial.network.get_submodule("heads")  # type: ignore[assignment]

    def fit(self, measure: str, log: Path) -> Fitted:
        """Fit the heads at each strength of regularisation, and keep the one that validates best; write a line of log
        for each.

        Of several with an equal measure that with the lowest loss on validation is kept. Raises SwclError where the
        measure is NaN at all of them.
        """
        features, labels = self.features["train"].double().numpy(), labels_of(self.study, "train")
        counts = ", ".join(f"{count:,} {split}" for split, count in self.trial.images.items())
        numbers = set(self.study.task.numbers)
        kinds = [*(["logistic"] if labels.keys() - numbers else []), *(["ridge"] if numbers else [])]
        console.say(f"{counts} photographs; {' and '.join(kinds)} regression on {features.shape[1]:,} features.")
        notes: dict[str, float] = {}
        kept: dict[str, Tensor] = {}
        lines = TrainingLog(log.parent, self.study.settings.tensorboard)
        lines.begin(0)
        for number, strength in enumerate(STRENGTHS):
            started = time.perf_counter()
            for head, truth in labels.items():
                rows = is_known(truth)
                self._set(head, *self._fitted(head, features[rows], truth[rows], strength))
            judgement = self.judge(self.fabric, "val", None)
            before, notes = notes, better_notes(notes, number, judgement.measures[measure], judgement.loss, measure)
            if notes["best_epoch"] != before.get("best_epoch"):
                kept = {key: tensor.clone() for key, tensor in self.heads.state_dict().items()}
            told = {"regularisation": strength, "validation": judgement.measures[measure]}
            told |= {"validation_loss": judgement.loss, "seconds": time.perf_counter() - started}
            lines.write(number, "validation", told)
        lines.close()
        if math.isnan(notes["best"]):
            raise SwclError(f"No regularisation can be chosen: {measure} on validation is not a number.")
        self.heads.load_state_dict(kept)
        chosen = STRENGTHS[int(notes["best_epoch"])]
        console.say(f"Regularisation C = {chosen:g}, of {', '.join(f'{strength:g}' for strength in STRENGTHS)}.")
        validation = {"best": notes["best"], "best_loss": notes["best_loss"], "regularisation": chosen}
        return Fitted(self.trial.network.state_dict(), validation)

    def _fitted(
        self, head: str, features: NDArray[np.float64], truth: NDArray[Any], strength: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weight (K, C) and bias (K,) of a head, of features (N, C) whose labels (N,) or (N, K) are known."""
        if scale := self.trial.model.facts.get(NUMBERS, {}).get(head):
            return ridge_regression(features, standardised(truth, scale), strength)
        fitted = logistic_regression if truth.ndim == 1 else sign_regressions
        return fitted(features, truth, self.study.task.heads[head], strength, self.study.settings.balance)

    def judge(self, fabric: Fabric, split: str, folder: Path | None) -> Judgement:
        """Judge the present heads as `Trial.judge` does, on the features that are kept."""
        return self.kind.judge(self.study, split, self._scores, folder)

    def _scores(self, split: str) -> Iterator[Any]:
        """Score the photographs of a split, in the order of its rows."""
        on_features = classifier(nn.Identity(), self.heads, self.trial.model.facts).eval()
        with torch.inference_mode():
            features = self.fabric.to_device(self.features[split])
            yield from self.kind.scores(self.fabric, on_features, features, self.trial.model)

    @torch.no_grad()
    def _set(self, head: str, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
        linear = self.heads.of(head)
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(bias))


def logistic_regression(
    features: NDArray[np.float64], truth: NDArray[np.int64], classes: int, strength: float, balance: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight (K, C) and bias (K,) of scikit-learn's logistic regression on standardised features (N, C).

    The standardisation is part of them. strength: C, the inverse of the L2 regularisation. truth: (N,), of at least two
    classes; those that do not occur get a probability of 0. balance: classes weigh by their rarity.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=strength, max_iter=MOST_ITERATIONS, class_weight="balanced" if balance else None)
    fitted = model.fit(scaler.transform(features), truth)
    known: NDArray[np.int64] = fitted.classes_
    rows, offsets = fitted.coef_, fitted.intercept_
    if len(known) == 2:  # it gives the log odds of the second class alone
        rows, offsets = np.vstack([np.zeros_like(rows), rows]), np.concatenate([[0.0], offsets])
    weight, bias = np.zeros((classes, features.shape[1])), np.full(classes, NEVER)
    weight[known] = rows / scaler.scale_
    bias[known] = offsets - weight[known] @ scaler.mean_
    return weight, bias


def ridge_regression(
    features: NDArray[np.float64], numbers: NDArray[np.float64], strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight (1, C) and bias (1,) of scikit-learn's ridge regression on standardised features (N, C).

    The standardisation is part of them. numbers: (N,). strength: the inverse of the L2 regularisation, as that of
    `logistic_regression`: of C times half of the squared errors against half of the squared weights.
    """
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    fitted = Ridge(alpha=1 / strength).fit(scaler.transform(features), numbers)
    weight = fitted.coef_[None] / scaler.scale_
    return weight, fitted.intercept_ - weight @ scaler.mean_


def sign_regressions(
    features: NDArray[np.float64], truth: NDArray[np.int64], signs: int, strength: float, balance: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight (K, C) and bias (K,) of a logistic regression for each sign, as `logistic_regression`.

    truth: (N, K), 0 or 1. A sign that all photographs have, or none, gets a probability of 1 or 0.
    """
    weight, bias = np.zeros((signs, features.shape[1])), np.zeros(signs)
    for number in range(signs):
        there = truth[:, number]
        if there.all() or not there.any():
            bias[number] = -NEVER if there.all() else NEVER
            continue
        rows, offsets = logistic_regression(features, there, 2, strength, balance)
        weight[number], bias[number] = rows[1] - rows[0], offsets[1] - offsets[0]
    return weight, bias
