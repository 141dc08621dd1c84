"""One photograph has one answer, whoever asks: `finetune`'s evaluation, `swcl predict`, or Python."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from swcl_cli.errors import SwclError
from swcl_cli.preparation.decoding import Unusable
from swcl_cli.preparation.unprepared import Photograph, read_unprepared
from swcl_cli.settings import FinetuneSettings, PredictSettings
from swcl_cli.steps import finetune, predict, prep
from swcl_cli.tasks.answer import Answer
from swcl_cli.tasks.predictor import load_model
from swcl_cli.tasks.segmented import grey_levels
from swcl_cli.workspace import Workspace
from tests import downloads, prep_runs

TINY: dict[str, Any] = {"architecture": "resnet18", "epochs": 1, "seeds": 1, "workers": 0, "batch": 4, "crop": 64}
SIZES = ((120, 100), (96, 90), (150, 128), (204, 170))  # width, height
ONE_BY_ONE = 1e-5  # of a probability: kernels for larger batches add up in another order


def resized(folder: Path) -> None:
    """Gives the photographs of a download, and what lies beside them, several sizes."""
    for kind in {path.parent for path in folder.rglob("*") if path.suffix in (".jpg", ".tif", ".gif", ".png")}:
        for item, path in enumerate(sorted(kind.iterdir())):
            with Image.open(path) as image:
                mode = Image.Resampling.NEAREST if image.mode in ("L", "P", "1") else Image.Resampling.BICUBIC
                image.resize(SIZES[item % len(SIZES)], mode).save(path)


def trained(root: Path, dataset: str, source: Path, size: int, **values: Any) -> Path:
    prep.run(prep_runs.settings(root, dataset, source, size=size))
    finetune.run(FinetuneSettings(**{"workspace": root, "task": dataset, **TINY, **values}))
    return Workspace(root).finetune(dataset, "random") / "seed0/model.safetensors"


@pytest.fixture(scope="module", params=[0, 80], ids=["own sizes", "80 px"])
def grades(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of IDRiD's grades, of photographs of several sizes."""
    root = tmp_path_factory.mktemp("idrid")
    source = downloads.idrid(root / "raw", 10, 6)
    resized(source / "B. Disease Grading")
    return trained(root, "idrid", source, request.param)


@pytest.fixture(scope="module")
def vessels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of DRIVE's vessels, of photographs of several sizes."""
    root = tmp_path_factory.mktemp("drive")
    source = downloads.drive(root / "raw", 8, 4)
    resized(source)
    return trained(root, "drive", source, 0, output_stride=16)


def evaluated(model: Path) -> tuple[pd.DataFrame, list[Path]]:
    """The predictions of the test photographs, and where these were downloaded to."""
    root = model.parents[4]
    rows = pd.read_parquet(model.with_name("predictions.parquet"))
    table = pd.read_parquet(root / "data" / model.parents[2].name / "manifest.parquet").set_index("image_id")
    sources = table.loc[rows["image_id"].unique(), "source_path"]
    assert len({tuple(size) for size in table.loc[sources.index, ["width", "height"]].to_numpy()}) > 1
    return rows, [root / "raw" / path for path in sources]


def predicted(model: Path, photographs: list[Path], out: Path) -> pd.DataFrame:
    predict.run(PredictSettings(model=model, images=photographs, out=out, workers=1, accelerator="cpu"))
    return pd.read_csv(out / "predictions.csv")


def probabilities(answers: list[Answer | Unusable], head: str) -> Any:
    return np.stack([answer.probabilities[head] for answer in answers if isinstance(answer, Answer)])


def test_grades_are_the_same_by_evaluation_predict_and_python(grades: Path, tmp_path: Path) -> None:
    """To the bit where as many are asked about at once."""
    rows, photographs = evaluated(grades)
    predictor = load_model(grades, "cpu")
    at_once = list(predictor.each(photographs))
    table = predicted(grades, photographs, tmp_path / "out")
    for head, part in rows.groupby("head"):
        expected = np.stack(part["probabilities"].to_list())
        np.testing.assert_array_equal(probabilities(at_once, str(head)), expected)
        singly = np.stack([predictor(path).probabilities[str(head)] for path in photographs])
        np.testing.assert_allclose(singly, expected, rtol=0, atol=ONE_BY_ONE)
        told = table[[f"{head}_{grade}" for grade in range(expected.shape[1])]].to_numpy()
        np.testing.assert_allclose(told, expected, rtol=0, atol=1e-6)  # six decimals
        assert table[head].tolist() == part["prediction"].tolist()


def test_masks_are_the_same_by_evaluation_predict_and_python(vessels: Path, tmp_path: Path) -> None:
    rows, photographs = evaluated(vessels)
    predictor = load_model(vessels, "cpu")
    table = predicted(vessels, photographs, tmp_path / "out")
    for row, path, cells in zip(rows.itertuples(), photographs, table.to_dict("records"), strict=True):
        answer = predictor(path)
        levels = np.asarray(Image.open(vessels.parents[4] / str(row.map_path)))
        odds = np.log(answer.probabilities["vessel"] / (1 - answer.probabilities["vessel"].astype(np.float64)))
        np.testing.assert_array_equal(answer.masks["vessel"], levels > 127)
        np.testing.assert_allclose(grey_levels(odds.astype(np.float32)), levels, atol=1)
        drawn = np.asarray(Image.open(tmp_path / "out" / cells["vessel_mask"]))
        np.testing.assert_array_equal(drawn > 0, answer.masks["vessel"])
        assert (answer.width, answer.height) == (levels.shape[1], levels.shape[0])
        assert float(cells["vessel_share"]) == pytest.approx(answer.numbers["vessel_share"], abs=1e-6)


def test_a_photograph_in_any_form(vessels: Path, tmp_path: Path) -> None:
    predictor = load_model(str(vessels), "cpu")
    _, (path, *_) = evaluated(vessels)
    image = Image.open(path).convert("RGB")
    forms: list[Photograph] = [path, str(path), path.read_bytes(), Image.open(path), image, np.asarray(image)]
    answers = [predictor(form) for form in forms]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.probabilities["vessel"], answers[0].probabilities["vessel"])
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("tiff", "png"):
        file = BytesIO()
        image.transpose(Image.Transpose.ROTATE_90).save(file, kind, exif=exif)
        for lying in (file.getvalue(), Image.open(file)):
            np.testing.assert_array_equal(predictor(lying).masks["vessel"], answers[0].masks["vessel"])


def test_an_image_is_left_as_it_was(grades: Path) -> None:
    image = downloads.photograph(1)
    before = image.tobytes()
    load_model(grades, "cpu")(image)
    assert image.tobytes() == before and image.size == (120, 100)


def test_what_can_not_be_used_is_an_error_that_says_why(grades: Path, tmp_path: Path) -> None:
    predictor = load_model(grades, "cpu")
    (tmp_path / "text.png").write_text("no image")
    unusable: list[tuple[Any, str]] = [
        (tmp_path / "gone.png", "gone.png: unreadable"),
        (tmp_path / "text.png", "text.png: not an image"),
        (np.zeros((90, 90, 3), np.uint8), "empty"),
        (np.zeros((90, 90), np.uint8), r"not an image \(an array is uint8 \(H, W, 3\), not uint8 \(90, 90\)\)"),
        (np.zeros((90, 90, 3), np.float32), r"not float32 \(90, 90, 3\)"),
        (Image.new("RGB", (30, 90)), "too small"),
    ]
    for photograph, words in unusable:
        with pytest.raises(SwclError, match=words):
            predictor(photograph)


def test_those_between_that_can_not_be_used_do_not_move_the_others(grades: Path) -> None:
    predictor = load_model(grades, "cpu")
    _, photographs = evaluated(grades)
    mixed: list[Any] = [b"no image", *photographs[:2], b"", *photographs[2:], b""]
    answers = list(predictor.each(mixed))
    assert [isinstance(answer, Unusable) for answer in answers] == [isinstance(given, bytes) for given in mixed]
    for head in predictor.model.heads:
        np.testing.assert_array_equal(
            probabilities(answers, head), probabilities(list(predictor.each(photographs)), head)
        )


def test_batches_and_torchs_generator(grades: Path) -> None:
    """More than one batch, with and without a process that decodes; nothing is drawn from torch's generator."""
    predictor = load_model(grades, "cpu")
    photographs = [np.asarray(downloads.photograph(item)) for item in range(predictor.kind.batch + 3)]
    state = torch.get_rng_state()
    alone = list(predictor.each(photographs))
    assert len(alone) == len(photographs) and torch.equal(torch.get_rng_state(), state)
    for head in predictor.model.heads:
        loaded = probabilities(list(predictor.each(photographs, workers=1)), head)
        np.testing.assert_array_equal(loaded, probabilities(alone, head))


def test_own_sizes_are_kept_only_where_those_that_trained_were(grades: Path) -> None:
    model = load_model(grades, "cpu").model
    shapes = {
        read_unprepared(np.asarray(downloads.photograph(1, side, side)), model.form)[0].shape for side in (120, 240)
    }
    assert shapes == ({(120, 120, 3), (240, 240, 3)} if model.lossless else {(80, 80, 3)})
