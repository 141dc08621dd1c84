"""Read the structures of a prepared mask as bits: bit k of a pixel is set where the task's k-th structure is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from swcl_cli.catalogue.tasks import Task
from swcl_cli.data.images import read_mask
from swcl_cli.errors import SwclError
from swcl_cli.settings import prep_command

Bits = NDArray[np.uint8]  # (H, W)
FOREIGN = 0xFF


def read_structures(path: Path, task: Task, image: tuple[int, int]) -> Bits:
    """Read a mask at its own size. image: height and width of its photograph, which may be resized.

    Raises SwclError where the mask holds values that the task's masks do not have, or has not the shape of the
    photograph.
    """
    mask = read_mask(path)
    height, width = mask.shape
    if not task.square and abs(width * image[0] / height - image[1]) > 1:
        raise SwclError(
            f"{path} is {width} x {height}, its photograph {image[1]} x {image[0]}: another shape. Put the mask right "
            f"and run `{prep_command(task.dataset)}` again."
        )
    table = np.full(256, FOREIGN, np.uint8)
    table[list(task.mask)] = 0
    for number, head in enumerate(task.heads):
        table[list(task.shades[head])] |= np.uint8(1 << number)
    bits: Bits = table[mask]
    if (bits == FOREIGN).any():
        allowed = ", ".join(map(str, task.mask))
        raise SwclError(
            f"{path} holds the value {mask[bits == FOREIGN][0]}; masks of {task.name} hold {allowed}. "
            f"Put the mask right and run `{prep_command(task.dataset)}` again."
        )
    return bits


def read_field(path: Path, mask: Bits) -> NDArray[np.bool_]:
    """Read the mask of the field of view (H, W). Raises SwclError where it has another size than the mask."""
    field = read_mask(path)
    if field.shape != mask.shape:
        sizes = [f"{width} x {height}" for height, width in (field.shape, mask.shape)]
        raise SwclError(f"{path} is {sizes[0]}, the mask of the same photograph {sizes[1]}. Run `swcl prep` again.")
    return field > 127


def resized(bits: Bits, shape: tuple[int, int]) -> Bits:
    """Resize structures to another height and width, by the nearest pixel."""
    if bits.shape == shape:
        return bits
    scaled: Bits = cv2.resize(bits, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST)  # type: ignore[assignment]
    return scaled
