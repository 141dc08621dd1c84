"""Write the card of what was exported: what it is, how it is asked, what it was made from, and how good it is."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from swcl_cli import __version__
from swcl_cli.catalogue.citation import bibtex
from swcl_cli.exporting.evidence import Evidence
from swcl_cli.exporting.folders import CONFIG, WEIGHTS
from swcl_cli.exporting.graphs import FEATURES, Embedding, Graph, Pixels, Run, Windows
from swcl_cli.exporting.programs import OPSET
from swcl_cli.exporting.words import recipe, use

FILES = {"onnx": "model.onnx", "torchscript": "model.pt"}
TAGS = {"Windows": "image-segmentation", "Answers": "image-classification", "Embedding": "feature-extraction"}


@dataclass(frozen=True)
class Made:
    """Hold what was exported, and how it was compared.

    to: its form; by_timm: whether timm loads it; run: what runs it; eyes: on which it was compared; apart: the largest
    difference there; work: provenance.
    """

    to: str
    by_timm: bool
    run: Run
    eyes: Sequence[Pixels]
    apart: float
    work: Mapping[str, Any]

    @property
    def normalises(self) -> bool:
        """Return whether levels are normalised inside."""
        return self.to in FILES


def card(graph: Graph, made: Made, known: Evidence) -> str:
    """Write the card, in Markdown."""
    model = graph.predictor.model
    environment = Environment(
        loader=PackageLoader("swcl_cli.exporting", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    what = " and ".join(model.heads) or FEATURES
    outputs = graph.outputs[:1] if made.by_timm else graph.outputs
    return environment.get_template("card.md.j2").render(
        library="timm" if made.by_timm else {"onnx": "onnx", "torchscript": "pytorch"}.get(made.to, "swcl"),
        tag=TAGS[type(graph).__name__],
        title=f"{model.architecture}: {what} of retinal photographs",
        about=_about(graph, made),
        files=_files(made),
        input="images",
        side=graph.side,
        mean=", ".join(f"{value:g}" for value in model.mean),
        std=", ".join(f"{value:g}" for value in model.std),
        normaliser="The file itself" if made.normalises else "The program that loads the folder",
        windows=_windows(graph),
        recipe=recipe(model),
        recipe_difference=_by_recipe(graph, made),
        outputs=outputs,
        legend=graph.predictor.kind.legend(model) if model.heads else [],
        use=use(graph, made.to, made.by_timm),
        compared=len(made.eyes),
        of_what="of a feature, as a share of the largest," if isinstance(graph, Embedding) else "of a probability",
        difference=f"{made.apart:.1e}",
        stitching=" Windows were averaged as in these lines." if isinstance(graph, Windows) else "",
        made=[*sorted(made.work["versions"].items()), ("weights", made.work["inputs"]["model"])],
        version=__version__,
        bibtex=bibtex(__version__),
        **known.__dict__,
    )


def _by_recipe(graph: Graph, made: Made) -> str:
    """Say how far answers about photographs that are prepared by the card's lines are from the program's own."""
    if isinstance(graph, Windows):
        return (
            "At its own size a photograph is the program's own; one that is resized by these lines differs by a grey "
            "level or so."
        )
    pixels = []
    with tempfile.TemporaryDirectory() as place:
        for number, eye in enumerate(made.eyes):
            path = Path(place) / f"{number}.png"
            Image.fromarray(eye).save(path)
            names: dict[str, Any] = {}
            exec(recipe(graph.predictor.model).replace("eye.jpg", path.as_posix()), names)
            pixels.append(names["images"][0])
    name = graph.outputs[0].name
    own = made.run(np.stack([graph.prepared(eye) for eye in made.eyes]))[name]
    apart = float(np.abs(made.run(np.stack(pixels))[name] - own).max())
    if isinstance(graph, Embedding):
        words = f"a feature by at most {apart / np.abs(own).max():.1%} of the largest"
    else:
        words = f"an answer by at most {apart:.2g}"
    return (
        f"The program itself resizes a little differently: on {len(pixels)} synthetic eyes these lines change {words}."
    )


def _windows(graph: Graph) -> str:
    if not isinstance(graph, Windows):
        return ""
    return (
        f" What is exported is the network of windows of {graph.side} px, at which it was trained; a photograph of any "
        "size is put together from windows, as the lines below do."
    )


def _about(graph: Graph, made: Made) -> str:
    model = graph.predictor.model
    maker = f"Made by swcl {__version__} ({model.architecture}"
    if isinstance(graph, Embedding):
        return f"An encoder of retinal photographs. {maker})."
    kind = "finds structures in" if isinstance(graph, Windows) else "tells labels of"
    precision = " It computes in fp32." if made.normalises or made.by_timm else ""
    return (
        f"A network that {kind} retinal photographs: {', '.join(model.heads)}. {maker}, task {model.task}).{precision}"
    )


def _files(made: Made) -> list[tuple[str, str]]:
    if made.to == "onnx":
        return [(FILES[made.to], f"the network, ONNX opset {OPSET}, any batch; its metadata tell what made it")]
    if made.to == "torchscript":
        return [(FILES[made.to], "the network, traced by torch; swcl.json inside tells what made it")]
    by = f"timm {timm.__version__} or later" if made.by_timm else "swcl_cli.load_model"
    return [(WEIGHTS, f"weights, which {by} loads"), (CONFIG, "the network, and its input")]
