"""Check that labels, splits and photographs fit together, and list what does not where the step stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from swcl_cli.datasets.download import NO_IMAGE, NO_LABEL, Download, packed_in
from swcl_cli.datasets.folders import Images, walk
from swcl_cli.datasets.links import LEADS_OUT
from swcl_cli.datasets.names import DICOM_REASON, MACOS, is_image, likely_reason, mismatch
from swcl_cli.datasets.split_file import impose
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.preparation.assembly import lesion_mask_of, write_quarantine
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import Workspace, locked


def match(settings: PrepSettings, download: Download) -> None:
    """Check that names fit photographs, and give the photographs people's own splits.

    Raises SwclError where no name fits, or one fits several photographs.
    """
    if (download.source / MACOS).is_dir() and MACOS not in {problem.source_path for problem in download.problems}:
        download.ignore(MACOS)
    if download.stops:
        others = len(download.stops) - 1
        raise SwclError(f"{download.stops[0]}." + (f" So do {others:,} more." if others else ""))
    names = {problem.source_path for problem in download.problems if problem.problem == NO_IMAGE}
    files = {problem.source_path for problem in download.problems if problem.problem == NO_LABEL}
    files = {file for file in files if is_image(file)}
    dicom = sum(problem.detail == DICOM_REASON for problem in download.problems)
    links = sum(problem.detail == LEADS_OUT for problem in download.problems)
    links_told = f"links that lead out of {download.source} and were not read: {links:,}; --follow-links reads them"
    if not download.photographs:
        message = f"{settings.source} holds no photograph that a label names; {_counts(download)}."
        message += f" {links_told[0].upper()}{links_told[1:]}." if links else ""
        message += f" {archives}" if (archives := packed_in(download.source)) else ""
        message += f" Files left out: {dicom:,}, each {DICOM_REASON}." if dicom else ""
        raise SwclError(f"{message}\n{mismatch(names, files)}." if names and files else message)
    if links:
        download.remark(f"{links_told}.")
    if dicom:
        download.remark(f"files left out: {dicom:,}, each {DICOM_REASON}.")
    if names and files and (reason := likely_reason(names, files)):
        download.remark(
            f"labels without photograph: {len(names):,}, photographs without label: {len(files):,}; {reason}."
        )
    if settings.split_file:
        impose(download, settings.split_file)


def match_lesion_masks(settings: PrepSettings, download: Download) -> None:
    """Count the photographs that have a lesion mask, and list the masks that have no photograph.

    Raises UsageError where there is no such folder, SwclError where none of its masks has a photograph.
    """
    if not settings.lesion_masks:
        return
    if not settings.lesion_masks.is_dir():
        raise UsageError(f"lesion_masks: {settings.lesion_masks} is not a folder.")
    wanted = {lesion_mask_of(photograph) for photograph in download.photographs}
    folder = Download(settings.lesion_masks, {}, draw_validation=False)
    contents = [Images(folder, subfolder) for subfolder in walk(folder)]
    there = {images.path(name) for images in contents for name in images.names}
    download.problems += folder.problems
    for path in sorted(there - wanted):
        download.problem(path, NO_IMAGE, f"a lesion mask of {settings.lesion_masks}")
    if not there & wanted:
        raise SwclError(
            f"None of the {len(there):,} images in {settings.lesion_masks} is the lesion mask of a photograph: that of "
            f"{download.photographs[0].path} would be {lesion_mask_of(download.photographs[0])}."
        )
    others = f"; {len(there - wanted):,} lesion masks have no photograph" if there - wanted else ""
    download.remark(f"{len(there & wanted):,} of {len(wanted):,} photographs have a lesion mask{others}.")


@contextmanager
def listed_if_stopped(settings: PrepSettings, download: Download) -> Iterator[None]:
    """Write quarantine.csv where the block stops; the list of a set that is prepared already stays as it is."""
    try:
        yield
    except UsageError:
        raise
    except SwclError as error:
        if not _listed(settings, download):
            raise
        path = Workspace(settings.workspace).quarantine(settings.prepared)
        raise SwclError(f"{error} What does not fit is listed in {path}.") from error


def _listed(settings: PrepSettings, download: Download) -> bool:
    """Write quarantine.csv, and return whether it was: not beside a prepared set, nor where nothing is to be listed."""
    workspace, name = Workspace(settings.workspace), settings.prepared
    if workspace.manifest(name).exists() or not download.problems:
        return False
    with suppress(SwclError), locked(workspace.data(name), "prep"):
        write_quarantine(workspace.quarantine(name), sorted(download.problems))
        return True
    return False


def _counts(download: Download) -> str:
    """Count the download's problems in words: '3 label without image, 2 image without label'."""
    counts = Counter(problem.problem for problem in download.problems)
    return ", ".join(f"{count:,} {problem}" for problem, count in sorted(counts.items())) or "it has no label either"
