"""Join an encoder with linear heads, and compute their losses and answers (FACTS E4, E12)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from swcl_cli.catalogue.labels import SEVERAL
from swcl_cli.evaluation.calibration import at_temperature
from swcl_cli.losses.ordinal import corn, corn_probabilities
from swcl_cli.models.heads import JointHeads
from swcl_cli.tasks.class_labels import MISSING
from swcl_cli.tasks.number_labels import NUMBERS, Scales, in_own_unit, standardised
from swcl_cli.tasks.temperatures import TEMPERATURES
from swcl_cli.training.processes import of_all_processes

CORN = "corn"  # its heads, in the model file


class JointClassifier(nn.Module):
    """Join encoder and heads; the loss is the sum over heads of the mean cross-entropy of the labels that are known.

    several: the heads of several signs at once, each of which is there or not, with a logit of its own. numbers: the
    heads that are numbers, with their scales; in place of the cross-entropy there is the mean squared error on these.
    corn: the heads of grades with logits and a loss that know their order (losses/ordinal.py). temperatures: of the
    heads of a finished model, by which probabilities are calibrated. weights: (K,) of the classes, or of the signs'
    presence, by head, where they are not the same for all.
    """

    def __init__(
        self,
        encoder: nn.Module,
        heads: JointHeads,
        several: Collection[str] = (),
        numbers: Scales = MappingProxyType({}),
        corn: Collection[str] = (),
        temperatures: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.temperatures = temperatures
        self.encoder, self.heads, self.several, self.numbers = encoder, heads, frozenset(several), numbers
        self.corn = frozenset(corn)
        self.weights: dict[str, Tensor] = {}

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of all processes' images, and no metrics.

        batch: image (N, 3, S, S), and labels (N,) by head, or MISSING, or NaN.
        """
        logits = self.heads(self.encoder(batch["image"]))
        losses = [
            self._loss(name, of_all_processes(part.float()), of_all_processes(batch["labels"][name]))
            for name, part in logits.items()
        ]
        return torch.stack(losses).sum(), {}

    def _loss(self, head: str, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a head from its logits (N, K); of a number from its answer (N, 1)."""
        if head in self.numbers:
            return _known_squared_error(logits[:, 0], standardised(labels, self.numbers[head]))
        if head in self.corn:
            return _known_corn(logits, labels, self.weights.get(head))
        return _known_cross_entropy(logits, labels, self.weights.get(head))

    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """Return the probabilities (N, K) of each head's K classes, or its number (N, 1), of images (N, 3, S, S)."""
        logits = {name: part.float() for name, part in self.heads(self.encoder(images)).items()}
        return {name: self._answer(name, part) for name, part in logits.items()}

    def _answer(self, head: str, logits: Tensor) -> Tensor:
        if head in self.numbers:
            answer: Tensor = in_own_unit(logits, self.numbers[head])
            return answer
        several = head in self.several
        said = corn_probabilities(logits) if head in self.corn else logits.softmax(dim=1)
        said = logits.sigmoid() if several else said
        return at_temperature(said, self.temperatures[head], several) if head in self.temperatures else said


def _known_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean cross-entropy of the labels that are known; 0 where none is, with gradients of 0.

    labels: (N,) classes, or (N, K) signs, each 0 or 1, over which the mean goes as well.
    """
    if (labels == MISSING).all():
        return logits.sum() * 0
    weights = None if weights is None else weights.to(logits.device)
    if labels.ndim == 1:
        return cross_entropy(logits, labels, weights, ignore_index=MISSING)
    there = labels[:, 0] != MISSING
    return binary_cross_entropy_with_logits(logits[there], labels[there].float(), pos_weight=weights)


def _known_corn(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the loss of the grades (N,) that are known; 0 where none is, with gradients of 0."""
    there = labels != MISSING
    if not there.any():
        return logits.sum() * 0
    return corn(logits[there], labels[there], None if weights is None else weights.to(logits.device))


def _known_squared_error(answers: Tensor, numbers: Tensor) -> Tensor:
    """Return the mean squared error, (N,) each, of the numbers that are known; 0 where none is, with gradients of 0."""
    there = ~numbers.isnan()
    return mse_loss(answers[there], numbers[there].float()) if there.any() else answers.sum() * 0


def classifier(encoder: nn.Module, heads: JointHeads, facts: Mapping[str, Any]) -> JointClassifier:
    """Join encoder and heads as the facts of a model say."""
    kinds = facts.get(SEVERAL, ()), facts.get(NUMBERS, {}), facts.get(CORN, ())
    return JointClassifier(encoder, heads, *kinds, facts.get(TEMPERATURES, {}))
