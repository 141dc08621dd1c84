"""Prepared data sets of a few small photographs, and artefacts, as the steps find them in a workspace."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.catalogue.labels import Label
from swcl_cli.catalogue.structures import Structures
from swcl_cli.chance import generator
from swcl_cli.data import manifest
from swcl_cli.data.columns import ORIENTATION, SWAP
from swcl_cli.models.encoders import create_encoder, create_labeler, encoder_state
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.swap.weak_labels import are_single
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_parquet, write_safetensors

COLOURS = {"mean": [0.3219, 0.2259, 0.1633], "std": [0.3038, 0.2195, 0.1756]}
PIXELS = {"mask": "mask_path", "fov": "fov_path", "lesions": "lesion_mask_path"}


def photograph(item: int, width: int = 64, height: int = 64) -> NDArray[np.uint8]:
    """A round textured field; no pixel is near grey 15, where background ends."""
    rng = generator(0, "test photograph", item=item)
    blocks = rng.integers([70, 40, 20], [240, 160, 110], (6, 6, 3)).astype(np.uint8)
    image = np.asarray(Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)).copy()
    y, x = np.mgrid[:height, :width]
    image[(x - width / 2) ** 2 + (y - height / 2) ** 2 > (0.46 * min(width, height)) ** 2] = 3
    return image


def write(
    root: Path,
    dataset: str,
    rows: Iterable[Mapping[str, Any]],
    size: int = 64,
    own: Sequence[Label] = (),
    structures: Structures | None = None,
) -> pd.DataFrame:
    """A row: manifest values; `image` holds pixels, so do `mask`, `fov` and `lesions` where there are any."""
    workspace = Workspace(root)
    listed = []
    for number, given in enumerate(rows):
        row = {"image_id": f"{number}", "patient_id": f"{number}", "split": "train", "eye": "left", **given}
        image = row.pop("image")
        file = workspace.images(dataset) / f"{row['image_id']}.png"
        row["path"] = _save(workspace, file, image)
        for name in PIXELS.keys() & row.keys():
            row[PIXELS[name]] = _save(
                workspace, workspace.masks(dataset) / f"{row['image_id']}_{name}.png", row.pop(name)
            )
        height, width = image.shape[:2]
        unseen = {"group_id": row["patient_id"], "source_path": f"{row['image_id']}.png", "source_hash": "0" * 64}
        seen = {"width": width, "height": height, "checksum": zlib.crc32(file.read_bytes())}
        listed.append({**row, **unseen, **seen, "dataset": dataset})
    path = workspace.manifest(dataset)
    made = {"step": "prep", "settings": {"dataset": dataset, "size": size}}
    manifest.write(path, manifest_rows(pd.DataFrame(listed)), made, structures=structures, own=own)
    return manifest.read(path)


def manifest_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as `manifest.write` takes them: in its order, None where nothing is known."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return sorted(rows, key=lambda row: manifest.order(row["split"], row["image_id"]))


def change(root: Path, dataset: str, **columns: Any) -> None:
    """Writes the manifest again with other columns, its images untouched."""
    path = Workspace(root).manifest(dataset)
    rows = manifest_rows(manifest.read(path).assign(**columns))
    manifest.write(path, rows, read_provenance(path))


def labelled_eyes(root: Path, dataset: str, patients: int, **values: Any) -> pd.DataFrame:
    """Left and right eye of each patient, by turns normal and abnormal, over the splits train, val, train, test."""
    rows = [
        {
            "image_id": f"{patient}_{eye}",
            "patient_id": f"{patient}",
            "eye": eye,
            "split": ("train", "val", "train", "test")[patient % 4],
            "abnormal": (patient // 4 + side) % 2 == 0,
            "image": photograph(1000 * len(dataset) + 2 * patient + side, 64 + patient % 5),
            **values,
        }
        for patient in range(patients)
        for side, eye in enumerate(("left", "right"))
    ]
    return write(root, dataset, rows)


def labeler(root: Path, labelled: list[str], unlabelled: list[str], seed: int = 0, image_size: int = 64) -> Any:
    """Writes labeler.safetensors: random, but its class maps differ by about 2, either way. Returns the network."""
    network: Any = create_labeler("resnet18", seed).eval()
    images = np.stack([photograph(item).transpose(2, 0, 1) for item in range(4)])
    with torch.inference_mode():
        features = network.forward_features(torch.tensor(images / 127.5 - 1, dtype=torch.float32))
    weight = torch.tensor(generator(seed, "test classifier").normal(size=(2, 512)), dtype=torch.float32)
    middle = features.mean(dim=(0, 2, 3))
    weight -= (weight @ middle)[:, None] * middle / middle.square().sum()
    spread = torch.einsum("nchw,kc->nkhw", features, weight).diff(dim=1).std()
    with torch.no_grad():
        network.fc.weight.copy_(2 * weight / spread)
        network.fc.bias.copy_(torch.tensor([3.0, -2.0]))
    work = {"step": "train-labeler", "settings": {"labelled": labelled, "unlabelled": unlabelled}, "inputs": {}}
    described = {"architecture": "resnet18", "image_size": image_size, "classes": ["normal", "abnormal"], **COLOURS}
    write_safetensors(Workspace(root).labeler, network.state_dict(), {**work, "labeler": described})
    return network


def made_swap(**settings: Any) -> dict[str, Any]:
    """What swap.parquet tells of itself: these settings, and the rules of this version."""
    rules = {name: rule.now for name, rule in MakeSwapSettings.rules.items()}
    return {"step": "make-swap", "settings": {**settings, **rules}, "inputs": {}}


def swap(root: Path, rows: pd.DataFrame) -> Path:
    """swap.parquet of these rows; columns that do not matter to a test may be left out."""
    defaults: dict[str, Any] = {
        "dataset": "odir", "image_id": "", "path": "none.png", "size": 8,
        "score": 0.0, "abnormal": False, "image_abnormal": None,
    }  # fmt: skip
    if "abnormal" in rows and "score" not in rows:
        rows = rows.assign(score=rows["abnormal"] * 0.9)
    if "path" not in rows and {"patient_id", "eye"} <= {*rows}:  # each eye has a photograph of its own
        rows = rows.assign(path=rows["patient_id"] + "_" + rows["eye"] + ".png")
    rows = rows.assign(**{k: v for k, v in defaults.items() if k not in rows})
    if "mirrored" not in rows:
        rows = rows.assign(mirrored=rows["eye"] == "right")
    if "rotated" not in rows:
        rows = rows.assign(rotated=False)
    if "x" not in rows:
        x = rows["position"].map({"tl": 0, "tr": 1, "c": 0.5, "bl": 0, "br": 1}).fillna(0)
        y = rows["position"].map({"tl": 0, "tr": 0, "c": 0.5, "bl": 1, "br": 1}).fillna(0)
        rows = rows.assign(x=rows["size"] * x.where(~rows["mirrored"], 1 - x), y=rows["size"] * y)
        rows = rows.astype({"x": "int32", "y": "int32"})
    checksums = {path: zlib.crc32((root / path).read_bytes()) for path in set(rows["path"]) if (root / path).exists()}
    rows = rows.assign(checksum=rows["path"].map(checksums).fillna(0), single=are_single(rows))
    table = pa.Table.from_pandas(rows.astype({"checksum": "int64"}), SWAP.schema)
    path = Workspace(root).swap
    write_parquet(path, table.select(SWAP.names), made_swap(threshold=0.4))
    return path


def orientation(root: Path, dataset: str, inverted: set[str], exchanged: str = "", sure: float = 1.0) -> pd.DataFrame:
    """orientation.parquet, as somebody who looked would write it. inverted: image_ids of photographs that lie upside
    down; exchanged: a patient whose eyes are named the other way round. Eyes without a name are right ones.
    """
    path = Workspace(root).manifest(dataset)
    rows = manifest.read(path, ["split", "image_id", "patient_id", "eye", "path", "checksum"]).astype({"eye": object})
    misnamed = rows["patient_id"] == exchanged
    other = rows["eye"].map({"left": "right", "right": "left", "unknown": "right"})
    frame = rows.assign(
        inverted=rows["image_id"].isin(inverted), inverted_confidence=sure, misnamed=misnamed,
        side=other.where(misnamed | (rows["eye"] == "unknown"), rows["eye"]), side_confidence=sure,
        poses=[[-1.4] * 4] * len(rows), **dict.fromkeys(("disc_x", "disc_y", "fovea_x", "fovea_y"), 1.0),
        disc_confidence=sure, fovea_confidence=sure,
    )[ORIENTATION.names]  # fmt: skip
    made = {"step": "audit", "settings": {}, "inputs": {dataset: fingerprint(path)}}
    write_parquet(Workspace(root).orientation(dataset), ORIENTATION.table(frame), made)
    return frame


def encoder(path: Path, architecture: str = "resnet18", seed: int = 7) -> dict[str, Any]:
    """An encoder file as `pretrain` writes it; returns its weights."""
    state = encoder_state(create_encoder(architecture, seed))
    write_safetensors(
        path, state, {"step": "pretrain", "encoder": {"architecture": architecture, "image_size": 32, **COLOURS}}
    )
    return state


def _save(workspace: Workspace, path: Path, pixels: NDArray[np.uint8]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return workspace.relative(path)
