"""The README's tables are those of the catalogue, and what it says of the encoder's file is executed as it stands."""

from __future__ import annotations

import glob
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from swcl_cli.catalogue.citation import METHOD
from swcl_cli.models.encoders import create_encoder, load_encoder
from swcl_cli.workspace import read_provenance
from tests import own_eyes, prepared, readme
from tests.commands import swcl
from tests.foreign_weights import photographs
from tests.readme import README

TINY = """
[prep.folder]
size = 64
[train-labeler]
architecture = "resnet18"
crop = 32
views = 2
batch_labelled = 4
batch_unlabelled = 4
accumulate = 1
epochs = 1
milestones = []
[pretrain]
architecture = "resnet18"
batch_patches = 80
epochs = 1
warmup_epochs = 0
[finetune]
seeds = 1
crop = 32
batch = 16
epochs = 1
precise_bn = 0
"""
OF_A_MACHINE = {"train-labeler", "make-swap", "pretrain", "finetune", "predict"}


def block(beginning: str) -> list[list[str]]:
    """The words of the commands in the README's block that begins with these."""
    blocks = re.findall(r"```\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (commands,) = (text for text in blocks if text.startswith(beginning))
    return [shlex.split(line) for line in commands.splitlines()]


def run_each(commands: list[list[str]]) -> None:
    """Runs them at a tiny size in place of the preset's."""
    Path("tiny.toml").write_text(TINY, encoding="utf-8")
    for program, *words in commands:
        tiny = ["tiny.toml" if word == "small" else word for word in words]
        tiny = [path for word in tiny for path in (sorted(glob.glob(word)) if "*" in word else [word])]
        more = ["--workers", "0", *(["--accelerator", "cpu"] if words[0] in OF_A_MACHINE else [])]
        done = swcl(*tiny, *more)
        assert (program, done.code) == ("swcl", 0), (words, done.err)


def test_the_whole_path_on_photographs_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own_eyes.clinic(Path("CLINIC_A"), 0, 20, "a.csv", classes=("healthy", "DR", "DR"))
    own_eyes.clinic(Path("CLINIC_B"), 1, 4, "b.csv")
    own_eyes.clinic(Path("CLINIC_C"), 2, 8, "c.csv", classes=("healthy", "DR", "DR"))
    table = Path("c.csv").read_text(encoding="utf-8")
    Path("c.csv").write_text(table.replace(",P0", ",C0"), encoding="utf-8")
    run_each(block("swcl prep folder CLINIC_A"))
    run_each(block("swcl prep folder CLINIC_C"))
    (scores,) = Path("tested/clinic-c").glob("*/swcl/5-models-*/results.parquet")
    assert read_provenance(scores)["tested"]["photographs"] == 16
    (model, *_) = glob.glob("finetune/folder-clinic-a,diagnosis/swcl/*/model.safetensors")
    seen = swcl("predict", model, "--data", "clinic-b", "--patients", "apart", "--workers", 0, "--accelerator", "cpu")
    assert "The encoder was pretrained on photographs of clinic-b, of all its splits" in " ".join(seen.err.split())
    answers = Path("answers/predictions.csv").read_text(encoding="utf-8").splitlines()
    assert len(answers) == 9 and answers[0].startswith("image,width,height,diagnosis,diagnosis_healthy,")


def recipes() -> dict[str, list[str]]:
    """The lines of prep and finetune, joined by &&, by the name of the set that they make."""
    text = README.read_text(encoding="utf-8")
    lines = re.findall(r"^swcl prep folder .* && swcl finetune folder .*$", text, re.MULTILINE)
    return {line.split("--name ")[1].split()[0]: line.split(" && ") for line in lines}


def lay_out_recipes(here: Path) -> None:
    """Photographs, masks and tables by the names that the recipes have, without splits."""
    own_eyes.clinic(here / "PHOTOS", 0, 16, "labels.csv", classes=("healthy", "DR", "DR"))
    table = (here / "labels.csv").read_text(encoding="utf-8")
    (here / "train.csv").write_text(table.replace("image,", "id_code,", 1), encoding="utf-8")
    rng = np.random.default_rng(0)
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 255)], np.uint8)
    for photograph in sorted((here / "PHOTOS").iterdir()):
        shape = Image.open(photograph).size[::-1]
        two = {name: (rng.random(shape) < 0.3) * np.uint8(255) for name in ("DISCS", "CUPS", "HE", "EX")}
        (here / "RITE/images").mkdir(parents=True, exist_ok=True)
        shutil.copy(photograph, here / "RITE/images")
        for folder, pixels in (
            *two.items(),
            ("RITE/av", colours[rng.integers(0, 5, shape)]),
            ("RITE/mask", np.full(shape, 255, np.uint8)),
        ):
            ending = f"_{folder}" if folder in ("HE", "EX") else ""
            (here / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(here / folder / f"{photograph.stem}{ending}.png")
    (here / "HE" / f"{photograph.stem}_HE.png").unlink()
    (table,) = re.findall(r"```\n(colour,name\n.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (here / "av.csv").write_text(table, encoding="utf-8")
    prepared.encoder(here / "swcl.safetensors", "resnet18", seed=7)


@pytest.mark.parametrize(
    ("name", "measured"),
    [
        ("eyes", {"accuracy"}),
        ("rite", {"artery_f1", "vein_f1", "artery_f1_fov", "vein_f1_fov"}),
        ("nerve", {"disc_f1", "cup_f1"}),
        ("lesions", {"haemorrhage_f1", "exudate_f1"}),
    ],
)
def test_recipes_end_with_scores(
    name: str, measured: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of photographs that no table or folder splits, as most people's are."""
    assert recipes().keys() == {"eyes", "rite", "nerve", "lesions"}
    monkeypatch.chdir(tmp_path)
    lay_out_recipes(tmp_path)
    run_each([[*shlex.split(command), "--preset", "small"] for command in recipes()[name]])
    scores = pd.concat([pd.read_parquet(path) for path in tmp_path.glob(f"finetune/folder-{name}*/*/results.parquet")])
    assert measured <= set(scores.loc[scores["split"] == "test", "measure"])


def test_tables_are_made_of_the_catalogue() -> None:
    text = README.read_text(encoding="utf-8")
    assert readme.written(text) == text, "run: python -m tests.readme"


@pytest.mark.parametrize("architecture", ["resnet18", "resnetv2_50x1_bit"])
def test_an_encoder_loads_in_timm_without_us(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "timm.create_model" in block)
    assert "swcl_cli" not in block and "strict" not in block  # load_state_dict is strict unless told otherwise
    prepared.encoder(tmp_path / "swcl.safetensors", architecture, seed=7)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(block.replace('"resnet18"', repr(architecture)), names)
    with torch.inference_mode():
        features, ours, other = (
            encoder.eval()(photographs())
            for encoder in (names["encoder"], load_encoder(Path("swcl.safetensors")), create_encoder(architecture, 7))
        )
    assert features.std() > 0 and torch.equal(features, ours) and torch.equal(features, other)


def test_the_citation_is_that_of_cards_and_reports() -> None:
    assert f"```bibtex\n{METHOD}\n```" in README.read_text(encoding="utf-8")
