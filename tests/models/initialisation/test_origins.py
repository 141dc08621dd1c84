"""Random weights, pretrained tags and our own files; names that are no file."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants as hub
from torch import Tensor

from swcl_cli.catalogue.encoders import TAGS
from swcl_cli.data import colour
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.encoders import create_encoder
from swcl_cli.models.initialisation import Initial, initialise, origins, tags
from swcl_cli.workspace import fingerprint, read_provenance, write_safetensors
from tests import prepared
from tests.foreign_weights import features, network

BIT = "resnetv2_50x1_bit"


def start(source: str, architecture: str | None = None, **given: Any) -> Initial:
    return initialise(source, architecture, **{"colours": "rgb", "seed": 0, **given})


def test_random() -> None:
    initial = start("random", "resnet18", seed=3, colours="released")
    expected = create_encoder("resnet18", 3).state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in initial.encoder.state_dict().items())
    assert (initial.mean, initial.std) == colour.constants("released")
    assert (initial.source, initial.inputs, initial.image_size) == ("random", {}, None)
    assert initial.summary == "random weights of resnet18, seed 3"
    assert start("random").architecture == BIT


class TestOurs:
    def test_an_encoder(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.safetensors"
        weights = prepared.encoder(path)
        work = read_provenance(path)
        work["encoder"] |= {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
        write_safetensors(path, weights, work)
        initial = start("mine.safetensors", workspace=tmp_path, colours="released")
        assert (initial.mean, initial.std, initial.image_size) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 32)
        assert (initial.source, initial.architecture) == ("mine", "resnet18")
        assert initial.inputs == {"init": fingerprint(path)}
        assert initial.summary == f"100 of 100 weights of resnet18 from {path}"
        assert all(torch.equal(tensor, weights[key]) for key, tensor in initial.encoder.state_dict().items())

    def test_a_labeler(self, tmp_path: Path) -> None:
        labeler = prepared.labeler(tmp_path, ["odir"], [])
        initial = start("labeler.safetensors", workspace=tmp_path)
        weights = labeler.state_dict()
        assert all(torch.equal(tensor, weights[key]) for key, tensor in initial.encoder.state_dict().items())
        encoder: Any = initial.encoder
        assert encoder.forward_features(torch.zeros(1, 3, 64, 64)).shape[-1] == 2
        assert initial.summary.endswith("; left aside: fc.bias, fc.weight") and initial.image_size == 64

    def test_a_fine_tuned_network(self, tmp_path: Path) -> None:
        weights = prepared.encoder(tmp_path / "swcl.safetensors")
        state = {f"encoder.{key}": tensor for key, tensor in weights.items()}
        state |= {f"decoder.{n}.weight": torch.ones(1) for n in range(10)}
        described = {"architecture": "resnet18", "crop": 224, **prepared.COLOURS}
        path = tmp_path / "model.safetensors"
        write_safetensors(path, state, {"step": "finetune", "model": described})
        initial = start(str(path))
        assert all(torch.equal(tensor, weights[key]) for key, tensor in initial.encoder.state_dict().items())
        assert initial.image_size == 224
        assert initial.summary.endswith("decoder.6.weight, decoder.7.weight and 2 more")

    def test_another_architecture(self, tmp_path: Path) -> None:
        prepared.encoder(tmp_path / "swcl.safetensors")
        with pytest.raises(UsageError, match="swcl.safetensors holds a resnet18, not the --architecture resnet34."):
            start("swcl.safetensors", "resnet34", workspace=tmp_path)

    def test_keys_that_do_not_fit(self, tmp_path: Path) -> None:
        path = tmp_path / "swcl.safetensors"
        weights = prepared.encoder(path)
        del weights["layer1.0.conv1.weight"]
        write_safetensors(path, {**weights, "fc.weight": torch.ones(2)}, read_provenance(path))
        with pytest.raises(SwclError, match="missing: layer1.0.conv1.weight; not expected: fc.weight"):
            start(str(path))

    def test_no_network(self, tmp_path: Path) -> None:
        write_safetensors(tmp_path / "resume.safetensors", {"a": torch.ones(1)}, {"step": "pretrain", "resume": {}})
        with pytest.raises(SwclError, match="resume.safetensors holds no encoder. Encoders are made by: swcl pretrain"):
            start(str(tmp_path / "resume.safetensors"))


class TestOneOfSeveralNetworks:
    @pytest.fixture
    def checkpoint(self, tmp_path: Path) -> Path:
        """A student and a teacher of others, a projector beside each."""
        path = tmp_path / "dino.pth.tar"
        nets = {part: create_encoder("resnet18", seed).state_dict() for seed, part in enumerate(("student", "teacher"))}
        projector = {"head.0.weight": torch.ones(2, 512)}
        torch.save(
            {part: {**{f"encoder.{key}": value for key, value in net.items()}, **projector}
             for part, net in nets.items()}, path)  # fmt: skip
        return path

    @pytest.mark.parametrize(("seed", "part"), [(0, "student"), (1, "teacher")])
    def test_it_is_named(self, seed: int, part: str, checkpoint: Path) -> None:
        initial = start(f"dino.pth.tar#{part}.encoder", workspace=checkpoint.parent)
        expected = create_encoder("resnet18", seed).state_dict()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in initial.encoder.state_dict().items())
        assert initial.inputs == {"init": f"{fingerprint(checkpoint)}#{part}.encoder"}
        assert initial.source == f"dino-{part}.encoder" and f"from {checkpoint}#{part}.encoder" in initial.summary
        assert (initial.mean, initial.std) == colour.constants("rgb")

    def test_it_is_not_named(self, checkpoint: Path) -> None:
        with pytest.raises(SwclError, match=r"holds several networks: student, teacher\. Name one: --init .*#student$"):
            start(str(checkpoint))

    def test_a_part_that_fits_is_offered(self, tmp_path: Path) -> None:
        net = create_encoder("resnet18", 0).state_dict()
        path = tmp_path / "moco.ckpt"
        torch.save({"state_dict": {"online.queue": torch.ones(2, 2), "online.net": torch.ones(2),
                                   **{f"online.body.{key}": tensor for key, tensor in net.items()}}}, path)  # fmt: skip
        with pytest.raises(SwclError, match=r"Below online\.body some do: --init .*moco\.ckpt#online\.body$"):
            start(str(path))
        assert start(f"{path}#online.body").source == "moco-online.body"

    def test_a_file_of_such_a_name_comes_first(self, tmp_path: Path) -> None:
        prepared.encoder(tmp_path / "a#b.safetensors")
        assert start("a#b.safetensors", workspace=tmp_path).source == "a#b"
        with pytest.raises(UsageError, match="holds one encoder of swcl's own: name it without #c"):
            start("a#b.safetensors#c", workspace=tmp_path)


class TestTags:
    """timm's own loading, with the file that the hub would send."""

    @pytest.fixture(autouse=True)
    def _sent(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        self.asked: list[str] = []

        def send(model_id: str, *_: Any, **__: Any) -> dict[str, Tensor]:
            self.asked.append(model_id)
            name, classes = (BIT, 21843) if BIT in model_id else (model_id.split("/")[1].split(".")[0], 1000)
            head = "head.fc." if name == BIT else "fc."
            state = network(name).state_dict()
            shapes = {"weight": (classes, *state[f"{head}weight"].shape[1:]), "bias": (classes,)}
            made = {f"{head}{kind}": torch.zeros(shape) for kind, shape in shapes.items()}
            return {key: tensor for key, tensor in {**state, **made}.items() if key not in self.lost}

        self.lost: set[str] = set()
        monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", send)
        monkeypatch.setattr(tags, "_unreachable", lambda: "")
        origins.of_tag.cache_clear()
        yield
        origins.of_tag.cache_clear()

    @pytest.mark.parametrize(
        ("source", "asked", "architecture", "tag"),
        [
            ("imagenet", "resnet18", "resnet18", "tv_in1k"),
            ("bit-m", None, BIT, "goog_in21k"),
        ],
    )
    def test_weights_arrive(self, source: str, asked: str | None, architecture: str, tag: str) -> None:
        state = torch.get_rng_state()
        initial = start(source, asked, colours="released")
        assert self.asked == [f"timm/{architecture}.{tag}"]
        assert torch.equal(features(initial.encoder), features(network(architecture)))
        assert (initial.source, initial.inputs) == (source, {"init": f"{architecture}.{tag}"})
        assert (initial.mean, initial.std) == colour.constants("released")
        assert f"weights of {architecture} from {architecture}.{tag}; left aside: " in initial.summary
        assert torch.equal(torch.get_rng_state(), state)

    def test_each_seed_of_a_run_asks_once(self) -> None:
        first, second = (start("imagenet", "resnet18", seed=seed).encoder for seed in (0, 1))
        assert len(self.asked) == 1
        with torch.no_grad():
            first.get_parameter("conv1.weight").zero_()
        assert second.get_parameter("conv1.weight").any()

    def test_an_incomplete_download(self) -> None:
        self.lost = {"bn1.weight"}
        with pytest.raises(SwclError, match="timm could not download resnet18.tv_in1k .*bn1.weight"):
            start("imagenet", "resnet18")

    def test_no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise OSError("We couldn't connect. Check your connection.\nMore")

        monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", fail)
        with pytest.raises(SwclError) as caught:
            start("imagenet", "resnet18")
        assert str(caught.value) == (
            "timm could not download resnet18.tv_in1k (We couldn't connect. Check your connection. More). "
            "Pass a file instead (--init FILE --name imagenet): a state dict of timm or torchvision."
        )

    def test_without_a_network_timm_only_looks_into_its_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It would ask the host eleven times, for more than a minute."""
        monkeypatch.undo()
        refused: list[object] = []

        def refuse(address: object, **_: object) -> None:
            refused.append(address)
            raise OSError(0, "no route to it")

        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(tags, "getproxies", dict)
        monkeypatch.setenv("HF_HUB_CACHE", "nowhere")
        started = time.monotonic()
        with pytest.raises(SwclError) as caught:
            start("imagenet", "resnet18")
        assert time.monotonic() - started < 5 and len(refused) == 1
        assert str(caught.value) == (
            "timm could not download resnet18.tv_in1k (huggingface.co does not answer: no route to it). "
            "Pass a file instead (--init FILE --name imagenet): a state dict of timm or torchvision."
        )
        assert not hub.HF_HUB_OFFLINE

    @pytest.mark.parametrize(
        ("proxies", "asked"),
        [
            ({"https": "http://user:secret@proxy:3128"}, ("proxy", 3128)),
            ({"https": "proxy:1"}, ("proxy", 1)),
            ({"all": "socks5://proxy:1080", "http": "other:2"}, ("proxy", 1080)),
            ({"https": "http://proxy"}, ("proxy", 80)),
            ({"http": "proxy:1"}, ("huggingface.co", 443)),
            ({"https": "proxy:1", "no": "huggingface.co"}, ("huggingface.co", 443)),
        ],
    )
    def test_a_proxy_is_asked_in_place_of_the_host(
        self, monkeypatch: pytest.MonkeyPatch, proxies: dict[str, str], asked: tuple[str, int]
    ) -> None:
        """A proxy that answers may know the way; of one that does not, nothing but its name is told."""
        monkeypatch.undo()
        addresses: list[object] = []

        def refuse(address: object, **_: object) -> None:
            addresses.append(address)
            raise OSError(0, "refused")

        monkeypatch.setattr(tags, "getproxies", lambda: proxies)
        monkeypatch.setattr(tags, "proxy_bypass", lambda host: host in proxies.get("no", ""))
        monkeypatch.setattr(socket, "create_connection", refuse)
        named = "the proxy " * (asked[0] == "proxy")
        assert tags._unreachable() == f"{named}{asked[0]} does not answer: refused" and addresses == [asked]
        monkeypatch.setattr(socket, "create_connection", lambda *_, **__: socket.socket())
        assert tags._unreachable() == ""

    def test_the_default_is_the_largest(self) -> None:
        assert tags.choose("imagenet", None) == ("resnet50", "resnet50.tv_in1k")
        assert all(f"{name}.{tag}" in timm.list_pretrained() for row in TAGS.values() for name, tag in row.items())

    def test_architectures_without_such_weights(self) -> None:
        with pytest.raises(UsageError, match=f"--init bit-m has no weights of resnet18, only of {BIT}."):
            start("bit-m", "resnet18")
        with pytest.raises(UsageError, match=f"imagenet has no weights of {BIT}, only of .*BiT-S: pass its .npz file"):
            start("imagenet", BIT)
        assert not self.asked


class TestNoFile:
    def failure(self, source: str, workspace: Path) -> str:
        with pytest.raises(UsageError) as caught:
            start(source, workspace=workspace)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("source", "meant"),
        [
            ("swcl.safetensor", "swcl.safetensors"),
            ("swcl", None),
            ("image-net", "imagenet"),
            ("bit_m", "bit-m"),
            ("Random", "random"),
            ("elsewhere/weights.bin", None),
        ],
    )
    def test_a_typo_is_neither_a_tag_nor_random(self, source: str, meant: str | None, tmp_path: Path) -> None:
        (tmp_path / "swcl.safetensors").touch()
        message = self.failure(source, tmp_path)
        assert message.startswith(
            f"--init {source}: no such file here or in {tmp_path}, and none of random, imagenet, bit-m, bit-s."
        )
        assert (f" Did you mean {meant}?" in message) if meant else ("Did you mean" not in message)
        assert ".safetensors, .npz, .bin, .pth, .pt, .ckpt, .pth.tar; swcl pretrain makes one." in message

    def test_bit_s_needs_its_file(self, tmp_path: Path) -> None:
        message = self.failure("bit-s", tmp_path)
        assert "pass BiT-S-R50x1.npz" in message and "--init FILE.npz --name bit-s" in message
