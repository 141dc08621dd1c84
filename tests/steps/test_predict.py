"""`predict`: what it says of raw photographs is what `finetune` found in the prepared ones."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from safetensors.torch import load_file

from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings, PredictSettings
from swcl_cli.steps import finetune, predict, prep
from swcl_cli.tasks.predictor import Predictor, load_model
from swcl_cli.workspace import Workspace, read_provenance, write_safetensors
from tests import downloads, prep_runs
from tests.commands import swcl
from tests.folders import contents

TINY: dict[str, Any] = {"architecture": "resnet18", "epochs": 1, "seeds": 1, "workers": 0, "batch": 4}


def trained(root: Path, dataset: str, source: Path, size: int, **values: Any) -> Path:
    """The model of one epoch on this download."""
    prep.run(prep_runs.settings(root, dataset, source, size=size))
    finetune.run(FinetuneSettings(**{"workspace": root, "task": dataset, **TINY, **values}))
    return Workspace(root).finetune(dataset, "random") / "seed0/model.safetensors"


@pytest.fixture(scope="module")
def idrid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("idrid")
    return trained(root, "idrid", downloads.idrid(root / "raw", 10, 4), 80, crop=64)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drive")
    return trained(root, "drive", downloads.drive(root / "raw", 5, 2), 0, crop=64, output_stride=16)


@pytest.fixture(scope="module")
def refuge_seg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("refuge")
    return trained(root, "refuge-seg", downloads.refuge(root / "raw", "challenge"), 96, crop=64, output_stride=16)


def run(model: Path, out: Path, *images: Path) -> Path:
    settings = PredictSettings(model=model, images=list(images), out=out, workers=0, accelerator="cpu")
    assert predict.run(settings) == out
    return out


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


def workspace_of(model: Path) -> Path:
    return model.parents[4]


def test_grades_are_those_of_finetune(idrid: Path, tmp_path: Path) -> None:
    raw = workspace_of(idrid) / "raw/B. Disease Grading/1. Original Images/b. Testing Set"
    before = contents(raw)
    alone = tmp_path / "elsewhere/model.safetensors"
    alone.parent.mkdir()
    shutil.copy(idrid, alone)
    found = table(run(alone, tmp_path / "out", raw) / "predictions.csv").set_index("image")
    expected = pd.read_parquet(idrid.with_name("predictions.parquet"))
    assert len(found) == 4 and contents(raw) == before
    for row in expected.itertuples():
        line = found.loc[row.image_id.removeprefix("test_")]
        assert line[row.head] == row.prediction
        shown = [line[f"{row.head}_{one}"] for one in range(len(row.probabilities))]
        np.testing.assert_allclose(shown, row.probabilities, atol=1e-5)
    assert (found["width"] == 120).all() and (found["height"] == 100).all()
    assert sorted(contents(tmp_path / "out")) == ["predict.json", "predictions.csv"]


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_answers_of_a_probe_are_those_of_finetune(idrid: Path, tmp_path: Path, fit: Literal["crop"]) -> None:
    root = workspace_of(idrid)
    path = finetune.run(
        FinetuneSettings(workspace=root, task="idrid", crop=64, probe=True, fit=fit, name=f"probe-{fit}", **TINY)
    )
    raw = root / "raw/B. Disease Grading/1. Original Images/b. Testing Set"
    found = table(run(path.parent / "seed0/model.safetensors", tmp_path / "out", raw) / "predictions.csv")
    rows = found.set_index("image")
    for row in pd.read_parquet(path.with_name("predictions.parquet")).itertuples():
        line = rows.loc[row.image_id.removeprefix("test_")]
        shown = [line[f"{row.head}_{one}"] for one in range(len(row.probabilities))]
        assert line[row.head] == row.prediction
        np.testing.assert_allclose(shown, row.probabilities, atol=1e-5)


def test_vessels_are_those_of_finetune(drive: Path, tmp_path: Path) -> None:
    root = workspace_of(drive)
    out = run(drive, tmp_path / "out", root / "raw/test/images")
    rows = table(out / "predictions.csv").set_index("image")
    for row in pd.read_parquet(drive.with_name("predictions.parquet")).itertuples():
        name = Path(str(row.image_id)).name
        mask = np.asarray(Image.open(out / rows.loc[name, "vessel_mask"]))
        np.testing.assert_array_equal(mask, 255 * (np.asarray(Image.open(root / row.map_path)) > 127))
        assert rows.loc[name, "vessel_share"] == pytest.approx((mask > 0).mean(), abs=1e-6)
        assert Image.open(out / rows.loc[name, "overlay"]).size == Image.fromarray(mask).size
    drawn = [file for name in rows.index for file in (f"masks/{name}.png", f"overlays/{name}.jpg")]
    assert sorted(contents(out)) == sorted(["predict.json", "predictions.csv", *drawn])


def test_photographs_keep_their_own_size_where_those_that_trained_did(drive: Path, tmp_path: Path) -> None:
    """One that is far smaller or larger is named: the model has never seen such."""
    path = next((workspace_of(drive) / "raw/test/images").iterdir())
    image = Image.open(path).convert("RGB")
    (tmp_path / "in").mkdir()
    for times in (1, 2, 3):
        image.resize((times * image.width, times * image.height)).save(tmp_path / f"in/{times}.png")
    done = swcl("predict", drive, tmp_path / "in", "--out", tmp_path / "out", "--workers", 0, "--accelerator", "cpu")
    assert done.code == 0
    assert (
        "1 of 3 photographs, such as 3, have a shorter side less than half or more than twice that of those that "
        "trained (113 pixels)."
    ) in done.err
    rows = table(tmp_path / "out/predictions.csv").set_index("image")
    for times in (1, 2, 3):
        mask = np.asarray(Image.open(tmp_path / "out" / rows.loc[times, "vessel_mask"]))
        assert mask.shape == (times * image.height, times * image.width)
        answer = load_model(drive, "cpu")(tmp_path / f"in/{times}.png")
        np.testing.assert_array_equal(mask > 0, answer.masks["vessel"])


def test_disc_and_cup(refuge_seg: Path, tmp_path: Path) -> None:
    root = workspace_of(refuge_seg)
    out = run(refuge_seg, tmp_path / "out", root / "raw/Test400")
    rows = table(out / "predictions.csv").set_index("image")
    about = read_provenance(refuge_seg)["model"]
    assert (about["size"], about["square"], about["lossless"], about["ratio"]) == (96, True, False, ["cup", "disc"])
    assert {"disc_share", "disc_mask", "cup_share", "cup_mask", "cup_to_disc", "overlay"} < set(rows.columns)
    for name, row in rows.iterrows():
        assert row["disc_mask"] == f"masks/{name}_disc.png"
        for head in ("disc", "cup"):
            assert Image.open(out / row[f"{head}_mask"]).size == (124, 120)


def test_upright_and_in_any_format(drive: Path, tmp_path: Path) -> None:
    """A photograph that lies on its side is stood up as its EXIF says; the answer is that of the upright one."""
    image = Image.open(next((workspace_of(drive) / "raw/test/images").iterdir())).convert("RGB")
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in/upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = image.transpose(Image.Transpose.ROTATE_90)
    lying.save(tmp_path / "in/lying.tif", exif=exif)
    assert ImageOps.exif_transpose(Image.open(tmp_path / "in/lying.tif")).size == image.size
    out = run(drive, tmp_path / "out", tmp_path / "in")
    upright, turned = (np.asarray(Image.open(out / f"masks/{name}.png")) for name in ("upright", "lying"))
    np.testing.assert_array_equal(upright, turned)


def test_unreadable_photographs_are_set_aside(idrid: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    downloads.write_photograph(folder / "good.jpg", 1)
    downloads.write_photograph(folder / "cut.jpg", 2)
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-200])
    (folder / "text.png").write_text("no image")
    Image.new("RGB", (100, 100)).save(folder / "black.png")
    (folder / "notes.txt").write_text("not looked at")
    done = swcl("predict", idrid, folder, "--out", tmp_path / "out", "--workers", 0, "--accelerator", "cpu")
    assert done.code == 0, done.err
    assert f"1 of 5 files predicted, 4 set aside: see {tmp_path}/out/unreadable.csv" in done.out
    with open(tmp_path / "out/unreadable.csv", newline="") as handle:
        problems = {row["image"]: row["problem"] for row in csv.DictReader(handle)}
    assert problems == {"black": "empty", "cut": "truncated", "notes": "not an image", "text": "not an image"}
    assert table(tmp_path / "out/predictions.csv")["image"].tolist() == ["good"]


def test_equal_names_keep_their_outputs(idrid: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b/a.jpg"):
        downloads.write_photograph(tmp_path / "in" / name, 1)
    found = table(run(idrid, tmp_path / "out", tmp_path / "in") / "predictions.csv")
    assert sorted(found["image"]) == ["a.jpg", "a.png", "b/a"]


def test_a_model_or_an_answer_that_is_no_number_is_refused(
    idrid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads.write_photograph(tmp_path / "a.jpg", 1)
    tensors = load_file(idrid)
    key = next(name for name in tensors if name.endswith("conv1.weight"))
    tensors[key].view(-1)[0] = float("nan")
    write_safetensors(tmp_path / "nan/model.safetensors", tensors, read_provenance(idrid))
    with pytest.raises(SwclError, match=rf"{key} holds NaN or an infinite number. Make it again with: swcl finetune"):
        run(tmp_path / "nan/model.safetensors", tmp_path / "out", tmp_path / "a.jpg")
    assert not (tmp_path / "out").exists()

    def diverged(*_: Any) -> list[Any]:
        return [{head: np.full(count, np.nan, np.float32) for head, count in (("dr_grade", 5), ("dme_grade", 3))}]

    monkeypatch.setattr(Predictor, "_scores", diverged)
    with pytest.raises(SwclError, match=r"^a: the answer of .*model.safetensors is not a number"):
        run(idrid, tmp_path / "out", tmp_path / "a.jpg")


@pytest.mark.parametrize("text", ["{", "[]", '{"settings": 3}', "\x00", ""])
def test_a_damaged_record_is_named(idrid: Path, tmp_path: Path, text: str) -> None:
    downloads.write_photograph(tmp_path / "a.jpg", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/predict.json").write_text(text)
    with pytest.raises(SwclError, match=r"out/predict.json is damaged, or of another version: .*name another one"):
        run(idrid, tmp_path / "out", tmp_path / "a.jpg")


def test_none_that_can_be_read_is_an_error(idrid: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    done = swcl("predict", idrid, tmp_path / "text.png", "--out", tmp_path / "out", "--workers", 0)
    assert done.code == 1 and "None of the 1 files could be read as photographs; see" in done.err
    assert (tmp_path / "out/unreadable.csv").is_file() and not (tmp_path / "out/predictions.csv").exists()


def test_an_archive_gives_the_answers_of_its_folder(idrid: Path, drive: Path, tmp_path: Path) -> None:
    for item, name in enumerate(("a.png", "more/b.jpg")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    (tmp_path / "source/notes.txt").write_text("no photograph")
    archives = [
        Path(shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "source")) for kind in ("zip", "tar")
    ]
    for workers, model in enumerate((idrid, drive)):
        expected = contents(run(model, tmp_path / f"{workers}/folder", tmp_path / "source"))
        for archive in archives:
            out = tmp_path / f"{workers}/{archive.suffix}"
            work = tmp_path / "work"
            predict.run(
                PredictSettings(
                    model=model, images=[archive], out=out, workspace=work, workers=workers, accelerator="cpu"
                )
            )
            assert contents(out) == expected and table(out / "unreadable.csv")["image"].tolist() == ["notes"]


def test_how_photographs_were_read_is_told(idrid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "source"
    for item, name in enumerate(("plain.png", "pages.tif", "bits.png")):
        downloads.write_photograph(source / name, item)
    pages = [Image.open(source / name) for name in ("pages.tif", "plain.png")]
    pages[0].save(source / "pages.tif", save_all=True, append_images=pages[1:])
    grey = np.asarray(Image.open(source / "bits.png").convert("L")).astype(np.uint16)
    Image.fromarray(grey * 16).save(source / "bits.png")
    out = run(idrid, tmp_path / "out", source)
    remarks = table(out / "remarks.csv").set_index("image")["remark"]
    assert sorted(remarks.index) == ["bits", "pages"] and len(table(out / "predictions.csv")) == 3
    assert remarks["pages"] == "its file holds 2 pictures, of which the first was read"
    assert remarks["bits"].endswith("in 16 bits: 4,095 became 255")
    assert "2 of 3 photographs were not read as they lie, such as bits" in capsys.readouterr().err
    (source / "pages.tif").unlink()
    (source / "bits.png").unlink()
    assert not (run(idrid, tmp_path / "other", source) / "remarks.csv").exists()


class TestOut:
    @pytest.fixture(autouse=True)
    def _photographs(self, tmp_path: Path) -> None:
        for item, name in enumerate(("a.jpg", "b.jpg")):
            downloads.write_photograph(tmp_path / "in" / name, item)

    def test_the_same_again_gives_the_same(self, idrid: Path, tmp_path: Path) -> None:
        before = contents(run(idrid, tmp_path / "out", tmp_path / "in"))
        assert contents(run(idrid, tmp_path / "out", tmp_path / "in")) == before

    def test_one_at_a_time(self, idrid: Path, tmp_path: Path) -> None:
        downloads.write_photograph(tmp_path / "source/a.png", 1)
        held = (
            "import sys, time; from pathlib import Path; from swcl_cli.workspace import Lock;"
            "lock = Lock(Path(sys.argv[1]), 'predict'); print('held', flush=True); time.sleep(60)"
        )
        other = subprocess.Popen([sys.executable, "-c", held, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
        try:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            with pytest.raises(SwclError, match=f"Another `swcl predict` is at work on .* \\(process {other.pid} "):
                run(idrid, tmp_path / "out", tmp_path / "source")
        finally:
            other.kill()
            other.communicate()
        run(idrid, tmp_path / "out", tmp_path / "source")
        assert sorted(contents(tmp_path / "out")) == ["predict.json", "predictions.csv"]

    def test_what_others_wrote_stays(self, idrid: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out/predictions.csv").write_text("mine")
        with pytest.raises(SwclError, match="out is not empty: name a new folder with --out"):
            run(idrid, tmp_path / "out", tmp_path / "in")
        assert contents(tmp_path / "out").keys() == {"predictions.csv"}
        (tmp_path / "file").write_text("")
        with pytest.raises(SwclError, match="file is a file"):
            run(idrid, tmp_path / "file", tmp_path / "in")

    def test_other_predictions_stay(self, idrid: Path, drive: Path, tmp_path: Path) -> None:
        before = contents(run(idrid, tmp_path / "out", tmp_path / "in"))
        with pytest.raises(SwclError, match=r"out holds other predictions \(model: \w+ -> \w+\): name another folder"):
            run(drive, tmp_path / "out", tmp_path / "in")
        with pytest.raises(SwclError, match=r"other predictions \(photographs: "):
            run(idrid, tmp_path / "out", tmp_path / "in/a.jpg")
        assert contents(tmp_path / "out") == before

    def test_inside_the_folder_that_is_searched(self, drive: Path, tmp_path: Path) -> None:
        out = tmp_path / "in/out"
        for _ in range(2):
            run(drive, out, tmp_path / "in")
            assert table(out / "predictions.csv")["image"].tolist() == ["a", "b"]


def test_a_file_without_a_model(tmp_path: Path, idrid: Path) -> None:
    downloads.write_photograph(tmp_path / "a.jpg", 1)
    with pytest.raises(SwclError, match="gone.safetensors: no such file"):
        run(tmp_path / "gone.safetensors", tmp_path / "out", tmp_path / "a.jpg")
    with pytest.raises(SwclError, match="a.jpg is no file of weights"):
        run(tmp_path / "a.jpg", tmp_path / "out", tmp_path / "a.jpg")
    assert not (tmp_path / "out").exists()


def test_a_model_within_the_workspace(idrid: Path, tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "a.jpg", 1)
    inside = os.path.relpath(idrid, workspace_of(idrid))
    settings = PredictSettings(
        workspace=workspace_of(idrid), model=Path(inside), images=[tmp_path / "a.jpg"], out=tmp_path / "out", workers=0
    )
    assert table(predict.run(settings) / "predictions.csv")["image"].tolist() == ["a"]


def test_maps_hold_probabilities_to_sixteen_bits(drive: Path, tmp_path: Path) -> None:
    downloads.write_photograph(tmp_path / "a.png", 3)
    settings = PredictSettings(model=drive, images=[tmp_path / "a.png"], out=tmp_path / "out", workers=0, maps=True)
    rows = table(predict.run(settings) / "predictions.csv")
    levels = np.asarray(Image.open(tmp_path / "out" / rows["vessel_map"][0]))
    expected = load_model(drive, "cpu")(tmp_path / "a.png").probabilities["vessel"]
    assert levels.dtype == np.uint16 and levels.shape == expected.shape and levels.max() > 1  # of 8 bits all were 0
    np.testing.assert_allclose(levels / 65535, expected, rtol=0, atol=0.6 / 65535)
    with pytest.raises(SwclError, match="--threshold is for labels: .* finds structures"):
        predict.run(settings.model_copy(update={"threshold": "0.3"}))


@pytest.mark.parametrize("given", ["validation", "0.2"])
def test_thresholds_call_photographs_positive(
    idrid: Path, tmp_path: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model's own is the one that `results.parquet` tells; any grade above 0 counts."""
    results = pd.read_parquet(idrid.with_name("results.parquet"))
    tested = results[results["split"] == "test"].set_index("measure")["value"]
    chosen = {head: tested[f"{head}_threshold_at_90"] for head in ("dr_grade", "dme_grade")}
    told = {head: value if np.isfinite(value) else None for head, value in chosen.items()}
    assert read_provenance(idrid)["model"]["threshold_at_90"] == told and None in told.values()
    raw = workspace_of(idrid) / "raw/B. Disease Grading/1. Original Images"
    settings = PredictSettings(model=idrid, images=[raw], out=tmp_path / "out", workers=0, threshold=given)
    rows = table(predict.run(settings) / "predictions.csv")
    said = capsys.readouterr().out
    heads = [head for head, value in chosen.items() if np.isfinite(value)] if given == "validation" else list(chosen)
    assert heads and len(rows) == 14
    for head in heads:
        threshold = chosen[head] if given == "validation" else 0.2
        grades = [column for column in rows if column.startswith(f"{head}_") and column[-1].isdigit()]
        score = rows[grades[1:]].sum(axis=1)
        sure = (score - threshold).abs() > 1e-5  # six decimals
        assert (rows.loc[sure, f"{head}_above"] == (score[sure] > threshold)).all() and sure.sum() > 10
        assert f"{head}_above: whether any class above the first is more probable than {threshold:.4g}." in said
