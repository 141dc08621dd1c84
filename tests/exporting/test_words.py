"""The lines of a card that prepare a photograph, beside what the program itself makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from swcl_cli.exporting.words import recipe
from swcl_cli.tasks.predictor import RawViews, Sized
from swcl_cli.tasks.saved import Description
from tests import prepared

HALF = (0.5, 0.5, 0.5)
MODEL = Description(
    task="", kind="classification", heads={}, crop=96, architecture="resnet18", mean=HALF, std=HALF,
    precision="fp32", size=0, square=False, crop_to_field=False, lossless=True, sizes=(0, 0), facts={},
)  # fmt: skip


@pytest.mark.parametrize("own", [(565, 584), (427, 320), (333, 251), (259, 388), (160, 161)])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("form", [{}, {"size": 192, "lossless": False}, {"size": 120, "square": True}], ids=str)
def test_pixels_lie_where_the_program_puts_them(
    own: tuple[int, int], fit: str, form: dict[str, Any], tmp_path: Path
) -> None:
    """Within a grey level on average, the loss of a JPEG included, at any aspect; half a pixel elsewhere is more."""
    path = tmp_path / "eye.png"
    Image.fromarray(prepared.photograph(3, *own)).save(path)
    model = replace(MODEL, facts={"fit": fit}, **form)
    names: dict[str, Any] = {}
    exec(recipe(model).replace("eye.jpg", path.as_posix()), names)
    view = RawViews([path], model)[0, 0]
    assert isinstance(view, Sized)
    ours = (np.asarray(view.view) * 0.5 + 0.5).transpose(1, 2, 0) * 255
    assert names["images"].shape == (1, 96, 96, 3)
    assert np.abs(names["images"][0] - ours).mean() < 0.6
