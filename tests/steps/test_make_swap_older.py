"""Scores of an older version, which mirrored photographs of right eyes first: recognised, and never taken for new."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from swcl_cli.errors import SwclError
from swcl_cli.methods.on_pairs import find_swap, read_swap
from swcl_cli.settings import PretrainSettings
from swcl_cli.steps import make_swap
from swcl_cli.swap import spread
from swcl_cli.swap.maps import scored
from swcl_cli.swap.released import write_released
from swcl_cli.swap.weak_labels import is_abnormal, read_patches
from swcl_cli.workspace import RESUME, Workspace, read_provenance, write_parquet, write_safetensors
from tests import prepared
from tests.folders import contents
from tests.swap_runs import options

CHANGED = r"right_eyes: mirrored, then scored -> scored, then mirrored"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Workspace, dict[str, bytes]]:
    """Eight photographs, the scores that an older version made of them, and the files that this version makes."""
    prepared.labelled_eyes(tmp_path, "odir", 4, abnormal=True)
    prepared.labeler(tmp_path, ["odir"], [])
    workspace = Workspace(tmp_path)
    make_swap.run(options(tmp_path))
    new = contents(tmp_path)
    table = pq.read_table(workspace.swap)
    score = 1 - table["score"].to_numpy()
    for name, values in (("score", score), ("abnormal", is_abnormal(score, 0.4))):
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    write_parquet(workspace.swap, table, older(read_provenance(workspace.swap)))
    return workspace, new


def older(work: dict[str, Any]) -> dict[str, Any]:
    """What a version told that mirrored first: nothing of it."""
    return {**work, "settings": {name: value for name, value in work["settings"].items() if name != "right_eyes"}}


@pytest.mark.parametrize("threshold", [0.4, 0.5])
def test_they_are_neither_done_nor_relabelled(made: tuple[Workspace, dict[str, bytes]], threshold: float) -> None:
    workspace, new = made
    before = contents(workspace.root)
    with pytest.raises(SwclError, match=rf"made differently \({CHANGED}.*\)\. Score again with --fresh"):
        make_swap.run(options(workspace.root, threshold=threshold))
    assert contents(workspace.root) == before
    make_swap.run(options(workspace.root, fresh=True))
    assert contents(workspace.root) == new


def test_an_interrupted_scoring_is_not_continued(
    made: tuple[Workspace, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, new = made

    def two_batches(*given: Any) -> Iterator[Any]:
        yield from islice(scored(*given), 2)
        raise KeyboardInterrupt

    workspace.swap.unlink()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(make_swap, "SAVE_SECONDS", 0)
        patched.setattr(spread, "scored", two_batches)
        make_swap.run(options(workspace.root))
    state = workspace.swap_run.folder / RESUME
    kept = load_file(state)
    write_safetensors(state, {**kept, "scores": 1 - kept["scores"]}, older(read_provenance(state)))
    make_swap.run(options(workspace.root))
    said = capsys.readouterr().out
    assert f"An interrupted scoring was another one ({CHANGED}): it is not continued." in said
    assert "Resuming" not in said and contents(workspace.root) == new


def test_pretraining_on_them_says_so(
    made: tuple[Workspace, dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It does all the same: such weights were made before, too."""
    workspace, _ = made
    assert len(read_patches(find_swap(workspace), ["position"], None)) == 40
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"warning: An older version made swap.parquet ({CHANGED}); swcl make-swap --fresh renews it."
    make_swap.run(options(workspace.root, fresh=True))
    capsys.readouterr()
    find_swap(workspace)
    assert capsys.readouterr().err == ""


def test_so_does_pretraining_on_their_files(
    made: tuple[Workspace, dict[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder of `--materialize` remembers by which rule its scores were made; of the authors' nothing is said."""
    workspace, _ = made
    folder = workspace.root / "written"
    settings = PretrainSettings(workspace=workspace.root, swap=folder)
    write_released(workspace.root, workspace.swap, folder, 0, lambda _: None)
    assert len(read_swap(settings, workspace, ["position"]).patches) == 40
    said = " ".join(capsys.readouterr().err.split())
    assert said == (
        f"warning: An older version made {folder} ({CHANGED}); swcl make-swap --fresh --materialize {folder} renews it."
    )
    make_swap.run(options(workspace.root, fresh=True, materialize=folder))
    for _ in range(2):
        capsys.readouterr()
        read_swap(settings, workspace, ["position"])
        assert capsys.readouterr().err == ""
        (folder / ".swcl.json").unlink(missing_ok=True)
