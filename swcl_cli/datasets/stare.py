"""STARE: 20 photographs of 700 x 605 with vessels traced by two observers; no fields of view (FACTS 3)."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.datasets.download import (
    NO_IMAGE,
    NO_LABEL,
    NO_MASK,
    About,
    Download,
    Photograph,
    check_source,
    find,
    wrong_layout,
)
from swcl_cli.datasets.folders import Images

PUBLISHED = {"train": 10, "test": 10}
TRAIN = frozenset(f"im{number:04d}" for number in (1, 2, 3, 4, 5, 44, 77, 81, 82, 139))  # ten of twenty by sorted name
IMAGES, VESSELS = "stare-images", "labels-ah"  # the first observer's; the second one's labels-vk are not used
OBSERVER, SECOND = ".ah", ".vk"
NAME = re.compile(r"im\d{4}")
EXPECTED = f"{IMAGES}/im0001.ppm.gz and {VESSELS}/im0001.ah.ppm.gz, or all in one folder; .ppm and .png as well"
ABOUT = About(
    title="STARE",
    layout=EXPECTED,
    size="20 MB",
    origin="the STARE project of Clemson University (Hoover et al. 2000), its three archives of the vessel task",
    terms="none stated",
)


def read(source: Path) -> Download:
    """SOURCE holds the folders that the archives unpack to, or all files in one folder. Each image is a patient.

    Raises SwclError where the layout is not there.
    """
    check_source(source)
    download = Download(source, PUBLISHED, draw_validation=True)
    folder = find(source, [IMAGES], depth=1)
    images = Images(download, folder or source)
    vessels = Images(download, folder.parent / VESSELS) if folder else images
    if not any(NAME.fullmatch(stem) for stem in images.paths):
        raise wrong_layout(source, "STARE", EXPECTED)
    for stem, path in images.paths.items():
        if NAME.fullmatch(stem):
            _add(download, images, vessels, stem, path)
        elif stem.endswith(SECOND):
            images.take(stem)
    for stem, path in vessels.paths.items():
        if stem.endswith(OBSERVER) and vessels.take(stem) and stem.removesuffix(OBSERVER) not in images.paths:
            vessels.problem(path, NO_IMAGE, "a mask")
    images.close()
    return download


def _add(download: Download, images: Images, vessels: Images, stem: str, path: str) -> None:
    images.take(stem)
    split = "train" if stem in TRAIN else "test"
    mask = vessels.take(stem + OBSERVER)
    if mask is None and split == "train":
        download.found[split] += 1
        images.problem(path, NO_LABEL, f"{stem}{OBSERVER}.ppm.gz is missing")
        return
    if mask is None:
        images.problem(path, NO_MASK, f"{stem}{OBSERVER}.ppm.gz is missing: it can't be tested on")
    download.add(Photograph(stem, stem, split, path, mask=mask))
