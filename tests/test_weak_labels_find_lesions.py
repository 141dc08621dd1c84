"""The claim that everything rests on: a labeler that saw only image labels scores patches with lesions higher.

Judged inside photographs that hold lesions, where the image label can't help, on phantom eyes, whose lesions are known;
with shuffled labels the advantage must vanish.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swcl_cli.data import manifest
from swcl_cli.settings import MakeSwapSettings, PrepSettings, TrainLabelerSettings
from swcl_cli.steps import make_swap, prep, train_labeler
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def phantom_eyes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    prep.run(
        PrepSettings(
            workspace=root, dataset="phantom", drawn=["odir", "eyepacs"], patients=360, drawn_size=320, size=160
        )
    )
    return root


def _judged(phantom_eyes: Path, root: Path, shuffled: bool) -> dict[str, Any]:
    shutil.copytree(phantom_eyes / "data", root / "data")
    workspace = Workspace(root)
    if shuffled:
        table = manifest.read(workspace.manifest("odir"))
        order = np.random.Generator(np.random.Philox(7)).permutation(len(table))
        prepared.change(root, "odir", abnormal=table["abnormal"].to_numpy()[order])
    train_labeler.run(
        TrainLabelerSettings(
            workspace=root, architecture="resnet18", crop=144, views=2, batch_labelled=16, batch_unlabelled=8,
            accumulate=1, epochs=20, milestones=[14, 18],
        )
    )  # fmt: skip
    make_swap.run(MakeSwapSettings(workspace=root))
    judgement: dict[str, Any] = read_provenance(workspace.swap)["judgement"]
    print("shuffled labels" if shuffled else "true labels", judgement)
    return judgement


def test_patch_scores_find_lesions(phantom_eyes: Path, tmp_path: Path) -> None:
    judgement = _judged(phantom_eyes, tmp_path, shuffled=False)
    assert judgement["in_place"] >= 0.75
    assert judgement["in_place_interval"][0] > 0.7 and judgement["within_abnormal_interval"][0] > 0.7


def test_shuffled_labels_find_nothing(phantom_eyes: Path, tmp_path: Path) -> None:
    """Patches in the same place, where chance is 0.5: corners, with their background and few lesions, earn nothing."""
    judgement = _judged(phantom_eyes, tmp_path, shuffled=True)
    low, high = judgement["in_place_interval"]
    assert low < 0.55 and high < 0.6
