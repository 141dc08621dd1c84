"""`swcl study`: what it plans, in which order, what it leaves out, and that it plans the same again."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from swcl_cli.data.columns import RESULTS
from swcl_cli.study import costs, initialisations
from swcl_cli.study.plan import LADDER
from swcl_cli.workspace import MODEL, Workspace, write_parquet
from tests import prepared
from tests.commands import swcl
from tests.study.planned import build, commands, eyes, idrid, option, row, study, text

SWCL = ("swcl", "swcl-from-imagenet")


@pytest.fixture(autouse=True)
def paces(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Every network takes a hundredth of a second a view: nothing is measured."""
    pace = {"seconds": 0.01}
    monkeypatch.setattr(costs, "measure", lambda *_: [pace["seconds"]] * 3)
    return pace


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("study") / "workspace")


@pytest.fixture
def whole(built: Path, tmp_path: Path) -> Path:
    """A workspace that the test may change."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _stages(root: Path) -> list[str]:
    return [line[2:] for line in text(root).partition("\n}\n")[2].splitlines() if line.startswith("# ")]


def test_the_plan_is_of_ordinary_commands(whole: Path) -> None:
    done = study(whole, "--hours", 2)
    assert done.code == 0, done.err
    planned = commands(whole)
    kinds = {tuple(word for word in command if not word.isdigit()): command for command in planned}
    for command in kinds.values():
        tried = swcl(*command, "--dry-run")
        assert tried.code == 0, f"{command}: {tried.err}"
    assert [command[0] for command in planned[:3]] == ["train-labeler", "make-swap", "pretrain"]
    assert "swcl finetune drive" in done.out and "minutes, at most" in done.out


def test_all_pretrainings_see_as_many_views_from_both_starts(whole: Path) -> None:
    study(whole)
    pretrained = [command for command in commands(whole) if command[0] == "pretrain"]
    assert len({option(command, "views") for command in pretrained}) == 1
    rows = {(option(command, "method"), option(command, "init")) for command in pretrained}
    assert rows == {(method, start) for method in initialisations.COMPARED for start in ("random", "imagenet")}
    assert {option(command, "variant") for command in pretrained if "supervised-odir" in command} == {"ours"}
    assert {option(command, "data") for command in pretrained if "simclr" in command} == {"odir,eyepacs"}
    names = [option(command, "name") for command in pretrained]
    assert all(name.endswith(f"-{option(pretrained[0], 'views')}") for name in names) and len(set(names)) == 10


def test_half_of_the_hours_go_to_pretraining(whole: Path) -> None:
    study(whole, "--hours", 2)
    planned = {option(command, "views") for command in commands(whole) if command[0] == "pretrain"}
    a_view = 10 * 0.01 * costs.OTHER  # ten pretrainings
    (views,) = map(int, planned)
    assert views == max(views for views in LADDER if views * a_view <= 3590)  # the labeler takes ten seconds
    assert views in LADDER and 3600 / a_view / 2 < views <= 3600 / a_view


def test_what_tells_most_comes_first_and_a_seed_of_everything_before_the_next(whole: Path) -> None:
    study(whole, "--seeds", 2)
    frozen, few, labels = "frozen encoders under a decoder", "few labels", "all labels"
    stages = [stage for stage in _stages(whole) if not stage.startswith("By the")]
    assert stages == ["weak labels", "pretraining", "linear probes", *(2 * [frozen, few, labels])]
    tuned = [command for command in commands(whole) if command[0] == "finetune"]
    whole_ones = [command for command in tuned if command[1] == "idrid" and not {"--probe", "--fraction"} & {*command}]
    order = [row(command) for command in whole_ones if option(command, "seeds") == "1"]
    assert order == list(initialisations.KNOWN)[: len(order)] and order[:4] == ["random", "imagenet", *SWCL]
    seeds = [int(option(command, "seeds")) for command in tuned if "--probe" not in command]
    assert seeds == sorted(seeds) and set(seeds) == {1, 2}
    assert not any("--probe" in command for command in tuned if "drive" in command)
    assert not any("--freeze" in command for command in tuned if "drive" not in command)


def test_a_probe_on_all_labels_has_one_seed_unless_its_weights_are_random(whole: Path) -> None:
    study(whole)
    probes = [command for command in commands(whole) if "--probe" in command and "--fraction" not in command]
    assert {option(command, "seeds") for command in probes if option(command, "init") == "random"} == {"3"}
    assert {option(command, "seeds") for command in probes if option(command, "init") != "random"} == {"1"}


def test_the_same_call_plans_the_same_on_a_slower_machine(whole: Path, paces: dict[str, float]) -> None:
    study(whole)
    before = text(whole)
    paces["seconds"] = 1.0
    assert study(whole).code == 0 and text(whole) == before
    assert study(whole, "--fresh").code == 0 and text(whole) != before


def test_other_hours_keep_the_views(whole: Path) -> None:
    study(whole, "--hours", 1)
    views = {option(command, "views") for command in commands(whole) if command[0] == "pretrain"}
    study(whole, "--hours", 40)
    assert {option(command, "views") for command in commands(whole) if command[0] == "pretrain"} == views


@pytest.mark.parametrize("words", [("--views", 64), ("--preset", "small")])
def test_another_plan_is_asked_for_by_fresh(whole: Path, words: tuple[object, ...]) -> None:
    study(whole)
    before = text(whole)
    done = study(whole, *words)
    assert done.code == 1 and "--fresh plans anew, and keeps finished work" in done.err and text(whole) == before
    assert study(whole, *words, "--fresh").code == 0


def test_a_damaged_memory_names_the_remedy(whole: Path) -> None:
    study(whole)
    (Workspace(whole).study / "plan.json").write_text('{"views": "many"}')
    done = study(whole)
    assert done.code == 1 and "plan.json is damaged: swcl study --fresh" in done.err
    assert study(whole, "--fresh").code == 0


def test_what_is_done_is_in_the_plan_no_more(whole: Path) -> None:
    study(whole)
    every = commands(whole)
    first = next(command for command in every if command[0] == "pretrain")
    prepared.encoder(Workspace(whole).encoder(option(first, "name")))
    _finetuned(whole, "idrid", "random-0.25", ["seed0", "seed1"])
    study(whole)
    gone = [command for command in every if command not in commands(whole)]
    assert first in gone and len(gone) == 3
    assert {option(command, "seeds") for command in gone if command[0] == "finetune"} == {"1", "2"}
    assert all({"idrid", "random", "0.25"} < {*command} for command in gone if command[0] == "finetune")
    assert [command for command in every if command not in gone] == commands(whole)


def test_a_run_that_its_table_lacks_is_done_again(whole: Path) -> None:
    study(whole)
    every = commands(whole)
    _finetuned(whole, "idrid", "random-0.25", ["seed0"])
    (Workspace(whole).finetune("idrid", "random-0.25") / "results.parquet").unlink()
    study(whole)
    assert commands(whole) == every


def _finetuned(root: Path, task: str, name: str, runs: list[str]) -> None:
    folder = Workspace(root).finetune(task, name)
    for run in runs:
        (folder / run).mkdir(parents=True)
        (folder / run / MODEL).touch()
    columns = RESULTS.only(["task", "name", "run", "split", "measure", "seed", "primary"])
    base = {"task": task, "name": name, "split": "test", "measure": "joint_accuracy", "primary": True}
    rows = [{**base, "run": run, "seed": int(run[-1])} for run in runs]
    write_parquet(folder / "results.parquet", pa.Table.from_pylist(rows, columns.schema), {"step": "finetune"})


def test_what_the_workspace_lacks_is_told_with_the_command(tmp_path: Path) -> None:
    idrid(tmp_path)
    done = study(tmp_path)
    told = " ".join(done.err.split())
    assert done.code == 0
    assert f"left out: drive: its data are not prepared: swcl prep drive SOURCE --preset {tmp_path}/tiny.toml." in told
    assert "left out: odir: its data are not prepared: swcl prep odir SOURCE" in told
    assert "swcl, swcl-from-imagenet, simclr, simclr-from-imagenet, supervised-odir, " in told
    assert "odir is not prepared, or has no labels: swcl prep odir SOURCE" in told
    assert {command[0] for command in commands(tmp_path)} == {"finetune"}
    assert {option(command, "init") for command in commands(tmp_path)} == {"random", "imagenet"}
    assert "# Left out: drive: its data are not prepared" in text(tmp_path)


def test_without_any_task_it_stops_and_lists_what_to_prepare(tmp_path: Path) -> None:
    done = study(tmp_path)
    assert done.code == 1 and "There is no task to study in" in done.err and "swcl prep drive SOURCE" in done.err
    assert not Workspace(tmp_path).study.joinpath("plan.sh").exists()


def test_without_the_packaged_weights_no_row_begins_with_imagenet_and_none_at_random_instead(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(whole)
    from_random = [command for command in commands(whole) if option(command, "init") == "random"]
    monkeypatch.setattr(initialisations, "is_installed", lambda: False)
    done = study(whole)
    assert "warning: left out: imagenet, swcl-from-imagenet, " in done.err
    assert "are not installed: pip install 'swcl[imagenet]'." in done.err
    assert "imagenet" not in " ".join(" ".join(command) for command in commands(whole))
    assert [command for command in commands(whole) if option(command, "init") == "random"] == from_random


def test_nothing_is_tested_on_photographs_whose_labels_taught_it(whole: Path) -> None:
    done = study(whole)
    tuned = [command for command in commands(whole) if command[:4] == ["finetune", "folder", "--data", "odir"]]
    assert {row(command) for command in tuned} == {
        *("random", "imagenet", "simclr", "simclr-from-imagenet", "supervised-odir", "supervised-odir-from-imagenet"),
    }
    assert "left out: folder-odir from swcl, swcl-from-imagenet, multitask, " in done.err


def test_other_eyes_test_all(whole: Path) -> None:
    eyes(whole, "clinic")
    done = study(whole, "--tasks", "clinic", "--initialisations", "random,swcl")
    tuned = [command for command in commands(whole) if command[0] == "finetune"]
    assert done.code == 0 and "left out: folder-clinic" not in done.err
    assert {tuple(command[1:6]) for command in tuned} == {("folder", "--data", "clinic", "--heads", "abnormal")}
    assert {row(command) for command in tuned} == {"random", "swcl"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tasks", "driv"), "--tasks driv: neither a public task nor a prepared set; did you mean 'drive'?"),
        (("--initialisations", "swlc"), "--initialisations swlc: did you mean 'swcl'?"),
        (("--hours", 0), "hours = 0.0 (command line): input should be greater than 0."),
        (("--preset", "smal"), "did you mean 'small'?"),
    ],
)
def test_wrong_names(whole: Path, words: tuple[object, ...], message: str) -> None:
    done = study(whole, *words)
    assert done.code == 2 and message in done.err


def test_a_task_without_a_split_or_a_label_is_left_out_in_words(whole: Path) -> None:
    prepared.change(whole, "idrid", split="train")
    prepared.change(whole, "eyepacs", abnormal=None)
    told = " ".join(study(whole, "--tasks", "drive,idrid,eyepacs").err.split())
    assert "left out: idrid: data/idrid has no photographs in val and test: say which they are by swcl prep" in told
    assert "left out: eyepacs: no photograph of data/eyepacs has the label abnormal." in told
    assert {command[1] for command in commands(whole) if command[0] == "finetune"} == {"drive"}


def test_eyes_without_splits_are_tested_by_folds(whole: Path) -> None:
    eyes(whole, "clinic")
    prepared.change(whole, "clinic", split="train")
    assert study(whole, "--tasks", "clinic,odir", "--initialisations", "random", "--seeds", 2).code == 0
    folds = {(option(command, "data"), option(command, "folds")) for command in commands(whole)}
    assert folds == {("clinic", "5"), ("odir", "")}
    _finetuned(whole, "folder-clinic", "random", ["fold0-seed0", "fold4-seed0"])
    every = commands(whole)
    study(whole, "--tasks", "clinic,odir", "--initialisations", "random", "--seeds", 2)
    assert commands(whole) == every  # three folds are left


def test_the_forecast_ends_where_the_hours_do(whole: Path, paces: dict[str, float]) -> None:
    paces["seconds"] = 0.5  # so that a command takes minutes
    done = study(whole, "--hours", 1, "--views", 64)
    within, beyond = (
        [float(line.split("  # ")[1].split()[0]) for line in part.splitlines() if line.startswith("swcl ")]
        for part in text(whole).split("# By the forecast the hours end here")
    )
    assert sum(within) < 61 and sum(within) + beyond[0] > 59 and len(within) > 10
    assert f"0 of {len(commands(whole))} commands are done, {len(beyond)} may not fit into 1 hours" in done.out


def test_seeds_begin_where_they_are_asked_to(whole: Path) -> None:
    study(whole, "--seed", 3)
    assert {option(command, "seed") for command in commands(whole) if command[0] == "finetune"} == {"3"}
    assert not any("--seed" in command for command in commands(whole) if command[0] == "pretrain")


def test_views_of_the_ladder_are_at_most_half_more_than_the_step_below() -> None:
    assert all(1.3 < higher / lower <= 1.5 for lower, higher in pairwise(LADDER))
