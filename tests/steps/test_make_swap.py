"""Scores of patches against the released arithmetic as plain loops (FACTS A4 to A8); relabelling, errors, judgement."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from swcl_cli.data.lesion_masks import KINDS
from swcl_cli.data.weak_labels import SCHEMA
from swcl_cli.errors import SwclError
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.steps import make_swap
from swcl_cli.workspace import Workspace, read_provenance, write_parquet, write_safetensors
from tests import prepared

MEAN, STD = np.array([0.3219, 0.2259, 0.1633]), np.array([0.3038, 0.2195, 0.1756])
POSITIONS = ("tl", "tr", "c", "bl", "br")


def options(root: Path, **values: Any) -> MakeSwapSettings:
    return MakeSwapSettings(**{"workspace": root, "batch": 3, "workers": 0, "accelerator": "cpu", **values})


def make(root: Path) -> Any:
    """20 photographs: 12 of odir (normal, abnormal, unknown), 8 of eyepacs with grades that must not be read."""
    table = prepared.labelled_eyes(root, "odir", 6)
    unknown = table["abnormal"].mask(table["image_id"].isin(["2_left", "3_right"]))
    prepared.change(root, "odir", abnormal=unknown)
    prepared.labelled_eyes(root, "eyepacs", 4, abnormal=False, dr_grade=0)
    return prepared.labeler(root, ["odir"], ["eyepacs"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Any]:
    root = tmp_path_factory.mktemp("swap")
    network = make(root)
    make_swap.run(options(root))
    return Workspace(root), network


def upsampled(channel: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Bilinear, corners on corners."""
    height, width = channel.shape
    large = np.empty((size, size))
    for i in range(size):
        y = i * (height - 1) / (size - 1)
        top, down = min(int(y), height - 2), y - min(int(y), height - 2)
        for j in range(size):
            x = j * (width - 1) / (size - 1)
            left, right = min(int(x), width - 2), x - min(int(x), width - 2)
            above = channel[top, left] * (1 - right) + channel[top, left + 1] * right
            below = channel[top + 1, left] * (1 - right) + channel[top + 1, left + 1] * right
            large[i, j] = above * (1 - down) + below * down
    return large


def scores_by_hand(image: NDArray[np.uint8], eye: str, network: Any, background: bool) -> dict[str, float]:
    """One photograph: central square, mirrored, both maps upsampled, softmax, background to 0, mean of each crop."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    square = image[top : top + side, left : left + side]
    square = square[:, ::-1] if eye == "right" else square
    normalised = (square / 255 - MEAN) / STD
    with torch.inference_mode():
        features = network.forward_features(torch.tensor(normalised.transpose(2, 0, 1)[None], dtype=torch.float32))
    channels, weight = features[0].double().numpy(), network.fc.weight.detach().double().numpy()
    maps = []
    for number in (0, 1):
        summed = np.zeros(channels.shape[1:])
        for channel, w in zip(channels, weight[number], strict=True):
            summed += w * channel
        maps.append(np.exp(upsampled(summed, side)))
    probability = maps[1] / (maps[0] + maps[1])
    if background:
        dark = normalised.sum(axis=2) < ((15 / 255 - MEAN) / STD).sum()
        probability = np.where(dark, 0, probability)
    half, middle = side // 2, round((side - side // 2) / 2)
    corners = [(0, 0), (0, side - half), (middle, middle), (side - half, 0), (side - half, side - half)]
    crops = [probability[y : y + half, x : x + half] for y, x in corners]
    return {name: float(crop.sum() / half**2) for name, crop in zip(POSITIONS, crops, strict=True)}


@pytest.mark.parametrize("background", ["released", "none"])
def test_scores_are_those_of_the_released_arithmetic(
    made: tuple[Workspace, Any], tmp_path: Path, background: str
) -> None:
    workspace, network = made
    path = workspace.swap
    if background == "none":
        make(tmp_path)
        path = make_swap.run(options(tmp_path, background="none", batch=7))
    patches = pq.read_table(path).to_pandas()
    assert len(patches) == 5 * 20
    spread = []
    for (name, eye), rows in patches.groupby(["path", "eye"]):
        image = np.asarray(Image.open(workspace.root / name))
        expected = scores_by_hand(image, eye, network, background == "released")
        normal = rows["image_abnormal"].iloc[0] == False  # noqa: E712
        for row in rows.itertuples():
            assert row.score == pytest.approx(0 if normal else expected[row.position], abs=1e-4)
        spread += [] if normal else list(expected.values())
    assert np.std(spread) > 0.05 and len(spread) >= 60


def test_columns(made: tuple[Workspace, Any]) -> None:
    table = pq.read_table(made[0].swap)
    assert table.schema.remove_metadata() == SCHEMA
    patches = table.to_pandas()
    assert patches["position"].tolist() == 20 * list(POSITIONS)
    assert patches["mirrored"].tolist() == (patches["eye"] == "right").tolist() and not patches["rotated"].any()
    assert (patches["abnormal"] == (patches["score"] >= np.float32(0.4))).all() and patches["abnormal"].nunique() == 2
    known = patches.set_index("image_id")["image_abnormal"]
    assert known[patches["dataset"].to_numpy() == "eyepacs"].isna().all()
    assert known.loc["2_left"].isna().sum() == 5 + 5  # unknown in odir, and that of eyepacs
    normal = patches["image_abnormal"] == False  # noqa: E712
    assert normal.sum() == 25 and (patches["score"][normal] == 0).all() and (patches["score"][~normal] > 0).all()


def test_provenance_and_maps(made: tuple[Workspace, Any]) -> None:
    workspace, network = made
    provenance, patches = read_provenance(workspace.swap), pq.read_table(workspace.swap).to_pandas()
    assert provenance["inputs"].keys() == {"labeler", "odir", "eyepacs"} and provenance["judgement"] is None
    counts = {str(t): int((patches["score"] >= np.float32(t)).sum()) for t in (0.3, 0.4, 0.5)}
    assert provenance["counts"] == {**counts, "all": 100, "abnormal": counts["0.4"]}
    maps = load_file(workspace.run("make-swap") / "cams.safetensors")
    kinds = patches.drop_duplicates("path").set_index("path")["image_abnormal"]
    shown = [kinds[path] for path in maps]
    assert sum(kind is None for kind in shown) == 6
    assert shown.count(True) == min(6, (kinds == True).sum()) == len(shown) - 6  # noqa: E712
    for path, kept in maps.items():
        eye = patches.loc[patches["path"] == path, "eye"].iloc[0]
        square_scores = scores_by_hand(np.asarray(Image.open(workspace.root / path)), eye, network, background=False)
        assert kept.shape == (64, 64)
        assert kept[:32, :32].double().mean() / 255 == pytest.approx(square_scores["tl"], abs=2e-3)


def test_another_threshold_only_relabels_and_equals_a_fresh_run(
    made: tuple[Workspace, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    fresh = make_swap.run(options(tmp_path, threshold=0.55))
    workspace, before = made[0], pq.read_table(made[0].swap)
    with monkeypatch.context() as patched:
        patched.setattr(make_swap, "_score", None)
        make_swap.run(options(workspace.root, threshold=0.55))
        assert workspace.swap.read_bytes() == fresh.read_bytes()
        after = pq.read_table(workspace.swap)
        assert after.drop_columns(["abnormal"]).equals(before.drop_columns(["abnormal"]))
        assert after["abnormal"] != before["abnormal"]
        make_swap.run(options(workspace.root))
    assert pq.read_table(workspace.swap).equals(before)


def test_batch_and_workers_do_not_matter(made: tuple[Workspace, Any], tmp_path: Path) -> None:
    make(tmp_path)
    make_swap.run(options(tmp_path, workers=2))
    assert Workspace(tmp_path).swap.read_bytes() == made[0].swap.read_bytes()
    make_swap.run(options(tmp_path, batch=20, fresh=True))
    scores = [pq.read_table(workspace.swap)["score"].to_numpy() for workspace in (Workspace(tmp_path), made[0])]
    np.testing.assert_allclose(*scores, atol=1e-5)


def test_nothing_changed_is_nothing_done(made: tuple[Workspace, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_swap, "write_parquet", None)
    assert make_swap.run(options(made[0].root)) == made[0].swap


class TestErrors:
    @pytest.fixture
    def workspace(self, tmp_path: Path) -> Workspace:
        prepared.labelled_eyes(tmp_path, "odir", 1)
        prepared.labeler(tmp_path, ["odir"], [])
        make_swap.run(options(tmp_path))
        return Workspace(tmp_path)

    def test_another_labeler(self, workspace: Workspace) -> None:
        prepared.labeler(workspace.root, ["odir"], [], seed=1)
        with pytest.raises(SwclError, match=r"swap.parquet was made differently \(labeler: \w+ -> \w+\).*--fresh"):
            make_swap.run(options(workspace.root))
        make_swap.run(options(workspace.root, fresh=True))

    def test_a_changed_manifest(self, workspace: Workspace) -> None:
        prepared.change(workspace.root, "odir", abnormal=True)
        with pytest.raises(SwclError, match=r"made differently \(odir: \w+ -> \w+\)"):
            make_swap.run(options(workspace.root))

    def test_other_settings(self, workspace: Workspace) -> None:
        with pytest.raises(SwclError, match=r"made differently \(background: released -> none; threshold: 0.4 -> 0.5"):
            make_swap.run(options(workspace.root, background="none", threshold=0.5))

    def test_another_prepared_size(self, workspace: Workspace) -> None:
        prepared.labeler(workspace.root, ["odir"], [], image_size=96)
        with pytest.raises(SwclError, match="odir is prepared at 64 px, the labeler was trained at 96 px.*--size"):
            make_swap.run(options(workspace.root, fresh=True))

    def test_no_labeler(self, tmp_path: Path) -> None:
        with pytest.raises(SwclError, match="labeler.safetensors is missing. Make it with: swcl train-labeler"):
            make_swap.run(options(tmp_path))

    def test_a_data_set_that_is_gone(self, workspace: Workspace) -> None:
        workspace.manifest("odir").unlink()
        with pytest.raises(SwclError, match="manifest.parquet is missing. Make it with: swcl prep odir SOURCE"):
            make_swap.run(options(workspace.root))

    def test_an_encoder_is_no_labeler(self, workspace: Workspace) -> None:
        prepared.encoder(workspace.labeler)
        with pytest.raises(SwclError, match="labeler.safetensors holds no labeler.*swcl train-labeler"):
            make_swap.run(options(workspace.root, fresh=True))

    def test_other_classes(self, workspace: Workspace) -> None:
        tensors = {**load_file(workspace.labeler), "fc.weight": torch.zeros(3, 512)}
        write_safetensors(workspace.labeler, tensors, read_provenance(workspace.labeler))
        with pytest.raises(SwclError, match="labeler.safetensors does not fit.*of another shape: fc.weight"):
            make_swap.run(options(workspace.root, fresh=True))

    @pytest.mark.parametrize("workers", [0, 1])
    def test_a_photograph_that_vanished(self, workspace: Workspace, workers: int) -> None:
        (workspace.root / "data/odir/images/0_right.png").unlink()
        with pytest.raises(SwclError, match="^.*/0_right.png can't be read.*swcl prep`.$"):
            make_swap.run(options(workspace.root, fresh=True, workers=workers))

    def test_a_photograph_that_was_replaced(self, workspace: Workspace) -> None:
        Image.fromarray(prepared.photograph(1, 90, 80)).save(workspace.root / "data/odir/images/0_right.png")
        with pytest.raises(SwclError, match="0_right.png is 90 x 80 px, not 64 x 64.*swcl prep"):
            make_swap.run(options(workspace.root, fresh=True))


def test_judgement_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two photographs with masks of twice their size: a lesion in the tr of a left eye, and in the raw tr of a right
    eye, which is its tl; the third has none, and the fourth has no mask.
    """
    masks = [np.zeros((128, 128), np.uint8) for _ in range(3)]
    masks[0][10, 100] = masks[1][10, 100] = 1 + KINDS.index("hard exudate")
    rows = [
        {
            "eye": eye,
            "image": prepared.photograph(item),
            "abnormal": None,
            **({"lesions": masks[item]} if item < 3 else {}),
        }
        for item, eye in enumerate(("left", "right", "left", "left"))
    ]
    rows[0]["abnormal"], rows[3]["abnormal"] = True, False
    prepared.write(tmp_path, "odir", rows)
    prepared.labeler(tmp_path, ["odir"], [])
    scores = np.array(
        [[0.55, 0.9, 0.2, 0.3, 0.4], [0.5, 0.6, 0.1, 0.2, 0.3], [0.7, 0.8, 0.1, 0.2, 0.3], [0.9] * 5], np.float32
    )
    monkeypatch.setattr(make_swap, "_score", lambda *_: scores)
    judged = read_provenance(make_swap.run(options(tmp_path)))["judgement"]
    truth = np.zeros((3, 5), bool)
    truth[0, 1] = truth[1, 0] = True
    assert judged["auc"] == pytest.approx(roc_auc_score(truth.ravel(), scores[:3].ravel()))
    assert judged["in_place"] == 0.5  # of the first two, place by place: tl 0.5 against 0.55, tr 0.9 against 0.6
    assert judged["by_kind"] == {"hard exudate": judged["auc"]}
    assert judged["by_position"]["tl"] == 0 and judged["by_position"]["tr"] == 1
    assert np.isnan([judged["by_position"][name] for name in ("c", "bl", "br")]).all()
    assert (judged["threshold"], judged["f1"]) == (pytest.approx(0.9), pytest.approx(2 / 3))


def test_half_a_million_rows_are_quick(tmp_path: Path) -> None:
    """FACTS 1: the paper's 493,470 patches, from photographs to the file on the disk."""
    count = 98_694
    table = pd.DataFrame({"patient_id": (np.arange(count) // 2).astype(str), "eye": ["left", "right"] * (count // 2)})
    table = table.assign(
        dataset="eyepacs", image_id=table["patient_id"] + "_" + table["eye"], width=448, height=448,
        path="data/eyepacs/images/" + table["patient_id"] + table["eye"] + ".jpg",
        image_abnormal=pd.array([None] * count, dtype=pd.ArrowDtype(pa.bool_())),
    )  # fmt: skip
    scores = np.random.default_rng(0).random((count, 5), np.float32)
    began = time.process_time()
    rows = pa.Table.from_pandas(make_swap.patch_rows(table, scores, 0.4), SCHEMA, preserve_index=False)
    write_parquet(tmp_path / "swap.parquet", rows, {})
    assert len(rows) == 493_470 and time.process_time() - began < 10
