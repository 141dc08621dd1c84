"""Judged segmentations: the stored rows and maps give the measures again, without the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data.augment import normalise
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.images import read_mask
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError
from swcl_cli.tasks.kind import Judgement
from swcl_cli.tasks.segmented import Segmented, against_others, at_size, grey_levels, predict_log_odds, shares
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace
from tests import prepared

FABRIC = make_fabric("cpu", "fp32")


class Reddish(nn.Module):
    """Log odds of each head rise with the red channel, and are 0 at its level; nothing is learnt."""

    def __init__(self, **levels: float) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        red = 255 * (images[:, :1] * STD[0] + MEAN[0])
        return {head: torch.cat([red * 0, (red - level) / 20], dim=1) for head, level in self.levels.items()}


def vessels(root: Path, count: int = 6, **values: Any) -> pd.DataFrame:
    """Masks are where red is above 150, but for noise."""
    rows = []
    for item in range(count):
        image = prepared.photograph(item, 90 + item, 70)
        noise = np.random.default_rng(item).normal(0, 25, image.shape[:2])
        mask = ((image[..., 0] + noise > 150) * 255).astype(np.uint8)
        fov = np.full_like(mask, 255)
        fov[:, 50:] = 0
        rows.append({"patient_id": f"{item // 2}", "image": image, "mask": mask, "fov": fov, **values})
    return prepared.write(root, "drive", rows, size=0)


def seen(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(normalise(image, MEAN, STD))[None]


def judged(root: Path, rows: pd.DataFrame, task: str = "drive", write: bool = True, **levels: float) -> Judgement:
    folder = root / "finetune/x/seed0" if write else None
    segmented = Segmented(TASKS[task], Workspace(root), rows, folder)
    network, photographs = Reddish(**(levels or {"vessel": 140.5})), Photographs.of(Workspace(root), rows)
    segmented.count(predict_log_odds(FABRIC, network, seen(photographs.read(item)), 32) for item in range(len(rows)))
    return segmented.judgement()


@pytest.mark.parametrize(("height", "width"), [(20, 30), (32, 32), (33, 70), (100, 45)])
def test_log_odds_of_any_size(height: int, width: int) -> None:
    image = np.random.default_rng(0).normal(size=(3, height, width)).astype(np.float32)
    found = predict_log_odds(FABRIC, Reddish(disc=100, cup=200), torch.from_numpy(image)[None], 32)
    red = 255 * (image[0] * STD[0] + MEAN[0])
    np.testing.assert_allclose(found, np.stack([(red - 100) / 20, (red - 200) / 20]), atol=1e-4)


def test_grey_levels_part_at_even_odds() -> None:
    odds = np.array([-np.inf, -40, -1e-6, 0, 1e-6, 0.01, 1, 40, np.inf], np.float32)
    assert grey_levels(odds).tolist() == [0, 0, 127, 127, 128, 128, 186, 255, 255]
    probabilities = 1 / (1 + np.exp(-np.linspace(-6, 6, 101, dtype=np.float32)))
    levels = grey_levels(np.linspace(-6, 6, 101, dtype=np.float32))
    assert np.abs(levels / 255 - probabilities).max() <= 0.5 / 255 + 1e-6


def dice(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    return float(2 * (truth & found).sum() / (truth.sum() + found.sum()))


def test_maps_and_rows_repeat_the_measures(tmp_path: Path) -> None:
    """F1 exactly, the AUC within 1e-3, both from the maps and from the histograms, also inside the field of view."""
    table = vessels(tmp_path)
    found = judged(tmp_path, table)
    rows = found.predictions
    assert rows["image_id"].tolist() == table["image_id"].tolist() and set(rows["structure"]) == {"vessel"}
    f1: dict[str, list[float]] = {"": [], "_fov": []}
    pixels: dict[str, list[Any]] = {"": [], "_fov": []}
    for row in rows.itertuples():
        assert row.map_path == f"finetune/x/seed0/maps/{row.image_id}.png"
        level = np.asarray(Image.open(tmp_path / row.map_path))
        truth, fov = (read_mask(tmp_path / path) > 127 for path in (row.mask_path, row.fov_path))
        red = np.asarray(Image.open(tmp_path / row.path))[..., 0]
        np.testing.assert_array_equal(level > 127, red > 140)
        for suffix, area in (("", np.ones_like(fov)), ("_fov", fov)):
            f1[suffix].append(dice(truth[area], level[area] > 127))
            pixels[suffix].append((truth[area], level[area]))
        counts = (row.true_positives, row.false_positives, row.false_negatives, row.true_negatives)
        hits = truth & (level > 127)
        false, missed = (level > 127).sum() - hits.sum(), truth.sum() - hits.sum()
        assert counts == (hits.sum(), false, missed, truth.size - hits.sum() - false - missed)
    assert rows["f1"].tolist() == pytest.approx(f1[""]) and len(set(f1[""])) > 1
    for suffix, parts in pixels.items():
        assert found.measures[f"f1{suffix}"] == pytest.approx(np.mean(f1[suffix]))
        truth, level = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
        assert found.measures[f"auc{suffix}"] == pytest.approx(roc_auc_score(truth, level), abs=1e-3)
        positive, negative = (
            np.stack(rows[f"{kind}{suffix}"].to_list()).sum(axis=0) for kind in ("positives", "negatives")
        )
        rightly = (positive * (np.cumsum(negative) - negative / 2)).sum() / (positive.sum() * negative.sum())
        assert found.measures[f"auc{suffix}"] == pytest.approx(rightly, abs=1e-3)
        bound = rows[f"log_odds{suffix}"].iloc[0]
        assert positive[bound > 0].sum() == (truth & (level > 127)).sum()
    assert found.measures["f1_fov"] != found.measures["f1"]


def test_every_number_has_an_interval_around_it(tmp_path: Path) -> None:
    found = judged(tmp_path, vessels(tmp_path))
    assert found.intervals.keys() == found.measures.keys() and not found.reasons
    for name, (low, high) in found.intervals.items():
        assert low < found.measures[name] < high


def test_patients_who_share_a_photograph_are_one_in_an_interval(tmp_path: Path) -> None:
    """Of one group alone there is none, whatever the patients are called."""
    found = judged(tmp_path, vessels(tmp_path).assign(group_id="all"))
    assert found.measures and not found.intervals


def test_validation_is_judged_without_files(tmp_path: Path) -> None:
    table = vessels(tmp_path)
    found = judged(tmp_path, table, write=False)
    assert found.measures == judged(tmp_path, table).measures
    assert not found.intervals and found.predictions.empty
    assert not (tmp_path / "finetune/x/seed1").exists()


@pytest.mark.parametrize(("task", "levels"), [("drive", {"vessel": 140.5}), ("refuge-seg", {"disc": 105, "cup": 185})])
def test_the_loss_is_the_mean_over_photographs_of_the_mean_over_pixels_summed_over_heads(
    tmp_path: Path, task: str, levels: dict[str, float]
) -> None:
    """At the size of the mask."""
    table = vessels(tmp_path) if task == "drive" else discs(tmp_path)
    losses = []
    for row in table.itertuples():
        mask = read_mask(tmp_path / row.mask_path)
        red = np.asarray(Image.open(tmp_path / row.path))[..., 0].astype(np.float32)
        loss = 0.0
        for head, level in levels.items():
            truth = np.isin(mask, TASKS[task].structures.codes_of(head))
            odds = cv2.resize((red - level) / 20, mask.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float64)
            loss += np.where(truth, np.logaddexp(0, -odds), np.logaddexp(0, odds)).mean()
        losses.append(loss)
    found = judged(tmp_path, table, task, write=False, **levels)
    assert found.loss == pytest.approx(np.mean(losses), rel=1e-4)


def test_without_fields_of_view(tmp_path: Path) -> None:
    table = vessels(tmp_path)
    table.loc[0, "fov_path"] = None
    found = judged(tmp_path, table)
    assert not [name for name in (*found.measures, *found.predictions) if name.endswith("_fov")]


def test_without_a_vessel_there_is_a_reason(tmp_path: Path) -> None:
    table = vessels(tmp_path, 2)
    for path in table["mask_path"]:
        Image.fromarray(np.zeros_like(read_mask(tmp_path / path))).save(tmp_path / path)
    found = judged(tmp_path, table)
    lost = {"auc", "sensitivity"}
    assert found.reasons.keys() == lost | {f"{name}_fov" for name in lost}
    assert all(np.isnan(found.measures[name]) for name in found.reasons) and found.measures["f1"] == 0


def discs(root: Path) -> pd.DataFrame:
    """Squares of 48 px whose masks have 100 px: discs around (x, 50) with cups in them."""
    rows = []
    for item in range(4):
        y, x = np.mgrid[:100, :100]
        away = np.hypot(x - 40 - 5 * item, y - 50)
        mask = np.select([away < 8 + 2 * item, away < 24], [np.uint8(0), np.uint8(128)], np.uint8(255))
        red = np.select([mask == 0, mask == 128], [np.uint8(220), np.uint8(150)], np.uint8(60))
        small = cv2.resize(red, (48, 48), interpolation=cv2.INTER_AREA)
        rows.append({"image": np.stack([small, small // 2, small // 3], axis=2), "mask": mask})
    return prepared.write(root, "refuge-seg", rows, size=48)


def diameter(mask: NDArray[np.bool_]) -> int:
    return max(sum(bool(pixel) for pixel in column) for column in mask.T)


def test_disc_and_cup_at_the_size_of_the_masks(tmp_path: Path) -> None:
    table = discs(tmp_path)
    found = judged(tmp_path, table, "refuge-seg", disc=105, cup=185)
    rows = found.predictions
    assert rows.groupby("structure")["image_id"].count().to_dict() == {"disc": 4, "cup": 4}
    expected: dict[str, list[float]] = {"disc": [], "cup": []}
    errors = []
    for row in table.itertuples():
        mask = read_mask(tmp_path / row.mask_path)
        red = np.asarray(Image.open(tmp_path / row.path))[..., 0].astype(np.float32)
        ratios = []
        for head, level, shades in (("disc", 105, (0, 128)), ("cup", 185, (0,))):
            truth = np.isin(mask, shades)
            predicted = cv2.resize((red - level) / 20, (100, 100), interpolation=cv2.INTER_LINEAR) > 0
            expected[head].append(dice(truth, predicted))
            ratios.append((diameter(truth), diameter(predicted)))
        (disc, found_disc), (cup, found_cup) = ratios
        errors.append(abs(cup / disc - found_cup / found_disc))
    for head, values in expected.items():
        assert found.measures[f"{head}_f1"] == pytest.approx(np.mean(values)) and np.mean(values) > 0.9
        assert rows.loc[rows["structure"] == head, "f1"].tolist() == pytest.approx(values)
    assert found.measures["f1"] == pytest.approx(np.mean([*expected["disc"], *expected["cup"]]))
    assert found.measures["cup_to_disc_error"] == pytest.approx(np.mean(errors))
    assert (rows["cup_to_disc"] - rows["cup_to_disc_truth"]).abs()[:4].tolist() == pytest.approx(errors)
    assert rows["shades"].iloc[0].tolist() == [0, 128] and rows["shades"].iloc[-1].tolist() == [0]
    for row in rows.itertuples():
        assert row.map_path == f"finetune/x/seed0/maps/{row.image_id}_{row.structure}.png"
        assert np.asarray(Image.open(tmp_path / row.map_path)).shape == (48, 48)


def test_a_disc_that_is_not_found_has_the_ratio_0(tmp_path: Path) -> None:
    found = judged(tmp_path, discs(tmp_path), "refuge-seg", disc=300, cup=300)
    assert (found.predictions["cup_to_disc"] == 0).all()
    assert found.measures["cup_to_disc_error"] == pytest.approx(found.predictions["cup_to_disc_truth"].mean())
    assert found.measures["f1"] == 0 and not found.reasons


def test_sizes_are_changed_bilinearly() -> None:
    odds = np.array([[-1.0, 1.0]], np.float32)
    assert at_size(odds, (1, 2)) is odds
    assert at_size(odds, (1, 4)).tolist() == [[-1, -0.5, 0.5, 1]]


def test_a_replaced_photograph_is_named(tmp_path: Path) -> None:
    table = vessels(tmp_path, 1)
    Image.fromarray(prepared.photograph(9, 90, 70)).save(tmp_path / table["path"][0])
    with pytest.raises(SwclError, match="0.png is not the image that was prepared"):
        judged(tmp_path, table)


def test_structures_that_exclude_each_other_are_held_against_the_likeliest_other_class() -> None:
    """Against a plain loop over pixels; at a tie nothing is found."""
    odds = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    odds[:, 0, 0], odds[:, 0, 1] = (1, 1, -1), (-1, -2, -3)
    margins, probabilities = against_others(odds), shares(odds)
    for y, x in np.ndindex(4, 5):
        classes = [0.0, *odds[:, y, x].tolist()]
        whole = sum(np.exp(classes))
        for number in range(3):
            others = classes[: number + 1] + classes[number + 2 :]
            assert margins[number, y, x] == pytest.approx(classes[number + 1] - max(others), abs=1e-6)
            assert probabilities[number, y, x] == pytest.approx(np.exp(classes[number + 1]) / whole, abs=1e-6)
    assert not (margins[:, 0, :2] > 0).any() and ((margins > 0).sum(axis=0) <= 1).all()
