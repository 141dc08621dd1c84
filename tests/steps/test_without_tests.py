"""--without-tests: what data sets test on, and copies of it, is left out and listed; then no leak is warned of."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from swcl_cli import methods
from swcl_cli.audit.learnt import sentence_of_copies
from swcl_cli.audit.without_tests import without_tests
from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data import manifest
from swcl_cli.data.labeler_views import read_photographs
from swcl_cli.errors import SwclError
from swcl_cli.steps import make_swap, pretrain, train_labeler
from swcl_cli.workspace import Workspace, fingerprint, read_provenance
from tests import labeler_runs, prepared, swap_runs
from tests.methods import planted_eyes, tiny_encoder
from tests.methods.each_method_in_processes import small
from tests.reporting import golden

TESTED, ALL = "idrid", "messidor"  # with a test split, and without splits


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """11 photographs of odir and of eyepacs. Of idrid the last of 4 is tested; messidor has no splits."""
    planted_eyes.write(tmp_path, 6)
    for number, (name, splits) in enumerate(((TESTED, ["train", "train", "val", "test"]), (ALL, ["train"] * 2))):
        rows = [
            {"image_id": f"{name}{row}", "patient_id": f"{row}", "split": split,
             "image": planted_eyes.photograph(50_000 + 100 * number + row, False)}
            for row, split in enumerate(splits)
        ]  # fmt: skip
        prepared.write(tmp_path, name, rows, planted_eyes.SIDE)
    return Workspace(tmp_path)


def paths(workspace: Workspace, dataset: str) -> list[str]:
    listed: list[str] = manifest.read(workspace.manifest(dataset))["path"].tolist()
    return listed


def audited(workspace: Workspace, *pairs: tuple[tuple[str, int], tuple[str, int]], **told: Any) -> None:
    golden.add_audit(workspace, [{"one": one, "other": other, **told} for one, other in pairs])


def test_tested_photographs_their_copies_and_copies_of_these(workspace: Workspace) -> None:
    """idrid's test photograph is its row 3; row 0 trains."""
    tested, chained, trained = (
        (("idrid", 3), ("odir", 2)),
        (("odir", 2), ("eyepacs", 4)),
        (("idrid", 0), ("odir", 5)),
    )
    audited(workspace, tested, chained, trained, (("odir", 0), ("odir", 1)))
    odir, eyepacs, idrid = (paths(workspace, name) for name in ("odir", "eyepacs", TESTED))
    left_out = without_tests(workspace, [TESTED], ["odir", "eyepacs", TESTED])
    assert dict(left_out.reasons) == {
        odir[2]: f"a copy of {idrid[3]}, on which idrid tests",
        eyepacs[4]: f"a copy of {idrid[3]}, on which idrid tests",
        idrid[3]: "idrid tests on it",
    }
    assert set(without_tests(workspace, [TESTED], ["eyepacs"]).reasons) == {eyepacs[4]}
    assert without_tests(workspace, [], ["eyepacs"]).reasons == {}


def test_a_data_set_without_a_test_split_tests_on_all(workspace: Workspace) -> None:
    audited(workspace, (("messidor", 0), ("odir", 2)), (("messidor", 1), ("odir", 3)))
    odir = paths(workspace, "odir")
    assert set(without_tests(workspace, [ALL], ["odir"]).reasons) == {odir[2], odir[3]}


def test_one_eye_in_two_photographs_is_no_copy(workspace: Workspace) -> None:
    audited(workspace, (("idrid", 3), ("odir", 2)), kind="visit")
    assert without_tests(workspace, [TESTED], ["odir"]).reasons == {}


def test_no_audit_or_an_older_one_is_told_with_the_command(workspace: Workspace) -> None:
    with pytest.raises(SwclError, match=r"audit\.parquet is missing\. Make it with: swcl audit$"):
        without_tests(workspace, [TESTED], ["odir"])
    audited(workspace)
    prepared.change(workspace.root, "odir", eye=["unknown"] * 11)
    with pytest.raises(SwclError, match=r"audit\.parquet knows nothing of odir as prepared now; renew it with: swcl a"):
        without_tests(workspace, [TESTED], ["odir"])
    assert without_tests(workspace, [TESTED], ["eyepacs"]).reasons == {}
    with pytest.raises(SwclError, match=r"stare/manifest\.parquet is missing\. Make it with: swcl prep stare"):
        without_tests(workspace, ["stare"], ["eyepacs"])


def listed(path: Path) -> list[str]:
    with open(path, encoding="utf-8", newline="") as handle:
        return [row["path"] for row in csv.DictReader(handle)]


def caution(workspace: Workspace, artefact: Path) -> str:
    inputs = {TESTED: fingerprint(workspace.manifest(TESTED)), "init": fingerprint(artefact)}
    return sentence_of_copies(workspace, TESTED, inputs, False)


@pytest.fixture
def small_labeler(workspace: Workspace) -> Callable[..., Path]:
    """Trains on 8 photographs of odir that are labelled, by turns normal and abnormal, and validates on 3."""
    splits = ["val" if row > 7 else "train" for row in range(11)]
    prepared.change(workspace.root, "odir", abnormal=[row % 2 == 0 for row in range(11)], split=splits)

    def train(**values: Any) -> Path:
        settings = {"epochs": 1, "milestones": [], "labelled": ["odir"], "unlabelled": ["eyepacs"], **values}
        return train_labeler.run(labeler_runs.options(workspace.root, **settings))

    return train


def test_a_labeler_does_not_learn_them(
    workspace: Workspace, small_labeler: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    audited(workspace, (("idrid", 3), ("odir", 2)), (("idrid", 3), ("eyepacs", 4)))
    odir, eyepacs = paths(workspace, "odir"), paths(workspace, "eyepacs")
    settings = labeler_runs.options(workspace.root, labelled=["odir"], unlabelled=["eyepacs"])
    whole = read_photographs(workspace, settings)
    data = read_photographs(workspace, settings, without_tests(workspace, [TESTED], ["odir", "eyepacs"]))
    assert set(whole.unlabelled.path.to_pylist()) - set(data.unlabelled.path.to_pylist()) == {eyepacs[4]}
    learnt = [set(part.labelled.path.to_pylist() + part.validation.path.to_pylist()) for part in (whole, data)]
    assert learnt[0] - learnt[1] == {odir[2]}
    path = small_labeler()
    assert caution(workspace, path).startswith("Photographs that idrid tests on are copies of learnt ones")
    assert not workspace.labeler_run.left_out.exists()
    small_labeler(without_tests=[TESTED], fresh=True)
    assert caution(workspace, path) == ""
    assert listed(workspace.labeler_run.left_out) == sorted([odir[2], eyepacs[4]])
    said = " ".join(capsys.readouterr().out.split())
    assert "as test photographs of idrid or copies of them, by swcl audit: 1 of odir, 1 of eyepacs; listed in" in said
    told = read_provenance(path)
    assert told["settings"]["without_tests"] == [TESTED] and len(told["left_out"]) == 2
    assert not any(name in str(told["left_out"]) for name in ("odir", "0002", "data"))
    small_labeler(fresh=True)
    assert not workspace.labeler_run.left_out.exists() and "left_out" not in read_provenance(path)


def test_copies_that_a_later_audit_finds_are_told(workspace: Workspace, small_labeler: Callable[..., Path]) -> None:
    """What was left out then is not what has to be left out now."""
    audited(workspace, (("idrid", 3), ("odir", 2)))
    path = small_labeler(without_tests=[TESTED])
    small_labeler(without_tests=[TESTED])  # it is done
    audited(workspace, (("idrid", 3), ("odir", 2)), (("idrid", 3), ("odir", 4)))
    assert "(1, such as" in caution(workspace, path)
    with pytest.raises(SwclError, match=r"made differently \(left_out: 1 photographs \(\w+\) -> 2 photographs"):
        small_labeler(without_tests=[TESTED])


def test_retinal_swap_has_no_patch_of_them(workspace: Workspace) -> None:
    audited(workspace, (("idrid", 3), ("odir", 2)), (("idrid", 3), ("eyepacs", 4)))
    prepared.labeler(workspace.root, ["odir"], ["eyepacs"])
    workspace.swap.unlink()
    make_swap.run(swap_runs.options(workspace.root))
    whole = pq.read_table(workspace.swap).to_pandas()
    make_swap.run(swap_runs.options(workspace.root, without_tests=[TESTED], fresh=True))
    table = pq.read_table(workspace.swap).to_pandas()
    apart = {paths(workspace, "odir")[2], paths(workspace, "eyepacs")[4]}
    kept = whole[~whole["path"].isin(apart)].reset_index(drop=True)
    assert len(kept) == len(whole) - 10
    pd.testing.assert_frame_equal(table.drop(columns=["single", "score"]), kept.drop(columns=["single", "score"]))
    np.testing.assert_allclose(table["score"], kept["score"], atol=1e-5)
    assert listed(workspace.swap_run.left_out) == sorted(apart)
    assert caution(workspace, workspace.swap) == ""
    again = workspace.swap.read_bytes()
    make_swap.run(swap_runs.options(workspace.root, without_tests=[TESTED]))
    assert workspace.swap.read_bytes() == again
    make_swap.run(swap_runs.options(workspace.root, without_tests=[TESTED], threshold=0.9))
    assert len(pq.read_table(workspace.swap)) == len(kept)
    audited(workspace, *((("idrid", 3), (name, row)) for name in ("odir", "eyepacs") for row in range(11)))
    with pytest.raises(SwclError, match=r"--without-tests idrid leaves no photograph to score"):
        make_swap.run(swap_runs.options(workspace.root, without_tests=[TESTED], fresh=True))


@pytest.mark.parametrize("name", ["swcl", "swcl-image", "multitask", "simclr", "byol", "dino", "supervised-odir"])
def test_each_method_leaves_them_out(workspace: Workspace, name: str) -> None:
    audited(workspace, (("idrid", 3), ("odir", 2)), (("idrid", 3), ("odir", 3)))
    apart = set(paths(workspace, "odir")[2:4])
    seen, batch = [], {"batch_images": 4} if "batch_images" in METHODS[name].options else {}
    with tiny_encoder.in_place_of_timms("group"):
        for tested in ([], [TESTED]):
            method = methods.prepare(small(workspace.root, name, without_tests=tested, **batch), workspace)
            data: Any = method.dataset
            column = (
                data.patches.path.to_pylist() if hasattr(data, "patches") else data.images.photographs.path.to_pylist()
            )
            seen.append(column)
            assert len(data.patches.label if hasattr(data, "patches") else data.images.photographs) == len(column)
    assert seen[1] == [path for path in seen[0] if path not in apart] and len(seen[1]) < len(seen[0])
    assert apart <= set(method.left_out.reasons)


def test_an_encoder_tells_it_and_is_no_leak(workspace: Workspace) -> None:
    audited(workspace, (("idrid", 3), ("odir", 2)))
    run = {"epochs": 1, "warmup_epochs": 0}
    path = pretrain.run(small(workspace.root, "simclr", **run))
    assert caution(workspace, path)
    pretrain.run(small(workspace.root, "simclr", **run, without_tests=[TESTED], fresh=True))
    assert caution(workspace, path) == ""
    assert listed(workspace.pretraining("simclr").left_out) == [paths(workspace, "odir")[2]]
    with pytest.raises(SwclError, match=r"made differently \(left_out: .* without_tests: \['idrid'\] -> \[\]\)"):
        pretrain.run(small(workspace.root, "simclr", **run))


def test_patches_of_others_are_refused(workspace: Workspace) -> None:
    with pytest.raises(SwclError, match=r"which photographs the patches in .* are of is not known"):
        methods.prepare(small(workspace.root, "swcl", swap=workspace.root, without_tests=[TESTED]), workspace)
