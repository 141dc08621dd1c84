"""Scores of patches against the released arithmetic as plain loops (FACTS A3 to A8); relabelling, resuming."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from swcl_cli.data.columns import SWAP
from swcl_cli.steps import make_swap
from swcl_cli.swap import spread
from swcl_cli.swap.maps import scored
from swcl_cli.swap.views import patch_of, read_file
from swcl_cli.swap.weak_labels import left_right_pairs, read_patches
from swcl_cli.workspace import Workspace, read_provenance, write_safetensors
from tests import prepared
from tests.folders import contents
from tests.swap_runs import POSITIONS, make, options

MEAN, STD = np.array([0.3219, 0.2259, 0.1633]), np.array([0.3038, 0.2195, 0.1756])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Any]:
    root = tmp_path_factory.mktemp("swap")
    network = make(root)
    make_swap.run(options(root))
    return Workspace(root), network


@pytest.fixture
def unscored(made: tuple[Workspace, Any], tmp_path: Path) -> Path:
    """A copy of the same workspace before `make-swap`."""
    shutil.copytree(made[0].root, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "swap.parquet").unlink()
    return tmp_path


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


def scores_by_hand(
    image: NDArray[np.uint8],
    eye: str,
    network: Any,
    background: bool,
    mean: NDArray[np.float64] = MEAN,
    std: NDArray[np.float64] = STD,
) -> dict[str, float]:
    """One photograph as the authors score it, whichever eye it is of: both maps of its central square, enlarged, their
    softmax, background to 0; only then are a right eye's mirrored, and each crop averaged.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    square = image[top : top + side, left : left + side]
    normalised = (square / 255 - mean) / std
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
        bright = normalised.sum(axis=2) > ((15 / 255 - mean) / std).sum()
        probability = np.where(bright, probability, 0)
    if eye == "right":
        probability = probability[:, ::-1]
    half, middle = side // 2, round((side - side // 2) / 2)
    corners = [(0, 0), (0, side - half), (middle, middle), (side - half, 0), (side - half, side - half)]
    crops = [probability[y : y + half, x : x + half] for y, x in corners]
    return {name: float(crop.sum() / half**2) for name, crop in zip(POSITIONS, crops, strict=True)}


@pytest.mark.parametrize("background", ["released", "none"])
def test_scores_are_those_of_the_released_arithmetic(
    made: tuple[Workspace, Any], unscored: Path, background: str
) -> None:
    workspace, network = made
    path = workspace.swap
    if background == "none":
        path = make_swap.run(options(unscored, background="none", batch=7))
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


@pytest.mark.parametrize("colours", [([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]), ([0.6, 0.5, 0.4], [0.3, 0.2, 0.1])])
def test_photographs_are_normalised_by_the_labelers_colours(
    made: tuple[Workspace, Any], unscored: Path, colours: tuple[list[float], list[float]]
) -> None:
    """Those in its file, brighter or darker than ours: in the network's input, and where background ends."""
    workspace = Workspace(unscored)
    work = read_provenance(workspace.labeler)
    work["labeler"]["mean"], work["labeler"]["std"] = colours
    write_safetensors(workspace.labeler, load_file(workspace.labeler), work)
    patches = pq.read_table(make_swap.run(options(unscored))).to_pandas()
    moved = []
    for (name, eye), rows in patches[patches["dataset"] == "eyepacs"][:10].groupby(["path", "eye"]):
        image, network = np.asarray(Image.open(unscored / name)), made[1]
        expected = scores_by_hand(image, eye, network, True, *map(np.array, colours))
        usual = scores_by_hand(image, eye, network, True)
        assert rows.set_index("position")["score"].to_dict() == pytest.approx(expected, abs=1e-4)
        moved += [abs(expected[position] - usual[position]) for position in POSITIONS]
    assert np.mean(moved) > 0.02


def test_columns(made: tuple[Workspace, Any]) -> None:
    table = pq.read_table(made[0].swap)
    assert table.schema.remove_metadata() == SWAP.schema
    patches = table.to_pandas()
    assert patches["position"].tolist() == 20 * list(POSITIONS)
    assert patches["mirrored"].tolist() == (patches["eye"] == "right").tolist()
    assert (patches["abnormal"] == (patches["score"] >= np.float32(0.4))).all() and patches["abnormal"].nunique() == 2
    known = patches.set_index("image_id")["image_abnormal"]
    assert known[patches["dataset"].to_numpy() == "eyepacs"].isna().all()
    assert known.loc["2_left"].isna().sum() == 5 + 5  # unknown in odir, and that of eyepacs
    checksums = [crc32((made[0].root / path).read_bytes()) for path in patches["path"]]
    assert patches["checksum"].tolist() == checksums and len(set(checksums)) == 20
    assert not patches["single"].any() and not (left_right_pairs(patches) < 0).any()
    normal = patches["image_abnormal"] == False  # noqa: E712
    assert normal.sum() == 25 and (patches["score"][normal] == 0).all() and (patches["score"][~normal] > 0).all()


def test_provenance_and_maps(made: tuple[Workspace, Any]) -> None:
    workspace, network = made
    provenance, patches = read_provenance(workspace.swap), pq.read_table(workspace.swap).to_pandas()
    assert provenance["inputs"].keys() == {"labeler", "odir", "eyepacs"} and "outside" not in provenance
    expected = {"labelled": ["odir"], "unlabelled": ["eyepacs"], "threshold": 0.4}
    assert {name: provenance["settings"][name] for name in expected} == expected
    counts = {str(t): int((patches["score"] >= np.float32(t)).sum()) for t in (0.3, 0.4, 0.5)}
    assert provenance["counts"] == {**counts, "all": 100, "abnormal": counts["0.4"]}
    maps = load_file(workspace.maps)
    kinds = patches.drop_duplicates("path").set_index("path")["image_abnormal"]
    shown = [kinds[path] for path in maps]
    assert sum(kind is None for kind in shown) == 6
    assert shown.count(True) == min(6, (kinds == True).sum()) == len(shown) - 6  # noqa: E712
    for path, kept in maps.items():
        eye = patches.loc[patches["path"] == path, "eye"].iloc[0]
        square_scores = scores_by_hand(np.asarray(Image.open(workspace.root / path)), eye, network, background=False)
        assert kept.shape == (64, 64)
        assert kept[:32, :32].double().mean() / 255 == pytest.approx(square_scores["tl"], abs=2e-3)
        assert kept[:32, 32:].double().mean() / 255 == pytest.approx(square_scores["tr"], abs=2e-3)


def test_crops_and_mirroring_in_pixels(tmp_path: Path) -> None:
    """Each pixel of both photographs says where it is; the raw tl of the right eye is its tr, and so on."""
    y, x = np.mgrid[:64, :81]
    grid = np.stack([x, y, x + y], axis=2).astype(np.uint8)
    eyes = [{"image_id": eye, "patient_id": "1", "eye": eye, "image": grid} for eye in ("left", "right")]
    prepared.write(tmp_path, "odir", eyes)
    prepared.labeler(tmp_path, ["odir"], [])
    patches = read_patches(make_swap.run(options(tmp_path)), ["position"], None)
    square = grid[:, 8:72]  # (81 - 64) / 2, half to even
    raw = dict(zip(POSITIONS, [square[:32, :32], square[:32, 32:], square[16:48, 16:48]], strict=False))
    raw |= {"bl": square[32:, :32], "br": square[32:, 32:]}
    opposite = {"tl": "tr", "tr": "tl", "c": "c", "bl": "br", "br": "bl"}
    for (left, right), position in zip(patches.pairs.tolist(), POSITIONS, strict=True):
        seen = [patch_of(read_file(tmp_path, patches, row), patches, row) for row in (left, right)]
        np.testing.assert_array_equal(seen[0], raw[position])
        np.testing.assert_array_equal(seen[1], raw[opposite[position]][:, ::-1])


def test_another_threshold_only_relabels_and_equals_a_fresh_run(
    made: tuple[Workspace, Any], unscored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all files of the workspace, the judgement against lesion masks included."""
    make_swap.run(options(unscored, threshold=0.55))
    workspace, before = made[0], pq.read_table(made[0].swap)
    files, judgement = contents(workspace.root), read_provenance(workspace.swap)["judgement"]
    with monkeypatch.context() as patched:
        patched.setattr(make_swap, "_score", None)
        make_swap.run(options(workspace.root, threshold=0.55))
        assert contents(workspace.root) == contents(unscored)
        after = pq.read_table(workspace.swap)
        assert after.drop_columns(["abnormal"]).equals(before.drop_columns(["abnormal"]))
        assert after["abnormal"] != before["abnormal"]
        assert read_provenance(workspace.swap)["judgement"]["f1_chosen"] != judgement["f1_chosen"]
        make_swap.run(options(workspace.root))
    assert contents(workspace.root) == files


class TestResuming:
    """Scoring over a finished swap.parquet of other settings, broken off after two batches."""

    @pytest.fixture
    def broken_off(self, unscored: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        def two_batches(*given: Any) -> Iterator[Any]:
            yield from islice(scored(*given), 2)
            raise KeyboardInterrupt

        make_swap.run(options(unscored, background="none"))
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(make_swap, "SAVE_SECONDS", 0)
            patched.setattr(spread, "scored", two_batches)
            make_swap.run(options(unscored, fresh=True))
        return unscored

    def test_the_same_command_without_fresh_goes_on(
        self, made: tuple[Workspace, Any], broken_off: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_swap.run(options(broken_off))
        assert "Resuming after 6 photographs." in capsys.readouterr().out
        assert contents(broken_off) == contents(made[0].root)

    def test_fresh_begins_again(
        self, made: tuple[Workspace, Any], broken_off: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_swap.run(options(broken_off, fresh=True))
        assert "Resuming" not in capsys.readouterr().out
        assert contents(broken_off) == contents(made[0].root)


def test_batch_and_workers_do_not_matter(made: tuple[Workspace, Any], unscored: Path) -> None:
    make_swap.run(options(unscored, workers=2))
    assert Workspace(unscored).swap.read_bytes() == made[0].swap.read_bytes()
    make_swap.run(options(unscored, batch=20, fresh=True))
    scores, expected = (
        pq.read_table(workspace.swap)["score"].to_numpy() for workspace in (Workspace(unscored), made[0])
    )
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_nothing_changed_is_nothing_done(made: tuple[Workspace, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_swap, "write_parquet", None)
    assert make_swap.run(options(made[0].root)) == made[0].swap


def test_bf16_moves_scores_by_less_than_a_hundredth(made: tuple[Workspace, Any], unscored: Path) -> None:
    make_swap.run(options(unscored, precision="bf16"))
    scores = [pq.read_table(workspace.swap)["score"].to_numpy() for workspace in (Workspace(unscored), made[0])]
    moved = np.abs(scores[0] - scores[1])
    assert 0 < moved.max() < 0.01
