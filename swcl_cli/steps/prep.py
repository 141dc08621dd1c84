"""`prep`: a raw download -> prepared images, masks, `manifest.parquet` and `quarantine.csv`."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from swcl_cli import __version__, console
from swcl_cli.data import journal, manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.images import colour_statistics
from swcl_cli.data.preparation import Job, Outcome, prepare_all
from swcl_cli.data.splits import group_by_content, validation_groups
from swcl_cli.datasets import DATASETS
from swcl_cli.datasets.download import Download, Photograph, Problem
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.phantom.drive import lay_out_drive
from swcl_cli.phantom.eyepacs import lay_out_eyepacs
from swcl_cli.phantom.idrid import lay_out_idrid
from swcl_cli.phantom.odir import lay_out_odir
from swcl_cli.phantom.studio import LESION_MASKS
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import Workspace, fingerprint, provenance, write_text

DRAWING = "drawing.json"  # written last: the drawing is complete
DRAWING_BEGUN = ".begun.json"
MASK_FIELDS = {"mask": "mask_path", "fov": "fov_path", "lesions": "lesion_mask_path"}


def run(settings: PrepSettings) -> Path:
    """Prepares one data set, returns its manifest's path. For phantom eyes draws and prepares four, returns `data`.

    Unchanged images are not prepared again, and removed ones leave the manifest and the disk. Bad images are set
    aside; raises SwclError where labels are bad, or no image is left.
    """
    if settings.dataset == "phantom":
        return _phantom(settings)
    path, download = _run(settings)
    _compare_with_published(settings.dataset, download)
    return path


def _run(settings: PrepSettings) -> tuple[Path, Download]:
    if settings.source is None:
        raise UsageError(f"Name the folder of the download: swcl prep {settings.dataset} SOURCE")
    workspace = Workspace(settings.workspace)
    folder = workspace.data(settings.dataset)
    if settings.source.resolve().is_relative_to(folder.resolve()):
        raise SwclError(f"SOURCE {settings.source} lies in {folder}, where prepared images go: move it elsewhere.")
    download = DATASETS[settings.dataset](settings.source)
    if settings.size and any(photograph.mask for photograph in download.photographs):
        raise UsageError(f"{settings.dataset} has pixel masks, which keep their own size: prepare it with --size 0.")
    if not download.photographs:
        raise SwclError(f"{settings.source} holds no photograph that a label names; {_found(download)}.")
    with journal.locked(folder):
        return _prepare(settings, workspace, download), download


def _prepare(settings: PrepSettings, workspace: Workspace, download: Download) -> Path:
    dataset = settings.dataset
    folder, path = workspace.data(dataset), workspace.manifest(dataset)
    jobs = [_job(settings, workspace, photograph) for photograph in download.photographs]
    before = fingerprint(path) if path.exists() else None

    earlier = journal.read(folder)
    outcomes = {job.image_id: earlier[job.image_id] for job in jobs if _is_current(earlier, job)}
    work = [(job, earlier.get(job.image_id)) for job in jobs if job.image_id not in outcomes]
    orphans = _orphans(workspace, dataset, jobs)
    if work or orphans:
        path.unlink(missing_ok=True)  # from here on it would tell of images that are changing
    if work:
        console.say(f"{dataset}: {len(work):,} photographs to prepare, {len(outcomes):,} unchanged.")
        with console.progress(f"preparing {dataset}", len(work)) as bar, journal.appending(folder) as lines:
            for outcome in prepare_all(work, settings.workers):
                journal.append(lines, outcome)
                outcomes[outcome.image_id] = outcome
                bar.advance()

    good, problems = _sort_out(download, outcomes)
    _write_quarantine(workspace.quarantine(dataset), problems)
    if not good:
        raise SwclError(f"None of {len(jobs):,} photographs can be used: see {workspace.quarantine(dataset)}.")
    for orphan in _orphans(workspace, dataset, [job for job in jobs if not outcomes[job.image_id].problem]):
        orphan.unlink()
    frame = _frame(settings, workspace, download, good, {job.image_id: job for job in jobs})
    counts = Counter(frame["split"]) + Counter(problem.problem for problem in problems)
    colour = _colour([outcome for _, outcome in good])
    inputs = {name: fingerprint(download.source / name) for name in download.label_files}
    manifest.write(path, frame, provenance("prep", settings.defining(), inputs, colour=colour, counts=counts))
    if work or len(earlier) != len(jobs):
        journal.rewrite(folder, [outcomes[job.image_id] for job in jobs])
    _summary(dataset, counts, colour, unchanged=fingerprint(path) == before)
    return path


def _job(settings: PrepSettings, workspace: Workspace, photograph: Photograph) -> Job:
    assert settings.source is not None
    source, dataset, name = settings.source, settings.dataset, photograph.image_id
    inputs = {"photograph": source / photograph.path}
    outputs = {"photograph": workspace.images(dataset) / f"{name}{'.jpg' if settings.size else '.png'}"}
    lesions = settings.lesion_masks and (settings.lesion_masks / photograph.path).with_suffix(".png")
    for kind, mask in (
        ("mask", photograph.mask and source / photograph.mask),
        ("fov", photograph.fov and source / photograph.fov),
        ("lesions", lesions if lesions and lesions.is_file() else None),
    ):
        if mask:
            inputs[kind] = Path(mask)
            outputs[kind] = workspace.masks(dataset) / f"{name}_{kind}.png"
    return Job(name, settings.size, inputs, outputs)


def _is_current(earlier: dict[str, Outcome], job: Job) -> bool:
    return job.image_id in earlier and earlier[job.image_id].is_current(job)


def _orphans(workspace: Workspace, dataset: str, jobs: Sequence[Job]) -> list[Path]:
    """Files among the prepared ones that no job makes: of removed photographs, or left by an interruption."""
    expected = {output for job in jobs for output in job.outputs.values()}
    there = (path for folder in (workspace.images(dataset), workspace.masks(dataset)) for path in folder.glob("*"))
    return sorted(path for path in there if path not in expected and not path.is_dir())


def _sort_out(
    download: Download, outcomes: dict[str, Outcome]
) -> tuple[list[tuple[Photograph, Outcome]], list[Problem]]:
    """The photographs that can be used, with their outcomes, and all problems. Duplicates are used, and listed."""
    good, problems = [], list(download.problems)
    first: dict[str, Photograph] = {}
    for photograph in sorted(download.photographs, key=lambda photograph: photograph.image_id):
        outcome = outcomes[photograph.image_id]
        if outcome.problem:
            problems.append(Problem(photograph.path, outcome.problem, outcome.detail))
            continue
        good.append((photograph, outcome))
        twin = first.setdefault(outcome.hashes["photograph"], photograph)
        if twin is not photograph:
            problems.append(Problem(photograph.path, "duplicate", _compare(photograph, twin)))
    return good, sorted(problems)


def _labels(photograph: Photograph) -> tuple[bool | int | None, ...]:
    return photograph.abnormal, photograph.dr_grade, photograph.dme_grade, photograph.glaucoma


def _compare(photograph: Photograph, twin: Photograph) -> str:
    text = f"the same bytes as {twin.path}; both are used"
    if photograph.split != twin.split:
        text += f", one in {photograph.split}, one in {twin.split}"
    return text if _labels(photograph) == _labels(twin) else text + ", though their labels differ"


def _frame(
    settings: PrepSettings,
    workspace: Workspace,
    download: Download,
    good: Sequence[tuple[Photograph, Outcome]],
    jobs: dict[str, Job],
) -> pd.DataFrame:
    groups = group_by_content(
        [photograph.patient_id for photograph, _ in good], [outcome.hashes["photograph"] for _, outcome in good]
    )
    rows: list[dict[str, Any]] = []
    for (photograph, outcome), group in zip(good, groups, strict=True):
        row = asdict(photograph)
        row["source_path"] = row.pop("path")
        del row["mask"], row["fov"]
        outputs = {kind: workspace.relative(path) for kind, path in jobs[photograph.image_id].outputs.items()}
        rows.append(
            {
                **row,
                "dataset": settings.dataset,
                "group_id": group,
                "path": outputs["photograph"],
                "width": outcome.width,
                "height": outcome.height,
                "source_hash": outcome.hashes["photograph"],
                **{column: outputs.get(kind) for kind, column in MASK_FIELDS.items()},
            }
        )
    if download.draw_validation:
        train = [row for row in rows if row["split"] == "train"]
        labels = [_labels(photograph) for photograph, _ in good if photograph.split == "train"]
        chosen = validation_groups([row["group_id"] for row in train], labels, settings.seed, settings.dataset)
        for row in train:
            row["split"] = "val" if row["group_id"] in chosen else "train"
    return pd.DataFrame(rows)


def _colour(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    totals = [sum(column) for column in zip(*(outcome.sums for outcome in outcomes), strict=True)]
    return {**colour_statistics(totals), "constant_mean": MEAN, "constant_std": STD}


def _write_quarantine(path: Path, problems: Sequence[Problem]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("source_path", "problem", "detail"))
    writer.writerows((problem.source_path, problem.problem, problem.detail) for problem in problems)
    write_text(path, text.getvalue())


def _summary(dataset: str, counts: Counter[str], colour: dict[str, Any], unchanged: bool) -> None:
    if unchanged:
        console.say(f"{dataset}: everything was prepared already; nothing has changed.")
    rows = [(split, f"{counts[split]:,}") for split in manifest.SPLITS if counts[split]]
    rows += [(problem, f"{count:,}") for problem, count in sorted(counts.items()) if problem not in manifest.SPLITS]
    console.table(f"{dataset}: images by split, and what quarantine.csv lists", ("", "count"), rows)
    for name, mean, std in (
        ("measured", colour["mean"], colour["std"]),
        ("measured in the field of view", colour["fov_mean"], colour["fov_std"]),
        ("constant, used to normalise", MEAN, STD),
    ):
        console.say(f"colour {name}: mean {_triple(mean)}, std {_triple(std)}")


def _compare_with_published(dataset: str, download: Download) -> None:
    differing = [
        f"{download.found[split]:,} of {published:,} in {split}"
        for split, published in download.published.items()
        if download.found[split] != published
    ]
    if differing:
        console.warn(f"{dataset}: not the published number of labelled images is here: {', '.join(differing)}.")


def _found(download: Download) -> str:
    """What does not fit together, in numbers: '3 label without image, 2 image without label'."""
    counts = Counter(problem.problem for problem in download.problems)
    return ", ".join(f"{count:,} {problem}" for problem, count in sorted(counts.items())) or "it has no label either"


def _triple(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)


def _phantom(settings: PrepSettings) -> Path:
    """Draws phantom downloads into SOURCE, then prepares each through the code that real downloads go through."""
    workspace = Workspace(settings.workspace)
    folder = settings.source or workspace.phantom
    with journal.locked(folder):
        _draw(settings, folder)
    sizes = {"odir": settings.size, "eyepacs": settings.size, "idrid": round(settings.size * 350 / 448), "drive": 0}
    for dataset, size in sizes.items():
        values: dict[str, Any] = {
            "workspace": settings.workspace,
            "dataset": dataset,
            "source": folder / dataset,
            "size": size,
            "lesion_masks": None if dataset == "drive" else folder / LESION_MASKS,
            "seed": settings.seed,
            "workers": settings.workers,
        }
        _run(PrepSettings(**values))
    return workspace.root / "data"


def _draw(settings: PrepSettings, folder: Path) -> None:
    """Draws, unless this very drawing is there. Raises SwclError where the folder holds anything else."""
    defining = settings.model_dump(include={"seed", "patients", "drawn_size"})
    text = json.dumps({**defining, "swcl": __version__}, sort_keys=True)
    done, begun = folder / DRAWING, folder / DRAWING_BEGUN
    if done.exists() and done.read_text(encoding="utf-8") == text:
        return
    if any(not path.name.startswith(".") for path in folder.iterdir()) and not (
        begun.exists() and begun.read_text(encoding="utf-8") == text and not done.exists()
    ):
        raise SwclError(f"{folder} holds something else than this drawing ({text}): remove it, or name another SOURCE.")
    write_text(begun, text)
    seed, size, patients, workers = settings.seed, settings.drawn_size, settings.patients, settings.workers
    a_part = max(5, patients // 6)
    drawings: list[tuple[str, int, Iterator[int]]] = [
        ("odir", patients, lay_out_odir(folder / "odir", folder, seed, patients, size, workers)),
        ("eyepacs", 2 * patients, lay_out_eyepacs(folder / "eyepacs", folder, seed, 2 * patients, size, workers)),
        (
            "idrid",
            patients + patients // 4,
            lay_out_idrid(folder / "idrid", folder, seed, patients, patients // 4, size, workers),
        ),
        ("drive", 2 * a_part, lay_out_drive(folder / "drive", seed, a_part, a_part, workers)),
    ]
    for name, total, drawing in drawings:
        with console.progress(f"drawing {name} eyes", total) as bar:
            for _ in drawing:
                bar.advance()
    write_text(done, text)
