"""A workspace of any size, up to the paper's, as the steps leave it: files, columns and logs are all there. Only the
pictures are few, linked under many names, and the weights are all the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from swcl_cli import chance
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data import manifest
from swcl_cli.data.columns import MANIFEST, SWAP
from swcl_cli.evaluation.metrics import auc
from swcl_cli.settings import ROWS, MakeSwapSettings, PrepSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.swap.rows import patch_rows
from swcl_cli.workspace import (
    Workspace,
    fingerprint,
    provenance,
    write_parquet,
    write_row_groups,
    write_safetensors,
    write_text,
)
from tests.reporting.large_logs import SMALL, Size, falling_loss, write_log
from tests.reporting.large_runs import finetune

SHAPES = {"drive": (584, 565), "chase-db1": (960, 999), "stare": (605, 700), "refuge-seg": (514, 514)}  # segmented
WITH_LABELS = ("odir", "eyepacs")
SCORED_SHAPE, CLASSIFIED_SHAPE = (448, 597), (350, 525)
PICTURES = 8  # of a data set; its photographs take turns
COLOURS = {"mean": [0.3219, 0.2259, 0.1633], "std": [0.3038, 0.2195, 0.1756]}
ARCHITECTURE = "resnetv2_50x1_bit"
PUBLIC = ("messidor", "idrid", "refuge-cls", "drive", "chase-db1", "stare", "refuge-seg")
Image = NDArray[np.uint8]


def build(root: Path, size: Size = SMALL) -> Workspace:
    """Data sets, labeler, patches, an encoder of each method among the initialisations, and all tasks from each."""
    workspace = Workspace(root)
    tables = {name: _data_set(workspace, name, size) for name in size.splits}
    _labeler(workspace, tables["odir"], size)
    _swap(workspace, pd.concat([tables[name] for name in WITH_LABELS], ignore_index=True))
    inits = {name: _init(workspace, name, size) for name in size.initialisations}
    for task in PUBLIC:
        for place, name in enumerate(size.initialisations):
            skill = 0.5 + 0.5 * place / len(size.initialisations)
            finetune(workspace, TASKS[task], name, inits[name], tables[task], skill, size)
            _link_maps(workspace, task, name)
    return workspace


def _data_set(workspace: Workspace, name: str, size: Size) -> pd.DataFrame:
    """Both eyes of each patient; the photographs that a task tests are there as files."""
    counts = size.splits[name]
    number, rng = np.arange(sum(counts)), chance.generator(0, f"large {name}")
    patient = pd.Series((number // 2).astype(str))
    image_id = patient + np.where(number % 2, "_right", "_left")
    shape = SHAPES.get(name, SCORED_SHAPE if name in WITH_LABELS else CLASSIFIED_SHAPE)
    height, width = (round(size.scale * side) for side in shape)
    table = pd.DataFrame(
        {
            "dataset": name, "split": np.repeat(manifest.SPLITS, counts), "image_id": image_id, "patient_id": patient,
            "group_id": patient, "eye": np.where(number % 2, "right", "left"), "width": width, "height": height,
            "path": f"data/{name}/images/" + image_id + ".jpg", "checksum": number,
            "abnormal": rng.random(len(number)) < 0.6 if name == "odir" else None,
            "dr_grade": rng.integers(4 if name == "messidor" else 5, size=len(number)),
            "dme_grade": rng.integers(3, size=len(number)),
            "glaucoma": number % 10 == 0 if name == "refuge-cls" else None,
            "mask_path": f"data/{name}/masks/" + image_id + "_mask.png" if name in SHAPES else None,
            "fov_path": f"data/{name}/masks/" + image_id + "_fov.png" if name == "drive" else None,
            "source_path": "train/" + image_id + ".jpeg", "source_hash": "0" * 64,
        }
    )  # fmt: skip
    keys = list(map(manifest.order, table["split"], table["image_id"]))
    table = table.iloc[sorted(range(len(keys)), key=keys.__getitem__)].reset_index(drop=True)
    rows = MANIFEST.table(table.reindex(columns=MANIFEST.names))
    settings = PrepSettings.model_validate({"dataset": name, **ROWS["prep"][name]}).defining()
    work = provenance("prep", settings, {}, counts=dict(zip(manifest.SPLITS, counts, strict=True)))
    parts = (pa.Table.from_batches([part]) for part in rows.to_batches(manifest.ROWS_AT_ONCE))
    write_row_groups(workspace.manifest(name), MANIFEST.schema, parts, work)
    listed = [f"train/{number}.jpeg,truncated,the end is missing\n" for number in range(len(table) // 1000)]
    write_text(workspace.quarantine(name), "".join(["source_path,problem,detail\n", *listed]))
    if name not in WITH_LABELS:
        tested = table[table["split"] == "test"] if counts[2] else table
        for turn in range(min(PICTURES, len(tested))):
            drawn = dict(zip(("path", "mask_path", "fov_path"), picture(turn, (height, width)), strict=True))
            for kind, image in drawn.items():
                _link(workspace, tested[kind].iloc[turn::PICTURES].dropna().to_list(), image)
    return table


def _link(workspace: Workspace, paths: list[str], image: Image) -> None:
    """The first is written, the others are names of it."""
    places = [workspace.root / path for path in paths]
    for folder in {place.parent for place in places}:
        folder.mkdir(parents=True, exist_ok=True)
    for place in places[:1]:
        cv2.imwrite(str(place), image[..., ::-1] if image.ndim == 3 else image)
    for place in places[1:]:
        os.link(places[0], place)


def _link_maps(workspace: Workspace, task: str, name: str) -> None:
    """What the runs found: the structure of the mask, blurred."""
    if TASKS[task].kind == "classification":
        return
    columns = ["image_id", "mask_path", "shades", "map_path"]
    rows = pd.read_parquet(workspace.finetune(task, name) / "predictions.parquet", columns=columns)
    rows["turn"] = pd.factorize(rows["image_id"])[0] % PICTURES
    for _, alike in rows.groupby(["turn", rows["shades"].map(tuple)]):
        mask = cv2.imread(str(workspace.root / alike["mask_path"].iloc[0]), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        structure = np.isin(mask, alike["shades"].iloc[0]).astype(np.uint8) * 255
        _link(workspace, alike["map_path"].to_list(), cv2.GaussianBlur(structure, (0, 0), 2).astype(np.uint8))


def picture(number: int, shape: tuple[int, int]) -> tuple[Image, Image, Image]:
    """A photograph (H, W, 3) about as heavy as a real one; its vessels, or where it is a square its disc and cup, and
    its field of view, (H, W) each.
    """
    height, width = shape
    middle, side = (width // 2, height // 2), min(shape)
    rng = chance.generator(0, "large picture", item=number)
    field, mask = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    cv2.circle(field, middle, int(0.48 * side), 255, -1)
    texture = cv2.GaussianBlur(rng.normal(0, 40, (height, width, 3)).astype(np.float32), (0, 0), 1.5)
    for _ in range(25):
        points = np.cumsum(rng.normal(0, 0.05, (20, 2)), axis=0) + rng.random(2)
        cv2.polylines(mask, [np.rint(points * (width, height)).astype(np.int32)], False, 255, max(1, side // 150))
    mask[field == 0] = 0
    image = np.array((170, 80, 40)) + texture - 60.0 * (mask > 0)[..., None]
    image[field == 0] = 0
    if height == width:
        mask[:] = 255
        for radius, shade in ((side // 8, 128), (side // 16, 0)):
            cv2.circle(mask, (middle[0] + 3 * number, middle[1]), radius, shade, -1)
    return image.clip(0, 255).astype(np.uint8), mask, field


def _weights(size: Size, value: int) -> dict[str, torch.Tensor]:
    return {"conv1.weight": torch.full((size.weights,), float(value))}


def _labeler(workspace: Workspace, odir: pd.DataFrame, size: Size) -> None:
    inputs = {name: fingerprint(workspace.manifest(name)) for name in WITH_LABELS}
    work = provenance("train-labeler", TrainLabelerSettings().defining(), inputs)
    validated = odir.loc[odir["split"] == "val", ["dataset", "image_id", "patient_id", "abnormal"]]
    validated = validated.rename(columns={"abnormal": "truth"}).astype({"truth": bool})
    truth, rng = validated["truth"].to_numpy(), chance.generator(0, "large labeler")
    score = (1 / (1 + np.exp(-rng.normal(0.8 * truth - 0.4, 1.0)))).astype(np.float32)
    area = auc(truth, score)
    measured = {"auc": area, "auc_low": area - 0.03, "auc_high": area + 0.03}
    about = {"architecture": "resnet34", "image_size": 448, "classes": ["normal", "abnormal"], **COLOURS}
    described = {**work, "labeler": about, "validation": {**measured, "best_auc": area, "best_epoch": 0}}
    write_parquet(
        workspace.labeler_scores, pa.Table.from_pandas(validated.assign(score=score), preserve_index=False), work
    )
    write_safetensors(workspace.labeler, _weights(size, 0), described)
    steps = {**falling_loss(size.labeler_steps, 0, 0.7), "cross_entropy": 0.6, "triplet": 0.3}
    epochs = {key: np.full(size.epochs, value) for key, value in measured.items()}
    write_log(workspace.labeler_run, steps, epochs)


def _swap(workspace: Workspace, table: pd.DataFrame) -> None:
    """Five patches a photograph; pictures and maps of six photographs without an image label and six abnormal ones."""
    kinds = dict.fromkeys(("dataset", "patient_id", "image_id", "eye", "path"), pd.ArrowDtype(pa.string()))
    known = table["abnormal"].astype("boolean")
    table = table.assign(image_abnormal=known.astype(pd.ArrowDtype(pa.bool_()))).astype(kinds)
    scores = chance.generator(0, "large swap").beta(2, 4, (len(table), 5)).astype(np.float32)
    rows = SWAP.table(patch_rows(table, scores, 0.4))
    inputs = {name: fingerprint(workspace.manifest(name)) for name in WITH_LABELS}
    settings = MakeSwapSettings(labelled=["odir"], unlabelled=["eyepacs"]).defining()
    work = provenance("make-swap", settings, {"labeler": fingerprint(workspace.labeler), **inputs}, judgement=None)
    write_parquet(workspace.swap, rows, work)
    shown = [*table["path"][known.isna()][:6], *table["path"][known.fillna(False)][:6]]
    height, width = int(table["height"][0]), int(table["width"][0])
    for turn, path in enumerate(shown):
        _link(workspace, [path], picture(turn, (height, width))[0])
    ramp = (torch.arange(height) * 255 // height).to(torch.uint8).repeat(height, 1)
    write_safetensors(workspace.maps, {path: ramp.clone() for path in shown}, work)


def _init(workspace: Workspace, name: str, size: Size) -> str | None:
    """The fingerprint that fine-tuning remembers: that of an encoder, or of weights from outside."""
    if name not in METHODS:
        return None if name == "random" else "0123456789abcdef"
    settings = PretrainSettings.model_validate({"method": name, **ROWS["pretrain"][name]}).defining()
    on_patches = "batch_patches" in METHODS[name].options
    inputs = {"swap": workspace.swap} if on_patches else {key: workspace.manifest(key) for key in WITH_LABELS}
    marks = {key: fingerprint(path) for key, path in inputs.items()}
    about = {"architecture": ARCHITECTURE, "image_size": 224, **COLOURS}
    work = provenance("pretrain", {**settings, "architecture": ARCHITECTURE}, marks, encoder=about)
    place = list(METHODS).index(name)
    write_safetensors(workspace.encoder(name), _weights(size, place), work)
    steps: Mapping[str, NDArray[np.float64] | float] = {
        **falling_loss(size.pretrain_steps, place, 6.5),
        "embedding_spread": 0.8,
        "alignment": 0.3,
        "uniformity": -2.0,
    }
    rising = np.linspace(0.5, 0.7, size.epochs)
    write_log(
        workspace.pretraining(name), steps, {"knn_auc": rising, "knn_low": rising - 0.03, "knn_high": rising + 0.03}
    )
    return fingerprint(workspace.encoder(name))
