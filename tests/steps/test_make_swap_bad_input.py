"""What `make-swap` says of inputs that are missing, of another kind, or not what they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file

from swcl_cli.errors import SwclError
from swcl_cli.steps import make_swap
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_safetensors
from tests import prepared
from tests.swap_runs import options


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    prepared.labelled_eyes(root, "odir", 1)
    prepared.labeler(root, ["odir"], [])
    make_swap.run(options(root))
    return root


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Workspace(tmp_path)


def test_another_labeler(workspace: Workspace) -> None:
    prepared.labeler(workspace.root, ["odir"], [], seed=1)
    with pytest.raises(SwclError, match=r"swap.parquet was made differently \(labeler: \w+ -> \w+\).*--fresh"):
        make_swap.run(options(workspace.root))
    make_swap.run(options(workspace.root, fresh=True))


def test_a_changed_manifest(workspace: Workspace) -> None:
    prepared.change(workspace.root, "odir", abnormal=True)
    with pytest.raises(SwclError, match=r"made differently \(odir: \w+ -> \w+\)"):
        make_swap.run(options(workspace.root))


def test_other_settings(workspace: Workspace) -> None:
    with pytest.raises(SwclError, match=r"made differently \(background: released -> none; threshold: 0.4 -> 0.5"):
        make_swap.run(options(workspace.root, background="none", threshold=0.5))


def test_another_prepared_size(workspace: Workspace) -> None:
    prepared.labeler(workspace.root, ["odir"], [], image_size=96)
    with pytest.raises(
        SwclError, match="prepared at 64 px, the labeler was trained at 96 px.*swcl prep odir SOURCE --size 96"
    ):
        make_swap.run(options(workspace.root, fresh=True))


def test_no_labeler(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="labeler.safetensors is missing. Make it with: swcl train-labeler"):
        make_swap.run(options(tmp_path))


def test_a_data_set_that_is_gone(workspace: Workspace) -> None:
    workspace.manifest("odir").unlink()
    with pytest.raises(SwclError, match="manifest.parquet is missing. Make it with: swcl prep odir SOURCE"):
        make_swap.run(options(workspace.root))


def test_an_encoder_is_no_labeler(workspace: Workspace) -> None:
    prepared.encoder(workspace.labeler)
    with pytest.raises(SwclError, match="labeler.safetensors holds no labeler.*swcl train-labeler"):
        make_swap.run(options(workspace.root, fresh=True))


def test_other_classes(workspace: Workspace) -> None:
    tensors = {**load_file(workspace.labeler), "fc.weight": torch.zeros(3, 512)}
    write_safetensors(workspace.labeler, tensors, read_provenance(workspace.labeler))
    with pytest.raises(SwclError, match="labeler.safetensors tells 3 classes apart; a labeler has (2|two), normal and"):
        make_swap.run(options(workspace.root, fresh=True))


def test_another_architecture(workspace: Workspace) -> None:
    work = read_provenance(workspace.labeler)
    work["labeler"]["architecture"] = "resnet50"
    write_safetensors(workspace.labeler, load_file(workspace.labeler), work)
    with pytest.raises(
        SwclError, match="labeler.safetensors does not fit the resnet50. Keys missing: encoder.bn1.bias"
    ):
        make_swap.run(options(workspace.root, fresh=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photograph_that_vanished(workspace: Workspace, workers: int) -> None:
    (workspace.root / "data/odir/images/0_right.png").unlink()
    with pytest.raises(SwclError, match="^.*/0_right.png can't be read.*swcl prep`.$"):
        make_swap.run(options(workspace.root, fresh=True, workers=workers))


def test_a_photograph_that_was_replaced(workspace: Workspace) -> None:
    Image.fromarray(prepared.photograph(99)).save(workspace.root / "data/odir/images/0_right.png")
    with pytest.raises(SwclError, match="^.*/0_right.png is not the image that was prepared.*swcl prep`.$"):
        make_swap.run(options(workspace.root, fresh=True))


@pytest.mark.parametrize("threshold", [-0.01, 1.01, float("nan")])
def test_a_threshold_outside_0_to_1(tmp_path: Path, threshold: float) -> None:
    with pytest.raises(ValidationError, match="threshold"):
        options(tmp_path, threshold=threshold)


def test_a_manifest_that_changed_since_the_labeler_was_trained(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    network, work = load_file(workspace.labeler), read_provenance(workspace.labeler)
    write_safetensors(workspace.labeler, network, {**work, "inputs": {"odir": fingerprint(workspace.manifest("odir"))}})
    make_swap.run(options(workspace.root, fresh=True))
    assert "changed since" not in capsys.readouterr().err
    prepared.change(workspace.root, "odir", abnormal=True)
    make_swap.run(options(workspace.root, fresh=True))
    assert "odir changed since the labeler was trained; swcl train-labeler --fresh" in capsys.readouterr().err


@pytest.mark.parametrize(("abnormal", "threshold"), [(False, 0.4), (True, 0.0)])
def test_labels_of_one_class_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], abnormal: bool, threshold: float
) -> None:
    """And lesion masks without any lesion, against which no score can be judged."""
    prepared.labelled_eyes(tmp_path, "odir", 1, abnormal=abnormal, lesions=np.zeros((64, 64), np.uint8))
    prepared.labeler(tmp_path, ["odir"], [])
    judgement = read_provenance(make_swap.run(options(tmp_path, threshold=threshold)))["judgement"]
    told = capsys.readouterr()
    assert f"At {threshold:g} all patches have one label" in told.err and "choose another --threshold" in told.err
    assert np.isnan([judgement[name] for name in ("auc", "within_abnormal", "f1", "f1_chosen")]).all()
    assert "AUC with 95 % interval: all patches none (a class is absent), of" in told.out
    assert (
        "F1 of abnormal patches as lesion finders: none (no patch holds a lesion)." in told.out
        and "nan" not in told.out
    )


def test_data_sets_that_are_named_twice_or_not_at_all(workspace: Workspace) -> None:
    with pytest.raises(SwclError, match=r"named twice: --labelled \['odir'\], --unlabelled \['odir'\]"):
        make_swap.run(options(workspace.root, unlabelled=["odir"]))
    with pytest.raises(SwclError, match="No data set is left to score.*--labelled"):
        make_swap.run(options(workspace.root, labelled=[], unlabelled=[]))


def test_other_data_sets(workspace: Workspace) -> None:
    prepared.labelled_eyes(workspace.root, "eyepacs", 1)
    with pytest.raises(SwclError, match=r"differently \(unlabelled: \[\] -> \['eyepacs'\]; eyepacs: None -> "):
        make_swap.run(options(workspace.root, unlabelled=["eyepacs"]))
