"""Predict photographs by a trained model, in the same way for `finetune`, `predict` and Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import Dataset

from swcl_cli.data.augment import View
from swcl_cli.data.loaders import Key, make_loader
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import PREFIX, create_encoder, in_its_memory_format, load_weights
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import Photograph, read_unprepared
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.saved import Description, read_description
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import read_safetensors

Size: TypeAlias = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True)
class Sized:
    """Hold the network's input for a photograph, the photograph's own width and height, and how it was read."""

    view: View
    size: Size
    notes: tuple[str, ...] = ()


class Taken(NamedTuple):
    """Hold a photograph's own width and height, and how it was read, for those that have only its scores."""

    size: Size
    notes: tuple[str, ...]


class RawViews(Dataset["Sized | Unusable"]):
    """Prepare photographs of any kind as those that trained were: (0, item) -> a view, or why it can't be used."""

    def __init__(self, photographs: Sequence[Photograph], model: Description) -> None:
        self.photographs, self.model, self.kind = photographs, model, KINDS[model.kind]

    def __getitem__(self, key: Key) -> Sized | Unusable:
        try:
            pixels, size, notes = read_unprepared(self.photographs[key[1]], self.model.form)
        except Unusable as unusable:
            return unusable
        return Sized(self.kind.view(pixels, self.model), size, notes)


class PreparedViews(Dataset[Sized]):
    """Read the photographs of a prepared data set: (0, item) -> a view."""

    def __init__(self, photographs: Photographs, model: Description) -> None:
        self.photographs, self.model, self.kind = photographs, model, KINDS[model.kind]

    def __getitem__(self, key: Key) -> Sized:
        pixels = self.photographs.read(key[1])
        return Sized(self.kind.view(pixels, self.model), (pixels.shape[1], pixels.shape[0]))


class Predictor:
    """Predict photographs in the way in which the model was evaluated.

    This covers decoding, orientation, resizing, the loss of a JPEG where `prep` writes JPEGs, normalisation, windows
    and the answer.
    """

    def __init__(self, model: Description, network: nn.Module, fabric: Fabric) -> None:
        self.model, self.network, self.fabric, self.kind = model, network, fabric, KINDS[model.kind]

    def __call__(self, photograph: Photograph) -> Answer:
        """Predict a photograph: a path, the bytes of a file, a PIL image, or an array uint8 (H, W, 3).

        Files and their bytes give the answers of `swcl predict`. Pixels of an image or array are taken as they are; a
        JPEG that was decoded elsewhere differs by a grey level or so from one that is decoded here, at a smaller scale.
        Raises SwclError where the photograph can't be used.

        >>> import swcl_cli
        >>> from swcl_cli.phantom.eye.disease import choose_findings
        >>> from swcl_cli.phantom.eye.patient import draw_patient
        >>> left, right = draw_patient(seed=0, patient=1, size=128, findings=choose_findings(seed=0, patient=1))
        >>> predictor = swcl_cli.load_model("finetune/drive/swcl/seed0/model.safetensors", accelerator="cpu")
        >>> answer = predictor(left.image)
        >>> answer.masks["vessel"].shape == left.image.shape[:2]
        True
        """
        (answer,) = self.each([photograph])
        if isinstance(answer, Unusable):
            named = f"{photograph}: " if isinstance(photograph, str | Path) else ""
            raise SwclError(f"{named}{answer.problem}" + (f" ({answer.detail})" if answer.detail else ""))
        return answer

    def each(self, photographs: Sequence[Photograph], workers: int = 0) -> Iterator[Answer | Unusable]:
        """Predict each photograph in turn, or say why it can't be used; `workers` processes decode them.

        Photographs are scored in batches, which is faster. In fp32 their probabilities are those of a batch of one
        within 1e-5: the kernels for larger batches add up in another order.
        """
        for photograph, scores in self.scored(photographs, workers):
            if isinstance(photograph, Unusable):
                yield photograph
            else:
                yield replace(self.kind.answer(scores, photograph.size, self.model), notes=photograph.notes)

    def scored(self, photographs: Sequence[Photograph], workers: int = 0) -> Iterator[tuple[Taken | Unusable, Any]]:
        """Score photographs of any kind: how each was read, and its scores; or why it can't be used, and None."""
        return self._scored(RawViews(photographs, self.model), len(photographs), workers)

    def scores(self, photographs: Photographs, workers: int = 0) -> Iterator[Any]:
        """Score each photograph of a prepared data set; see `Kind.scores`."""
        views = PreparedViews(photographs, self.model)
        return (scores for _, scores in self._scored(views, len(photographs), workers))

    def features(self, photographs: Photographs, workers: int = 0) -> Iterator[Tensor]:
        """Encode each photograph of a prepared data set: float32 (C,) on the CPU, which a classifier's heads get."""
        views = PreparedViews(photographs, self.model)
        return (features for _, features in self._scored(views, len(photographs), workers, self._features))

    def raw_scores(self, photographs: Sequence[Photograph]) -> Iterator[Any]:
        """Score photographs of any kind, as `scores` does those of a prepared data set."""
        return (scores for _, scores in self._scored(RawViews(photographs, self.model), len(photographs), 0))

    def embed(self, photographs: Sequence[Photograph], workers: int = 0) -> Iterator[tuple[Taken | Unusable, Any]]:
        """Encode photographs of any kind: how each was read, and float32 (C,); or why it can't be used, and None."""
        return self._scored(RawViews(photographs, self.model), len(photographs), workers, self._features)

    def _scored(
        self, views: Dataset[Any], count: int, workers: int, score: Callable[[Tensor], Iterable[Any]] | None = None
    ) -> Iterator[tuple[Taken | Unusable, Any]]:
        """Yield what each photograph is and its scores; for one that can't be used, the reason and None.

        score: (N, 3, h, w) -> something of each view, in place of the scores.
        """
        score = score or self._scores
        size = self.kind.batch
        batches = [[(0, item) for item in range(start, min(start + size, count))] for start in range(0, count, size)]
        if workers:
            loaded = make_loader(views, batches, workers, collate=_stacked)
        else:
            loaded = (_stacked([views[key] for key in batch]) for batch in batches)
        for photographs, stacked in loaded:
            scores = iter(() if stacked is None else score(stacked))
            for photograph in photographs:
                yield photograph, None if isinstance(photograph, Unusable) else next(scores)

    @torch.inference_mode()
    def _scores(self, views: Tensor) -> list[Any]:
        """Score views (N, 3, h, w) in evaluation mode, on the device."""
        self.network.eval()
        return self.kind.scores(self.fabric, self.network, self.fabric.to_device(views), self.model)

    @torch.inference_mode()
    def _features(self, views: Tensor) -> Tensor:
        """Encode views (N, 3, h, w) in evaluation mode, on the device: (N, C).

        Batches are filled up to one size: the kernels for other sizes add up in another order, and what a photograph's
        features are should not depend on how many others are encoded with it.
        """
        encoder: Any = self.network.eval().get_submodule("encoder")
        whole = torch.cat([views, views.new_zeros(self.kind.batch - len(views), *views.shape[1:])])
        with self.fabric.autocast():
            features: Tensor = encoder(self.fabric.to_device(whole))
        return features[: len(views)].float().cpu()


def _stacked(photographs: list[Sized | Unusable]) -> tuple[list[Taken | Unusable], Tensor | None]:
    """Collate a batch: what each photograph is, or why it can't be used, and the other views (N, 3, h, w)."""
    taken = [item if isinstance(item, Unusable) else Taken(item.size, item.notes) for item in photographs]
    views = [item.view for item in photographs if isinstance(item, Sized)]
    return taken, torch.from_numpy(np.stack(views)) if views else None


def load_model(path: str | Path, accelerator: Literal["auto", "cpu", "gpu"] = "auto") -> Predictor:
    """Load a model that `swcl finetune` has written, to predict photographs.

    accelerator: the device that computes. Raises SwclError where the file holds no such model.

    >>> import swcl_cli
    >>> predictor = swcl_cli.load_model("finetune/idrid/swcl/seed0/model.safetensors", accelerator="cpu")
    >>> answer = predictor("eye.jpg")
    >>> sorted(answer.classes)
    ['dme_grade', 'dr_grade']
    >>> answer.probabilities["dr_grade"].shape
    (5,)
    """
    path = Path(path)
    model = read_description(path, {name: kind.saves for name, kind in KINDS.items()})
    kind = KINDS[model.kind]
    tensors = read_safetensors(path)
    weights = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items() if key.startswith(PREFIX)}
    encoder = create_encoder(model.architecture, output_stride=kind.output_stride(model.facts), weights=weights)
    network = kind.network(encoder, model.heads, model.facts)
    load_weights(network, tensors, str(path))
    in_its_memory_format(network, encoder)
    fabric = make_fabric(accelerator, model.precision)
    return Predictor(model, network.eval().to(fabric.device), fabric)
