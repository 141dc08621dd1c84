"""Write a folder that timm loads: config.json and model.safetensors, of encoders and classifiers with one head."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from timm.models import save_for_hf
from torch import Tensor, nn

from swcl_cli.catalogue.tasks import CLASSIFICATION
from swcl_cli.exporting.graphs import Graph, Pixels, Run
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.heads import JointHeads
from swcl_cli.tasks.classification import RESIZE
from swcl_cli.tasks.predictor import Predictor
from swcl_cli.tasks.temperatures import TEMPERATURES
from swcl_cli.workspace import atomic

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def timm_network(predictor: Predictor) -> nn.Module | None:
    """Return timm's own network with the weights of an encoder, or of a classifier with one head and its head.

    None where timm has no such network: of several heads, numbers, masks, or where its classifier is no single layer.
    """
    model, network = predictor.model, predictor.network
    if model.kind != CLASSIFICATION or len(model.heads) > 1 or 1 in model.heads.values():
        return None
    encoder = network.get_submodule("encoder").cpu()
    state = {f"{key}": tensor for key, tensor in encoder.state_dict().items()}
    classes = next(iter(model.heads.values()), 0)
    whole = create_encoder(model.architecture, weights=state, classes=classes)
    if classes:
        heads: Any = network.get_submodule("heads")
        assert isinstance(heads, JointHeads)
        name = _classifier(whole)
        if name is None:
            return None
        head = heads.of(next(iter(model.heads)))
        weight: Tensor = whole.state_dict()[f"{name}.weight"]
        if weight.numel() != head.weight.numel():
            return None
        temperature = model.facts.get(TEMPERATURES, {}).get(next(iter(model.heads)), 1.0)
        state |= {
            f"{name}.weight": head.weight.reshape(weight.shape) / temperature, f"{name}.bias": head.bias / temperature,
        }  # fmt: skip
    whole.load_state_dict(state)
    return whole.eval()


def _classifier(network: nn.Module) -> str | None:
    """Name the layer that classifies; None where it is not a single one."""
    layer = network.get_classifier()  # type: ignore[operator]
    if not isinstance(layer, nn.Module):
        return None
    return next((name for name, module in network.named_modules() if module is layer), None)


def write_folder(network: nn.Module, graph: Graph, folder: Path, label_names: Sequence[str]) -> Run:
    """Write a network of timm's as `timm.create_model('local-dir:FOLDER', pretrained=True)` loads it.

    Return what runs it, as `load_folder`.
    """
    model = graph.predictor.model
    data = {
        "input_size": (3, model.crop, model.crop),
        "interpolation": "bilinear",
        "mean": tuple(model.mean),
        "std": tuple(model.std),
        "crop_pct": 1 / RESIZE if model.facts.get("fit", "crop") == "crop" else 1.0,
        "crop_mode": {"crop": "center", "squash": "squash", "pad": "border"}[model.facts.get("fit", "crop")],
    }
    config = {"label_names": list(label_names)} if label_names else {}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        save_for_hf(network, place, model_config=config, data_config=data, safe_serialization=True)
        for name in (WEIGHTS, CONFIG):
            with atomic(folder / name) as partial:
                shutil.copyfile(Path(place) / name, partial)
    return folder_run(folder, graph)


def folder_run(folder: Path, graph: Graph) -> Run:
    """Return a function that runs the network of such a folder by timm, on normalised photographs."""
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    answer = graph.outputs[0]

    def run(images: Pixels) -> dict[str, NDArray[np.float32]]:
        with torch.inference_mode():
            views = (torch.from_numpy(images).float() * graph.scale - graph.shift).permute(0, 3, 1, 2)
            return {answer.name: graph.of_logits(network(views)).numpy()}

    return run
