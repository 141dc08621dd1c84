"""What a study leaves beyond its workspace: rows that later ones are added to, and what they say in sum."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from swcl_cli.errors import SwclError
from swcl_cli.study.record import COMPARISONS, PAIR_COLUMNS, RUN_COLUMNS, RUNS, read
from swcl_cli.study.summary import Summary
from swcl_cli.workspace import Workspace, read_provenance, read_safetensors, write_safetensors
from tests.commands import Finished, swcl
from tests.reporting import golden


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = golden.build(tmp_path_factory.mktemp("collected") / "workspace")
    golden.add_probes(workspace)
    return workspace.root


def collect(root: Path, folder: Path) -> Finished:
    return swcl("--workspace", root, "study", "--collect", folder)


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return read(folder / RUNS, RUN_COLUMNS), read(folder / COMPARISONS, PAIR_COLUMNS)


def test_finished_runs_and_comparisons_are_kept(built: Path, tmp_path: Path) -> None:
    done = collect(built, tmp_path)
    assert done.code == 0, done.err
    runs, pairs = tables(tmp_path)
    assert len(runs) == 5 * 3 + 2
    swcl_runs = runs[(runs["task"] == "idrid") & (runs["initialisation"] == "swcl")]
    whole = swcl_runs[swcl_runs["protocol"] == "fine-tuning"]
    assert whole["score"].tolist() == [0.75, 0.75, 1.0] and whole["seed"].tolist() == [0, 1, 2]
    assert set(swcl_runs["start"]) == {"random"} and set(swcl_runs["architecture"]) == {"resnet18"}
    assert not runs["taught"].any() and pd.to_datetime(runs["date"], format="%Y-%m-%dT%H:%M:%SZ").notna().all()
    began = pairs[(pairs["kind"] == "start") & (pairs["task"] == "idrid")].set_index("protocol")
    assert began["difference"].to_dict() == pytest.approx({"fine-tuning": 1 / 3, "linear probe": -0.25}, abs=1e-5)
    assert set(pairs["photographs"]) == {2, 4}


def test_nothing_of_photographs_or_places_is_kept(built: Path, tmp_path: Path) -> None:
    collect(built, tmp_path)
    text = "".join((tmp_path / name).read_text() for name in (RUNS, COMPARISONS))
    assert not any(word in text for word in ("test0", "test1", ".png", "/", str(built.name), ".safetensors"))


def test_the_same_again_changes_no_byte(built: Path, tmp_path: Path) -> None:
    collect(built, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    collect(built, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert before.keys() == {RUNS, COMPARISONS}


def test_later_work_adds_rows_and_the_comparison_of_more_runs_stays(built: Path, tmp_path: Path) -> None:
    collect(built, tmp_path)
    runs, pairs = tables(tmp_path)
    runs.assign(seed=runs["seed"] + 3).to_csv(tmp_path / RUNS, index=False)
    pairs.assign(runs=7, difference=0.5).to_csv(tmp_path / COMPARISONS, index=False)
    collect(built, tmp_path)
    more, kept = tables(tmp_path)
    assert len(more) == 2 * len(runs) and set(more["seed"]) == {*range(6)}
    assert len(kept) == len(pairs) and set(kept["difference"]) == {0.5}
    pairs.assign(runs=1, runs_against=1, difference=0.5).to_csv(tmp_path / COMPARISONS, index=False)
    collect(built, tmp_path)
    assert 0.5 not in set(tables(tmp_path)[1]["difference"])


def test_costs_are_those_of_the_logs(built: Path, tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(built, tmp_path / "workspace")))
    encoder = workspace.encoder("swcl")
    before = encoder.read_bytes()
    golden.write_log(
        workspace.pretraining("swcl").folder, [{"step": step, "views_a_second": 992.0 / 4} for step in range(5)]
    )  # the default batch: 496 patches, 992 views, 4 seconds a step
    golden.write_log(workspace.finetuning("idrid", "swcl", "seed1").folder, [
        {"step": 0, "views_a_second": 32.0}, {"step": 0, "validation": 0.5, "seconds": 3.0},
    ])  # fmt: skip
    collect(workspace.root, tmp_path / "kept")
    runs = tables(tmp_path / "kept")[0]
    own = runs[(runs["initialisation"] == "swcl") & (runs["protocol"] == "fine-tuning") & (runs["task"] == "idrid")]
    assert set(own["pretraining_seconds"]) == {20.0} and encoder.read_bytes() == before
    assert own.set_index("seed")["seconds"].dropna().to_dict() == {1: 64 / 32 + 3}
    assert Summary(tmp_path / "kept").hours == pytest.approx((20 + 5) / 3600)


def test_views_are_those_of_the_encoder(built: Path, tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(built, tmp_path / "workspace")))
    encoder = workspace.encoder("swcl")
    made = read_provenance(encoder)
    write_safetensors(encoder, read_safetensors(encoder), {**made, "settings": {**made["settings"], "views": 6400}})
    golden.add_probes(workspace)
    assert collect(workspace.root, tmp_path / "kept").code == 0
    runs = tables(tmp_path / "kept")[0]
    assert set(runs[(runs["initialisation"] == "swcl") & (runs["protocol"] == "linear probe")]["views"]) == {6400}
    assert runs[runs["initialisation"] == "random"]["views"].isna().all()


def test_rows_without_any_comparison_are_kept(built: Path, tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(built, tmp_path / "workspace")))
    workspace.encoder("swcl").unlink()
    assert collect(workspace.root, tmp_path / "kept").code == 0
    runs, pairs = tables(tmp_path / "kept")
    assert len(runs) == 5 * 3 + 2 and not len(pairs)


def test_scores_of_phantom_eyes_stay_where_they_are(built: Path, tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(built, tmp_path / "workspace")))
    workspace.phantom.mkdir()
    done = collect(workspace.root, tmp_path / "kept")
    assert done.code == 1 and "holds phantom eyes" in done.err and not (tmp_path / "kept").exists()


def test_a_table_of_something_else_is_neither_read_nor_replaced(built: Path, tmp_path: Path) -> None:
    (tmp_path / RUNS).write_text("patient,score\n1,2\n")
    done = collect(built, tmp_path)
    assert done.code == 1 and f"{tmp_path}/{RUNS} is no table of swcl study --collect: " in done.err
    assert (tmp_path / RUNS).read_text() == "patient,score\n1,2\n"
    (tmp_path / RUNS).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SwclError, match="runs.csv can't be read"):
        Summary(tmp_path)


PAIR: dict[str, Any] = {
    "task": "idrid", "protocol": "linear probe", "fraction": 1.0, "initialisation": "swcl", "start": "random",
    "architecture": "resnet18", "views": 6400, "kind": "start", "against": "random", "against_start": "",
    "against_weights": "00", "data": "12345678", "weights": "w1", "recipe": "00012e10", "difference": 0.1, "low": 0.02,
    "high": 0.18, "verdict": "better", "runs": 2, "runs_against": 2, "drawn": "patients and runs", "photographs": 4,
    "taught": 0, "date": "2026-01-01", "version": "0.2",
}  # fmt: skip


COST = ("`resnet18`", "6,400")


def _summary(folder: Path, *pairs: dict[str, Any]) -> Summary:
    pd.DataFrame([{**PAIR, **pair} for pair in pairs], columns=PAIR_COLUMNS).to_csv(folder / COMPARISONS, index=False)
    return Summary(folder)


def test_wins_and_losses_are_counted_alike(tmp_path: Path) -> None:
    summary = _summary(
        tmp_path,
        {},
        {"fraction": 0.1, "verdict": "worse"},
        {"fraction": 0.25, "verdict": "worse", "taught": 1},
        {"task": "drive", "protocol": "frozen encoder", "verdict": "not told apart"},
        {"initialisation": "simclr", "verdict": "worse"},
        {"initialisation": "simclr", "start": "imagenet", "against": "imagenet"},
        {"kind": "swcl", "against": "simclr", "against_start": "random", "weights": "w1"},
        {"kind": "swcl", "start": "imagenet", "against": "simclr", "against_start": "imagenet", "verdict": "worse"},
    )
    assert summary.counts() == [
        ("simclr", "random", *COST, "0", "0", "1", "1", "0", "0"),
        ("swcl", "random", *COST, "1", "1", "1", "", "", ""),
        ("simclr", "imagenet", *COST, "1", "0", "0", "0", "0", "1"),
    ]


def test_of_one_comparison_that_of_most_runs_counts_then_the_latest(tmp_path: Path) -> None:
    many = {"runs": 5, "runs_against": 5, "verdict": "worse", "weights": "w2"}
    summary = _summary(tmp_path, many, {"date": "2026-02-01"})
    assert summary.counts() == [("swcl", "random", *COST, "0", "0", "1", "", "", "")] and summary.superseded == 1
    for later, other in (("2026-01-01", "2025-02-01"), ("2026-01-01T09:00:00Z", "2026-01-01T08:00:00Z")):
        summary = _summary(tmp_path, {"verdict": "worse", "date": later}, {"date": other, "recipe": "r0"})
        assert summary.counts() == [("swcl", "random", *COST, "0", "0", "1", "", "", "")]


def test_networks_and_views_are_told_apart(tmp_path: Path) -> None:
    """None of them stands for another, and SWCL is held against what had its network and as many views."""
    simclr = {"kind": "swcl", "against": "simclr", "against_start": "random"}
    more = {"views": 51200, "verdict": "worse", "date": "2026-02-01"}
    summary = _summary(
        tmp_path,
        {},
        {"initialisation": "simclr"},
        simclr,
        more,
        {**more, "initialisation": "simclr", "verdict": "not told apart"},
        {**more, **simclr},
        {"architecture": "resnet50", "verdict": "not told apart"},
    )
    assert summary.counts() == [
        ("simclr", "random", *COST, "1", "0", "0", "1", "0", "0"),
        ("swcl", "random", *COST, "1", "0", "0", "", "", ""),
        ("simclr", "random", "`resnet18`", "51,200", "0", "1", "0", "0", "0", "1"),
        ("swcl", "random", "`resnet18`", "51,200", "0", "0", "1", "", "", ""),
        ("swcl", "random", "`resnet50`", "6,400", "0", "1", "0", "", "", ""),
    ]
    assert [row[3:5] for row in summary.details()] == [COST, ("`resnet18`", "51,200"), ("`resnet50`", "6,400")]
    assert summary.superseded == 0


def test_scores_stand_beside_the_verdict(tmp_path: Path) -> None:
    run = {**{name: PAIR.get(name) for name in RUN_COLUMNS}, "fold": None, "measure": "joint_accuracy"}
    rows = [
        {**run, "seed": seed, "score": score, "initialisation": name, "weights": weights}
        for name, weights, scores in (("swcl", "w1", (0.5, 0.6)), ("random", "00", (0.4, 0.4)), ("swcl", "w9", (0, 0)))
        for seed, score in enumerate(scores)
    ]
    pd.DataFrame(rows, columns=RUN_COLUMNS).to_csv(tmp_path / RUNS, index=False)
    summary = _summary(tmp_path, {}, {"protocol": "fine-tuning", "taught": 1, "drawn": "patients alone"})
    assert summary.details() == [
        (
            "IDRiD", "linear probe, all labels", "random", *COST, "40.0 ± 0.0 (n = 2)", "55.0 ± 7.1 (n = 2)",
            "+10.0 [+2.0, +18.0]", "better",
        ),
        (
            "IDRiD", "fine-tuning, all labels", "random", *COST, "", " (taught)", "+10.0 [+2.0, +18.0]",
            "better (patients alone)",
        ),
    ]  # fmt: skip


def test_nothing_collected_says_nothing(tmp_path: Path) -> None:
    summary = Summary(tmp_path)
    assert summary.counts() == [] and summary.details() == [] and summary.hours == 0.0
