"""Files that hold no weights, or not only weights: one clear line each, and nothing in them is run."""

from __future__ import annotations

import pickle
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation.weight_files import our_provenance, read_tensors
from swcl_cli.workspace import write_safetensors

STATE = {"a.weight": torch.arange(6.0).view(2, 3, 1, 1), "a.bias": torch.ones(2)}
OTHER = {key: tensor + 1 for key, tensor in STATE.items()}
DINO = {"student": {f"module.backbone.{key}": tensor for key, tensor in STATE.items()},
        "teacher": {**{f"backbone.{key}": tensor for key, tensor in OTHER.items()}, "head.weight": torch.ones(2, 2)},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "epoch": 3, "dino_loss": {"center": torch.ones(1, 4)},
        "args": Namespace(arch="resnet18")}  # fmt: skip
ADAM = torch.optim.Adam([torch.nn.Parameter(torch.ones(2))])


class Malicious:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


def failure(path: Path) -> str:
    with pytest.raises(SwclError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize(
    "nested",
    [
        pytest.param(STATE, id="plain"),
        pytest.param(OrderedDict(STATE), id="ordered"),
        pytest.param({"state_dict": STATE, "epoch": 3, "args": [1, "x"]}, id="state_dict"),
        pytest.param({"model": STATE, "best": 0.5}, id="model"),
        pytest.param({"model_state_dict": STATE, "optimizer": ADAM.state_dict()}, id="model_state_dict"),
        pytest.param({"ema": {"decay": 0.99, "module": STATE}}, id="ema"),
        pytest.param({"model": STATE, "args": Namespace(lr=0.1, folder=Path("runs"))}, id="Namespace"),
        pytest.param({"model": STATE, "best": np.float64(0.5), "epoch": np.int64(3)}, id="numbers of numpy"),
        pytest.param(
            {
                "state_dict": {f"model.{key}": tensor for key, tensor in STATE.items()},
                "callbacks": {"best": {"score": torch.ones(())}},
                "hyper_parameters": {"lr": 0.1},
            },
            id="Lightning",
        ),
        pytest.param(
            {"_orig_mod": 1, "model": {f"module._orig_mod.{key}": tensor for key, tensor in STATE.items()}},
            id="compiled",
        ),
        pytest.param({"model": {f"module.{key}": tensor for key, tensor in STATE.items()}}, id="parallel"),
        pytest.param({f"module.{key}": tensor for key, tensor in STATE.items()}, id="bare parallel"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pth.tar"])
def test_state_dicts_are_found(nested: Any, suffix: str, tmp_path: Path) -> None:
    torch.save(nested, tmp_path / f"w{suffix}")
    read = read_tensors(tmp_path / f"w{suffix}")
    assert list(read) == list(STATE) and all(torch.equal(read[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("student", STATE),
        ("teacher.backbone", OTHER),
        ("teacher", {**{f"backbone.{key}": tensor for key, tensor in OTHER.items()}, "head.weight": torch.ones(2, 2)}),
    ],
)
def test_one_of_several_networks_is_named(key: str, expected: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(DINO, tmp_path / "dino.pth")
    read = read_tensors(tmp_path / "dino.pth", key)
    assert list(read) == list(expected) and all(torch.equal(read[name], expected[name]) for name in expected)


def test_one_of_several_networks_is_never_chosen_for_people(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(DINO, path)
    assert failure(path) == f" holds several networks: student, teacher. Name one: --init {path}#student"
    with pytest.raises(SwclError, match=r"no weights below 'ema'. Its weights are below student, teacher\.$"):
        read_tensors(path, "ema")
    torch.save({"model": STATE, "model_ema": OTHER}, path)
    assert failure(path) == f" holds several networks: model, model_ema. Name one: --init {path}#model"
    torch.save({"state_dict": {"encoder_q.weight": torch.ones(2), "queue": torch.ones(2, 2)}}, path)
    assert list(read_tensors(path, "encoder_q")) == list(read_tensors(path, "state_dict.encoder_q")) == ["weight"]
    with pytest.raises(SwclError, match=r"below 'weight'. Its weights are below state_dict\.$"):
        read_tensors(path, "weight")


def test_a_checkpoint_that_holds_itself(tmp_path: Path) -> None:
    endless: dict[str, Any] = {"epoch": 3}
    endless["model"] = endless
    torch.save(endless, tmp_path / "w.pth")
    assert failure(tmp_path / "w.pth").startswith(" holds no state dict")


def test_kernels_of_npz_are_turned(tmp_path: Path) -> None:
    kernel = np.arange(2 * 3 * 5 * 7, dtype=np.float32).reshape(2, 3, 5, 7)  # height, width, in, out
    np.savez(tmp_path / "w.npz", kernel=kernel, gamma=kernel[0, 0, 0])
    read = read_tensors(tmp_path / "w.npz")
    assert read["kernel"].shape == (7, 5, 2, 3) and read["kernel"][6, 4, 1, 0] == kernel[1, 0, 4, 6]
    assert read["gamma"].shape == (7,)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_objects_are_refused_and_not_run(zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": STATE, "hook": Malicious()}, "w.pt", _use_new_zipfile_serialization=zipped)
    message = failure(tmp_path / "w.pt")
    assert message.startswith(" holds Python objects beside its weights (")
    assert message.endswith("), which could run code: it was not read. Save the state_dict() alone, as .safetensors.")
    assert not Path("ran").exists()


def test_missing_folder_empty_and_other_kinds(tmp_path: Path) -> None:
    assert failure(tmp_path / "gone.bin") == " does not exist."
    (tmp_path / "bit.npz").mkdir()
    assert failure(tmp_path / "bit.npz") == " is a folder; name the file of weights in it."
    (tmp_path / "w.safetensors").touch()
    assert failure(tmp_path / "w.safetensors") == " is empty (0 bytes). Download or copy it again."
    (tmp_path / "w.h5").write_bytes(b"x")
    assert failure(tmp_path / "w.h5").endswith("those end in .safetensors, .npz, .bin, .pth, .pt, .ckpt, .pth.tar.")


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_truncated(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    state = {"weight": torch.randn(64, 64)}
    if suffix == ".npz":
        np.savez(path, weight=state["weight"].numpy())
    else:
        save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert failure(path).startswith(" can't be read")
    if suffix == ".safetensors":
        with pytest.raises(SwclError, match="can't be read"):
            our_provenance(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 broken", b"<html>404</html>", b"\x80\x05 rest", b"version https://git"]
)
@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
def test_no_weights_at_all(content: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"w{suffix}").write_bytes(content)
    assert failure(tmp_path / f"w{suffix}").startswith(" can't be read")


def test_programs_of_torchscript_are_told_from_weights(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "w.pt")
    recwarn.clear()
    assert failure(tmp_path / "w.pt").startswith(" is a program of TorchScript, as `swcl export --to torchscript`")
    assert not recwarn


@pytest.mark.parametrize("content", [torch.ones(2), [torch.ones(2)], {}, {"epoch": 3}, {"state_dict": {"lr": 0.1}}])
def test_no_state_dict(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pt")
    keys = f"; its keys are {next(iter(content))}" if isinstance(content, dict) and content else ""
    assert failure(tmp_path / "w.pt") == f" holds no state dict: names and their tensors were expected{keys}."


def test_a_plain_pickle_and_an_object_array(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"weight": np.ones(2)}))
    assert "can't be read" in failure(tmp_path / "w.pt") or "Python objects" in failure(tmp_path / "w.pt")
    np.savez(tmp_path / "w.npz", weight=np.array([{}], dtype=object))
    assert "can't be read (Object arrays cannot be loaded" in failure(tmp_path / "w.npz")


def test_provenance_is_of_our_files_alone(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "ours.safetensors", STATE, {"step": "pretrain"})
    save_file(STATE, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    torch.save(STATE, tmp_path / "theirs.bin")
    assert our_provenance(tmp_path / "ours.safetensors") == {"step": "pretrain"}
    assert our_provenance(tmp_path / "theirs.safetensors") is None
    assert our_provenance(tmp_path / "theirs.bin") is None
