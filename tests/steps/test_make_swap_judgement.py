"""Lesion scores of `make-swap` against lesion masks, worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from swcl_cli.steps import make_swap
from swcl_cli.swap.lesion_masks import KINDS
from swcl_cli.workspace import read_provenance
from tests import prepared
from tests.swap_runs import options


def test_judgement_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two photographs with masks of twice their size: a lesion in the tr of a left eye, and in the raw tr of a right
    eye, which is its tl; the third has none, and the fourth has no mask.
    """
    masks = [np.zeros((128, 128), np.uint8) for _ in range(3)]
    masks[0][10, 100] = masks[1][10, 100] = 1 + KINDS.index("hard exudate")
    rows: list[dict[str, Any]] = [
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
    assert judged["f1_chosen"] == pytest.approx(2 * 2 / (7 + 2))  # 7 of the 15 score 0.4 or more, both lesions among


def test_masks_of_a_set_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of any data set: here photographs as those of IDRiD, patients and eyes unknown, with black and white masks."""
    prepared.labelled_eyes(tmp_path, "odir", 2)
    masks = [np.zeros((96, 96), np.uint8) for _ in range(3)]
    masks[0][5, 5] = masks[1][90, 90] = 255
    rows = [{"eye": "unknown", "image": prepared.photograph(item), "lesions": mask} for item, mask in enumerate(masks)]
    prepared.write(tmp_path, "idrid", rows)
    prepared.labeler(tmp_path, ["odir"], ["idrid"])
    swap = make_swap.run(options(tmp_path))
    judged = read_provenance(swap)["judgement"]
    table = pd.read_parquet(swap)
    scores = table.loc[table["dataset"] == "idrid", "score"].to_numpy()
    truth = np.zeros((3, 5), bool)
    truth[0, 0] = truth[1, 4] = True
    assert judged["auc"] == pytest.approx(roc_auc_score(truth.ravel(), scores))
    assert judged["within_abnormal"] == pytest.approx(roc_auc_score(truth[:2].ravel(), scores[:10]))
    assert judged["by_kind"] == {"other": judged["auc"]}
    told = capsys.readouterr().out
    assert f"all patches {judged['auc']:.3f} (" in told and f"By kind of lesion: other {judged['auc']:.3f}." in told
    assert f"{judged['f1_chosen']:.3f} at the chosen t = 0.4, at best {judged['f1']:.3f} at t = " in told
