"""Ask a trained model about photographs: the one way in which `finetune` evaluates, `predict` and Python ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Dataset

from swcl_cli.data.augment import View
from swcl_cli.data.loaders import Key, make_loader
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import create_encoder, in_its_memory_format, load_weights
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import Photograph, read_unprepared
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.saved import Description, read_description
from swcl_cli.training.processes import make_fabric

Size: TypeAlias = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True)
class Seen:
    """Hold a photograph as the network sees it, and its own width and height."""

    view: View
    size: Size


class RawViews(Dataset["Seen | Unusable"]):
    """(0, item) -> a photograph of any kind, prepared as those that trained were; or why it can't be used."""

    def __init__(self, photographs: Sequence[Photograph], model: Description) -> None:
        self.photographs, self.model, self.kind = photographs, model, KINDS[model.kind]

    def __getitem__(self, key: Key) -> Seen | Unusable:
        try:
            pixels, size = read_unprepared(self.photographs[key[1]], self.model.form)
        except Unusable as unusable:
            return unusable
        return Seen(self.kind.view(pixels, self.model), size)


class PreparedViews(Dataset[Seen]):
    """(0, item) -> a photograph of a prepared data set."""

    def __init__(self, photographs: Photographs, model: Description) -> None:
        self.photographs, self.model, self.kind = photographs, model, KINDS[model.kind]

    def __getitem__(self, key: Key) -> Seen:
        pixels = self.photographs.read(key[1])
        return Seen(self.kind.view(pixels, self.model), (pixels.shape[1], pixels.shape[0]))


class Predictor:
    """Answer for photographs as the model was evaluated: decoding, orientation, resizing, the loss of a JPEG where
    `prep` writes one, normalisation, windows, and the answer.
    """

    def __init__(self, model: Description, network: nn.Module, fabric: Fabric) -> None:
        self.model, self.network, self.fabric, self.kind = model, network, fabric, KINDS[model.kind]

    def __call__(self, photograph: Photograph) -> Answer:
        """Answer for one photograph: a path, the bytes of a file, a PIL image, or an array uint8 (H, W, 3).

        Files and their bytes give what `swcl predict` says. Of an image or array the pixels are taken as they are; a
        JPEG that was decoded elsewhere differs by a grey level or so from one that is decoded here, at a smaller scale.
        Raises SwclError where it can't be used.

        >>> import swcl_cli
        >>> from swcl_cli.phantom.disease import choose_findings
        >>> from swcl_cli.phantom.patient import draw_patient
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
        """Answer for each photograph in turn, or say why it can't be used; `workers` processes decode them.

        Some are asked about at once, which is faster. Their probabilities are those of one at a time within 1e-5 in
        fp32: the kernels for larger batches add up in another order.
        """
        for size, scores in self._asked(RawViews(photographs, self.model), len(photographs), workers):
            yield size if isinstance(size, Unusable) else self.kind.answer(scores, size, self.model)

    def scores(self, photographs: Photographs, workers: int = 0) -> Iterator[Any]:
        """Score each photograph of a prepared data set, as the kind of task does; see `Kind.scores`."""
        return (scores for _, scores in self._asked(PreparedViews(photographs, self.model), len(photographs), workers))

    def _asked(self, views: Dataset[Any], count: int, workers: int) -> Iterator[tuple[Size | Unusable, Any]]:
        """The size and the scores of each photograph; those that can't be used have none."""
        most = self.kind.batch
        batches = [[(0, item) for item in range(at, min(at + most, count))] for at in range(0, count, most)]
        if workers:
            loaded = make_loader(views, batches, workers, collate=_stacked)
        else:
            loaded = (_stacked([views[key] for key in batch]) for batch in batches)
        for sizes, stacked in loaded:
            scores = iter(() if stacked is None else self._scores(stacked))
            for size in sizes:
                yield size, None if isinstance(size, Unusable) else next(scores)

    @torch.inference_mode()
    def _scores(self, views: Tensor) -> list[Any]:
        self.network.eval()
        return self.kind.scores(self.fabric, self.network, self.fabric.to_device(views), self.model)


def _stacked(photographs: list[Seen | Unusable]) -> tuple[list[Size | Unusable], Tensor | None]:
    """The sizes of the photographs of a batch, and the views (N, 3, h, w) of those that can be used."""
    sizes = [seen if isinstance(seen, Unusable) else seen.size for seen in photographs]
    views = [seen.view for seen in photographs if isinstance(seen, Seen)]
    return sizes, torch.from_numpy(np.stack(views)) if views else None


def load_model(path: str | Path, accelerator: Literal["auto", "cpu", "gpu"] = "auto") -> Predictor:
    """Load a model that `swcl finetune` has written, to ask it about photographs.

    accelerator: where it computes. Raises SwclError where the file holds no such model.

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
    encoder = create_encoder(model.architecture, output_stride=kind.output_stride(model.facts))
    network = kind.network(encoder, model.heads, model.facts)
    load_weights(network, load_file(path), str(path))
    in_its_memory_format(network, encoder)
    fabric = make_fabric(accelerator, model.precision)
    return Predictor(model, network.eval().to(fabric.device), fabric)
