"""What Python users call: imported when it is used, typed, and with examples that run."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import swcl_cli
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.data import manifest
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.initialisation import Initial
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import draw_patient
from swcl_cli.settings import FinetuneSettings
from swcl_cli.tasks import KINDS, predictor
from swcl_cli.tasks.saved import KEY, Study, as_provenance
from swcl_cli.tasks.trial import prepare
from swcl_cli.workspace import Workspace, write_safetensors
from tests import prepared
from tests.commands import environment


def write_model(root: Path, name: str) -> None:
    """An untrained model of this task, on four phantom eyes."""
    eyes = [
        eye
        for patient in (1, 2)
        for eye in draw_patient(seed=0, patient=patient, size=128, findings=choose_findings(seed=0, patient=patient))
    ]
    labels = {"dr_grade": 0, "dme_grade": 1} if name == "idrid" else {}
    rows = [
        {
            "split": ("train", "train", "train", "test")[item],
            "image": eye.image,
            **labels,
            **({} if labels else {"mask": eye.vessels * 255}),
        }
        for item, eye in enumerate(eyes)
    ]
    prepared.write(root, name, rows, size=128 if labels else 0)
    Image.fromarray(eyes[0].image).save(root / "eye.jpg")
    task, workspace = TASKS[name], Workspace(root)
    settings = FinetuneSettings(workspace=root, task=name, crop=64, output_stride=16)
    table = manifest.read(workspace.manifest(name))
    study = Study(task, settings, workspace, {"train": table[table["split"] == "train"]})
    kind = KINDS[task.kind]
    encoder = create_encoder("resnet18", 0, kind.output_stride(kind.facts(task, settings)))
    trial = prepare(study, Initial(encoder, "resnet18", MEAN, STD, None, "swcl", {}, ""), 0)
    path = workspace.finetune(name, "swcl") / "seed0/model.safetensors"
    write_safetensors(path, trial.network.state_dict(), {"step": "finetune", KEY: as_provenance(trial.model)})


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples run."""
    root = tmp_path_factory.mktemp("python")
    prepared.encoder(root / "swcl.safetensors")
    for name in ("idrid", "drive"):
        write_model(root, name)
    return root


@pytest.mark.parametrize(
    "named",
    [*(getattr(swcl_cli, name) for name in swcl_cli.__all__), predictor.Predictor.__call__],
    ids=[*swcl_cli.__all__, "predictor"],
)
def test_examples_run(named: object, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    examples = doctest.DocTestFinder(recurse=False).find(named, name=f"{named}", globs={})
    assert sum(len(example.examples) for example in examples) >= 3
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    heavy = ("numpy", "pandas", "torch", "timm", "PIL", "pydantic")
    code = f"import sys, swcl_cli; dir(swcl_cli); print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_found_and_others_are_not() -> None:
    assert set(swcl_cli.__all__) <= set(dir(swcl_cli)) and swcl_cli.read_manifest is manifest.read
    with pytest.raises(AttributeError, match="module 'swcl_cli' has no attribute 'load'"):
        swcl_cli.load  # noqa: B018
