"""Read STARE: 20 photographs of 700 x 605 with vessels traced by two observers; no fields of view (FACTS 3)."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.datasets.download import NO_IMAGE, Download, Photograph, Source, check_source, find, wrong_layout
from swcl_cli.datasets.folders import Images, photographs_in

PUBLISHED = {"train": 10, "test": 10}
TRAIN = frozenset(f"im{number:04d}" for number in (1, 2, 3, 4, 5, 44, 77, 81, 82, 139))  # ten of twenty by sorted name
IMAGES, VESSELS = "stare-images", "labels-ah"  # the first observer's; the second observer's labels-vk are not used
OBSERVER = ".ah"
NAME, MASK, SECOND = re.compile(r"im\d{4}"), re.compile(r".*\.ah"), re.compile(r".*\.vk")
EXPECTED = f"{IMAGES}/im0001.ppm.gz and {VESSELS}/im0001.ah.ppm.gz, or all in one folder; .ppm and .png as well"


def read(source: Path) -> Download:
    """Find photographs and masks in SOURCE, which holds the folders that the archives unpack to, or all files.

    Each image counts as a patient. Raises SwclError where SOURCE has not this layout.
    """
    check_source(source)
    download = Download(source, PUBLISHED, draw_validation=True)
    folder = find(source, [IMAGES], depth=1)
    images = Images(download, photographs_in(download, folder) if folder else source)
    vessels = Images(download, photographs_in(download, folder.parent / VESSELS)) if folder else images
    photographs = images.take_all(NAME)
    if not photographs:
        raise wrong_layout(source, "STARE", EXPECTED)
    for stem, path in photographs.items():
        split, mask = "train" if stem in TRAIN else "test", vessels.take(stem + OBSERVER)
        if mask or download.without_mask(split, path, f"{stem}{OBSERVER}.ppm.gz"):
            download.add(Photograph(stem, stem, split, path, mask=mask))
    for path in vessels.take_all(MASK).values():
        download.problem(path, NO_IMAGE, "a mask")
    images.take_all(SECOND)
    images.close()
    return download


SOURCE = Source(
    name="stare",
    title="STARE",
    about="STARE",
    layout=EXPECTED,
    size="about 20 MB",
    origin="the STARE project of Clemson University (Hoover et al. 2000), its three archives of the vessel task",
    page="https://cecas.clemson.edu/~ahoover/stare/",
    terms="see the site",
    published=PUBLISHED,
    prepared_size=0,
    read=read,
)
