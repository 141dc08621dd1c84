"""Put a network together with its normalisation and its answer: prepared photographs in, probabilities out."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from swcl_cli.catalogue.labels import SEVERAL
from swcl_cli.evaluation.sliding_window import predict_windows
from swcl_cli.preparation.unprepared import read_unprepared
from swcl_cli.tasks.classification import THRESHOLDS
from swcl_cli.tasks.number_labels import NUMBERS
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.tasks.segmentation import structures_of
from swcl_cli.tasks.thresholds import ABOVE, KEY

Pixels: TypeAlias = NDArray[np.uint8]
Run: TypeAlias = Callable[[Pixels], dict[str, NDArray[Any]]]  # (N, S, S, 3) -> each output by its name
INPUT = "images"
FEATURES, LOG_ODDS, PROBABILITIES, THERE = "features", "log_odds", "probabilities", "_there"


class Output(NamedTuple):
    """Name an output of a graph, with its shape and meaning in words."""

    name: str
    shape: str
    meaning: str


class Graph(nn.Module, ABC):
    """Map prepared photographs or windows, uint8 (N, S, S, 3), to outputs, in fp32: a tuple in the order of `outputs`.

    What is normalised inside are the levels alone. `largest_difference` compares a program that runs the graph with
    the predictor that the graph was made of.
    """

    several: Mapping[str, Any] = MappingProxyType({})  # heads of several signs at once, with their thresholds

    def __init__(self, predictor: Predictor, outputs: Sequence[Output]) -> None:
        super().__init__()
        self.predictor, self.outputs = predictor, list(outputs)
        self.side = predictor.model.crop
        self.network = copy.deepcopy(predictor.network).cpu().eval().to(memory_format=torch.contiguous_format)
        self.network.requires_grad_(False)
        mean, std = predictor.model.mean, predictor.model.std
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.tensor([1 / (255 * spread) for spread in std]))
        self.register_buffer("shift", torch.tensor([center / spread for center, spread in zip(mean, std, strict=True)]))

    @abstractmethod
    def answers(self, views: Tensor) -> tuple[Tensor, ...]:
        """Map normalised views (N, 3, S, S) to the outputs."""

    @abstractmethod
    def largest_difference(self, run: Run, photographs: Sequence[Pixels]) -> float:
        """Return the largest difference between what `run` and the predictor say of photographs (H, W, 3)."""

    def of_logits(self, logits: Tensor) -> Tensor:
        """Turn what timm's network of the same weights gives, (N, K), into the first output."""
        return logits

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.answers((images.float() * self.scale - self.shift).permute(0, 3, 1, 2))

    def example(self) -> Tensor:
        """Return an input, of two photographs."""
        return torch.zeros(2, self.side, self.side, 3, dtype=torch.uint8)

    def run(self, images: Pixels) -> dict[str, NDArray[Any]]:
        """Run the graph by torch: a `Run`."""
        with torch.inference_mode():
            parts = self(torch.from_numpy(images))
        return {output.name: part.numpy() for output, part in zip(self.outputs, parts, strict=True)}

    def prepared(self, photograph: Pixels) -> Pixels:
        """Return the pixels of the view that the predictor makes of a photograph: (h, w, 3)."""
        model = self.predictor.model
        view = self.predictor.kind.view(read_unprepared(photograph, model.form)[0], model)
        levels = (view * np.reshape(model.std, (3, 1, 1)) + np.reshape(model.mean, (3, 1, 1))) * 255
        pixels: Pixels = np.rint(levels).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        return pixels


class Embedding(Graph):
    """Embed photographs: the features of an encoder."""

    def __init__(self, predictor: Predictor, channels: int) -> None:
        super().__init__(predictor, [Output(FEATURES, f"(N, {channels})", "the encoder's pooled features")])

    def answers(self, views: Tensor) -> tuple[Tensor, ...]:
        encoder: Any = self.network.get_submodule("encoder")
        return (encoder(views),)

    def largest_difference(self, run: Run, photographs: Sequence[Pixels]) -> float:
        """Return the largest difference, as a share of the largest feature: features have no scale of their own."""
        expected = np.stack([features.numpy() for _, features in self.predictor.embed(photographs)])
        given = run(np.stack([self.prepared(photograph) for photograph in photographs]))[FEATURES]
        return float(np.abs(given - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))


class Answers(Graph):
    """Classify photographs: probabilities of each head, and what thresholds in the model file make of them."""

    def __init__(self, predictor: Predictor) -> None:
        model = predictor.model
        self.several = {
            head: model.facts[THRESHOLDS][head] for head in model.facts.get(SEVERAL, ()) if head in model.heads
        }
        self.units = {head: scale["sd"] for head, scale in model.facts.get(NUMBERS, {}).items()}
        self.above = {head: value for head, value in model.facts.get(KEY, {}).items() if value is not None}
        classes = model.facts.get("classes", {})
        outputs = [
            Output(head, f"(N, {count})", _about(head, count, classes.get(head, ()), head in self.several))
            for head, count in model.heads.items()
        ]
        outputs += [
            Output(f"{head}{THERE}", f"(N, {len(each)}), bool", f"whether a sign of {head} is above its threshold")
            for head, each in self.several.items()
        ]
        outputs += [
            Output(f"{head}{ABOVE}", "(N,), bool", f"whether any class above the first is above {value:.4g}")
            for head, value in self.above.items()
        ]
        super().__init__(predictor, outputs)

    def answers(self, views: Tensor) -> tuple[Tensor, ...]:
        network: Any = self.network
        by_head: dict[str, Tensor] = network.probabilities(views)
        there = [by_head[head] > torch.tensor(limits) for head, limits in self.several.items()]
        above = [by_head[head][:, 1:].sum(dim=1) > limit for head, limit in self.above.items()]
        return (*(by_head[head] for head in self.predictor.model.heads), *there, *above)

    def of_logits(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.several else logits.softmax(dim=1)

    def largest_difference(self, run: Run, photographs: Sequence[Pixels]) -> float:
        """Return the largest difference of a probability, or of a number in its standard deviations."""
        expected = list(self.predictor.raw_scores(photographs))
        pixels = np.stack([self.prepared(photograph) for photograph in photographs])
        together, alone = run(pixels), [run(each[None]) for each in pixels]
        return max(
            float(np.abs(given - scores[head]).max() / self.units.get(head, 1))
            for place, scores in enumerate(expected)
            for head in self.predictor.model.heads
            for given in (together[head][place], alone[place][head][0])
        )


def _about(head: str, count: int, names: Sequence[str], several: bool) -> str:
    if count == 1:
        return f"{head}, a number"
    classes = ", ".join(names) if names else f"0 to {count - 1}"
    return f"probabilities of {head}: {classes}" + ("; several may be there at once" if several else "")


class Windows(Graph):
    """Segment windows of photographs: log odds of each structure against the background, and probabilities."""

    def __init__(self, predictor: Predictor) -> None:
        self.structures = structures_of(predictor.model.facts)
        names = list(self.structures.names if self.structures.exclusive else predictor.model.heads)
        shape = f"(N, {len(names)}, {predictor.model.crop}, {predictor.model.crop})"
        listed = ", ".join(names)
        super().__init__(
            predictor,
            [
                Output(LOG_ODDS, shape, f"log odds of {listed} against the background, to be averaged over windows"),
                Output(PROBABILITIES, shape, f"probabilities of {listed} by this window alone"),
            ],
        )

    def answers(self, views: Tensor) -> tuple[Tensor, ...]:
        logits: dict[str, Tensor] = self.network(views)
        log_odds = torch.cat([part[:, 1:] - part[:, :1] for part in logits.values()], dim=1)
        if not self.structures.exclusive:
            return log_odds, log_odds.sigmoid()
        return log_odds, torch.cat([torch.zeros_like(log_odds[:, :1]), log_odds], dim=1).softmax(dim=1)[:, 1:]

    def largest_difference(self, run: Run, photographs: Sequence[Pixels]) -> float:
        """Return the largest difference of a probability, once windows are stitched as the predictor does."""
        model, kind, largest = self.predictor.model, self.predictor.kind, 0.0

        def log_odds(windows: Tensor) -> Tensor:
            return torch.from_numpy(run(windows.byte().permute(0, 2, 3, 1).numpy())[LOG_ODDS])

        for photograph in photographs:
            expected = self.predictor(photograph)
            pixels = torch.from_numpy(self.prepared(photograph)).permute(2, 0, 1)[None].float()
            (stitched,) = predict_windows(log_odds, pixels, self.side)
            given = kind.answer(stitched.numpy(), (expected.width, expected.height), model)
            for name in given.masks:
                apart = np.abs(given.probabilities[name] - expected.probabilities[name])
                largest = max(largest, float(apart.max()))
        return largest
