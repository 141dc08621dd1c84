"""Write a model or an encoder into a folder, check it on synthetic eyes, and write its card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from swcl_cli import console
from swcl_cli.catalogue.tasks import SEGMENTATION
from swcl_cli.errors import SwclError
from swcl_cli.exporting.card import FILES, Made, card
from swcl_cli.exporting.evidence import evidence_of
from swcl_cli.exporting.folders import CONFIG, WEIGHTS, timm_network, write_folder
from swcl_cli.exporting.graphs import Answers, Embedding, Graph, Pixels, Run, Windows
from swcl_cli.exporting.programs import OPSET, require_onnx, write_onnx, write_torchscript
from swcl_cli.models.asking import channels_of
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import draw_patient
from swcl_cli.settings import ExportSettings
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.tasks.saved import as_provenance
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace, atomic, claim, locked, provenance, write_text

RECORD, CARD = "export.json", "README.md"
MOST_APART = 1e-4  # between what is written and the predictor
PATIENTS = 2  # drawn to compare on, of two eyes each
SIDE, LARGEST = 320, 768  # px of drawn eyes, where photographs are resized; and at most, where they are not


def graph_of(predictor: Predictor) -> Graph:
    """Return the graph of a model or an encoder, in fp32 on the CPU whatever it was trained in."""
    model = replace(predictor.model, precision="fp32")
    exact = Predictor(model, predictor.network.cpu(), make_fabric("cpu", "fp32"))
    if model.kind == SEGMENTATION:
        return Windows(exact)
    if model.heads:
        return Answers(exact)
    return Embedding(exact, channels_of(exact.network.get_submodule("encoder")))


def eyes_for(graph: Graph) -> list[Pixels]:
    """Draw synthetic eyes of a size that the model is for."""
    model = graph.predictor.model
    side = min(max(model.sizes[0], graph.side), LARGEST) if model.kind == SEGMENTATION and not model.form.size else SIDE
    count = 1 if model.kind == SEGMENTATION else PATIENTS
    drawn = [draw_patient(0, patient, side, choose_findings(0, patient)) for patient in range(1, count + 1)]
    return [eye.image for pair in drawn for eye in pair]


def write(settings: ExportSettings, predictor: Predictor, source: Path | None, mark: str) -> Path:
    """Write into `--out`; return it. source: the file of the weights, where there is one; mark: their fingerprint.

    Raises SwclError where a package is missing, the form lacks an operator, or answers differ.
    """
    if settings.to == "onnx":
        require_onnx()
    graph, out = graph_of(predictor), settings.out
    work = provenance("export", settings.defining(), {"model": mark}, model=as_provenance(predictor.model))
    by_timm = False
    with locked(out, "export"):
        claim(out, RECORD, work, "exports")
        if settings.to == "onnx":
            run = write_onnx(graph, out / FILES["onnx"], _described(graph, work))
        elif settings.to == "torchscript":
            run = write_torchscript(graph, out / FILES["torchscript"], _described(graph, work))
        elif (network := timm_network(graph.predictor)) is not None:
            run, by_timm = write_folder(network, graph, out, _label_names(graph)), True
        else:
            run = _copied(source, out, graph, work)
        eyes = eyes_for(graph)
        apart = graph.largest_difference(run, eyes)
        if not apart <= MOST_APART:
            for name in (*FILES.values(), WEIGHTS, CONFIG, CARD):
                (out / name).unlink(missing_ok=True)
            raise SwclError(
                f"{out}: what was written differs from `swcl predict` by {apart:.2g} on synthetic eyes, more than "
                f"{MOST_APART:g}, and was removed. --to with another form may fit."
            )
        known = evidence_of(source, str(settings.model), Workspace(settings.workspace))
        made = Made(settings.to, by_timm, run, eyes, apart, work)
        write_text(out / CARD, card(graph, made, known))
    of_what = "as a share of the largest feature" if isinstance(graph, Embedding) else "in a probability"
    console.say(
        f"Compared with `swcl predict` on {len(eyes)} synthetic eyes: largest difference {apart:.1e}, {of_what}."
    )
    if settings.to == "onnx":
        console.say(f"ONNX opset {OPSET}, any batch; input uint8 (N, {graph.side}, {graph.side}, 3).")
    return out


def _described(graph: Graph, work: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a file: provenance, and what its outputs mean."""
    return {**work, "outputs": [output._asdict() for output in graph.outputs]}


def _label_names(graph: Graph) -> list[str]:
    """List the names of the classes of the one head, where they have some."""
    names: Mapping[str, list[str]] = graph.predictor.model.facts.get("classes", {})
    return list(next(iter(names.values()), []))


def _copied(source: Path | None, out: Path, graph: Graph, work: Mapping[str, Any]) -> Run:
    """Copy the model's own file, which only this program loads, and describe it in config.json."""
    assert source is not None  # weights without a file are encoders, which timm loads
    with atomic(out / WEIGHTS) as partial:
        partial.write_bytes(source.read_bytes())
    config = {"library_name": "swcl", **as_provenance(graph.predictor.model), "outputs": work["settings"]["to"]}
    write_text(out / CONFIG, json.dumps(config, sort_keys=True, indent=1) + "\n")
    return graph.run
