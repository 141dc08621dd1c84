"""The claim that everything rests on: a labeler that saw only image labels scores patches with lesions higher.

Judged inside photographs that hold lesions, where the image label can't help, on phantom eyes, whose lesions are known;
with shuffled labels the advantage must vanish.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from swcl_cli.data import manifest
from swcl_cli.settings import MakeSwapSettings, PrepSettings, TrainLabelerSettings
from swcl_cli.steps import make_swap, prep, train_labeler
from swcl_cli.workspace import Workspace, read_provenance

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def phantom_eyes(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    prep.run(PrepSettings(workspace=root, dataset="phantom", patients=150, drawn_size=256, size=128, workers=2))
    return root


def _judged(phantom_eyes, root, shuffled):
    shutil.copytree(phantom_eyes / "data", root / "data")
    workspace = Workspace(root)
    if shuffled:
        path = workspace.manifest("odir")
        table, provenance = manifest.read(path), read_provenance(path)
        order = np.random.Generator(np.random.Philox(7)).permutation(len(table))
        manifest.write(path, table.assign(abnormal=table["abnormal"].to_numpy()[order]), provenance)
    train_labeler.run(
        TrainLabelerSettings(
            workspace=root, architecture="resnet18", crop=112, views=2, batch_labelled=16, batch_unlabelled=16,
            accumulate=1, epochs=16, milestones=[12, 15],
        )
    )  # fmt: skip
    make_swap.run(MakeSwapSettings(workspace=root))
    judgement = read_provenance(workspace.swap)["judgement"]
    print("shuffled labels" if shuffled else "true labels", judgement)
    return judgement


def test_patch_scores_find_lesions(phantom_eyes, tmp_path):
    judgement = _judged(phantom_eyes, tmp_path, shuffled=False)
    assert judgement["within_abnormal_interval"][0] > 0.6


def test_shuffled_labels_find_next_to_nothing(phantom_eyes, tmp_path):
    """The corners, with their background and few lesions, leave something above 0.5 even so."""
    judgement = _judged(phantom_eyes, tmp_path, shuffled=True)
    assert judgement["within_abnormal_interval"][1] < 0.6
