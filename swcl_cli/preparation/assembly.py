"""Turn a download's photographs into jobs, and their outcomes into the manifest's rows and the list of problems."""

from __future__ import annotations

import csv
import hashlib
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from swcl_cli.catalogue.labels import CLASS_LABELS
from swcl_cli.catalogue.tasks import OWN
from swcl_cli.data import manifest
from swcl_cli.data.splits import binned, divided, joined, stratifying, validation_groups
from swcl_cli.datasets.download import DROPPED, Download, Photograph, Problem, Value
from swcl_cli.errors import SwclError
from swcl_cli.preparation.copies import Twins, dropped
from swcl_cli.preparation.decoding import SCALED
from swcl_cli.preparation.jobs import Job, Outcome
from swcl_cli.preparation.structures import LAYER, STRUCTURES
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import Workspace, atomic

LOW_QUALITY = "low quality"  # the problem of a photograph that is set aside for it
COPIED = ("split", "image_id", "patient_id", "eye")


def lesion_mask_of(photograph: Photograph) -> str:
    """Return the path of a photograph's lesion mask in the folder of all of them."""
    return Path(photograph.path).with_suffix(".png").as_posix()


def job_of(settings: PrepSettings, source: Path, download: Download, photograph: Photograph) -> Job:
    """Return the job that prepares this photograph and its masks: the files to read and to write."""
    workspace, dataset, name = Workspace(settings.workspace), settings.prepared, photograph.image_id
    suffix = ".jpg" if settings.size else ".png"
    inputs = {"photograph": source / photograph.path}
    outputs = {"photograph": workspace.images(dataset) / f"{name}{suffix}"}
    lesions = settings.lesion_masks and settings.lesion_masks / lesion_mask_of(photograph)
    for kind, label, mask in (
        (download.mask_kind, "mask", photograph.mask and source / photograph.mask),
        ("fov", "fov", photograph.fov and source / photograph.fov),
        ("lesions", "lesions", lesions if lesions and lesions.is_file() else None),
    ):
        if mask:
            inputs[kind] = mask
            outputs[kind] = workspace.masks(dataset) / f"{name}_{label}.png"
    structures = download.structures if photograph.mask or photograph.layers else None
    if structures and photograph.layers:
        layers = zip(structures.names, photograph.layers, strict=True)
        inputs |= {f"{LAYER}{layer}": source / path for layer, path in layers if path}
        outputs[STRUCTURES] = workspace.masks(dataset) / f"{name}_mask.png"
    crop, nearest = settings.crop_to_field, download.nearest
    return Job(name, settings.size, inputs, outputs, download.square, crop, structures, nearest)


@dataclass(frozen=True)
class Sorted:
    """Hold the usable photographs of a download, all problems, and the groups of patients.

    good: the photographs that can be used, in the manifest's order; problems: all of them, the download's too; groups:
    the group of each patient who shares a photograph with another; apart: copies, and photographs of low quality, which
    are not used, though they are prepared.
    """

    good: list[Photograph]
    problems: list[Problem]
    groups: dict[str, str]
    apart: list[Photograph]

    def group(self, photograph: Photograph) -> str:
        """Return the group of the photograph's patient, which no split may divide."""
        return self.groups.get(photograph.patient_id, photograph.patient_id)


def sort_out(
    settings: PrepSettings,
    source: Path,
    download: Download,
    outcomes: Mapping[str, Outcome],
    twins: Sequence[Twins] = (),
    poor: Mapping[str, str] = MappingProxyType({}),
) -> Sorted:
    """Divide a download's photographs into usable ones and problems, and draw the validation split.

    Photographs with equal pixels are used and listed, unless the download says to drop those whose labels disagree, or
    --drop-copies to keep one of them. twins: pairs of copies, of which one is kept. poor: by id, why a photograph's
    quality is too low. Where no validation split is published, a fifth of the groups of `train` becomes it.
    """
    usable, apart, problems = [], [], list(download.problems)
    beginnings = array("Q")  # the first 8 bytes of the hash of each photograph's pixels
    for photograph in sorted(download.photographs, key=lambda photograph: photograph.image_id):
        outcome = outcomes[photograph.image_id]
        if outcome.problem:
            problems.append(Problem(photograph.path, outcome.problem, outcome.detail))
        else:
            if outcome.detail:
                problems.append(Problem(photograph.path, SCALED, outcome.detail))
            problems += [Problem(photograph.path, name, detail) for name, detail in outcome.notes.items()]
            if photograph.image_id in poor:
                problems.append(Problem(photograph.path, LOW_QUALITY, poor[photograph.image_id]))
                apart.append(photograph)
                continue
            usable.append(photograph)
            beginnings.append(int(outcome.pixels[:16], 16))
    disagreeing: set[str] = set()
    sharing, equal = [], []
    for first, *others in _alike(usable, beginnings, outcomes):
        if download.drop_disagreeing and any(other.classes != first.classes for other in others):
            for photograph, other in ((first, others[0]), *((other, first) for other in others)):
                download.labelled[photograph.split] -= 1
                disagreeing.add(photograph.image_id)
                problems.append(Problem(photograph.path, DROPPED, f"the pixels of {other.path}, but other grades"))
        elif settings.drop_copies:
            equal += [Twins(first.image_id, other.image_id, "equal") for other in others]
        else:
            sharing.append([photograph.patient_id for photograph in (first, *others)])
            problems += [Problem(other.path, "duplicate", _compare(other, first)) for other in others]
    usable = [photograph for photograph in usable if photograph.image_id not in disagreeing]
    copies = dropped(usable, [*equal, *twins], source)
    problems = sorted([*problems, *copies.values()])
    good = [photograph for photograph in usable if photograph.image_id not in copies]
    apart += [photograph for photograph in usable if photograph.image_id in copies]
    result = Sorted(good, problems, joined(sharing), apart)
    if download.draw_validation:
        _draw_validation(settings, result)
    result.good.sort(key=lambda photograph: manifest.order(photograph.split, photograph.image_id))
    return result


def check_leaks(settings: PrepSettings, download: Download, result: Sorted) -> str:
    """Say in a sentence which patients, or groups of equal photographs, lie in several splits; '' where none does.

    Raises SwclError where the splits are people's own, and they have not allowed it.
    """
    groups = [result.group(photograph) for photograph in result.good]
    leaking = divided(groups, [photograph.split for photograph in result.good])
    if not leaking:
        return ""
    first = min(leaking)
    members = [photograph for photograph, group in zip(result.good, groups, strict=True) if group == first]
    apart = {photograph.split: photograph for photograph in members}
    told = (
        f"{len(leaking):,} {'patients or groups' if len(leaking) > 1 else 'patient or group'} of equal photographs in "
        f"several splits, such as {' and '.join(f'{one.path} ({split})' for split, one in apart.items())}: "
        "what is tested was learnt."
    )
    if download.own_splits and not settings.allow_leaks:
        raise SwclError(f"{settings.prepared} has {told} Put each into one split, or take --allow-leaks.")
    return told


def _alike(
    usable: Sequence[Photograph], beginnings: array[int], outcomes: Mapping[str, Outcome]
) -> list[list[Photograph]]:
    """Group the photographs that have equal pixels. Only those of equal `beginnings` are compared, to save memory."""
    values, counts = np.unique(beginnings, return_counts=True)
    by_pixels: dict[str, list[Photograph]] = defaultdict(list)
    for place in np.flatnonzero(np.isin(beginnings, values[counts > 1])).tolist():
        by_pixels[outcomes[usable[place].image_id].pixels].append(usable[place])
    return [photographs for photographs in by_pixels.values() if len(photographs) > 1]


def _compare(photograph: Photograph, twin: Photograph) -> str:
    text = f"the same pixels as {twin.path}; both are used"
    if photograph.split != twin.split:
        text += f", one in {photograph.split}, one in {twin.split}"
    return text if photograph.classes == twin.classes else text + ", though their labels differ"


def _draw_validation(settings: PrepSettings, result: Sorted) -> None:
    good = result.good
    train = [place for place, photograph in enumerate(good) if photograph.split == "train"]
    groups = (result.group(good[place]) for place in train)
    known = None if settings.dataset == OWN else len(CLASS_LABELS)  # of public sets the labels of all versions
    classes = _with_bins([good[place].classes[:known] for place in train])
    labels = stratifying(classes, len(CLASS_LABELS))
    chosen = validation_groups(groups, labels, settings.seed, settings.dataset)
    for place in train:
        if result.group(good[place]) in chosen:
            good[place] = replace(good[place], split="val")


def _with_bins(rows: Sequence[tuple[Value, ...]]) -> list[tuple[Value, ...]]:
    """Put numbers of people's own, which alone are floating-point ones, into parts of about equal size."""
    columns = (
        binned(column) if any(isinstance(value, float) for value in column) else column
        for column in zip(*rows, strict=True)
    )
    return list(zip(*columns, strict=True)) if rows and rows[0] else list(rows)


def rows_of(
    settings: PrepSettings, source: Path, download: Download, result: Sorted, outcomes: Mapping[str, Outcome]
) -> Iterator[dict[str, Any]]:
    """Yield the manifest's rows, in its order."""
    workspace = Workspace(settings.workspace)
    for photograph in result.good:
        outcome = outcomes[photograph.image_id]
        outputs = job_of(settings, source, download, photograph).outputs
        paths = {kind: workspace.relative(path) for kind, path in outputs.items()}
        yield {
            "dataset": settings.prepared,
            **{name: getattr(photograph, name) for name in COPIED},
            **photograph.labels,
            "group_id": result.group(photograph),
            "path": paths["photograph"],
            "width": outcome.width,
            "height": outcome.height,
            "checksum": outcome.checksum,
            "mask_path": paths.get(download.mask_kind),
            "fov_path": paths.get("fov"),
            "lesion_mask_path": paths.get("lesions"),
            "source_path": photograph.path,
            "source_hash": outcome.hashes["photograph"],
        }


def split_fingerprint(photographs: Sequence[Photograph]) -> str:
    """Return 16 hexadecimal digits, equal for two manifests that have the same images in the same splits."""
    digest = hashlib.sha256()
    for line in sorted(f"{photograph.image_id},{photograph.split}\n" for photograph in photographs):
        digest.update(line.encode())
    return digest.hexdigest()[:16]


def mask_fingerprint(settings: PrepSettings, download: Download, outcomes: Mapping[str, Outcome]) -> str:
    """Return 16 hexadecimal digits, equal where the same files of masks were prepared alike; '' where there are none.

    A manifest holds it, so that what was made of other masks under the same names is not taken for finished.
    """
    digest, masks = hashlib.sha256(f"{download.nearest}\n".encode()), 0
    masked = [
        photograph
        for photograph in download.photographs
        if settings.lesion_masks or photograph.mask or photograph.fov or photograph.layers
    ]
    for photograph in sorted(masked, key=lambda photograph: photograph.image_id):
        outcome = outcomes.get(photograph.image_id)
        for kind, of_file in sorted(outcome.hashes.items()) if outcome else ():
            if kind != "photograph":
                digest.update(f"{photograph.image_id},{kind},{of_file}\n".encode())
                masks += 1
    return digest.hexdigest()[:16] if masks else ""


def write_quarantine(path: Path, problems: Sequence[Problem]) -> None:
    """Write the list of problems, quarantine.csv."""
    with atomic(path) as partial, open(partial, "w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("source_path", "problem", "detail"))
        writer.writerows((problem.source_path, problem.problem, problem.detail) for problem in problems)
