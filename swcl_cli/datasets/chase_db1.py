"""CHASE_DB1: both eyes of 14 children, 999 x 960, with vessels traced by two observers (FACTS 3)."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.datasets.download import NO_IMAGE, NO_LABEL, About, Download, Photograph, check_source, wrong_layout
from swcl_cli.datasets.folders import Images

PUBLISHED = {"train": 20, "test": 8}
SPLITS = {"20/8": 20, "8/20": 8}  # images that train, the first ones by name: children stay together
CHILDREN = 14
NAME = re.compile(r"Image_(\d\d)([LR])")
OBSERVER, SECOND = "_1stHO", "_2ndHO"  # the second one's are not used
EYES = {"L": "left", "R": "right"}
EXPECTED = f"Image_01L.jpg, Image_01L{OBSERVER}.png, Image_01L{SECOND}.png in one folder"
ABOUT = About(
    title="CHASE_DB1",
    layout=EXPECTED,
    size="3 MB",
    origin="the retinal image page of Kingston University London (Fraz et al. 2012)",
    terms="none stated",
)


def read(source: Path, chase_split: str = "20/8") -> Download:
    """SOURCE is the folder of all files, or the one above it. chase_split: images that train / test.

    Raises SwclError where the layout is not there.
    """
    check_source(source)
    train = SPLITS[chase_split]
    download = Download(source, {"train": train, "test": 2 * CHILDREN - train}, draw_validation=True)
    for folder in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        images = Images(download, folder)
        if any(NAME.fullmatch(stem) for stem in images.paths):
            break
        download.problems.clear()
    else:
        raise wrong_layout(source, "CHASE_DB1", EXPECTED)
    for stem, path in images.paths.items():
        if name := NAME.fullmatch(stem):
            child, side = name.groups()
            _add(download, images, "train" if 2 * int(child) <= train else "test", child, EYES[side], stem, path)
        elif stem.endswith(SECOND):
            images.take(stem)
        elif stem.endswith(OBSERVER) and stem.removesuffix(OBSERVER) not in images.paths:
            images.take(stem)
            images.problem(path, NO_IMAGE, "a mask")
    images.close()
    return download


def _add(download: Download, images: Images, split: str, child: str, eye: str, stem: str, path: str) -> None:
    images.take(stem)
    mask = images.take(stem + OBSERVER)
    if mask is None:
        download.found[split] += 1
        images.problem(path, NO_LABEL, f"{stem}{OBSERVER}.png is missing")
        return
    download.add(Photograph(stem, child, split, path, eye, mask=mask))
