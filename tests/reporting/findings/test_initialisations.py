from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.initialisations import Initialisation, initialisation

FILE = "0123456789abcdef"


def _with_init(contents: Contents, name: str, init: str | None) -> Contents:
    inputs = {"idrid": "f" * 16} | ({"init": init} if init else {})
    return replace(contents, finetuned={("idrid", name): Artefact("x", {"inputs": inputs, "settings": {}}, "1" * 16)})


def _encoder(contents: Contents, method: str, init: str | None) -> Contents:
    provenance: dict[str, Any] = {"settings": {"method": method}, "inputs": {"init": init} if init else {}}
    return replace(contents, encoders={"e": Artefact("e.safetensors", provenance, FILE)})


@pytest.mark.parametrize(
    ("name", "method", "domain"),
    [
        ("swcl-frozen", "swcl", "retina"),
        ("supervised-odir-0.1", "supervised-odir", "retina"),
        ("bit-m-frozen", "bit-m", "natural"),
        ("BiT-S-R50x1", "bit-s", "natural"),
        ("imagenet", "imagenet", "natural"),
        ("pytorch_model", None, "unknown"),
        ("random", None, "unknown"),
    ],
)
def test_a_file_from_elsewhere_is_what_its_name_says(
    contents: Contents, name: str, method: str | None, domain: str
) -> None:
    found = initialisation(_with_init(contents, name, FILE), "idrid", name)
    assert (found.method, found.domain, found.encoder) == (method, domain, None)
    assert found.in_domain == (domain == "retina")


@pytest.mark.parametrize("name", ["random", "random-0.1", "scratch", "swcl"])
def test_without_initial_weights_it_is_random_whatever_its_name(contents: Contents, name: str) -> None:
    assert initialisation(_with_init(contents, name, None), "idrid", name) == Initialisation("random", "none")


def test_an_encoder_of_ours_tells_more_than_its_name(contents: Contents) -> None:
    for init, domain in ((None, "retina"), ("resnet18.tv_in1k", "natural"), ("9" * 16, "unknown")):
        found = initialisation(_encoder(_with_init(contents, "bit-m", FILE), "dino", init), "idrid", "bit-m")
        assert (found.method, found.domain) == ("dino", domain)
        assert found.encoder is not None


def test_an_encoder_that_went_on_from_another_of_ours(contents: Contents) -> None:
    first = contents.encoders["swcl"]
    both = _encoder(_with_init(contents, "second", FILE), "simclr", first.fingerprint)
    both.encoders["swcl"] = first
    assert initialisation(both, "idrid", "second").in_domain


def test_tags_are_natural_images(contents: Contents) -> None:
    tags = {"resnetv2_50x1_bit.goog_in21k": "bit-m", "resnet18.tv_in1k": "imagenet"}
    for tag, method in tags.items():
        assert initialisation(_with_init(contents, "swcl", tag), "idrid", "swcl") == Initialisation(method, "natural")


def test_the_labeler_saw_the_retina_alone(contents: Contents) -> None:
    assert contents.labeler is not None
    found = initialisation(_with_init(contents, "labeler", contents.labeler.fingerprint), "idrid", "labeler")
    assert (found.method, found.in_domain) == (None, True)
