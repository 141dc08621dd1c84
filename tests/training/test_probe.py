"""The k-NN probe: what it measures, that it leaves no trace, and what it says of data sets that it can't use."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from swcl_cli.data.augment import center_view
from swcl_cli.data.colour import MEAN, STD
from swcl_cli.data.images import read_image
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import create_encoder
from swcl_cli.training import probe as module
from swcl_cli.training.probe import Probe
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace
from tests import prepared

FABRIC = make_fabric("cpu", "fp32")
SIZE = 32


def probe_of(root: Path, dataset: str = "odir") -> Probe:
    return Probe.of(Workspace(root), dataset, SIZE, MEAN, STD)


def measured(probe: Probe, encoder: nn.Module, workers: int = 0) -> dict[str, float]:
    return probe.measure(FABRIC, encoder, workers)


class MeanColour(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


@pytest.fixture
def eyes(tmp_path: Path) -> pd.DataFrame:
    return prepared.labelled_eyes(tmp_path, "odir", 48)  # 48 bank photographs, 24 queries


def test_measures_the_auc_of_the_votes(tmp_path: Path, eyes: pd.DataFrame) -> None:
    encoder = create_encoder("resnet18", 1)
    found = measured(probe_of(tmp_path), encoder)
    embedded, truth = {}, {}
    for split in ("train", "val"):
        rows = eyes[eyes["split"] == split]
        views = [center_view(read_image(tmp_path / path), SIZE, SIZE, MEAN, STD) for path in rows["path"]]
        with torch.no_grad():
            embedded[split] = encoder.eval()(torch.from_numpy(np.stack(views))).numpy()
        truth[split] = rows["abnormal"].to_numpy(dtype=bool)
    votes = KNeighborsClassifier(
        20, weights=lambda distance: np.exp((1 - distance) / 0.07), metric="cosine", algorithm="brute"
    ).fit(embedded["train"], truth["train"])
    theirs = roc_auc_score(truth["val"], votes.predict_proba(embedded["val"])[:, 1])
    assert found["knn_auc"] == pytest.approx(theirs, abs=0.01)  # a rounding may turn a pair of the 24 around
    assert found["knn_low"] < found["knn_auc"] < found["knn_high"]


def test_finds_what_is_plain_to_see(tmp_path: Path) -> None:
    rows = [
        {
            "split": ("train", "val")[item % 2],
            "abnormal": item % 3 == 0,
            "image": np.full((64, 80, 3), colour, np.uint8),
        }
        for item in range(60)
        for colour in [(200, 60 if item % 3 else 120, 20 + item % 10)]
    ]
    prepared.write(tmp_path, "odir", rows)
    assert measured(probe_of(tmp_path), MeanColour()) == {
        "knn_auc": 1.0,
        "knn_low": pytest.approx(40 / (40 + 2.2622**2), abs=1e-4),
        "knn_high": 1.0,
    }


def test_leaves_no_trace(tmp_path: Path, eyes: pd.DataFrame) -> None:
    encoder: Any = create_encoder("resnet18", 1).train()
    encoder.layer1.eval()
    weights = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    modes = [part.training for part in encoder.modules()]
    states = torch.random.get_rng_state(), str(np.random.get_state()), random.getstate()
    measured(probe_of(tmp_path), encoder, workers=1)
    assert [part.training for part in encoder.modules()] == modes and {True, False} == set(modes)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert (str(np.random.get_state()), random.getstate()) == states[1:]
    encoder(torch.randn(2, 3, SIZE, SIZE)).sum().backward()  # the weights are no inference tensors


def test_workers_and_repetition_make_no_difference(tmp_path: Path, eyes: pd.DataFrame) -> None:
    encoder = create_encoder("resnet18", 1)
    first = measured(probe_of(tmp_path), encoder)
    assert measured(probe_of(tmp_path), encoder, workers=2) == measured(probe_of(tmp_path), encoder) == first


def test_draws_a_keyed_part_of_large_sets(tmp_path: Path, eyes: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (probe_of(tmp_path).bank, len(probe_of(tmp_path).positive)) == (48, 72)
    monkeypatch.setattr(module, "MOST", {"train": 30, "val": 10})
    probe, again = probe_of(tmp_path), probe_of(tmp_path)
    assert (probe.bank, len(probe.positive)) == (30, 40)
    assert probe.summary == "30 train photographs of odir vote on 10 of val: abnormal"
    assert probe.group.tolist() == again.group.tolist()
    splits = eyes.set_index("patient_id")["split"]
    assert (splits[probe.group[:30]] == "train").all() and (splits[probe.group[30:]] == "val").all()
    assert len(set(probe.group.tolist())) > 20


@pytest.mark.parametrize(
    ("labels", "used"),
    [
        ({"dr_grade": [0, 2], "glaucoma": [False, True]}, "dr_grade"),
        ({"glaucoma": [False, True]}, "glaucoma"),
        ({"abnormal": [False, True], "dr_grade": [1, 0]}, "abnormal"),
        ({"abnormal": [False, True, None], "dr_grade": [1, 1, 1]}, "abnormal"),
    ],
)
def test_takes_the_first_label_that_is_there(tmp_path: Path, labels: dict[str, list[Any]], used: str) -> None:
    rows = [
        {
            "image_id": f"{number:02}",
            "split": ("train", "val")[number % 2],
            "image": prepared.photograph(number),
            **{name: values[number // 2 % len(values)] for name, values in labels.items()},
        }
        for number in range(12)
    ]
    prepared.write(tmp_path, "mine", rows)
    probe = probe_of(tmp_path, "mine")
    known = [
        row[used] > 0 for split in ("train", "val") for row in rows if row["split"] == split and row[used] is not None
    ]
    assert probe.summary.endswith(f": {used}") and probe.positive.tolist() == known


def test_sees_the_whole_photograph_at_the_encoders_size(tmp_path: Path, eyes: pd.DataFrame) -> None:
    image = read_image(tmp_path / eyes[eyes["split"] == "train"]["path"].iloc[0])
    view = probe_of(tmp_path).views[(0, 0)]
    assert view.shape == (3, SIZE, SIZE) and view.dtype == np.float32
    np.testing.assert_array_equal(view, center_view(image, SIZE, SIZE, MEAN, STD))
    half = image[:64:2, :64:2].transpose(2, 0, 1)  # in rough: all of it, at half its scale
    assert np.corrcoef(view.ravel(), half.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"split": "train"}, "0 of the 0 photographs in its val split have abnormal above 0"),
        ({"abnormal": True}, "48 of the 48 photographs in its train split"),
        (
            {"abnormal": None},
            "odir has no label to probe (abnormal, dr_grade, glaucoma): name another with --probe-data",
        ),
    ],
)
def test_says_why_a_set_can_not_be_probed(
    tmp_path: Path, eyes: pd.DataFrame, change: dict[str, Any], says: str
) -> None:
    prepared.change(tmp_path, "odir", **change)
    with pytest.raises(SwclError) as caught:
        probe_of(tmp_path)
    assert says in str(caught.value) and "--probe-data" in str(caught.value)


def test_names_the_command_for_a_set_that_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="swcl prep idrid SOURCE"):
        probe_of(tmp_path, "idrid")


def test_embeddings_that_are_not_finite_measure_nothing(tmp_path: Path, eyes: pd.DataFrame) -> None:
    class Broken(MeanColour):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) * math.nan

    assert all(math.isnan(value) for value in measured(probe_of(tmp_path), Broken()).values())
