"""Lay phantom eyes out as the "A. Segmentation" part of the IDRiD download: red on black, none of no lesion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from swcl_cli.chance import generator
from swcl_cli.phantom.eye.camera import Bytes
from swcl_cli.phantom.eye.disease import OEDEMA, EyeFindings
from swcl_cli.phantom.eye.lesions import COTTON_WOOL, EXUDATE, HAEMORRHAGE, MICROANEURYSM, PRERETINAL
from swcl_cli.phantom.eye.patient import Eye, draw_eye
from swcl_cli.phantom.layouts.idrid import CAMERA
from swcl_cli.phantom.layouts.studio import FIRST_PERSON, draw_each, write_photograph

IMAGES = "A. Segmentation/1. Original Images"
MASKS = "A. Segmentation/2. All Segmentation Groundtruths"
PARTS = ("a. Training Set", "b. Testing Set")
LESIONS = {  # folder, ending: kinds of lesion
    ("1. Microaneurysms", "MA"): (MICROANEURYSM,),
    ("2. Haemorrhages", "HE"): (HAEMORRHAGE, PRERETINAL),
    ("3. Hard Exudates", "EX"): (EXUDATE,),
    ("4. Soft Exudates", "SE"): (COTTON_WOOL,),
}
DISC = ("5. Optic Disc", "OD")
FIRST = 101  # no phantom is called as a photograph of the real download, of which 49 are known to be IDRiD's, too
GRADES = (0.2, 0.5, 0.3)  # of retinopathy 2, 3 and 4: each photograph has lesions
RED = (255, 0, 0)


@dataclass(frozen=True)
class Job:
    """Say which eye to draw, each of another person; index counts the eyes of both parts."""

    folder: Path
    seed: int
    index: int
    part: str
    size: int


def lay_out_idrid_seg(folder: Path, seed: int, train: int, test: int, size: int, workers: int = 1) -> Iterator[int]:
    """Draw `train` + `test` eyes of as many people, `size` pixels high; yield a count. Both parts are numbered on."""
    jobs = [Job(folder, seed, index, PARTS[index >= train], size) for index in range(train + test)]
    for part, _ in (*LESIONS, DISC):
        for of_part in PARTS:
            (folder / MASKS / of_part / part).mkdir(parents=True, exist_ok=True)
    yield from draw_each(_draw, jobs, workers)


def _draw(job: Job) -> int:
    chance = generator(job.seed, "phantom idrid-seg", item=job.index)
    grade = 2 + int(chance.choice(len(GRADES), p=GRADES))
    findings = EyeFindings(retinopathy=grade, oedema=int(chance.choice(3, p=OEDEMA)))
    side = int(chance.integers(2))
    eye = draw_eye(job.seed, FIRST_PERSON["idrid-seg"] + job.index, side, job.size, findings, CAMERA)
    stem = f"IDRiD_{FIRST + job.index}"
    write_photograph(job.folder, f"{IMAGES}/{job.part}/{stem}.jpg", eye.image)
    for (part, ending), mask in _masks(eye).items():
        if mask.any():
            red_on_black(mask).save(job.folder / MASKS / job.part / part / f"{stem}_{ending}.tif")
    return job.index


def _masks(eye: Eye) -> dict[tuple[str, str], Bytes]:
    """Return the mask (H, W) of each structure, 0 or 1."""
    lesions = {place: np.isin(eye.lesions, kinds).astype(np.uint8) for place, kinds in LESIONS.items()}
    return {**lesions, DISC: eye.disc}


def red_on_black(mask: Bytes) -> Image.Image:
    """Turn a 0/1 mask into an image with a palette, as the download stores masks."""
    image = Image.fromarray(mask, "P")
    image.putpalette([0, 0, 0, *RED])
    return image
