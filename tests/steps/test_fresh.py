"""`--fresh` replaces only what the same step made, and no step overwrites a file that is not its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from swcl_cli.errors import SwclError, UsageError
from swcl_cli.settings import FinetuneSettings, MakeSwapSettings, PretrainSettings, TrainLabelerSettings
from swcl_cli.steps import finetune, make_swap, pretrain, train_labeler
from swcl_cli.workspace import Workspace, require_own
from tests import prepared
from tests.planted import DRIVE, IDRID, options, write_drive, write_idrid
from tests.prep_runs import contents


def theirs(path: Path) -> bytes:
    """Weights of others, which say nothing of swcl."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"conv1.weight": torch.ones(3)}, path)
    return path.read_bytes()


@pytest.mark.parametrize("fresh", [False, True])
def test_no_training_overwrites_weights_of_others(tmp_path: Path, fresh: bool) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    before = {name: theirs(tmp_path / name) for name in ("swcl.safetensors", "mine.safetensors", "labeler.safetensors")}
    for named, name in ((None, "swcl"), ("mine", "mine")):
        with pytest.raises(SwclError, match=f"{name}.safetensors was not made by swcl: swcl pretrain .*another --name"):
            pretrain.run(PretrainSettings(workspace=tmp_path, name=named, fresh=fresh))
    with pytest.raises(
        SwclError, match=r"labeler.safetensors was not made by swcl: swcl train-labeler .* Move it away.$"
    ):
        train_labeler.run(TrainLabelerSettings(workspace=tmp_path, unlabelled=[], fresh=fresh))
    assert all((tmp_path / name).read_bytes() == data for name, data in before.items())


@pytest.mark.parametrize("fresh", [False, True])
def test_no_step_replaces_what_another_one_made(tmp_path: Path, fresh: bool) -> None:
    """Files may have been copied under another name."""
    prepared.labeler(tmp_path, ["odir"], [])
    (tmp_path / "labeler.safetensors").rename(tmp_path / "byol.safetensors")
    with pytest.raises(SwclError, match="byol.safetensors was made by swcl train-labeler: swcl pretrain does not repl"):
        pretrain.run(PretrainSettings(workspace=tmp_path, method="byol", fresh=fresh))
    prepared.encoder(tmp_path / "labeler.safetensors")
    with pytest.raises(SwclError, match="labeler.safetensors was made by swcl pretrain: swcl train-labeler does not"):
        train_labeler.run(TrainLabelerSettings(workspace=tmp_path, fresh=fresh))
    swap = tmp_path / "swap.parquet"
    prepared.write(tmp_path, "odir", [{"image": prepared.photograph(0)}])
    Workspace(tmp_path).manifest("odir").rename(swap)
    with pytest.raises(SwclError, match="swap.parquet was made by swcl prep: swcl make-swap does not replace it"):
        make_swap.run(MakeSwapSettings(workspace=tmp_path, fresh=fresh))


def test_own_files_that_are_damaged_may_be_replaced(tmp_path: Path) -> None:
    """Where a step made them, or nothing is in them: a full disk and a crash leave such files."""
    weights, table = tmp_path / "a.safetensors", tmp_path / "a.parquet"
    prepared.encoder(weights)
    prepared.swap(tmp_path, pd.DataFrame({"patient_id": ["1"], "eye": ["left"], "position": ["fovea"]})).rename(table)
    for path, step in ((weights, "pretrain"), (table, "make-swap")):
        data = path.read_bytes()
        for kept in (len(data), len(data) - 9, 0):
            path.write_bytes(data[:kept])
            require_own(path, step)
    weights.write_bytes(theirs(tmp_path / "b.safetensors")[:-4])
    for wrong in (weights, tmp_path):
        with pytest.raises(SwclError, match="was not made by swcl"):
            require_own(wrong, "pretrain")
    weights.write_bytes(b"")
    require_own(tmp_path / "absent.safetensors", "pretrain")


class TestFinetune:
    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path) -> None:
        write_idrid(tmp_path, 20)
        finetune.run(self.settings(tmp_path))

    def settings(self, root: Path, **values: object) -> FinetuneSettings:
        return options(root, {**IDRID, "epochs": 1}, **values)

    @pytest.mark.parametrize(
        "name",
        [
            "notes.txt", "thesis/chapter.tex", "seed0/notes.txt", "seed0/grid/a.txt", "seed0/maps/mine.txt",
            "seed0/a/b/c", "mine/results.parquet", ".hidden", "seed0/swcl.safetensors",
        ],
    )  # fmt: skip
    def test_fresh_stops_at_a_file_of_others_and_names_it(self, tmp_path: Path, name: str) -> None:
        mine = tmp_path / "finetune/idrid/random" / name
        mine.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text("mine")
        before = contents(tmp_path)
        with pytest.raises(SwclError, match=f"{mine} was not made by swcl finetune: --fresh does not remove it"):
            finetune.run(self.settings(tmp_path, fresh=True))
        assert contents(tmp_path) == before and mine.read_text() == "mine"

    def test_fresh_goes_by_what_made_a_file_not_by_its_name(self, tmp_path: Path) -> None:
        path = tmp_path / "finetune/idrid/random/seed0/model.safetensors"
        prepared.encoder(path)
        before = contents(tmp_path)
        with pytest.raises(SwclError, match=r"model.safetensors was made by swcl pretrain: swcl finetune does not"):
            finetune.run(self.settings(tmp_path, fresh=True))
        assert contents(tmp_path) == before

    def test_fresh_stops_at_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious/results.parquet").write_text("mine")
        folder = tmp_path / "finetune/idrid/random"
        (folder / "linked").symlink_to(tmp_path / "precious")
        with pytest.raises(SwclError, match="linked was not made by swcl finetune"):
            finetune.run(self.settings(tmp_path, fresh=True))
        (folder / "linked").unlink()
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved")
        with pytest.raises(SwclError, match=f"{folder} was not made by swcl finetune"):
            finetune.run(self.settings(tmp_path, fresh=True))
        assert (tmp_path / "moved/results.parquet").exists()

    def test_fresh_stops_at_a_file_among_the_logs(self, tmp_path: Path) -> None:
        (tmp_path / "runs/finetune/idrid/random/seed0/notes.txt").write_text("mine")
        with pytest.raises(SwclError, match=r"notes.txt was not made by swcl finetune"):
            finetune.run(self.settings(tmp_path, fresh=True))
        assert (tmp_path / "finetune/idrid/random/results.parquet").exists()

    def test_fresh_removes_all_that_finetune_left(self, tmp_path: Path) -> None:
        """What a kill left half written, and a table that is damaged, too."""
        folder = tmp_path / "finetune/idrid/random"
        before = contents(tmp_path)
        (folder / "seed0/.model.safetensors.17.partial").write_bytes(b"half")
        (folder / "results.parquet").write_bytes((folder / "results.parquet").read_bytes()[:-7])
        (folder / "seed0/predictions.parquet").write_bytes(b"")
        finetune.run(self.settings(tmp_path, fresh=True))
        after = contents(tmp_path)
        assert after.keys() == before.keys() and not list(folder.rglob("*.partial"))
        assert all(after[name] == before[name] for name in after if not name.endswith("log.jsonl"))

    @pytest.mark.parametrize("name", ["results.parquet", "seed1/predictions.parquet", "seed1/model.safetensors"])
    def test_without_fresh_nothing_of_others_is_overwritten(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / "finetune/idrid/random" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine, for years")
        with pytest.raises(SwclError, match=f"{name} was not made by swcl: swcl finetune .*another --name"):
            finetune.run(self.settings(tmp_path, seeds=2))
        assert path.read_text() == "mine, for years"

    def test_a_name_that_follows_from_init_is_a_plain_one_too(self, tmp_path: Path) -> None:
        path = tmp_path / "...safetensors"
        prepared.encoder(path)
        for fresh in (False, True):
            with pytest.raises(UsageError, match=r"--init gives the name '\.\.', but a name is one part .*--name"):
                finetune.run(self.settings(tmp_path, init=str(path), fresh=fresh))
        assert (tmp_path / "finetune/idrid/random/results.parquet").exists()


def test_fresh_removes_maps_but_no_other_pictures(tmp_path: Path) -> None:
    write_drive(tmp_path, 10)
    settings = options(tmp_path, {**DRIVE, "epochs": 1})
    finetune.run(settings)
    maps = tmp_path / "finetune/drive/random/seed0/maps"
    before = contents(maps)
    assert before
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(maps / "mine.png")
    with pytest.raises(SwclError, match="maps/mine.png was not made by swcl finetune"):
        finetune.run(settings.model_copy(update={"fresh": True}))
    assert contents(maps).items() > before.items()
    (maps / "mine.png").unlink()
    finetune.run(settings.model_copy(update={"fresh": True}))
    assert contents(maps) == before
