"""`make-swap --judge-on`: lesion scores against lesions of photographs whose patches nothing is pretrained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from swcl_cli.datasets import DATASETS
from swcl_cli.errors import SwclError
from swcl_cli.preparation.photograph import prepare_photograph
from swcl_cli.steps import make_swap
from swcl_cli.swap import judged
from swcl_cli.swap.lesion_masks import KINDS
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared
from tests.swap_runs import options

SIDE = 160  # of the photographs; the labeler's is 64
EXUDATE, DRUSEN = (1 + KINDS.index(kind) for kind in ("hard exudate", "drusen"))


def mask(*lesions: tuple[int, int, int]) -> NDArray[np.uint8]:
    """lesions: x and y in a photograph of SIDE pixels, and the value. The mask is twice as large."""
    values = np.zeros((2 * SIDE, 2 * SIDE), np.uint8)
    for x, y, value in lesions:
        values[2 * y, 2 * x] = value
    return values


def eyes(root: Path, name: str = "clinic", **changed: Any) -> list[NDArray[np.uint8]]:
    """Six photographs, of which the first four can be judged on: two of one patient, with lesions in the raw tl and br;
    the other two without any; then one to be tested on, and one without a mask.
    """
    images = [prepared.photograph(50 + item, SIDE, SIDE) for item in range(6)]
    masks = [mask((5, 5, EXUDATE), (10, 10, DRUSEN)), mask((155, 155, EXUDATE)), mask(), mask(), mask((5, 5, 9)), None]
    rows: list[dict[str, Any]] = [
        {"image": image, "eye": "right" if item == 1 else "unknown", "patient_id": str(max(item, 1)), "split": "train"}
        | ({} if lesions is None else {"lesions": lesions})
        for item, (image, lesions) in enumerate(zip(images, masks, strict=True))
    ]
    rows[3]["split"], rows[4]["split"] = "val", "test"
    prepared.write(root, name, [row | changed for row in rows], size=0)
    return images


def ordered(amount: NDArray[Any], score: NDArray[Any], stratum: NDArray[Any]) -> float:
    """Of pairs in one stratum, the share of which the one with more scores higher: pair by pair."""
    right = [
        float(score[i] > score[j]) + float(score[i] == score[j]) / 2
        for i in range(len(score))
        for j in range(len(score))
        if stratum[i] == stratum[j] and amount[i] > amount[j]
    ]
    return float(np.mean(right))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    prepared.labelled_eyes(tmp_path, "odir", 2)
    prepared.labeler(tmp_path, ["odir"], [])
    return Workspace(tmp_path)


def test_scores_are_those_of_photographs_prepared_at_the_labelers_size(workspace: Workspace) -> None:
    images = eyes(workspace.root)
    small = [np.asarray(prepare_photograph(Image.fromarray(image), 64)[0]) for image in images[:4]]
    rows = [
        {"image": image, "eye": "right" if item == 1 else "unknown", "patient_id": str(max(item, 1))}
        for item, image in enumerate(small)
    ]
    prepared.write(workspace.root, "small", rows)
    make_swap.run(options(workspace.root, unlabelled=["small"], judge_on=["clinic"]))
    found, swap = pd.read_parquet(workspace.judged("clinic")), pd.read_parquet(workspace.swap)
    swap = swap[swap["dataset"] == "small"]
    np.testing.assert_allclose(found["score"], swap["score"], atol=1e-6)
    assert found["position"].tolist() == swap["position"].tolist() and found["mirrored"].tolist() == [
        False] * 5 + [True] * 5 + [False] * 10  # fmt: skip
    assert (found["size"] == 80).all() and found.loc[5, ["x", "y"]].tolist() == [80, 0]  # tl of a right eye: its raw tr


def test_the_judgement_by_another_way(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """From the table's scores, and where `eyes` has put the lesions."""
    eyes(workspace.root)
    make_swap.run(options(workspace.root, judge_on=["clinic"]))
    found = pd.read_parquet(workspace.judged("clinic"))
    truth = {("0", "tl"): ["hard exudate", "drusen"], ("1", "bl"): ["hard exudate"]}
    held = [sorted(truth.get((str(row.image_id), str(row.position)), [])) for row in found.itertuples()]
    assert [sorted(kinds) for kinds in found["lesions"]] == held
    told = read_provenance(workspace.judged("clinic"))["judgement"]
    lesion, score = np.array([len(kinds) > 0 for kinds in held]), found["score"].to_numpy()
    drusen = np.array(["drusen" in kinds for kinds in held])
    assert told["auc"] == pytest.approx(roc_auc_score(lesion, score))
    assert told["within_abnormal"] == pytest.approx(roc_auc_score(lesion[:10], score[:10]))
    assert told["by_kind"]["drusen"] == pytest.approx(roc_auc_score(drusen[drusen | ~lesion], score[drusen | ~lesion]))
    assert told["by_kind"].keys() == told["by_kind_interval"].keys() == {"drusen", "hard exudate"}
    positions, share = found["position"].to_numpy(dtype=str), np.array(list(map(len, held))) / 160**2
    np.testing.assert_allclose(found["lesion_share"], share)
    assert told["more_in_photograph"] == pytest.approx(ordered(share, score, found["image_id"].to_numpy(dtype=str)))
    assert told["more_in_place"] == pytest.approx(ordered(share, score, positions))
    exudate = np.array(["hard exudate" in kinds for kinds in held])
    assert told["kind_in_place"]["hard exudate"] == pytest.approx(ordered(exudate, score, positions))
    counts = {name: told[name] for name in ("photographs", "patches", "with_lesions", "left_out")}
    assert counts == {
        "photographs": 4,
        "patches": 20,
        "with_lesions": 2,
        "left_out": {"without a mask of lesions": 1, "of its test split": 1},
    }
    assert (
        "clinic, which nothing is pretrained on: 4 photographs, 20 patches, of which 2 hold lesions; left out: "
        "1 without a mask of lesions, 1 of its test split.\n"
    ) in capsys.readouterr().out.replace("\n", " ").replace("split. ", "split.\n")


def test_retinal_swap_is_the_same_with_and_without_it(workspace: Workspace) -> None:
    eyes(workspace.root)
    without = make_swap.run(options(workspace.root)).read_bytes()
    make_swap.run(options(workspace.root, judge_on=["clinic"]))
    assert workspace.swap.read_bytes() == without and workspace.judged("clinic").exists()
    make_swap.run(options(workspace.root, judge_on=["clinic"], fresh=True))
    assert workspace.swap.read_bytes() == without


def test_only_what_changed_is_done_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    eyes(workspace.root)
    scoring, counted = judged._scored, []

    def counting(*given: Any) -> pd.DataFrame:
        counted.append(given)
        return scoring(*given)

    monkeypatch.setattr(judged, "_scored", counting)
    make_swap.run(options(workspace.root, judge_on=["clinic"], threshold=0.0))
    first = read_provenance(workspace.judged("clinic"))["judgement"]
    make_swap.run(options(workspace.root, judge_on=["clinic"], threshold=0.0))
    make_swap.run(options(workspace.root, judge_on=["clinic"], threshold=1.0))
    again = read_provenance(workspace.judged("clinic"))["judgement"]
    assert len(counted) == 1
    assert first.pop("f1_chosen") == pytest.approx(2 * 2 / (20 + 2)) and again.pop("f1_chosen") == 0
    assert first == again
    eyes(workspace.root, eye="left")
    make_swap.run(options(workspace.root, judge_on=["clinic"], threshold=1.0))
    assert len(counted) == 2


def test_copies_of_photographs_that_are_tested_elsewhere_are_left_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    eyes(workspace.root, "stare")
    object.__setattr__(DATASETS["stare"], "shared", {"drive": {"test": {"0": "a"}, "train": {"1": "b"}}})
    try:
        make_swap.run(options(workspace.root, judge_on=["stare"]))
    finally:
        object.__setattr__(DATASETS["stare"], "shared", {})
    told = read_provenance(workspace.judged("stare"))["judgement"]
    assert told["photographs"] == 3 and told["left_out"]["of the test split of drive, too"] == 1
    assert set(pd.read_parquet(workspace.judged("stare"))["image_id"]) == {"1", "2", "3"}


def test_photographs_that_the_labeler_was_trained_on_are_told(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the set itself, or of one that shares some with it."""
    for name in ("clinic", "idrid-seg"):
        eyes(workspace.root, name)
    for trained, told in (("clinic", {"clinic": ["clinic"]}), ("idrid", {"idrid-seg": ["idrid"]})):
        prepared.labeler(workspace.root, ["odir"], [trained])
        make_swap.run(options(workspace.root, unlabelled=[], judge_on=["clinic", "idrid-seg"], fresh=True))
        for name in ("clinic", "idrid-seg"):
            assert read_provenance(workspace.judged(name))["judgement"]["seen"] == told.get(name, [])
        (names,) = told.values()
        assert f"The labeler was trained on photographs of {names[0]}, some of which are these." in " ".join(
            capsys.readouterr().out.split()
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("odir", "judge_on: patches of odir are pretrained on"),
        ("nowhere", "nowhere/manifest.parquet is missing. Make it with: swcl prep folder SOURCE --name nowhere"),
        ("tested", r"judge_on: tested has no photograph that scores can be judged on \(1 without .*; 5 of its test"),
    ],
)
def test_sets_that_cannot_serve(workspace: Workspace, name: str, message: str) -> None:
    eyes(workspace.root, "tested", split="test")
    with pytest.raises(SwclError, match=message):
        make_swap.run(options(workspace.root, judge_on=[name]))
    assert not workspace.swap.exists()
