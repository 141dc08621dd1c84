"""Prepare a raw download: write images, masks, `manifest.parquet` and `quarantine.csv`, by the step `prep`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial, reduce
from pathlib import Path
from typing import Any

import pandas as pd

from swcl_cli import console
from swcl_cli.data import manifest, shared
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.datasets import DATASETS
from swcl_cli.datasets.download import Download
from swcl_cli.datasets.folder_labels import FOLDERS
from swcl_cli.datasets.label_columns import COLUMNS
from swcl_cli.datasets.links import Followed
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.phantom.drawing import draw, is_drawn_elsewhere, source_of
from swcl_cli.preparation import journal, listing
from swcl_cli.preparation.assembly import (
    check_leaks,
    job_of,
    mask_fingerprint,
    rows_of,
    sort_out,
    split_fingerprint,
    write_quarantine,
)
from swcl_cli.preparation.classes import COUNTED, counted, find_classes
from swcl_cli.preparation.copies import Twins
from swcl_cli.preparation.former import make_way, require_apart, require_none_of_ours
from swcl_cli.preparation.jobs import Job
from swcl_cli.preparation.matching import listed_if_stopped, match, match_lesion_masks
from swcl_cli.preparation.opening import open_source
from swcl_cli.preparation.photograph import colour_statistics
from swcl_cli.preparation.pool import Prepare, preparing, preparing_on
from swcl_cli.preparation.telling import compare_with_published, tell_counts, warn_of_masks
from swcl_cli.settings import OPTIONS, PrepSettings
from swcl_cli.settings.rows import LIST, PHANTOM
from swcl_cli.workspace import FORMER, Workspace, fingerprint, locked, provenance, read_provenance

MASKS = "masks"  # in the manifest's metadata


def run(settings: PrepSettings) -> Path:
    """Prepare a data set; return the path of its manifest.

    `phantom` draws and prepares several data sets, and `list` shows the data sets that can be prepared; both return the
    path of the folder `data`.

    Unchanged images are not prepared again, and removed ones leave the manifest and the disk. Bad images are set
    aside. Raises SwclError where labels are bad, or no image can be used.
    """
    if settings.dataset == LIST:
        return _list(Workspace(settings.workspace))
    if settings.dataset == PHANTOM:
        return _phantom(settings)
    path, download = _run(settings, match_lesion_masks)
    compare_with_published(settings.dataset, download)
    return path


def _run(
    settings: PrepSettings, check: Callable[[PrepSettings, Download], None] | None = None
) -> tuple[Path, Download]:
    """Read, check and prepare the download of one data set; return its manifest's path and the download."""
    dataset, source, workspace = settings.dataset, settings.source, Workspace(settings.workspace)
    if source is None:
        raise UsageError(f"SOURCE is missing: swcl prep {dataset} SOURCE, the raw download: a folder, .zip or .tar.")
    require_apart(settings, workspace.root / "data")
    options = {name: getattr(settings, name) for name in OPTIONS["prep"].get(dataset, ()) if name != "name"}
    if settings.follow_links and options.get("masks"):
        options["masks"] = [Followed(folder) for folder in options["masks"]]
    where = preparing_on(settings.scheduler, workspace.root, source) if settings.scheduler else None
    with where or preparing(settings.workers) as prepare:
        source = open_source(
            source, workspace, settings.follow_links
        )  # after the fork: each worker opens a .zip itself
        download = DATASETS[dataset].read(source, **options)
        if settings.follow_links:
            require_none_of_ours(download, workspace.root / "data")
        _check(settings, download)
        with listed_if_stopped(settings, download):
            match(settings, download)
            find_classes(download)
            _require_other_names(settings, download)
            if check:
                check(settings, download)
        for remark in download.remarks:
            console.warn(f"{settings.prepared}: {remark}")
        if download.unused:
            console.say(f"{settings.prepared}: columns of its tables that are not used: {', '.join(download.unused)}.")
        if download.overview:
            console.table(f"{settings.prepared}: labels, with photographs of each class", COLUMNS, download.overview)
        with locked(workspace.data(settings.prepared), "prep"):
            if make_way(settings, download):
                console.say(f"{settings.prepared}: what was prepared of other photographs is removed.")
            return _prepare(settings, source, workspace, download, prepare), download


def _check(settings: PrepSettings, download: Download) -> None:
    """Raise UsageError where a setting would change photographs so that their masks do not fit any more."""
    masked = any(photograph.mask or photograph.layers for photograph in download.photographs)
    if masked and settings.size and not download.square:
        raise UsageError(f"{settings.dataset} has pixel masks, which keep their own size: prepare it with --size 0.")
    if settings.crop_to_field and (masked or settings.lesion_masks):
        raise UsageError(f"crop_to_field: {settings.dataset} has pixel masks, which would not fit any more.")


def _require_other_names(settings: PrepSettings, download: Download) -> None:
    """Raise SwclError where a label of people's own is called as a structure in the masks: --heads names either."""
    structures = download.structures.names if download.structures else ()
    if both := [label.name for label in download.own_labels if label.name in structures]:
        raise SwclError(
            f"{settings.prepared}: {both[0]} is a label and a structure in the masks: rename one, or leave the label "
            f"out by --label '{both[0]}=none'."
        )


def _prepare(settings: PrepSettings, source: Path, workspace: Workspace, download: Download, prepare: Prepare) -> Path:
    """Bring images and masks up to date, remove files of no photograph, and write quarantine and manifest."""
    dataset, path = settings.prepared, workspace.manifest(settings.prepared)
    before = fingerprint(path) if path.exists() else None
    untold = path.exists() and not _tells_of_masks(path)
    image_ids = (photograph.image_id for photograph in download.photographs)
    with journal.opened(workspace.data(dataset), image_ids) as outcomes:
        masks_before = mask_fingerprint(settings, download, outcomes)
        _bring_up_to_date(settings, source, path, download, prepare, outcomes)
        masks = mask_fingerprint(settings, download, outcomes)
        looked_at = settings.drop_copies or settings.least_quality > 0
        prepared = _prepared(settings, source, download, outcomes) if looked_at else {}
        twins = _twins(settings, prepared) if settings.drop_copies else []
        poor = _poor(settings, prepared) if settings.least_quality else {}
        result = sort_out(settings, source, download, outcomes, twins, poor)
        write_quarantine(workspace.quarantine(dataset), result.problems)
        leaks = check_leaks(settings, download, result)
        if not result.good:
            warn_of_masks(dataset, result.problems)
            raise SwclError(f"None of {len(outcomes):,} photographs can be used: see {workspace.quarantine(dataset)}.")
        jobs = (job_of(settings, source, download, each) for each in (*result.good, *result.apart))
        for orphan in _orphans(workspace, dataset, jobs):
            path.unlink(missing_ok=True)  # it may describe this image
            orphan.unlink()
        counts = Counter(photograph.split for photograph in result.good)
        counts.update(problem.problem for problem in result.problems)
        colour = _colour(outcomes[photograph.image_id].sums for photograph in result.good)
        inputs = {name: fingerprint(source / name) for name in download.label_files}
        inputs |= {name: fingerprint(table) for name, table in _tables(settings).items()}
        facts: dict[str, Any] = {"colour": colour, "counts": counts, "splits": split_fingerprint(result.good)}
        if masks and not (untold and masks == masks_before):
            facts[MASKS] = masks
        if settings.source and is_drawn_elsewhere(settings.source, workspace):
            facts[PHANTOM] = True
        rows = rows_of(settings, source, download, result, outcomes)
        made, former = provenance("prep", settings.defining(), inputs, **facts), path.with_name(FORMER)
        manifest.write(path, rows, made, download.held, former, download.structures, download.own_labels)
        shown = [(photograph.split, outcomes[photograph.image_id].shown) for photograph in result.good]
    tell_counts(dataset, counts, colour, unchanged=fingerprint(path) == before)
    if download.structures and any(pixels for _, pixels in shown):
        held, lacking = counted(download.structures, shown)
        console.table(f"{dataset}: structures in the masks, photographs that hold them by split", COUNTED, held)
        for words in lacking:
            console.warn(f"{dataset}: {words}.")
    warn_of_masks(dataset, result.problems)
    if leaks:
        console.warn(f"{dataset} has {leaks}")
    for sentence in shared.sentences(workspace, dataset):
        console.warn(sentence)
    return path


def _prepared(settings: PrepSettings, source: Path, download: Download, outcomes: journal.Journal) -> dict[str, int]:
    """Return the checksum of each photograph that could be prepared, by its path."""
    root = Workspace(settings.workspace)
    return {
        root.relative(job_of(settings, source, download, photograph).outputs["photograph"]): outcome.checksum
        for photograph in download.photographs
        if not (outcome := outcomes[photograph.image_id]).problem
    }


def _twins(settings: PrepSettings, prepared: Mapping[str, int]) -> list[Twins]:
    """Find the pairs of photographs that are copies, as `audit` does."""
    from swcl_cli.audit.within import copies_within  # it loads torch

    copies = copies_within(Workspace(settings.workspace), settings.prepared, _rows(prepared), settings.workers)
    ids = [Path(path).stem for path in prepared]
    return [Twins(ids[one], ids[other], change) for one, other, change in copies]


def _poor(settings: PrepSettings, prepared: Mapping[str, int]) -> dict[str, str]:
    """Say by id why a photograph's quality is below the least."""
    from swcl_cli.audit.within import qualities_within

    qualities = qualities_within(Workspace(settings.workspace), settings.prepared, _rows(prepared), settings.workers)
    return {
        Path(path).stem: f"{one.words}, where {settings.least_quality:g} is the least"
        for path, one in zip(prepared, qualities, strict=True)
        if one.quality < settings.least_quality
    }


def _rows(prepared: Mapping[str, int]) -> pd.DataFrame:
    return pd.DataFrame({"path": list(prepared), "checksum": list(prepared.values())})


def _tells_of_masks(path: Path) -> bool:
    """Return whether a manifest tells its masks' fingerprint, as versions before did not, or is damaged."""
    with suppress(SwclError):
        return MASKS in read_provenance(path)
    return True


def _tables(settings: PrepSettings) -> dict[str, Path]:
    """Return the tables that people give, by their settings."""
    tables = {"labels": settings.labels, "split_file": settings.split_file}
    return {name: table for name, table in tables.items() if table and table != Path(FOLDERS)}


def _bring_up_to_date(
    settings: PrepSettings, source: Path, path: Path, download: Download, prepare: Prepare, outcomes: journal.Journal
) -> None:
    """Prepare the images that changed since the journal noted them. The manifest is put aside first, since it would
    describe images that are changing.
    """
    job_for = partial(job_of, settings, source, download)
    stale = []
    for photograph in download.photographs:
        outcome = outcomes.get(photograph.image_id)
        if outcome is None or not outcome.is_current(job_for(photograph)):
            stale.append(photograph)
    if not stale:
        return
    if path.exists():
        path.replace(path.with_name(FORMER))
    unchanged = len(download.photographs) - len(stale)
    console.say(f"{settings.prepared}: {len(stale):,} photographs to prepare, {unchanged:,} unchanged.")
    work = ((job_for(photograph), outcomes.get(photograph.image_id)) for photograph in stale)
    with console.progress(f"preparing {settings.prepared}", len(stale)) as bar:
        for outcome in prepare(work):
            outcomes.add(outcome)
            bar.advance()


def _orphans(workspace: Workspace, dataset: str, jobs: Iterable[Job]) -> list[Path]:
    """List the prepared files that no job makes: of removed photographs, or of an interruption."""
    expected: dict[Path, set[str]] = {workspace.images(dataset): set(), workspace.masks(dataset): set()}
    for job in jobs:
        for path in job.outputs.values():
            expected[path.parent].add(path.name)
    orphans = list(workspace.data(dataset).glob(".*.partial"))
    for folder, names in expected.items():
        if folder.is_dir():
            with os.scandir(folder) as entries:
                orphans += [folder / entry.name for entry in entries if entry.name not in names and entry.is_file()]
    return orphans


def _colour(sums: Iterable[tuple[int, ...]]) -> dict[str, Any]:
    """Measure the colour statistics of all images by their 14 sums, beside the constants that normalise."""
    totals = reduce(lambda total, image: [a + b for a, b in zip(total, image, strict=True)], sums, [0] * 14)
    return {**colour_statistics(totals), "constant_mean": MEAN, "constant_std": STD}


def _phantom(settings: PrepSettings) -> Path:
    """Draw phantom downloads into SOURCE, then prepare each by the code that prepares real downloads; return `data`."""
    workspace = Workspace(settings.workspace)
    folder = settings.source or workspace.phantom
    with locked(folder, "prep"):
        draw(settings, folder)
    shared = settings.model_dump(exclude={name for names in OPTIONS["prep"].values() for name in names})
    for dataset in settings.drawn:
        values = {
            **shared,
            "dataset": dataset,
            **source_of(dataset, folder),
            "size": round(settings.size * DATASETS[dataset].prepared_size / DATASETS["odir"].prepared_size),
        }
        _run(PrepSettings(**values))
    return workspace.root / "data"


def _list(workspace: Workspace) -> Path:
    """Show the data sets that can be prepared, with what their downloads need; return `data`."""
    console.table("Data sets that prep reads", listing.COLUMNS, listing.rows(workspace))
    for description in listing.descriptions():
        console.say(description)
    return workspace.root / "data"
