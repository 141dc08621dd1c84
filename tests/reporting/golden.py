"""A small workspace as the steps leave it, with numbers that can be averaged by hand."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from swcl_cli import chance
from swcl_cli.data import manifest
from swcl_cli.data.columns import AUDIT, JUDGED, PLACE, SWAP
from swcl_cli.swap.crops import five_crops
from swcl_cli.swap.lesion_masks import KINDS
from swcl_cli.swap.weak_labels import are_single, is_abnormal
from swcl_cli.workspace import Workspace, fingerprint, provenance, write_parquet, write_safetensors, write_text
from tests import prepared

SIDE, WIDTH = 64, 80
THRESHOLD = 0.4
IDRID_ACCURACY = {"random": (0.25, 0.5, 0.75), "swcl": (0.75, 0.75, 1.0), "imagenet": (1.0, 1.0, 1.0)}
TEST_PATIENTS = 4
LABELER_SCORES = np.array([0.9, 0.45, 0.6, 0.05], np.float32)  # an abnormal and a normal patient, both eyes


def build(root: Path) -> Workspace:
    """Few photographs, a labeler, patches, an encoder; three initialisations on idrid, two on drive."""
    workspace = Workspace(root)
    _photographs(workspace)
    labeler = _labeler(workspace)
    _swap(workspace, labeler)
    encoder = _encoder(workspace, "swcl", ["position", "abnormality", "patient"], None)
    for name, accuracies in IDRID_ACCURACY.items():
        _idrid(workspace, name, accuracies, {"swcl": encoder, "imagenet": "0123456789abcdef"}.get(name))
    _drive(workspace, "random", None)
    _drive(workspace, "swcl", encoder)
    return workspace


def eye(seed: int, height: int = SIDE, width: int = WIDTH) -> NDArray[np.uint8]:
    """A reddish disc on black with a bright spot left of the middle: enough to tell sides apart."""
    rng = chance.generator(seed, "golden eye")
    image = np.zeros((height, width, 3), np.uint8)
    cv2.circle(image, (width // 2, height // 2), int(0.48 * height), (160 + int(rng.integers(40)), 70, 30), -1)
    cv2.circle(image, (width // 3, height // 2), height // 12, (250, 220, 140), -1)
    return image


def _save(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def _rows(workspace: Workspace, dataset: str, splits: dict[str, int], **labels: Any) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for split, patients in splits.items():
        for patient in range(patients):
            for side in ("left", "right"):
                name = f"{split}{patient}_{side}"
                path = workspace.images(dataset) / f"{name}.png"
                _save(path, eye(len(rows)))
                row = {
                    "dataset": dataset, "split": split, "image_id": name, "patient_id": f"{split}{patient}",
                    "group_id": f"{split}{patient}", "eye": side, "path": workspace.relative(path), "width": WIDTH,
                    "height": SIDE, "checksum": zlib.crc32(path.read_bytes()), "source_path": f"{name}.png",
                    "source_hash": "0" * 64,
                }  # fmt: skip
                rows.append({**row, **{key: value(patient) for key, value in labels.items()}})
    return pd.DataFrame(rows)


def _photographs(workspace: Workspace) -> None:
    frames = {
        "odir": _rows(workspace, "odir", {"train": 3, "val": 2, "test": 1}, abnormal=lambda patient: patient % 2 == 0),
        "eyepacs": _rows(workspace, "eyepacs", {"train": 4}),
        "idrid": _rows(workspace, "idrid", {"train": 2, "val": 1, "test": 2}, dr_grade=lambda patient: patient),
        "drive": _rows(workspace, "drive", {"train": 1, "val": 1, "test": 1}),
    }
    for name, frame in frames.items():
        settings = {"dataset": name, "size": SIDE if name != "drive" else 0, "seed": 0}
        work = provenance("prep", settings, {"labels.csv": "f" * 16})
        manifest.write(workspace.manifest(name), prepared.manifest_rows(frame), work)
        write_text(workspace.quarantine(name), "source_path,problem,detail\n")
    write_text(
        workspace.quarantine("odir"),
        "source_path,problem,detail\n=cmd|x.jpg,truncated,the end is missing\ny.jpg,truncated,the end is missing\n",
    )


def _labeler(workspace: Workspace) -> str:
    inputs = {name: fingerprint(workspace.manifest(name)) for name in ("odir", "eyepacs")}
    settings = {"labelled": ["odir"], "unlabelled": ["eyepacs"], "architecture": "resnet18", "epochs": 2, "seed": 0}
    measured = {"auc": 0.7125, "auc_low": 0.61, "auc_high": 0.8, "best_auc": 0.7421, "best_epoch": 0}
    about = {"architecture": "resnet18", "image_size": SIDE, "mean": [0.3] * 3, "std": [0.3] * 3, "classes": 2}
    work = provenance("train-labeler", settings, inputs)
    described = {**work, "labeler": about, "validation": measured}
    write_safetensors(workspace.labeler, {"fc.weight": torch.zeros(2, 2)}, described)
    validated = manifest.read(workspace.manifest("odir")).query("split == 'val'")
    scores = validated[["dataset", "image_id", "patient_id"]].assign(truth=validated["abnormal"], score=LABELER_SCORES)
    write_parquet(workspace.labeler_scores, pa.Table.from_pandas(scores, preserve_index=False), work)
    records: list[dict[str, float]] = []
    for step in range(100):
        records.append(
            {"step": step, "loss": 2.0 / (1 + step / 20), "learning_rate": 0.1, "views_a_second": 9.0 + step}
        )
        if step % 50 == 49:
            records.append(
                {"step": step, "epoch": step // 50, "auc": 0.74 - 0.0003 * step, "auc_low": 0.6, "auc_high": 0.8}
            )
    write_log(workspace.labeler_run.folder, records)
    return fingerprint(workspace.labeler)


def write_log(folder: Path, records: list[dict[str, float]]) -> None:
    write_text(folder / "log.jsonl", "".join(f"{json.dumps(record)}\n" for record in records))


def _swap(workspace: Workspace, labeler: str) -> None:
    """Patch scores 0.1, 0.3, 0.4, 0.5, 0.6 in each photograph, hence 3 of 5 abnormal; 0 in normal ones."""
    rows, cams = [], {}
    left = round((WIDTH - SIDE) / 2)
    for dataset in ("odir", "eyepacs"):
        table = manifest.read(workspace.manifest(dataset))
        for record in table.to_dict("records"):
            mirrored = record["eye"] == "right"
            known = dataset == "odir"
            normal = known and not record["abnormal"]
            for place, (position, (x, y)) in enumerate(five_crops(SIDE, SIDE, SIDE // 2).items()):
                score = 0.0 if normal else (0.1, 0.3, 0.4, 0.5, 0.6)[place]
                rows.append(
                    {
                        "dataset": dataset, "patient_id": record["patient_id"], "image_id": record["image_id"],
                        "eye": record["eye"], "position": position, "path": record["path"],
                        "x": left + (SIDE - x - SIDE // 2 if mirrored else x), "y": y, "size": SIDE // 2,
                        "rotated": False, "mirrored": mirrored, "score": score,
                        "image_abnormal": record["abnormal"] if known else None, "checksum": record["checksum"],
                    }
                )  # fmt: skip
            if record["split"] == "train":
                ramp = np.tile(np.linspace(0, 255, SIDE).astype(np.uint8), (SIDE, 1))
                cams[record["path"]] = torch.from_numpy(ramp)
    frame = pd.DataFrame(rows)
    frame["abnormal"] = is_abnormal(frame["score"].to_numpy(np.float32), THRESHOLD)
    frame["single"] = are_single(frame)
    inputs = {"labeler": labeler} | {name: fingerprint(workspace.manifest(name)) for name in ("odir", "eyepacs")}
    judgement = {
        "auc": 0.81, "auc_interval": [0.75, 0.86], "within_abnormal": 0.66, "within_abnormal_interval": [0.58, 0.73],
        "in_place": 0.62, "in_place_interval": [0.54, 0.7],
        "by_kind": {"exudates": 0.9, "drusen": float("nan")}, "by_position": {"tl": 0.6, "c": 0.7},
        "threshold": 0.37, "f1": 0.5, "f1_chosen": 0.45,
    }  # fmt: skip
    table = SWAP.table(frame)
    settings = prepared.made_swap(threshold=THRESHOLD, background="released")["settings"]
    write_parquet(workspace.swap, table, provenance("make-swap", settings, inputs, judgement=judgement))
    write_safetensors(workspace.maps, cams, provenance("make-swap", {}, {}))


def add_judged(workspace: Workspace, dataset: str) -> pd.DataFrame:
    """Two photographs of a data set, with masks of twice their size: drusen in tl and c of the first, haemorrhages in c
    and br of the second. Scores fall from 0.9 to 0.0.
    """
    table = manifest.read(workspace.manifest(dataset)).iloc[:2]
    crops = five_crops(SIDE, SIDE, SIDE // 2)
    rows = []
    left = round((WIDTH - SIDE) / 2)
    for number, record in enumerate(table.to_dict("records")):
        kind, places, corner = (("drusen", ("tl", "c"), 28), ("haemorrhage", ("c", "br"), 44))[number]
        mask = np.zeros((2 * SIDE, 2 * WIDTH), np.uint8)
        x, y = 2 * (left + corner), 2 * corner
        mask[y : y + 6, x : x + 6] = 1 + KINDS.index(kind)
        path = workspace.masks(dataset) / f"{record['image_id']}_lesions.png"
        _save(path, mask)
        for place, (position, (across, down)) in enumerate(crops.items()):
            rows.append(
                {
                    **{name: record[name] for name in JUDGED.names if name in record},
                    "position": position, "x": left + across, "y": down, "size": SIDE // 2,
                    "rotated": False, "mirrored": False,
                    "score": (9 - 5 * number - place) / 10, "lesions": [kind] if position in places else [],
                    "lesion_share": 9 / 1024 if position in places else 0.0,
                    "mask_path": workspace.relative(path),
                }
            )  # fmt: skip
    judgement = {
        "auc": 0.75, "auc_interval": [0.7, 0.8],
        "by_kind": {"drusen": 0.65}, "by_kind_interval": {"drusen": [0.5, 0.78]},
        "more_in_photograph": 0.58, "more_in_photograph_interval": [0.5, 0.66], "more_in_place": 0.52,
        "more_in_place_interval": [0.4, 0.63],
        "kind_in_place": {"drusen": 0.61}, "kind_in_place_interval": {"drusen": [0.45, 0.7]},
        "by_position": {"tl": 0.55}, "by_position_interval": {"tl": [float("nan")] * 2},
        "threshold": 0.5, "f1": 0.6, "f1_chosen": 0.2,
        "photographs": 2, "patches": 10, "with_lesions": 4, "left_out": {"of its test split": 3}, "seen": [],
    }  # fmt: skip
    frame = pd.DataFrame(rows)
    inputs = {"labeler": fingerprint(workspace.labeler), dataset: fingerprint(workspace.manifest(dataset))}
    settings = prepared.made_swap(threshold=0.3, background="released")["settings"]
    made = provenance("make-swap", settings, inputs, judgement=judgement, lesion_values=list(range(1, 256)))
    write_parquet(workspace.judged(dataset), JUDGED.table(frame), made)
    return frame


def _encoder(workspace: Workspace, name: str, labels: list[str], threshold: float | None) -> str:
    settings = {"method": "swcl", "architecture": "resnet18", "labels": labels, "threshold": threshold, "epochs": 3}
    about = {"architecture": "resnet18", "image_size": SIDE // 2, "mean": [0.3] * 3, "std": [0.3] * 3}
    work = provenance("pretrain", settings, {"swap": fingerprint(workspace.swap)}, encoder=about)
    write_safetensors(workspace.encoder(name), {"conv1.weight": torch.full((1,), float(len(labels)))}, work)
    write_log(workspace.pretraining(name).folder, [{"step": step, "loss": 4 - step / 50} for step in range(100)])
    return fingerprint(workspace.encoder(name))


def add_ablation(workspace: Workspace) -> None:
    """A second SWCL encoder, without the patient label, fine-tuned on idrid."""
    encoder = _encoder(workspace, "swcl-without", ["position", "abnormality"], 0.5)
    _idrid(workspace, "swcl-without", (0.5, 0.5, 0.5), encoder)


def add_initialisation(workspace: Workspace, name: str) -> None:
    """One more row of the tables, of this name."""
    _idrid(workspace, name, (0.5, 0.5, 0.5), None)


def add_probes(workspace: Workspace) -> None:
    """The rows `random` and `swcl` of idrid once more, as linear probes: both worse, and swcl the worse of them."""
    _idrid(workspace, "random-probe", (0.5, 0.5, 0.5), None, probe=True)
    _idrid(workspace, "swcl-probe", (0.25, 0.25, 0.25), fingerprint(workspace.encoder("swcl")), probe=True)


def _idrid(workspace: Workspace, name: str, accuracies: tuple[float, ...], init: str | None, **settings: Any) -> None:
    """Of four test photographs, the first so many are right in both heads that the accuracy comes out."""
    results, predictions = [], []
    for seed, accuracy in enumerate(accuracies):
        run = f"seed{seed}"
        results += [
            result(
                "idrid",
                name,
                seed,
                "test",
                "joint_accuracy",
                accuracy,
                True,
                (max(accuracy - 0.2, 0), min(accuracy + 0.2, 1)),
            ),
            result("idrid", name, seed, "val", "joint_accuracy", accuracy - 0.125, True),
            result("idrid", name, seed, "test", "accuracy_dr", 0.5, False),
        ]
        for photograph in range(TEST_PATIENTS):
            right = photograph < round(accuracy * TEST_PATIENTS)
            for head, classes in (("dr_grade", 5), ("dme_grade", 3)):
                truth = photograph % classes
                predictions.append(
                    {
                        "task": "idrid", "name": name, "run": run, "split": "test", "image_id": f"test{photograph}",
                        "patient_id": f"test{photograph}", "head": head, "truth": truth,
                        "path": f"data/idrid/images/test{photograph // 2}_{('left', 'right')[photograph % 2]}.png",
                        "prediction": truth if right or head == "dme_grade" else (truth + 1) % classes,
                        "probabilities": [1.0] + [0.0] * (classes - 1),
                    }
                )  # fmt: skip
        records = [{"step": step, "loss": 1.5 - step / 100} for step in range(60)]
        records += [
            {"step": 20 * epoch + 19, "epoch": epoch, "validation": accuracy * (epoch + 1) / 3} for epoch in range(3)
        ]
        write_log(workspace.finetuning("idrid", name, run).folder, records)
    settings |= {
        "task": "idrid",
        "architecture": "resnet18",
        "learning_rate": 0.03,
        "seed": 0,
        "seeds": len(accuracies),
    }
    _write_finetuned(workspace, "idrid", name, settings, init, results, predictions)


def _drive(workspace: Workspace, name: str, init: str | None) -> None:
    """One run: the photographs of F1 0.5 and 1, hence 0.75."""
    seed, run = 0, "seed0"
    truth = np.zeros((SIDE, WIDTH), np.uint8)
    truth[10:20, 5:70] = 255
    half = truth.copy()
    half[15:20] = 0
    half[25:30, 5:70] = 255
    predictions = []
    for place, (predicted, f1) in enumerate(((half, 0.5), (truth, 1.0))):
        image_id = ("test0_left", "test0_right")[place]
        mask, drawn = (
            workspace.masks("drive") / f"{image_id}_mask.png",
            workspace.finetune("drive", name) / run / "maps",
        )
        _save(mask, truth)
        _save(drawn / f"{image_id}.png", predicted)
        predictions.append(
            {
                "task": "drive", "name": name, "run": run, "split": "test", "image_id": image_id,
                "patient_id": image_id,
                "path": workspace.relative(workspace.images("drive") / f"{image_id}.png"),
                "mask_path": workspace.relative(mask), "fov_path": None,
                "structure": "vessel", "shades": [255],
                "map_path": workspace.relative(drawn / f"{image_id}.png"), "f1": f1,
                "true_positives": 325, "false_positives": 325, "false_negatives": 325,
            }
        )  # fmt: skip
    results = [result("drive", name, seed, "test", "f1", 0.75, True, (0.5, 1.0))]
    write_log(workspace.finetuning("drive", name, run).folder, [{"step": step, "loss": 0.7} for step in range(10)])
    settings = {
        "task": "drive", "architecture": "resnet18", "crop": 384, "batch": 8, "epochs": 300, "seed": 0, "seeds": 1,
    }  # fmt: skip
    _write_finetuned(workspace, "drive", name, settings, init, results, predictions)


def result(
    task: str, name: str, seed: int, split: str, measure: str, value: float, primary: bool,
    interval: tuple[float, float] | tuple[None, None] = (None, None),
) -> dict[str, Any]:  # fmt: skip
    return {
        "task": task, "name": name, "run": f"seed{seed}", "seed": seed, "fold": None, "split": split,
        "measure": measure, "value": value, "primary": primary, "low": interval[0], "high": interval[1],
    }  # fmt: skip


def _write_finetuned(
    workspace: Workspace, task: str, name: str, settings: dict[str, Any], init: str | None,
    results: list[dict[str, Any]], predictions: list[dict[str, Any]],
) -> None:  # fmt: skip
    inputs = {task: fingerprint(workspace.manifest(task))} | ({"init": init} if init else {})
    work = provenance("finetune", settings, inputs)
    folder = workspace.finetune(task, name)
    write_parquet(folder / "results.parquet", pa.Table.from_pylist(results), work)
    write_parquet(folder / "predictions.parquet", pa.Table.from_pylist(predictions), work)


def add_audit(workspace: Workspace, pairs: list[dict[str, Any]]) -> pd.DataFrame:
    """Write audit.parquet with these pairs: `one` and `other` as (data set, number of row), and what is not usual."""
    names = workspace.prepared()
    tables = {name: manifest.read(workspace.manifest(name), PLACE.names).to_dict("records") for name in names}
    usual = {
        "kind": "copy", "sure": "certain", "change": "mirrored", "unlike": None, "leak": None, "family": None,
        "vessels": 0.98, "levels": 0.99, "residual": 0.1, "apart": 0.01, "degrees": 0.0, "gain": 1.0,
    }  # fmt: skip
    rows = []
    for pair in pairs:
        one, other = (tables[dataset][row] for dataset, row in (pair["one"], pair["other"]))
        told = {name: value for name, value in pair.items() if name not in ("one", "other")}
        rows.append({**usual, **one, **{f"other_{name}": value for name, value in other.items()}, **told})
    frame = pd.DataFrame(rows, columns=AUDIT.names).astype({"family": "Int32"})
    inputs = {name: fingerprint(workspace.manifest(name)) for name in names}
    made = provenance("audit", {}, inputs, photographs=sum(map(len, tables.values())), counts={})
    write_parquet(workspace.audit, AUDIT.table(frame), made)
    return frame
