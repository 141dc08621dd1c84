"""Phantom eyes: equal seeds give equal eyes, the discs lie where they should, and labels follow from the drawing."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import cv2
import numpy as np
import pytest

from swcl_cli.phantom.eye.disease import EyeFindings, Findings, choose_findings
from swcl_cli.phantom.eye.labels import GLAUCOMA_CUP_RATIO, KEYWORD_COMMA
from swcl_cli.phantom.eye.lesions import (
    DRUSEN,
    EXUDATE,
    HAEMORRHAGE,
    MICROANEURYSM,
    NEW_VESSELS,
    PRERETINAL,
)
from swcl_cli.phantom.eye.patient import Eye, draw_patient
from swcl_cli.swap.lesion_masks import KINDS

SIZE = 128
CLINIC = range(8)


@pytest.fixture(scope="module")
def clinic() -> list[tuple[Findings, tuple[Eye, Eye]]]:
    findings = [choose_findings(1, patient) for patient in CLINIC]
    return [(found, draw_patient(1, patient, SIZE, found)) for patient, found in zip(CLINIC, findings, strict=True)]


def both(**findings: Any) -> Findings:
    one = EyeFindings(**findings)
    return Findings(one, one)


def draw_both(patient: int, size: int = SIZE, **findings: object) -> tuple[Eye, Eye]:
    return draw_patient(3, patient, size, both(**findings))


def test_the_same_seed_draws_the_same_eyes() -> None:
    first, second = (draw_both(4, retinopathy=4, oedema=2, glaucoma=True, dust=True) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for field in fields(Eye):
            assert np.array_equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_seeds_patients_and_eyes_differ() -> None:
    healthy = both()
    images = [
        eye.image for seed, patient in ((0, 0), (1, 0), (0, 1)) for eye in draw_patient(seed, patient, 96, healthy)
    ]
    distinct = {(image.shape, image.tobytes()) for image in images}
    assert len(distinct) == len(images)


def test_the_right_eye_is_no_plain_mirror_of_the_left_but_shares_its_anatomy() -> None:
    left, right = draw_both(2)
    assert not np.array_equal(left.vessels, right.vessels[:, ::-1])
    assert left.disc_diameter == pytest.approx(right.disc_diameter, rel=0.1)
    lit = [eye.image[eye.fov > 0].mean(axis=0) for eye in (left, right)]
    assert np.abs(lit[0] - lit[1]).max() < 60


def test_shapes_and_values(clinic: list[tuple[Findings, tuple[Eye, Eye]]]) -> None:
    for _, eyes in clinic:
        for eye in eyes:
            assert eye.image.dtype == np.uint8 and eye.image.shape == (*eye.fov.shape, 3)
            assert eye.fov.shape[0] == SIZE
            for mask in (eye.vessels, eye.disc, eye.cup):
                assert mask.shape == eye.fov.shape and set(np.unique(mask)) == {0, 1}
            assert eye.lesions.max() <= len(KINDS)


def test_masks_lie_in_the_field_and_the_rest_is_dark(clinic: list[tuple[Findings, tuple[Eye, Eye]]]) -> None:
    for _, eyes in clinic:
        for eye in eyes:
            outside = eye.fov == 0
            for mask in (eye.vessels, eye.disc, eye.cup, eye.lesions):
                assert not mask[outside].any()
            assert not eye.cup[eye.disc == 0].any()
            assert 0.04 < eye.vessels[eye.fov > 0].mean() < 0.35
            assert eye.image[outside].mean() < 20 < eye.image[eye.fov > 0].mean()


def test_vessels_are_darker_than_what_is_beside_them() -> None:
    for eye in draw_both(6, size=256):
        beside = (eye.fov > 0) & (eye.vessels == 0) & (eye.disc == 0)
        inside = (eye.vessels > 0) & (eye.disc == 0)
        assert eye.image[inside, 1].mean() < 0.9 * eye.image[beside, 1].mean()


def test_the_disc_lies_left_in_left_eyes_and_is_bright(clinic: list[tuple[Findings, tuple[Eye, Eye]]]) -> None:
    for _, (left, right) in clinic:
        for eye, nasal in ((left, -1), (right, 1)):
            middle = (eye.fov.shape[1] - 1) / 2
            disc = np.nonzero(eye.disc)[1].mean()
            assert nasal * (disc - middle) > 0.15 * eye.fov.shape[0]
            assert nasal * (disc - eye.fovea[0]) == pytest.approx(2.5 * eye.disc_diameter, rel=0.15)
            rim = (eye.disc > 0) & (eye.vessels == 0)
            ring = cv2.dilate(eye.disc, np.ones((15, 15), np.uint8)) - cv2.dilate(eye.disc, np.ones((7, 7), np.uint8))
            beside = (ring > 0) & (eye.fov > 0) & (eye.lesions == 0) & (eye.vessels == 0)
            assert eye.image[rim, 1].mean() > 1.15 * eye.image[beside, 1].mean()


def test_healthy_eyes_have_no_lesion_and_normal_words() -> None:
    for patient in range(4):
        for eye in draw_both(patient, dust=True):
            assert not eye.lesions.any()
            assert not eye.labels.abnormal
            assert (eye.labels.retinopathy, eye.labels.oedema) == (0, 0)
            assert eye.labels.keywords == "normal fundus"


def test_labels_follow_from_the_masks(clinic: list[tuple[Findings, tuple[Eye, Eye]]]) -> None:
    for _, eyes in clinic:
        for eye in eyes:
            kinds = set(np.unique(eye.lesions).tolist()) - {0}
            retinopathy = kinds - {DRUSEN}
            grade = eye.labels.retinopathy
            assert (grade == 0) == (not retinopathy)
            assert (grade == 1) == (retinopathy == {MICROANEURYSM})
            assert (grade == 4) == bool(retinopathy & {NEW_VESSELS, PRERETINAL})
            assert (eye.labels.oedema == 0) == (EXUDATE not in kinds)
            assert (eye.labels.drusen > 0) == (DRUSEN in kinds)
            assert eye.labels.abnormal == bool(kinds or eye.labels.glaucoma)


@pytest.mark.parametrize("grade", range(5))
def test_the_grade_asked_for_is_drawn(grade: int) -> None:
    drawn = [eye.labels.retinopathy for patient in range(3) for eye in draw_both(patient, 224, retinopathy=grade)]
    assert drawn == [grade] * 6


def test_severe_retinopathy_bleeds_in_every_quadrant() -> None:
    for eye in draw_both(5, 320, retinopathy=3):
        rows, columns = np.nonzero(eye.lesions == HAEMORRHAGE)
        assert len(set(zip(rows > eye.fovea[1], columns > eye.fovea[0], strict=True))) == 4


@pytest.mark.parametrize("grade", range(3))
def test_oedema_is_the_distance_of_exudates_to_the_fovea(grade: int) -> None:
    for patient in range(4):
        for eye in draw_both(patient, retinopathy=2, oedema=grade):
            rows, columns = np.nonzero(eye.lesions == EXUDATE)
            assert eye.labels.oedema == grade
            assert bool(len(rows)) == (grade > 0)
            if grade:
                nearest = np.hypot(columns - eye.fovea[0], rows - eye.fovea[1]).min()
                assert (nearest <= eye.disc_diameter) == (grade == 2)


@pytest.mark.parametrize("glaucoma", [False, True])
def test_glaucoma_is_an_enlarged_cup(glaucoma: bool) -> None:
    for patient in range(4):
        for eye in draw_both(patient, glaucoma=glaucoma):
            ratio = eye.cup.any(axis=1).sum() / eye.disc.any(axis=1).sum()
            assert (ratio > GLAUCOMA_CUP_RATIO) == glaucoma == eye.labels.glaucoma


def test_keywords_are_joined_by_the_full_width_comma() -> None:
    for eye in draw_both(0, 320, retinopathy=2, drusen=2, glaucoma=True):
        assert eye.labels.keywords.split(KEYWORD_COMMA) == [
            "moderate non proliferative retinopathy",
            "dry age-related macular degeneration",
            "glaucoma",
        ]
    for eye in draw_both(0, 320, drusen=1):
        assert eye.labels.keywords == "drusen"


def test_moderate_lesions_are_local() -> None:
    """At least one of the four corner crops of an eye with moderate retinopathy holds no lesion, and one does."""
    for patient in range(4):
        for eye in draw_both(patient, retinopathy=2):
            height, width = eye.lesions.shape
            rows, columns = slice(0, height // 2), slice(0, width // 2)
            held = [eye.lesions[::down, ::across][rows, columns].any() for down in (1, -1) for across in (1, -1)]
            assert any(held) and not all(held)


def test_lesions_change_the_photograph_only_where_they_are() -> None:
    """Exudates are brighter, haemorrhages darker than the same eye without them; elsewhere nothing changes."""
    healthy = draw_both(1, 256)
    for before, after in zip(healthy, draw_both(1, 256, retinopathy=3, oedema=2), strict=True):
        change = after.image[..., 1].astype(int) - before.image[..., 1]
        assert change[after.lesions == EXUDATE].mean() > 20
        assert change[after.lesions == HAEMORRHAGE].mean() < -20
        far = np.ones_like(after.lesions)
        for row, column in zip(*np.nonzero(after.lesions), strict=True):
            far[max(0, row - 30) : row + 31, max(0, column - 30) : column + 31] = 0
        assert np.abs(change[far > 0]).max(initial=0) == 0
