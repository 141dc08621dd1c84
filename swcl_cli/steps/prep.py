"""`prep`: a raw download -> prepared images, masks, `manifest.parquet` and `quarantine.csv`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

from swcl_cli import console
from swcl_cli.data import journal, manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.images import colour_statistics
from swcl_cli.data.preparation import Job, prepare_all
from swcl_cli.datasets import DATASETS, listing
from swcl_cli.datasets.assembly import frame_of, job_of, sort_out, split_fingerprint, write_quarantine
from swcl_cli.datasets.download import Download
from swcl_cli.datasets.split_file import impose
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.phantom.drawing import draw, source_of
from swcl_cli.settings import DATASET_OPTIONS, DATASET_ROWS, PrepSettings
from swcl_cli.workspace import Workspace, fingerprint, provenance


def run(settings: PrepSettings) -> Path:
    """Prepares one data set, returns its manifest's path. For phantom eyes draws and prepares several, and `list`
    shows what there is; both return `data`.

    Unchanged images are not prepared again, and removed ones leave the manifest and the disk. Bad images are set
    aside; raises SwclError where labels are bad, or no image is left.
    """
    if settings.dataset == "list":
        return _list(Workspace(settings.workspace))
    if settings.dataset == "phantom":
        return _phantom(settings)
    path, download = _run(settings)
    _compare_with_published(settings.dataset, download)
    return path


def _run(settings: PrepSettings) -> tuple[Path, Download]:
    dataset, source, workspace = settings.dataset, settings.source, Workspace(settings.workspace)
    if source is None:
        raise UsageError(f"SOURCE is missing: swcl prep {dataset} SOURCE, the folder of the raw download.")
    folder = workspace.data(dataset)
    if source.resolve().is_relative_to(folder.resolve()):
        raise SwclError(f"SOURCE {source} lies in {folder}, where prepared images go: move it elsewhere.")
    options = {name: getattr(settings, name) for name in DATASET_OPTIONS.get(dataset, ())}
    download = DATASETS[dataset].read(source, **options)
    _check(settings, download)
    if not download.photographs:
        raise SwclError(f"{source} holds no photograph that a label names; {_found(download)}.")
    if settings.split_file:
        impose(download, settings.split_file)
    with journal.locked(folder):
        return _prepare(settings, source, workspace, download), download


def _check(settings: PrepSettings, download: Download) -> None:
    masked = any(photograph.mask for photograph in download.photographs)
    if masked and settings.size and not download.square:
        raise UsageError(f"{settings.dataset} has pixel masks, which keep their own size: prepare it with --size 0.")
    if settings.crop_to_field and (masked or settings.lesion_masks):
        raise UsageError(f"crop_to_field: {settings.dataset} has pixel masks, which would not fit any more.")


def _prepare(settings: PrepSettings, source: Path, workspace: Workspace, download: Download) -> Path:
    dataset, job_for = settings.dataset, partial(job_of, settings, source, download)
    folder, path = workspace.data(dataset), workspace.manifest(dataset)
    before = fingerprint(path) if path.exists() else None

    earlier, outcomes = journal.read(folder), journal.Outcomes()
    stale = []
    for photograph in download.photographs:
        outcome = earlier.get(photograph.image_id)
        if outcome and outcome.is_current(job_for(photograph)):
            outcomes.keep(earlier, photograph.image_id)
        else:
            stale.append(photograph)
    if stale or _orphans(workspace, dataset, map(job_for, download.photographs)):
        path.unlink(missing_ok=True)  # from here on it would tell of images that are changing
    if stale:
        console.say(f"{dataset}: {len(stale):,} photographs to prepare, {len(outcomes):,} unchanged.")
        work = ((job_for(photograph), earlier.get(photograph.image_id)) for photograph in stale)
        with console.progress(f"preparing {dataset}", len(stale)) as bar, journal.appending(folder) as lines:
            for outcome in prepare_all(work, settings.workers):
                journal.append(lines, outcome)
                outcomes.add(outcome)
                bar.advance()

    good, problems = sort_out(download, outcomes)
    write_quarantine(workspace.quarantine(dataset), problems)
    if not good:
        raise SwclError(f"None of {len(outcomes):,} photographs can be used: see {workspace.quarantine(dataset)}.")
    for orphan in _orphans(workspace, dataset, map(job_for, good)):
        orphan.unlink()
    frame = frame_of(settings, source, download, good, outcomes)
    counts = Counter(frame["split"]) + Counter(problem.problem for problem in problems)
    colour = _colour(outcomes[photograph.image_id].sums for photograph in good)
    inputs = {name: fingerprint(source / name) for name in download.label_files}
    inputs |= {name: fingerprint(table) for name in ("labels", "split_file") if (table := getattr(settings, name))}
    facts = {"colour": colour, "counts": counts, "splits": split_fingerprint(frame)}
    manifest.write(path, frame, provenance("prep", settings.defining(), inputs, **facts))
    if stale or len(earlier) != len(outcomes):
        journal.rewrite(folder, outcomes)
    _summary(dataset, counts, colour, unchanged=fingerprint(path) == before)
    return path


def _orphans(workspace: Workspace, dataset: str, jobs: Iterable[Job]) -> list[Path]:
    """Files among the prepared ones that no job makes: of removed photographs, or left by an interruption."""
    expected = {f"{path.parent.name}/{path.name}" for job in jobs for path in job.outputs.values()}
    there = (path for folder in (workspace.images(dataset), workspace.masks(dataset)) for path in folder.glob("*"))
    return sorted(path for path in there if f"{path.parent.name}/{path.name}" not in expected and not path.is_dir())


def _colour(sums: Iterable[tuple[int, ...]]) -> dict[str, Any]:
    totals = reduce(lambda total, more: [left + right for left, right in zip(total, more, strict=True)], sums, [0] * 14)
    return {**colour_statistics(totals), "constant_mean": MEAN, "constant_std": STD}


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
        draw(settings, folder)
    shared = settings.model_dump(exclude={name for names in DATASET_OPTIONS.values() for name in names})
    for dataset in settings.drawn:
        values = {
            **shared,
            "dataset": dataset,
            **source_of(dataset, folder),
            "size": round(settings.size * DATASET_ROWS[dataset]["size"] / DATASET_ROWS["odir"]["size"]),
        }
        _run(PrepSettings(**values))
    return workspace.root / "data"


def _list(workspace: Workspace) -> Path:
    console.table("Data sets that prep reads", listing.COLUMNS, listing.rows(workspace))
    for description in listing.descriptions():
        console.say(description)
    return workspace.root / "data"
