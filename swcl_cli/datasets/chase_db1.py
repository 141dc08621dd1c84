"""Read CHASE_DB1: both eyes of 14 children, 999 x 960, with vessels traced by two observers (FACTS 3)."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.datasets.download import NO_IMAGE, Download, Photograph, Source, check_source, wrong_layout
from swcl_cli.datasets.folders import Images

PUBLISHED = {"train": 20, "test": 8}
SPLITS = {"20/8": 20, "8/20": 8}  # images that train, the first by name: children stay together
CHILDREN = 14
OBSERVER, OTHER = "_1stHO", "_2ndHO"  # the second observer's masks are not used
NAME, MASK, SECOND = re.compile(r"Image_\d\d[LR]"), re.compile(f".*{OBSERVER}"), re.compile(f".*{OTHER}")
EYES = {"L": "left", "R": "right"}
EXPECTED = f"Image_01L.jpg, Image_01L{OBSERVER}.png, Image_01L{OTHER}.png in one folder"


def read(source: Path, chase_split: str = "20/8") -> Download:
    """Find photographs and masks in SOURCE: the folder of all files, or the folder above it.

    chase_split: images that train / test. Raises SwclError where SOURCE has not this layout.
    """
    check_source(source)
    train = SPLITS[chase_split]
    download = Download(source, {"train": train, "test": 2 * CHILDREN - train}, draw_validation=True)
    for folder in (source, *sorted(path for path in source.iterdir() if path.is_dir())):
        images = Images(download, folder)
        if photographs := images.take_all(NAME):
            break
        download.problems.clear()
    else:
        raise wrong_layout(source, "CHASE_DB1", EXPECTED)
    for stem, path in photographs.items():
        child, eye = stem[-3:-1], EYES[stem[-1]]
        split, mask = "train" if 2 * int(child) <= train else "test", images.take(stem + OBSERVER)
        if mask or download.without_mask(split, path, f"{stem}{OBSERVER}.png"):
            download.add(Photograph(stem, child, split, path, eye, mask=mask))
    for path in images.take_all(MASK).values():
        download.problem(path, NO_IMAGE, "a mask")
    images.take_all(SECOND)
    images.close()
    return download


SOURCE = Source(
    name="chase-db1",
    title="CHASE_DB1",
    about="CHASE_DB1",
    layout=EXPECTED,
    size="about 3 MB",
    origin="the retinal image page of Kingston University London (Fraz et al. 2012)",
    page="https://blogs.kingston.ac.uk/retinal/chasedb1/",
    terms="CC BY 4.0",
    published=PUBLISHED,
    prepared_size=0,
    read=read,
    options=("chase_split",),
)
