"""The README's tables are those of the catalogue, and what it says of the encoder's file is executed as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from swcl_cli.models.encoders import create_encoder, load_encoder
from tests import prepared, readme
from tests.foreign_weights import photographs
from tests.readme import README


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
