"""Labelers from outside the workspace: the authors' pytorch_model.bin (FACTS 4), and ours of another folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from swcl_cli.data.colour import constants
from swcl_cli.errors import SwclError
from swcl_cli.steps import make_swap
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_safetensors
from tests import prepared
from tests.commands import swcl
from tests.swap_runs import options

SIDE = 448  # px: what the authors' labeler was trained on


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three photographs, scored by a labeler of ours that was trained with the released order of colours."""
    workspace = Workspace(tmp_path_factory.mktemp("scored"))
    rows = [
        {"image_id": name, "eye": eye, "patient_id": "1", "image": prepared.photograph(item, SIDE + 10 * item, SIDE)}
        for item, (name, eye) in enumerate((("1_left", "left"), ("1_right", "right"), ("2_right", "right")))
    ]
    prepared.write(workspace.root, "odir", [{**row, "abnormal": True} for row in rows[:2]], size=SIDE)
    prepared.write(workspace.root, "eyepacs", rows[2:], size=SIDE)
    prepared.labeler(workspace.root, ["odir"], ["eyepacs"], image_size=SIDE)
    work = read_provenance(workspace.labeler)
    work["labeler"]["mean"], work["labeler"]["std"] = constants("released")
    write_safetensors(workspace.labeler, load_file(workspace.labeler), work)
    make_swap.run(options(workspace.root))
    return workspace


@pytest.fixture
def without(scored: Workspace, tmp_path: Path) -> Workspace:
    """The same photographs, with neither labeler nor scores."""
    shutil.copytree(scored.root / "data", tmp_path / "workspace/data")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def released(scored: Workspace, tmp_path: Path) -> Path:
    """The weights of our labeler as the authors would have saved them."""
    state = load_file(scored.labeler)
    renamed = {
        key.replace("fc.", "out.classification.0.") if key.startswith("fc.") else f"encoder.{key}": tensor
        for key, tensor in state.items()
    }
    torch.save(renamed, tmp_path / "pytorch_model.bin")
    return tmp_path / "pytorch_model.bin"


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where scores do not matter, nor need the network look at any photograph."""
    half = lambda _, __, table, *rest: np.full((len(table), 5), 0.5, np.float32)  # noqa: E731
    monkeypatch.setattr(make_swap, "_score", half)


def test_the_authors_file_scores_as_ours_of_the_same_weights(
    scored: Workspace, without: Workspace, released: Path
) -> None:
    """Their data sets are odir and eyepacs, their colours in the released order."""
    make_swap.run(options(without.root, labeler=released))
    assert pq.read_table(without.swap).equals(pq.read_table(scored.swap))
    ours, theirs = read_provenance(scored.swap), read_provenance(without.swap)
    assert theirs["settings"] == ours["settings"] and theirs["judgement"] == ours["judgement"]
    assert theirs["inputs"] == {**ours["inputs"], "labeler": fingerprint(released)}
    assert (theirs["outside"], ours.get("outside")) == (["labeler"], None)


@pytest.mark.usefixtures("unscored")
def test_data_sets_may_be_named(without: Workspace, released: Path) -> None:
    make_swap.run(options(without.root, labeler=released, labelled=[], unlabelled=["odir"]))
    table = pq.read_table(without.swap).to_pandas()
    assert set(table["dataset"]) == {"odir"} and table["image_abnormal"].isna().all()
    assert read_provenance(without.swap)["settings"]["unlabelled"] == ["odir"]


@pytest.mark.usefixtures("unscored")
def test_another_labeler_in_the_workspace_is_no_change_but_another_manifest_is(
    scored: Workspace, without: Workspace, released: Path
) -> None:
    make_swap.run(options(without.root, labeler=released))
    shutil.copy(scored.labeler, without.labeler)
    assert without.changed_since(without.swap) == []
    prepared.change(without.root, "odir", abnormal=False)
    assert without.changed_since(without.swap) == ["odir"]
    assert scored.changed_since(scored.swap) == []


@pytest.mark.usefixtures("unscored")
def test_with_the_same_file_nothing_is_done_again_with_another_one_it_is_refused(
    without: Workspace, released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_swap.run(options(without.root, labeler=released))
    before = without.swap.read_bytes()
    make_swap.run(options(without.root, labeler=released))
    assert "already made" in capsys.readouterr().out and without.swap.read_bytes() == before
    state = torch.load(released, weights_only=True)
    torch.save({**state, "out.classification.0.weight": torch.zeros(2, 512)}, released)
    with pytest.raises(SwclError, match=r"made differently \(labeler: \w+ -> \w+\).*--fresh"):
        make_swap.run(options(without.root, labeler=released))


@pytest.mark.usefixtures("unscored")
def test_ours_from_another_folder_brings_its_data_sets(
    scored: Workspace, without: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was trained on other manifests, which says nothing about those that are here."""
    prepared.change(without.root, "odir", sex="female")
    make_swap.run(options(without.root, labeler=scored.labeler))
    assert "changed since" not in capsys.readouterr().err
    swap = read_provenance(without.swap)
    assert (swap["settings"]["labelled"], swap["settings"]["unlabelled"]) == (["odir"], ["eyepacs"])
    assert swap["outside"] == ["labeler"]


def test_the_workspaces_own_file_by_its_name_is_not_outside(scored: Workspace) -> None:
    before = scored.swap.read_bytes()
    make_swap.run(options(scored.root, labeler=scored.root / "runs" / ".." / "labeler.safetensors", fresh=True))
    assert scored.swap.read_bytes() == before


@pytest.mark.parametrize("name", ["labeler.safetensors", "pytorch_model.bin"])
def test_photographs_of_another_size(tmp_path: Path, scored: Workspace, released: Path, name: str) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 1)
    file = scored.labeler if name == "labeler.safetensors" else released
    with pytest.raises(SwclError, match="odir is prepared at 64 px.*at 448 px. .*swcl prep odir SOURCE --size 448"):
        make_swap.run(options(tmp_path, labeler=file, unlabelled=[]))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="gone.bin does not exist"):
        make_swap.run(options(tmp_path, labeler=tmp_path / "gone.bin"))
    with pytest.raises(SwclError, match="Make it with: swcl train-labeler, or name one: --labeler FILE"):
        make_swap.run(options(tmp_path))


def test_options_of_the_command_line() -> None:
    shown = swcl("make-swap", "--labeler", "a.bin", "--labelled", "odir, folder", "--unlabelled", "", "--dry-run")
    assert shown.code == 0
    cells = [[cell.strip() for cell in line.split("│")[1:3]] for line in shown.out.splitlines() if "│" in line]
    assert {name: value for name, value in cells if name in ("labeler", "labelled", "unlabelled", "materialize")} == {
        "labeler": "a.bin",
        "labelled": "['odir', 'folder']",
        "unlabelled": "[]",
        "materialize": "None",
    }
