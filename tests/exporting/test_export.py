"""`export`: what others load without this program gives the predictor's answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from swcl_cli.catalogue.structures import Shade, Structures
from swcl_cli.data.columns import RESULTS
from swcl_cli.errors import SwclError
from swcl_cli.exporting import programs, writing
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import draw_patient
from swcl_cli.settings import ExportSettings
from swcl_cli.steps import export
from swcl_cli.tasks.predictor import load_model
from swcl_cli.workspace import write_parquet
from tests import prepared
from tests.commands import environment, swcl
from tests.exporting.models import write_model
from tests.readme import README

BLOCKED = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    (eye, _) = draw_patient(3, 5, 160, choose_findings(3, 5))
    Image.fromarray(eye.image).save(root / "eye.png")
    return root


def exported(root: Path, model: Path, to: str, name: str = "", **values: Any) -> Path:
    out = root / "out" / (name or f"{model.parents[2].name}-{to}")
    return export.run(ExportSettings(workspace=root, model=model, to=to, out=out, **values))  # type: ignore[arg-type]


def code_of(card: Path) -> list[str]:
    """The pieces of Python in a card, about eye.png."""
    blocks = re.findall(r"```python\n(.*?)```", card.read_text(encoding="utf-8"), re.DOTALL)
    return [block.replace("eye.jpg", "eye.png") for block in blocks]


def run_card(root: Path, out: Path, *blocked: str) -> dict[str, np.ndarray]:
    """Runs a card's own lines in a process that can't import the blocked packages, and returns their answers."""
    (out / "eye.png").write_bytes((root / "eye.png").read_bytes())
    ends = (
        "np.savez('said.npz', **({'probabilities': probabilities} if 'probabilities' in globals() else "
        "{name: np.asarray(getattr(part, 'detach', lambda: part)()) for name, part in answers.items()}))"
    )
    code = "\n".join([BLOCKED.format(blocked=("swcl_cli", *blocked)), *code_of(out / "README.md"), ends])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=out, env=environment(PYTHONPATH=""), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return dict(np.load(out / "said.npz"))


def test_onnxruntime_and_numpy_alone_give_the_answers(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(root, "idrid", threshold_at_90={"dr_grade": 0.3, "dme_grade": None})
    out = exported(root, model, "onnx")
    said = capsys.readouterr().out
    assert re.search(r"Compared with `swcl predict` on 4 synthetic eyes: largest difference \d\.\de-0[5-9]", said)
    assert "ONNX opset 18, any batch; input uint8 (N, 64, 64, 3)." in said
    given = run_card(root, out, "torch", "timm", "cv2")
    expected = load_model(model, "cpu")(root / "eye.png")
    assert given.keys() == {"dr_grade", "dme_grade", "dr_grade_above"}
    for head in ("dr_grade", "dme_grade"):
        assert given[head].shape == (1, len(expected.probabilities[head]))
        np.testing.assert_allclose(given[head][0], expected.probabilities[head], atol=0.03)  # Pillow resizes otherwise
    assert given["dr_grade_above"].tolist() == [bool(given["dr_grade"][0, 1:].sum() > 0.3)]
    assert {path.name for path in out.iterdir()} >= {"model.onnx", "README.md", "export.json"}


def test_onnx_takes_any_batch_and_tells_what_made_it(root: Path) -> None:
    import onnx

    model = write_model(root, "refuge-cls")
    out = exported(root, model, "onnx")
    run = programs.onnx_run(out / "model.onnx")
    eyes = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3)).astype(np.uint8)
    whole = run(eyes)["glaucoma"]
    np.testing.assert_allclose(np.concatenate([run(eye[None])["glaucoma"] for eye in eyes]), whole, atol=1e-6)
    assert np.ptp(whole[:, 1]) > 1e-3  # the answers depend on the photographs
    held = onnx.load(out / "model.onnx")
    assert [entry.version for entry in held.opset_import if not entry.domain] == [programs.OPSET]
    told = json.loads({entry.key: entry.value for entry in held.metadata_props}["swcl"])
    assert told["model"]["task"] == "refuge-cls" and told["outputs"][0]["name"] == "glaucoma"
    assert held.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.mark.parametrize("to", ["onnx", "torchscript"])
def test_windows_of_a_segmentation_are_put_together_to_its_answer(root: Path, to: str) -> None:
    model = write_model(root, "drive")
    out = exported(root, model, to)
    given = run_card(root, out, *(["torch", "cv2"] if to == "onnx" else []), "timm")["probabilities"]
    expected = load_model(model, "cpu")(root / "eye.png").probabilities["vessel"]
    assert given.shape == (1, *expected.shape) and np.ptp(expected) > 0.01
    np.testing.assert_allclose(given[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "test_efficientnet", "test_mambaout"])
def test_timm_loads_the_folder_of_a_classifier(root: Path, architecture: str) -> None:
    crop = {"test_vit": 160}.get(architecture, 64)
    model = write_model(root, "refuge-cls", architecture, crop=crop)
    out = exported(root, model, "folder", f"folder-{architecture}")
    given = run_card(root, out, "cv2")["glaucoma"]
    expected = load_model(model, "cpu")(root / "eye.png").probabilities["glaucoma"]
    np.testing.assert_allclose(given[0], expected, atol=0.03)
    assert {path.name for path in out.iterdir()} >= {"config.json", "model.safetensors", "README.md", "export.json"}


def test_several_signs_have_sigmoids_and_their_thresholds_inside(root: Path) -> None:
    facts: dict[str, Any] = {
        "several": ["glaucoma"],
        "thresholds": {"glaucoma": [0.3, 0.6]},
        "classes": {"glaucoma": ["DR", "AMD"]},
    }
    model = write_model(root, "refuge-cls", **facts)
    expected = load_model(model, "cpu")(root / "eye.png")
    given = run_card(root, exported(root, model, "torchscript", "signs"), "timm")
    probabilities = expected.probabilities["glaucoma"]
    assert abs(probabilities.sum() - 1) > 0.01
    np.testing.assert_allclose(given["glaucoma"][0], probabilities, atol=0.03)
    said = ";".join(name for name, there in zip(("DR", "AMD"), given["glaucoma_there"][0], strict=True) if there)
    assert said == expected.classes["glaucoma"]
    by_timm = run_card(root, exported(root, model, "folder", "signs-by-timm"), "cv2")
    np.testing.assert_allclose(by_timm["glaucoma"], given["glaucoma"], atol=1e-5)
    assert json.loads((root / "out/signs-by-timm/config.json").read_text())["label_names"] == ["DR", "AMD"]


def test_ordered_grades_keep_their_own_form(root: Path) -> None:
    """Their head has a logit less than classes: the graph has it inside, and timm's classifier does not."""
    model = write_model(root, "refuge-cls", heads={"glaucoma": 3}, corn=["glaucoma"])
    given = run_card(root, exported(root, model, "torchscript", "grades"), "timm")["glaucoma"]
    expected = load_model(model, "cpu")(root / "eye.png").probabilities["glaucoma"]
    assert given.shape == (1, 3) and given.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(given[0], expected, atol=0.03)
    out = exported(root, model, "folder", "grades-own")
    assert (out / "model.safetensors").read_bytes() == model.read_bytes()


def test_numbers_are_in_their_own_unit(root: Path) -> None:
    numbers = {"glaucoma": {"mean": 300.0, "sd": 40.0, "least": 0.0, "most": 900.0}}
    model = write_model(root, "refuge-cls", heads={"glaucoma": 1}, numbers=numbers)
    given = run_card(root, exported(root, model, "torchscript", "numbers"), "timm")["glaucoma"]
    expected = load_model(model, "cpu")(root / "eye.png").numbers["glaucoma"]
    assert given.shape == (1, 1) and given[0, 0] == pytest.approx(expected, abs=4) and abs(expected - 300) > 1


def test_structures_that_exclude_each_other_share_a_softmax(root: Path) -> None:
    shades = (Shade(0), Shade(1, ("artery",)), Shade(2, ("vein",)))
    structures = Structures(("artery", "vein"), shades).described()
    model = write_model(root, "drive", structures=structures, heads={"artery": 2, "vein": 2})
    given = run_card(root, exported(root, model, "torchscript", "av"), "timm")["probabilities"]
    expected = load_model(model, "cpu")(root / "eye.png").probabilities
    assert list(expected) == ["artery", "vein"] and given.shape[0] == 2
    for part, name in zip(given, expected, strict=True):
        np.testing.assert_allclose(part, expected[name], rtol=0, atol=1e-4)


def test_the_card_tells_data_terms_scores_and_cautions(root: Path) -> None:
    model = write_model(root, "idrid")
    rows = [
        {"split": "test", "measure": "joint_accuracy", "value": 0.5, "low": 0.25, "high": 0.75, "primary": True},
        {"split": "test", "measure": "dr_grade_auc", "value": 0.875, "low": None, "high": None, "primary": False},
        {"split": "val", "measure": "joint_accuracy", "value": 0.9, "low": 0.8, "high": 1.0, "primary": True},
    ]
    shared = {"task": "idrid", "name": "random", "run": "seed0", "seed": 0, "fold": None, "reason": None}
    frame = pd.DataFrame([{**shared, **row} for row in rows])
    write_parquet(model.with_name("results.parquet"), RESULTS.table(frame), {"step": "finetune"})
    card = (exported(root, model, "torchscript", "card") / "README.md").read_text(encoding="utf-8")
    assert "| IDRiD | fine-tuning | IEEE DataPort" in card and "| CC BY 4.0 |" in card
    assert "| test | joint_accuracy | 0.500 | 0.250 to 0.750 |" in card and "0.900" not in card
    assert "| test | dr_grade_auc | 0.875 | none |" in card
    assert "| epochs | " in card and "not a diagnosis" in card.replace("nothing it says is a", "not a")
    assert "arXiv:2108.02122" in card and "{{ " not in card and "{%" not in card and "do not lie beside" not in card
    model.with_name("results.parquet").unlink()
    again = (exported(root, model, "torchscript", "card") / "README.md").read_text(encoding="utf-8")
    assert "Its scores do not lie beside the model file" in again


@pytest.mark.parametrize("to", ["folder", "onnx", "torchscript"])
def test_encoders(root: Path, to: str) -> None:
    prepared.encoder(root / "swcl.safetensors", "resnet18")
    out = exported(root, root / "swcl.safetensors", to, f"encoder-{to}", crop=32)
    features = run_card(root, out, "cv2")["features"]
    assert features.shape == (1, 512) and features.std() > 0


def test_models_that_timm_does_not_know_keep_their_own_file(root: Path) -> None:
    model = write_model(root, "idrid")
    out = exported(root, model, "folder", "folder-of-two")
    assert (out / "model.safetensors").read_bytes() == model.read_bytes()
    assert json.loads((out / "config.json").read_text())["heads"] == {"dr_grade": 5, "dme_grade": 3}
    card = (out / "README.md").read_text()
    assert 'swcl_cli.load_model("model.safetensors")' in card and "timm.create_model" not in card


def test_a_graph_that_differs_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(root, "refuge-cls")
    original = programs.write_torchscript

    def wrong(*arguments: Any) -> Any:
        run = original(*arguments)
        return lambda images: {name: part + 2e-4 for name, part in run(images).items() if part.dtype != bool}

    monkeypatch.setattr(writing, "write_torchscript", wrong)
    with pytest.raises(SwclError, match=r"differs from `swcl predict` by 0.0002 on synthetic eyes, more than 0.0001"):
        exported(root, model, "torchscript", "wrong")
    assert {path.name for path in (root / "out/wrong").iterdir()} <= {"export.json", ".lock"}


def test_an_operator_that_onnx_lacks_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(root, "refuge-cls")
    original = writing.graph_of

    def odd(predictor: Any) -> Any:
        graph = original(predictor)
        monkeypatch.setattr(graph, "answers", lambda views: (torch.linalg.eigvals(views[:, 0]).real[:, :2],))
        return graph

    monkeypatch.setattr(writing, "graph_of", odd)
    with pytest.raises(SwclError, match=r"test_resnet can't be written as ONNX: it has no aten.*linalg_eig") as stop:
        exported(root, model, "onnx", "odd")
    assert "\n" not in str(stop.value) and "Take --to torchscript or folder." in str(stop.value)


def test_missing_packages_are_named_with_the_command(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(SwclError, match=re.escape("--to onnx needs onnxscript: pip install 'swcl[onnx]'")):
        exported(root, write_model(root, "refuge-cls"), "onnx", "missing")
    assert not (root / "out/missing").exists()


def test_a_folder_of_others_is_left_alone(root: Path) -> None:
    model = write_model(root, "refuge-cls")
    (root / "out/full").mkdir(parents=True)
    (root / "out/full/mine.txt").write_text("mine")
    with pytest.raises(SwclError, match="is not empty"):
        exported(root, model, "torchscript", "full")
    out = exported(root, model, "torchscript", "again")
    before = (out / "README.md").read_bytes()
    assert exported(root, model, "torchscript", "again") == out and (out / "README.md").read_bytes() == before
    with pytest.raises(SwclError, match="holds other exports .to: torchscript -> folder"):
        exported(root, model, "folder", "again")


def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = README.read_text(encoding="utf-8").split("\n## Out of the workspace\n")[1]
    commands = section.split("```")[1].split("\n")[1:-1]
    assert [command.split()[:2] for command in commands] == [["swcl", "export"]] * 2
    prepared.encoder(tmp_path / "swcl.safetensors", "resnet18")
    write_model(tmp_path, "idrid")
    (tmp_path / "finetune/idrid/random").rename(tmp_path / "finetune/idrid/swcl")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        done = swcl(*command.split()[1:])
        assert done.code == 0, done.err
    assert (tmp_path / "grades/model.onnx").is_file() and (tmp_path / "encoder/config.json").is_file()
