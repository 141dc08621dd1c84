"""Read the structures of a prepared mask: as bits where they may overlap, as numbers where they exclude each other."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.augment import IGNORED
from swcl_cli.data.images import read_mask
from swcl_cli.errors import SwclError
from swcl_cli.settings import prep_command

Truth = NDArray[np.uint16]  # (H, W)
VALUES = 1 << 16  # that a prepared mask may hold
FOREIGN = IGNORED - 1


def read_structures(path: Path, task: Task, image: tuple[int, int]) -> Truth:
    """Read a mask at its own size: bit k of a pixel is set where the task's k-th structure is.

    Where structures exclude each other, a pixel is the number of its structure instead, from 1; 0 is the background.
    Pixels of which nobody knows what they are, are IGNORED. image: height and width of its photograph, which may be
    resized. Raises SwclError where the mask holds values that the task's masks do not have, or has not the shape of
    the photograph.
    """
    mask = read_mask(path)
    height, width = mask.shape
    if not task.square and abs(width * image[0] / height - image[1]) > 1:
        raise SwclError(
            f"{path} is {width} x {height}, its photograph {image[1]} x {image[0]}: another shape. Put the mask right "
            f"and run `{prep_command(task.dataset)}` again."
        )
    truth: Truth = _table(task)[mask]
    if (truth == FOREIGN).any():
        allowed = ", ".join(map(str, task.structures.codes))
        raise SwclError(
            f"{path} holds the value {mask[truth == FOREIGN][0]}; masks of {task.name} hold {allowed}. "
            f"Put the mask right and run `{prep_command(task.dataset)}` again."
        )
    return truth


def _table(task: Task) -> Truth:
    """Return what each value of a mask becomes (VALUES,)."""
    table = np.full(VALUES, FOREIGN, np.uint16)
    place = {name: number for number, name in enumerate(task.structures.names)}
    for shade in task.structures.shades:
        numbers = [place[name] for name in shade.names]
        if shade.ignored:
            table[shade.code] = IGNORED
        elif task.structures.exclusive:
            table[shade.code] = 1 + numbers[0] if numbers else 0
        else:
            table[shade.code] = sum(1 << number for number in numbers)
    return table


def is_there(truth: Truth, number: int, task: Task) -> NDArray[np.bool_]:
    """Return where the task's structure of this number is. truth: of `read_structures`; IGNORED pixels mean nothing."""
    there: NDArray[np.bool_] = truth == number + 1 if task.structures.exclusive else (truth >> number & 1).astype(bool)
    return there


def read_field(path: Path, mask: Truth) -> NDArray[np.bool_]:
    """Read the mask of the field of view (H, W). Raises SwclError where it has another size than the mask."""
    field = read_mask(path)
    if field.shape != mask.shape:
        sizes = [f"{width} x {height}" for height, width in (field.shape, mask.shape)]
        raise SwclError(f"{path} is {sizes[0]}, the mask of the same photograph {sizes[1]}. Run `swcl prep` again.")
    return field > 127


def resized(truth: Truth, shape: tuple[int, int]) -> Truth:
    """Resize structures to another height and width, by the nearest pixel."""
    if truth.shape == shape:
        return truth
    scaled: Truth = cv2.resize(truth, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
    return scaled
