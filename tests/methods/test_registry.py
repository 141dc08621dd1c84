"""What holds for every pretraining method: it trains, resumes, shares its work, is refused where it should be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file

from swcl_cli import methods
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.loaders import step_batches
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.embeddings import COLLAPSED
from swcl_cli.models.encoders import create_encoder
from swcl_cli.steps import pretrain
from swcl_cli.training.probe import Probe
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace, read_provenance
from tests.commands import environment, process
from tests.folders import read_log
from tests.gradients import whole_gradient
from tests.methods import each_method_in_processes, killed, planted_eyes, tiny_encoder
from tests.methods.each_method_in_processes import small

EACH = pytest.mark.parametrize("name", METHODS)
CONTRASTIVE = {"positives", "without_positive", "alignment", "uniformity"}
MEASURES = {
    "swcl": CONTRASTIVE,
    "swcl-image": CONTRASTIVE,
    "simclr": CONTRASTIVE,
    "supervised-odir": {"accuracy"},
    "supervised-eyepacs": {"accuracy"},
    "multitask": {"accuracy", "position_accuracy"},
}
RELEASED = [name for name, method in METHODS.items() if "variant" in method.options]
STEPS_IN_TWO_EPOCHS = {"swcl": 16, "swcl-image": 16, "multitask": 16, "supervised-odir": 2, "supervised-eyepacs": 2}
TAUGHT = {"byol", "dino"}  # by a teacher that follows at 0.4 % a step: they need five times as many steps to learn


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """11 eyes in each of two data sets, 8 of them in the train split: 110 patches in 60 pairs, 10 of them singles."""
    root = tmp_path_factory.mktemp("registry")
    planted_eyes.write(root, 6)
    return root


@pytest.fixture
def tiny() -> Iterator[None]:
    with tiny_encoder.in_place_of_timms("batch"):
        yield


def log(root: Path, name: str) -> list[dict[str, Any]]:
    return read_log(Workspace(root).pretraining(name).folder)


@EACH
def test_keeps_an_encoder_that_timm_takes(root: Path, name: str) -> None:
    settings = small(root, name, views=1)
    path = pretrain.run(settings)
    assert path == Workspace(root).encoder(name) and len(log(root, name)) == 1
    kept, start = load_file(path), create_encoder("resnet18", settings.seed).state_dict()
    timm.create_model("resnet18", num_classes=0).load_state_dict(kept, strict=True)
    assert not torch.equal(start["conv1.weight"], kept["conv1.weight"])
    provenance = read_provenance(path)
    assert provenance["settings"]["method"] == name and provenance["encoder"]["image_size"] == planted_eyes.SIDE // 2
    foreign = {option for method in METHODS.values() for option in method.options} - set(METHODS[name].options)
    assert not foreign & provenance["settings"].keys() and str(root) not in json.dumps(provenance)


@pytest.mark.parametrize("name", RELEASED)
def test_killed_and_resumed_the_released_form_ends_with_the_same_bytes(root: Path, tiny: None, name: str) -> None:
    values: dict[str, Any] = {"variant": "released", "save_seconds": 0}
    whole = pretrain.run(small(root, name, name=f"{name}-released", **values))
    dies_at = len(log(root, f"{name}-released")) // 2 + 1
    with killed.once_logged(dies_at):
        pretrain.run(small(root, name, name=f"{name}-torn", **values))
    assert pretrain.run(small(root, name, name=f"{name}-torn", **values)).read_bytes() == whole.read_bytes()
    views = METHODS[name].views("released")
    assert methods.prepare(small(root, name, **values), Workspace(root)).views == views
    assert methods.prepare(small(root, name), Workspace(root)).views == METHODS[name].views("ours") == 2


@EACH
def test_killed_and_resumed_it_ends_with_the_same_bytes(
    root: Path, tiny: None, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = pretrain.run(small(root, name, name=f"{name}-whole"))
    lines = log(root, f"{name}-whole")
    assert len(lines) == STEPS_IN_TWO_EPOCHS.get(name, 6)
    for line in lines:
        assert MEASURES.get(name, set()) | {"loss", "embedding_spread", "gradient_norm"} <= line.keys()
        assert 0 < line["embedding_spread"] < 1.2 and line["gradient_norm"] > 0
    dies_at = len(lines) // 2 + 1
    with killed.once_logged(dies_at):
        pretrain.run(small(root, name, name=f"{name}-broken", save_seconds=0))
    other = next(method for method in METHODS if method != name)
    with pytest.raises(SwclError, match=rf"resume.safetensors is of a run that differs \(.*method: {name} -> {other}"):
        pretrain.run(small(root, other, name=f"{name}-broken"))
    capsys.readouterr()
    broken = pretrain.run(small(root, name, name=f"{name}-broken"))
    assert f"after step {dies_at - 1}." in capsys.readouterr().out
    assert broken.read_bytes() == whole.read_bytes()
    assert [line["loss"] for line in log(root, f"{name}-broken")] == [line["loss"] for line in lines]


def test_another_methods_artefact_of_that_name_is_kept(root: Path, tiny: None) -> None:
    path = pretrain.run(small(root, "simclr", name="taken", views=24))
    before = path.read_bytes()
    for other in METHODS.keys() - {"simclr"}:
        with pytest.raises(SwclError, match=r"taken.safetensors was made differently \(.*method: simclr -> .* --name"):
            pretrain.run(small(root, other, name="taken", views=24))
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", [name for name in METHODS if "chunk" in METHODS[name].options])
def test_chunks_give_the_gradient_of_the_whole_batch(root: Path, name: str) -> None:
    found = []
    with tiny_encoder.in_place_of_timms("group"):
        for chunk in (0, 7):
            method = methods.prepare(small(root, name, chunk=chunk), Workspace(root))
            batch = next(step_batches(method.dataset, method.plan, 0, 1, 0, method.collate))[0]
            loss, _ = method.objective(batch)
            loss.backward()
            found.append((loss.item(), whole_gradient(method.objective)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert (found[0][1] - found[1][1]).norm() < 1e-5 * found[0][1].norm()


@EACH
def test_without_data_the_command_that_makes_them_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SwclError, match="is missing. Make it with: swcl (prep|make-swap)"):
        methods.prepare(small(tmp_path, name), Workspace(tmp_path))


@pytest.mark.slow
def test_two_processes_are_as_one(root: Path, tmp_path: Path) -> None:
    """All methods in one start of torchrun: it takes most of the time. Half of the batch would change all weights by a
    twentieth at least of what one step does to them.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = [each_method_in_processes.__file__, str(root), str(tmp_path / "found.pt")]
    paths = os.pathsep.join(str(Path(__file__).parents[level]) for level in (1, 2))
    done = subprocess.run(
        [*torchrun, *script], capture_output=True, text=True, env=environment(PYTHONPATH=paths), timeout=300
    )
    assert done.returncode == 0, done.stderr
    several, one = torch.load(tmp_path / "found.pt"), each_method_in_processes.step(root)
    half = each_method_in_processes.step(root, half=True)
    assert several.keys() == set(METHODS) | {f"{name} released" for name in RELEASED}
    for name in several:
        (tensors, measures), (expected, alone) = several[name], one[name]
        assert measures["loss"] == pytest.approx(alone["loss"], rel=1e-5), name
        assert measures["gradient_norm"] == pytest.approx(alone["gradient_norm"], rel=1e-4), name
        assert tensors.keys() == expected.keys()
        for key, tensor in tensors.items():
            change = key.startswith("change of ")  # a difference: what is rounded is the weight itself
            assert (tensor - expected[key]).norm() <= (1e-3 if change else 2e-5) * expected[key].norm(), (name, key)
            if not key.startswith("buffer "):
                assert (half[name][0][key] - expected[key]).norm() > 0.05 * expected[key].norm() > 0, (name, key)
        for measure in ("accuracy", "position_accuracy", "positives"):
            assert measures.get(measure) == pytest.approx(alone.get(measure)), (name, measure)


@pytest.mark.slow
@EACH
def test_learns(tmp_path: Path, tiny: None, name: str) -> None:
    """200 steps, or 1,000, on waves: random features can't tell narrow ones from wide ones, and trained ones can."""
    planted_eyes.write(tmp_path, 100)
    batch = {"batch_images": 32} if "batch_images" in METHODS[name].options else {"batch_patches": 32}
    views = 64_000 if name in TAUGHT else 12_800
    settings = small(tmp_path, name, views=views, epochs=8, probe_every=1000, **batch)
    probe = Probe.of(Workspace(tmp_path), "odir", 32, MEAN, STD)
    start = probe.measure(make_fabric("cpu", "fp32"), create_encoder("resnet18", settings.seed), 0)["knn_auc"]
    pretrain.run(settings)
    lines = log(tmp_path, name)
    trained = [line for line in lines if "loss" in line]
    first, last = (sum(line["loss"] for line in part) for part in (trained[:20], trained[-20:]))
    assert last < 0.95 * first or name == "dino"  # whose targets sharpen as it learns
    assert trained[-1]["embedding_spread"] > COLLAPSED
    assert start < 0.6 and lines[-1]["knn_auc"] > start + 0.1


@pytest.mark.slow
@EACH
def test_kill_9_and_resume_of_the_command(root: Path, name: str) -> None:
    settings = small(root, name)
    batch = "batch_images" if "batch_images" in METHODS[name].options else "batch_patches"
    options = [
        "pretrain", "--workspace", root, "--method", name, "--architecture", "resnet18", "--workers", "1",
        f"--{batch.replace('_', '-')}", getattr(settings, batch), "--views", "128", "--accelerator", "cpu",
        "--probe-every", "0",
    ]  # fmt: skip
    written = []
    for run in ("uncut", "cut"):
        started = process(*options, "--name", f"{name}-{run}", "--save-seconds", "0" if run == "cut" else "120")
        path = Workspace(root).pretraining(f"{name}-{run}").log
        while run == "cut" and not (path.exists() and path.read_text().count("\n") >= 2):
            assert started.poll() is None, started.communicate()
            time.sleep(0.02)
        if run == "cut":
            os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
            started = process(*options, "--name", f"{name}-{run}")
        out, err = started.communicate(timeout=300)
        assert started.returncode == 0 and ("Resuming" in out) == (run == "cut"), err
        written.append(Workspace(root).encoder(f"{name}-{run}").read_bytes())
    assert written[0] == written[1]
