"""Read IDRiD's segmentation: 81 photographs with masks of four kinds of lesion and of the optic disc (FACTS 3)."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.catalogue.tasks import LESIONS_AND_DISC
from swcl_cli.datasets.download import NO_IMAGE, Download, Photograph, Source, check_source, find, wrong_layout
from swcl_cli.datasets.folders import Images, photographs_in
from swcl_cli.errors import SwclError

PUBLISHED = {"train": 54, "test": 27}
IMAGES, MASKS = "1. Original Images", "2. All Segmentation Groundtruths"
PARTS = {"train": "a. Training Set", "test": "b. Testing Set"}
LAYERS = {  # structure: folder of its masks, ending of their names
    "microaneurysm": ("1. Microaneurysms", "MA"),
    "haemorrhage": ("2. Haemorrhages", "HE"),
    "hard_exudate": ("3. Hard Exudates", "EX"),
    "soft_exudate": ("4. Soft Exudates", "SE"),
    "disc": ("5. Optic Disc", "OD"),
}
EVERYWHERE = "disc"  # the structure of which each photograph has a mask
NAME = re.compile(r"IDRiD_\d+")
EXPECTED = f"{IMAGES}/{PARTS['train']}/IDRiD_01.jpg with {MASKS}/{PARTS['train']}/1. Microaneurysms/IDRiD_01_MA.tif"
# Photographs of the training part that are of IDRiD's disease grading too, found by their pixels and looked at. Of 11,
# 25, 26 and 39 that has another photograph of the same eye, of all others the same one. Of 04, 12, 30, 32 and 45 it has
# none. Of the testing part nothing is known.
GRADED = {
    "test": "09:091 22:088 31:089",
    "train": "01:102 02:366 03:369 05:082 06:196 07:029 08:207 10:224 11:083 13:231 14:232 15:236 16:237 17:239 18:132 "
    "19:242 20:245 21:246 23:247 24:248 25:347 26:299 27:254 28:261 29:263 33:272 34:277 35:278 36:280 37:281 38:185 "
    "39:271 40:282 41:283 42:284 43:294 44:300 46:306 47:064 48:053 49:308 50:048 51:310 52:311 53:012 54:314",
}


def read(source: Path) -> Download:
    """Find photographs and masks in SOURCE: the folder `A. Segmentation`, or the folder above it.

    One part may be absent. A lesion without a file is not there, but each photograph has a mask of its disc: one that
    lacks it has no masks at all, and only a test photograph may. Patients are not published, so each image counts as a
    patient. Raises SwclError where SOURCE has not this layout, or lacks the folder of a structure.
    """
    check_source(source)
    masks = find(source, [MASKS], depth=2)
    if masks is None:
        raise wrong_layout(source, "IDRiD (A. Segmentation)", EXPECTED)
    download = Download(source, PUBLISHED, draw_validation=True, mask_kind="structures", structures=LESIONS_AND_DISC)
    for split, folder in PARTS.items():
        if (masks.parent / IMAGES / folder).is_dir() or (masks / folder).is_dir():
            _add(download, split, photographs_in(download, masks.parent / IMAGES / folder), masks / folder)
    return download


def _add(download: Download, split: str, folder: Path, masks: Path) -> None:
    images = Images(download, folder)
    layers = {name: Images(download, _layer(download, masks, part)) for name, (part, _) in LAYERS.items()}
    for stem, path in images.take_all(NAME).items():
        files = {name: layers[name].take(f"{stem}_{ending}") for name, (_, ending) in LAYERS.items()}
        if files[EVERYWHERE] is None:
            if not download.without_mask(split, path, f"{LAYERS[EVERYWHERE][0]}/{stem}_{LAYERS[EVERYWHERE][1]}.tif"):
                continue
            files = {}
        layered = tuple(files[name] for name in LESIONS_AND_DISC.names) if files else ()
        download.add(Photograph(stem, stem, split, path, layers=layered))
    images.close()
    for each in layers.values():
        each.close(NO_IMAGE, "a mask")


def _layer(download: Download, masks: Path, part: str) -> Path:
    """Return the folder of a structure's masks. Raises SwclError where it is absent, though others are there."""
    folder = masks / part
    if masks.is_dir() and not folder.is_dir():
        raise SwclError(f"{folder} is missing. A lesion without a file counts as not there, so all five must be.")
    return photographs_in(download, folder)


def _shared() -> dict[str, dict[str, str]]:
    pairs = {split: (pair.split(":") for pair in listed.split()) for split, listed in GRADED.items()}
    return {split: {f"IDRiD_{own}": f"{split}_IDRiD_{other}" for own, other in of} for split, of in pairs.items()}


SOURCE = Source(
    name="idrid-seg",
    title="IDRiD-seg",
    about="IDRiD, lesions and disc",
    layout=EXPECTED,
    size="about 340 MB",
    origin="IEEE DataPort, Indian Diabetic Retinopathy Image Dataset (Porwal et al. 2018)",
    page="https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid",
    terms="CC BY 4.0",
    published=PUBLISHED,
    prepared_size=0,
    read=read,
    lesions=True,
    shared={"idrid": _shared()},
)
