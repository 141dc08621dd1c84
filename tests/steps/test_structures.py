"""Arteries and veins of phantom eyes, from colours to scores and back, against the masks as they were drawn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from swcl_cli.phantom.eye.disease import EyeFindings
from swcl_cli.phantom.eye.patient import draw_eye
from swcl_cli.phantom.layouts.drive import CAMERA
from tests.commands import swcl

RED, BLUE, GREEN, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 255), (0, 0, 0)
SPLITS = {"train": 3, "val": 1, "test": 2}
TABLES = {  # what crossings are: both, or nobody knows
    "overlapping": "colour,name\n#ff0000,artery\n#0000ff,vein\n#00ff00,artery\n#00ff00,vein\n#ffffff,ignore\n",
    "exclusive": "colour,name\n#ff0000,artery\n#0000ff,vein\n#00ff00,ignore\n#ffffff,ignore\n",
}
NAMES = ("artery", "vein")
MINUTE: tuple[object, ...] = (
    *("--architecture", "resnet18", "--decoder", "smp-unet", "--crop", 64, "--batch", 3, "--epochs", 1, "--seeds", 1),
    *("--loss", "dice", "--focus", 0.5, "--precise-bn", 0, "--workers", 0),
)


def draw(root: Path) -> None:
    """Photographs, fields of view, and masks as RITE has them, with a part that nobody is sure of."""
    for number in range(sum(SPLITS.values())):
        split = [split for split, count in SPLITS.items() for _ in range(count)][number]
        eye = draw_eye(0, 900 + number, number % 2, 112, EyeFindings(), CAMERA)
        arteries, veins = eye.arteries.astype(bool), eye.veins.astype(bool)
        mask = np.zeros_like(eye.image)
        mask[arteries], mask[veins], mask[arteries & veins] = RED, BLUE, GREEN
        mask[40:60][eye.vessels[40:60].astype(bool)] = WHITE
        for folder, pixels in (("images", eye.image), ("av", mask), ("fov", eye.fov * np.uint8(255))):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / folder / split / f"{number}.png")
        for folder, here in (("arteries", arteries), ("veins", veins)):  # called as they like, all with one ending
            (root / folder / split).mkdir(parents=True, exist_ok=True)
            Image.fromarray(here * np.uint8(255)).save(root / folder / split / f"{number}_AV.png")
    for form, text in TABLES.items():
        (root / f"{form}.csv").write_text(text)


def run(*command: object) -> str:
    done = swcl(*command)
    assert done.code == 0, done.err
    return done.out


def by_colour(_: object, image: Tensor, __: int) -> Tensor:
    """In place of a network that has learnt: arteries where red is bright, veins where green is."""
    return image[:, :2] - torch.tensor([1.5, 0.7]).view(1, 2, 1, 1)


@pytest.fixture(scope="module", autouse=True)
def found_by_colour() -> Iterator[None]:
    with mock.patch("swcl_cli.tasks.segmented.predict_windows", by_colour):
        yield


@pytest.fixture(scope="module", params=[*TABLES, "folders"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace with a model that was trained for a step."""
    root, form = tmp_path_factory.mktemp(request.param), str(request.param)
    draw(root)
    fields, of_one = ("--masks", f"fov={root}/fov"), ("--masks", root / "av", "--mask-classes", root / f"{form}.csv")
    of_each = ("--masks", f"artery={root}/arteries", "--masks", f"vein={root}/veins")
    masks = (*(of_each if form == "folders" else of_one), *fields)
    told = run("prep", "folder", root / "images", *masks, "--size", 0, "--workers", 0, "--workspace", root)
    assert "artery" in told and ("#ff0000, #00ff00" in told) == (form == "overlapping")
    run("finetune", "folder", *MINUTE, "--name", "x", "--workspace", root)
    return root, form


def colours(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def are(pixels: NDArray[np.uint8], *chosen: tuple[int, int, int]) -> NDArray[np.bool_]:
    there: NDArray[np.bool_] = np.logical_or.reduce(
        [(pixels == colour).all(axis=-1) for colour in map(np.array, chosen)]
    )
    return there


def found(root: Path, number: int, structure: str) -> NDArray[np.bool_]:
    return np.asarray(Image.open(root / f"finetune/folder/x/seed0/maps/test_{number}_{structure}.png")) > 127


def drawn(root: Path, number: int, structure: str) -> NDArray[np.bool_]:
    folder = {"artery": "arteries", "vein": "veins"}[structure]
    return np.asarray(Image.open(root / f"{folder}/test/{number}_AV.png")) > 127


def f1(truth: Any, positive: Any) -> float:
    both = int((truth & positive).sum())
    either = int(truth.sum()) + int(positive.sum())
    return 2 * both / either if either else 1.0


def test_scores_are_those_of_the_raw_masks(trained: tuple[Path, str]) -> None:
    """Of each structure and their mean, over photographs and pooled, whole and inside the field of view."""
    root, form = trained
    table = pd.read_parquet(root / "finetune/folder/x/seed0/results.parquet")
    scores = table[table["split"] == "test"].set_index("measure")["value"].to_dict()
    unknown = (WHITE,) if form == "overlapping" else (WHITE, GREEN)
    crossing = () if form == "exclusive" else (GREEN,)
    of = {"artery": (RED, *crossing), "vein": (BLUE, *crossing)}
    expected: dict[str, list[float]] = {}
    for suffix in ("", "_fov"):
        for structure in NAMES:
            truths, positives = [], []
            for number in (4, 5):
                mask = colours(root / f"av/test/{number}.png")
                truth, known = are(mask, *of[structure]), ~are(mask, *unknown)
                if form == "folders":
                    truth, known = drawn(root, number, structure), np.ones_like(known)
                if suffix:
                    known &= np.asarray(Image.open(root / f"fov/test/{number}.png")) > 127
                truths.append(truth[known])
                positives.append(found(root, number, structure)[known])
            mean = float(np.mean([f1(*pair) for pair in zip(truths, positives, strict=True)]))
            pooled = f1(np.concatenate(truths), np.concatenate(positives))
            assert 0 < mean < 1
            assert scores[f"{structure}_f1{suffix}"] == pytest.approx(mean)
            assert scores[f"{structure}_f1_pooled{suffix}"] == pytest.approx(pooled)
            expected.setdefault(f"f1{suffix}", []).append(mean)
            expected.setdefault(f"f1_pooled{suffix}", []).append(pooled)
    for measure, parts in expected.items():
        assert scores[measure] == pytest.approx(np.mean(parts))
    if form == "exclusive":
        assert not (found(root, 4, "artery") & found(root, 4, "vein")).any()


def test_predicted_masks_are_in_the_colours_that_were_given(trained: tuple[Path, str]) -> None:
    root, form = trained
    model = root / "finetune/folder/x/seed0/model.safetensors"
    told = run("predict", model, root / "images/test", "--out", root / "out", "--accelerator", "cpu", "--workers", 0)
    rows = pd.read_csv(root / "out/predictions.csv").set_index("image")
    if form == "folders":  # of each structure its own mask, as they were given
        files = {"artery_mask", "vein_mask"}
        assert set(rows.columns) == {"width", "height", "artery_share", "vein_share", *files, "overlay"}
        for number in (4, 5):
            for structure in NAMES:
                mask = np.asarray(Image.open(root / "out" / rows.loc[number, f"{structure}_mask"]))
                assert set(np.unique(mask)) == {0, 255}
                np.testing.assert_array_equal(mask > 0, found(root, number, structure))
        return
    assert "Colours of the overlays: artery #ff0000, vein #0000ff." in told
    assert set(rows.columns) == {"width", "height", "artery_share", "vein_share", "mask", "overlay"}
    for number in (4, 5):
        mask = colours(root / "out" / rows.loc[number, "mask"])
        assert are(mask, BLACK, RED, BLUE, GREEN).all() and are(mask, GREEN).any() == (form == "overlapping")
        for structure, colour in (("artery", RED), ("vein", BLUE)):
            there = are(mask, colour, GREEN)
            np.testing.assert_array_equal(there, found(root, number, structure))
            assert rows.loc[number, f"{structure}_share"] == pytest.approx(there.mean(), abs=1e-6)


def test_the_report_shows_each_structure(trained: tuple[Path, str]) -> None:
    root, _ = trained
    run("report", "--workspace", root)
    shown = pd.read_csv(root / "report/tables/structures.csv")
    scores = pd.read_parquet(root / "finetune/folder/x/seed0/results.parquet")
    scores = scores[scores["split"] == "test"].set_index("measure")
    assert set(shown["structure"]) == {"artery", "vein", "mean"} and set(shown["area"]) == {"whole", "field of view"}
    assert len(shown) == 2 * (2 * 5 + 2)
    for row in shown.itertuples():
        part = "" if row.structure == "mean" else f"{row.structure}_"
        stored = scores.loc[f"{part}{row.measure}{'' if row.area == 'whole' else '_fov'}"]
        assert (row.mean, row.low, row.high) == pytest.approx((stored["value"], stored["low"], stored["high"]))


@pytest.mark.parametrize("without", ["unknown", "empty"])
def test_a_folder_for_each_structure_reaches_the_manifest_and_training(without: str, tmp_path: Path) -> None:
    """Each photograph's mask, read where the manifest names it, has both structures as they were drawn.

    Names of photographs and structures are such that `_` between them would give two files one name.
    """
    draw(tmp_path)
    structures = {"artery": (RED, GREEN), "small_artery": (BLUE, GREEN)}
    lacking = tmp_path / "artery/train/0.png"
    for path in sorted((tmp_path / "av").rglob("*.png")):
        named = {"4.png": "P.png", "5.png": "P_small.png"}.get(path.name, path.name)
        (tmp_path / "images" / path.parent.name / path.name).rename(tmp_path / "images" / path.parent.name / named)
        pixels = colours(path)
        for structure, of in structures.items():
            target = tmp_path / structure / path.parent.name / named
            target.parent.mkdir(parents=True, exist_ok=True)
            if target != lacking:
                Image.fromarray(are(pixels, *of)).save(target)
    masks = (argument for structure in structures for argument in ("--masks", f"{structure}={tmp_path / structure}"))
    run(
        *("prep", "folder", tmp_path / "images", *masks, "--without-mask", without),
        *("--size", 0, "--workers", 0, "--workspace", tmp_path),
    )
    rows = pd.read_parquet(tmp_path / "data/folder/manifest.parquet").set_index("source_path")
    masked = rows["mask_path"].dropna()
    assert set(rows.index) - set(masked.index) == ({"train/0.png"} if without == "unknown" else set())
    for source, path in masked.items():
        codes = np.asarray(Image.open(tmp_path / path))
        for bit, structure in enumerate(structures):
            raw = tmp_path / structure / str(source)
            drawn = np.asarray(Image.open(raw).convert("L")) > 0 if raw.exists() else np.zeros_like(codes, dtype=bool)
            np.testing.assert_array_equal(codes >> bit & 1, drawn)
    if without == "empty":
        run("finetune", "folder", *MINUTE, "--name", "x", "--workspace", tmp_path)
        maps = pd.read_parquet(tmp_path / "finetune/folder/x/predictions.parquet")["map_path"]
        assert maps.nunique() == len(maps) == 4 and all((tmp_path / path).is_file() for path in maps)
        model = tmp_path / "finetune/folder/x/seed0/model.safetensors"
        run("predict", model, tmp_path / "images/test", "--maps", "--out", tmp_path / "out", "--workers", 0)
        predicted = pd.read_csv(tmp_path / "out/predictions.csv")
        for kind in ("mask", "map"):
            files = predicted[[f"{structure}_{kind}" for structure in structures]].to_numpy().ravel()
            assert len({*files}) == len(files) == 4 and all((tmp_path / "out" / file).is_file() for file in files)
