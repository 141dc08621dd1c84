"""Read DRIVE: 40 photographs of 584 x 565 with traced vessels and fields of view (FACTS 3)."""

from __future__ import annotations

from pathlib import Path

from swcl_cli.datasets.download import NO_IMAGE, NO_MASK, Download, Photograph, Source, check_source, find, wrong_layout
from swcl_cli.datasets.folders import Images, photographs_in

PUBLISHED = {"train": 20, "test": 20}
FOLDERS = {"train": "training", "test": "test"}
VESSELS = "1st_manual"  # test/1st_manual is not in today's download; the second observer's test/2nd_manual is not used
FIELD_OF_VIEW = "mask"
EXPECTED = "training/images/21_training.tif, training/1st_manual/21_manual1.gif, training/mask/21_training_mask.gif"


def read(source: Path) -> Download:
    """Find photographs, masks and fields of view in SOURCE, which holds `training` and `test`, or a folder of both.

    Only a test image may lack its vessels. The number before the underscore is the patient. Raises SwclError where
    SOURCE has not this layout.
    """
    check_source(source)
    training = find(source, ["training/images"], depth=2)
    if training is None:
        raise wrong_layout(source, "DRIVE", EXPECTED)
    download = Download(source, PUBLISHED, draw_validation=True)
    for split, folder in FOLDERS.items():
        _add(download, split, training.parent.parent / folder)
    return download


def _add(download: Download, split: str, part: Path) -> None:
    folders = (photographs_in(download, part / name) for name in ("images", VESSELS, FIELD_OF_VIEW))
    images, vessels, views = (Images(download, folder) for folder in folders)
    for stem, path in images.take_all().items():
        number = stem.partition("_")[0]
        mask, fov = vessels.take(f"{number}_manual1"), views.take(f"{stem}_mask")
        if mask is None and not download.without_mask(split, path, f"{VESSELS}/{number}_manual1.gif"):
            continue
        if fov is None:
            images.problem(path, NO_MASK, f"{FIELD_OF_VIEW}/{stem}_mask.gif is missing: no field of view")
        download.add(Photograph(stem, number, split, path, mask=mask, fov=fov))
    for masks in (vessels, views):
        masks.close(NO_IMAGE, "a mask")


SOURCE = Source(
    name="drive",
    title="DRIVE",
    about="DRIVE",
    layout=EXPECTED,
    size="about 30 MB",
    origin="the DRIVE challenge of the Image Sciences Institute, Utrecht (Staal et al. 2004)",
    page="https://drive.grand-challenge.org",
    terms="research and education alone, no redistribution; registration",
    published=PUBLISHED,
    prepared_size=0,
    read=read,
)
