"""A download's photographs and what became of them -> jobs, the rows of the manifest, and the list of problems."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd

from swcl_cli.data.preparation import Job, Outcome
from swcl_cli.data.splits import group_by_content, validation_groups
from swcl_cli.datasets.download import DROPPED, Download, Photograph, Problem
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import Workspace, write_text

COPIED = ("split", *(field.name for field in fields(Photograph) if field.name not in {"split", "path", "mask", "fov"}))


def job_of(settings: PrepSettings, source: Path, download: Download, photograph: Photograph) -> Job:
    """What this photograph and its masks are read from and written to."""
    workspace, dataset, name = Workspace(settings.workspace), settings.dataset, photograph.image_id
    suffix = ".jpg" if settings.size else ".png"
    inputs = {"photograph": source / photograph.path}
    outputs = {"photograph": workspace.images(dataset) / f"{name}{suffix}"}
    lesions = settings.lesion_masks and (settings.lesion_masks / photograph.path).with_suffix(".png")
    for kind, label, mask in (
        (download.mask_kind, "mask", photograph.mask and source / photograph.mask),
        ("fov", "fov", photograph.fov and source / photograph.fov),
        ("lesions", "lesions", lesions if lesions and lesions.is_file() else None),
    ):
        if mask:
            inputs[kind] = Path(mask)
            outputs[kind] = workspace.masks(dataset) / f"{name}_{label}.png"
    return Job(name, settings.size, inputs, outputs, download.square, settings.crop_to_field)


def sort_out(download: Download, outcomes: Mapping[str, Outcome]) -> tuple[list[Photograph], list[Problem]]:
    """The photographs that can be used, by image_id, and all problems, the download's too.

    Duplicates by pixels are used and listed, unless the download says to drop those whose labels disagree.
    """
    usable, problems = [], list(download.problems)
    first: dict[str, Photograph] = {}
    repeated: dict[str, list[Photograph]] = defaultdict(list)
    for photograph in sorted(download.photographs, key=lambda photograph: photograph.image_id):
        outcome = outcomes[photograph.image_id]
        if outcome.problem:
            problems.append(Problem(photograph.path, outcome.problem, outcome.detail))
        else:
            usable.append(photograph)
            if first.setdefault(outcome.pixels, photograph) is not photograph:
                repeated[outcome.pixels].append(photograph)
    dropped: set[str] = set()
    for pixels, others in repeated.items():
        twin = first[pixels]
        if download.drop_disagreeing and any(other.labels != twin.labels for other in others):
            for photograph, other in ((twin, others[0]), *((other, twin) for other in others)):
                download.found[photograph.split] -= 1
                dropped.add(photograph.image_id)
                problems.append(Problem(photograph.path, DROPPED, f"the pixels of {other.path}, but other grades"))
        else:
            problems += [Problem(other.path, "duplicate", _compare(other, twin)) for other in others]
    return [photograph for photograph in usable if photograph.image_id not in dropped], sorted(problems)


def _compare(photograph: Photograph, twin: Photograph) -> str:
    text = f"the same pixels as {twin.path}; both are used"
    if photograph.split != twin.split:
        text += f", one in {photograph.split}, one in {twin.split}"
    return text if photograph.labels == twin.labels else text + ", though their labels differ"


def frame_of(
    settings: PrepSettings,
    source: Path,
    download: Download,
    good: Sequence[Photograph],
    outcomes: Mapping[str, Outcome],
) -> pd.DataFrame:
    """The manifest's rows: one list a column, since a dict a row would take ten times the memory."""
    workspace = Workspace(settings.workspace)
    columns: dict[str, list[object]] = defaultdict(list)
    pixels = []
    for photograph in good:
        outcome = outcomes[photograph.image_id]
        outputs = job_of(settings, source, download, photograph).outputs
        paths = {kind: workspace.relative(path) for kind, path in outputs.items()}
        for name in COPIED:
            columns[name].append(getattr(photograph, name))
        columns["path"].append(paths["photograph"])
        columns["width"].append(outcome.width)
        columns["height"].append(outcome.height)
        columns["mask_path"].append(paths.get(download.mask_kind))
        columns["fov_path"].append(paths.get("fov"))
        columns["lesion_mask_path"].append(paths.get("lesions"))
        columns["source_path"].append(photograph.path)
        columns["source_hash"].append(outcome.hashes["photograph"])
        pixels.append(outcome.pixels)
    groups = group_by_content([photograph.patient_id for photograph in good], pixels)
    if download.draw_validation:
        columns["split"] = list(_with_validation(settings, good, groups))
    return pd.DataFrame({"dataset": settings.dataset, **columns, "group_id": groups})


def _with_validation(settings: PrepSettings, good: Sequence[Photograph], groups: Sequence[str]) -> Iterable[str]:
    train = [(group, photograph) for group, photograph in zip(groups, good, strict=True) if photograph.split == "train"]
    labels = [photograph.labels for _, photograph in train]
    chosen = validation_groups([group for group, _ in train], labels, settings.seed, settings.dataset)
    for group, photograph in zip(groups, good, strict=True):
        yield "val" if photograph.split == "train" and group in chosen else photograph.split


def split_fingerprint(frame: pd.DataFrame) -> str:
    """16 hexadecimal digits that two manifests share where the same images are in the same splits."""
    lines = sorted(f"{image_id},{split}\n" for image_id, split in zip(frame["image_id"], frame["split"], strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def write_quarantine(path: Path, problems: Sequence[Problem]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("source_path", "problem", "detail"))
    writer.writerows((problem.source_path, problem.problem, problem.detail) for problem in problems)
    write_text(path, text.getvalue())
