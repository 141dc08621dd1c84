"""The quality of photographs: degradations lower it, by the part that they concern, whatever the photograph's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from swcl_cli.audit.field import find_field
from swcl_cli.audit.quality import LARGEST, PARTS, SCALES, Scale, measures, quality_of
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import draw_patient
from tests.audit.eyes import array, compressed, eyes, resized

Pixels = NDArray[np.uint8]


def levels(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.clip(np.rint(change(pixels.astype(np.float64))), 0, 255).astype(np.uint8)


def hazy(pixels: Pixels) -> Pixels:
    """A veil over the field of view alone."""
    field = pixels.max(axis=2, keepdims=True) > 15
    veil = 0.3 * pixels.astype(np.float64) + 0.7 * np.array([190, 150, 120])
    return np.where(field, veil, pixels).astype(np.uint8)


def covered(pixels: Pixels) -> Pixels:
    """Half of the frame is dark."""
    dark = pixels.copy()
    dark[:, : pixels.shape[1] // 2] = 2
    return dark


DAMAGE: dict[str, tuple[Callable[[Pixels], Pixels], set[str]]] = {  # and the parts, of which one has to fall
    "blurred": (lambda pixels: np.asarray(cv2.GaussianBlur(pixels, (0, 0), 2.5), np.uint8), {"sharpness"}),
    "too bright": (levels(lambda pixels: 2.5 * pixels), {"clipped"}),
    "too dark": (levels(lambda pixels: 0.2 * pixels), {"light"}),
    "hazy": (hazy, {"contrast"}),
    "covered": (covered, {"field"}),
}


def eye(patient: int) -> Pixels:
    return array(eyes(patient)[0])


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_lowers_the_part_that_it_concerns(name: str) -> None:
    damage, parts = DAMAGE[name]
    for patient in range(3):
        before, after = quality_of(eye(patient)), quality_of(damage(eye(patient)))
        assert after.quality < 0.75 * before.quality, patient
        (part,) = parts
        assert getattr(after, part) < getattr(before, part) - 0.2, patient


@pytest.mark.parametrize("factor", [1.0, 0.875], ids=["as it is", "resized"])
def test_blocks_of_jpeg_are_seen_before_and_after_resizing(factor: float) -> None:
    """Those of the prepared photograph's own quality, 95, are not counted."""
    for patient in range(3):
        image = Image.fromarray(draw_patient(0, patient, 448, choose_findings(0, patient))[0].image)
        fine, coarse = (quality_of(array(resized(compressed(image, quality), factor))) for quality in (95, 10))
        assert coarse.blocks < fine.blocks - 0.4, (patient, coarse, fine)


def test_it_is_the_product_of_its_parts_each_a_share() -> None:
    for pixels in (eye(0), covered(eye(1)), hazy(eye(2))):
        found = quality_of(pixels)
        parts = [getattr(found, part) for part in PARTS]
        assert all(0 <= part <= 1 for part in parts)
        assert found.quality == pytest.approx(np.prod(parts)) and getattr(found, found.reason) == min(parts)
        assert found.field_found


def test_words_name_the_worst_part_first() -> None:
    found = quality_of(levels(lambda pixels: 0.2 * pixels)(eye(0)))
    assert found.reason == "light" and found.words.startswith(f"quality {found.quality:.2f} (light {found.light:.2f}, ")
    assert all(part in found.words for part in PARTS)


@pytest.mark.parametrize("level", [0, 90, 255])
@pytest.mark.parametrize("shape", [(64, 64), (64, 90), (700, 900)])
def test_frames_that_show_nothing(level: int, shape: tuple[int, int]) -> None:
    found = quality_of(np.full((*shape, 3), level, np.uint8))
    assert found.quality == 0.0 and all(np.isfinite(part) for part in found)


def test_a_large_photograph_is_measured_at_a_smaller_size() -> None:
    """Sharpness is a question of pixels: of a photograph at its own size the camera's are too many."""
    pixels = eye(1)
    large = np.asarray(cv2.resize(pixels, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC), np.uint8)
    small, other = (measures(each, find_field(each)) for each in (pixels, large))
    assert other["contrast"] == pytest.approx(small["contrast"], abs=0.02)
    unreduced = measures(large, replace(find_field(large), radius=LARGEST / 2))
    assert other["sharpness"] > 1.3 * unreduced["sharpness"]


def test_scales_run_from_the_worst_to_the_fair_value() -> None:
    rising, falling = Scale(0.2, 0.6), Scale(100.0, 40.0)
    assert [rising.part(value) for value in (0.1, 0.2, 0.4, 0.6, 0.9)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert [falling.part(value) for value in (120, 100, 70, 40, 0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert set(measures(eye(0), find_field(eye(0)))) == set(SCALES)
