from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.consistency import straightened
from swcl_cli.reporting.findings.scores import scores
from swcl_cli.reporting.tables.differences import differences_table
from swcl_cli.reporting.tables.results import results_table
from swcl_cli.workspace import FINETUNE, RunName, Workspace, read_provenance, write_parquet

IDRID = "finetune/idrid"


def _run(workspace: Workspace, name: str, run: str, inputs: dict[str, str] | None = None, **changed: Any) -> None:
    """The files of a run, of the settings of all of them but for `changed`."""
    folder = workspace.finetune("idrid", name)
    whole = read_provenance(folder / "results.parquet")
    table = pq.read_table(folder / "results.parquet")
    settings = {**whole["settings"], "seed": int(run[-1]), **changed}
    made = {**whole, "settings": settings, "inputs": {**whole["inputs"], **(inputs or {})}}
    kept = table.filter([name == run for name in table["run"].to_pylist()])
    write_parquet(folder / run / "results.parquet", kept, made)


def _runs(workspace: Workspace, name: str) -> None:
    for seed in range(3):
        _run(workspace, name, f"seed{seed}")


def _read(workspace: Workspace) -> Contents:
    return straightened(read_contents(workspace))


def _shown(contents: Contents) -> dict[tuple[str, str], str]:
    return {(score.task, score.name): score.text() for score in scores(contents.results)}


def _warned(contents: Contents, words: str) -> tuple[str, ...]:
    found = [caution.details for caution in cautions(contents) if words in caution.text]
    return found[0] if found else ()


def test_runs_that_were_made_alike_stay_one_row(workspace: Workspace) -> None:
    _runs(workspace, "swcl")
    contents = _read(workspace)
    assert not contents.mixed and not contents.repeated
    assert _shown(contents)["idrid", "swcl"] == "83.3 ± 14.4 (n = 3)"
    assert not _warned(contents, "made differently")


def test_seeds_and_the_rates_of_a_grid_separate_nothing(workspace: Workspace) -> None:
    for seed, rate in enumerate((0.1, 0.1, 0.03)):
        _run(workspace, "swcl", f"seed{seed}", grid=True, grid_seed=0, learning_rate=rate)
    assert _shown(_read(workspace))["idrid", "swcl"] == "83.3 ± 14.4 (n = 3)"


def test_runs_that_were_made_differently_get_rows_of_their_own(workspace: Workspace) -> None:
    _runs(workspace, "swcl")
    _run(workspace, "swcl", "seed2", epochs=40)
    contents = _read(workspace)
    shown = _shown(contents)
    assert ("idrid", "swcl") not in shown
    assert shown["idrid", "swcl (epochs 120)"] == "75.0 ± 0.0 (n = 2)"
    assert shown["idrid", "swcl (epochs 40)"].endswith("(n = 1)")
    assert _warned(contents, "made differently") == (
        "IDRiD, swcl (epochs 120): epochs 120 (seed0, seed1)",
        "IDRiD, swcl (epochs 40): epochs 40 (seed2)",
    )
    assert "IDRiD, epochs: 120 (random, imagenet, swcl (epochs 120)); 40 (swcl (epochs 40))" in _warned(
        contents, "different settings"
    )
    # predictions, logs and origins follow
    assert set(contents.classified["name"]) == {"random", "imagenet", "swcl (epochs 120)", "swcl (epochs 40)"}
    assert RunName(FINETUNE, "idrid", "swcl (epochs 40)", "seed2") in contents.logs
    assert contents.finetuned["idrid", "swcl (epochs 40)"].path == f"{IDRID}/swcl/seed2/results.parquet"
    table = differences_table(contents)
    assert table is not None and "swcl (epochs 120)" in {row[1].text for row in table.rows}
    order = results_table(contents)
    assert order is not None
    assert [row[0].text for row in order.rows] == [
        "random",
        "imagenet",
        "swcl",
        "swcl (epochs 120)",
        "swcl (epochs 40)",
    ]


def test_other_photographs_or_weights_separate_too(workspace: Workspace) -> None:
    _runs(workspace, "swcl")
    _run(workspace, "swcl", "seed1", inputs={"idrid": "1" * 16})
    _run(workspace, "swcl", "seed2", inputs={"init": "2" * 16})
    contents = _read(workspace)
    assert len(contents.mixed) == 3
    assert any("1111111111111111 (seed1)" in line for line in contents.mixed)
    mark, photographs = contents.encoders["swcl"].fingerprint, contents.datasets["idrid"].artefact.fingerprint
    assert {name for task, name in contents.finetuned if task == "idrid" and name.startswith("swcl")} == {
        f"swcl (initial weights {mark}, photographs {photographs})",
        f"swcl (initial weights {mark}, photographs {'1' * 16})",
        f"swcl (initial weights {'2' * 16}, photographs {photographs})",
    }


def test_many_differing_settings_are_numbered(workspace: Workspace) -> None:
    _runs(workspace, "swcl")
    _run(workspace, "swcl", "seed0", epochs=1, crop=32, batch=2)
    shown = _shown(_read(workspace))
    assert {"swcl (variant 1)", "swcl (variant 2)"} <= {name for _, name in shown}


def test_a_table_that_does_not_tell_what_its_runs_tell_is_named(workspace: Workspace) -> None:
    for seed in range(3):
        _run(workspace, "swcl", f"seed{seed}", epochs=40)
    contents = _read(workspace)
    assert contents.mixed == [f"IDRiD, swcl: {IDRID}/swcl/results.parquet tells other epochs than its runs"]
    assert contents.finetuned["idrid", "swcl"].settings["epochs"] == 40


def test_a_copied_folder_is_a_row_of_its_own(workspace: Workspace) -> None:
    shutil.copytree(workspace.finetune("idrid", "swcl"), workspace.finetune("idrid", "swcl_old"))
    shown = _shown(_read(workspace))
    assert shown["idrid", "swcl"] == shown["idrid", "swcl_old"] == "83.3 ± 14.4 (n = 3)"


def _more(contents: Contents, rows: pd.DataFrame) -> Contents:
    return replace(contents, results=pd.concat([contents.results, rows], ignore_index=True))


def test_a_run_that_is_stored_twice_counts_once(contents: Contents) -> None:
    again = contents.results[(contents.results["name"] == "swcl") & (contents.results["run"] == "seed0")]
    for copy in (again, again.assign(run="seed0-copy")):
        doubled = straightened(_more(contents, copy))
        assert _shown(doubled)["idrid", "swcl"] == "83.3 ± 14.4 (n = 3)"
        assert not doubled.repeated
    twice = replace(contents, classified=pd.concat([contents.classified, contents.classified], ignore_index=True))
    assert len(straightened(twice).classified) == len(contents.classified)


def test_two_values_of_one_run_are_both_left_out(contents: Contents) -> None:
    again = contents.results[(contents.results["name"] == "swcl") & (contents.results["run"] == "seed2")]
    doubled = straightened(_more(contents, again.assign(value=0.1)))
    assert _shown(doubled)["idrid", "swcl"] == "75.0 ± 0.0 (n = 2)"
    assert _warned(doubled, "stored twice") == ("IDRiD, swcl: seed2",)
    left = doubled.classified[doubled.classified["name"] == "swcl"]
    assert set(left["run"]) == {"seed0", "seed1"}


def test_other_seeds_or_folds_are_other_runs(contents: Contents) -> None:
    folds = pd.concat([contents.results.assign(fold=fold, run=f"fold{fold}") for fold in (0, 1)], ignore_index=True)
    assert len(straightened(replace(contents, results=folds)).results) == 2 * len(contents.results)


def _changed(contents: Contents, name: str, inputs: dict[str, str] | None = None, **settings: Any) -> Contents:
    one = contents.finetuned["idrid", name]
    provenance = {
        **one.provenance,
        "settings": {**one.settings, **settings},
        "inputs": {**one.provenance["inputs"], **(inputs or {})},
    }
    artefact = Artefact(one.path, provenance, one.fingerprint)
    return replace(contents, finetuned={**contents.finetuned, ("idrid", name): artefact})


def test_initialisations_of_different_settings_are_warned_of(contents: Contents) -> None:
    assert not _warned(contents, "different settings") and not _warned(contents, "different photographs")
    changed = _changed(_changed(contents, "imagenet", epochs=12, fraction=0.1), "random", seed=7, seeds=2)
    assert _warned(changed, "different settings") == (
        "IDRiD, epochs: 120 (random, swcl); 12 (imagenet)",
        "IDRiD, fraction: 1.0 (random, swcl); 0.1 (imagenet)",
    )


def test_rates_matter_unless_a_grid_chose_them(contents: Contents) -> None:
    assert _warned(_changed(contents, "swcl", learning_rate=0.1), "different settings") == (
        "IDRiD, learning rate: 0.03 (random, imagenet); 0.1 (swcl)",
    )
    searched = contents
    for name, rate in (("random", 0.1), ("imagenet", 0.03), ("swcl", 0.01)):
        searched = _changed(searched, name, grid=True, learning_rate=rate)
    assert not _warned(searched, "different settings")


def test_what_was_validated_is_not_compared_with_what_was_tested(contents: Contents) -> None:
    assert not _warned(_changed(contents, "swcl", eval="val", epochs=12), "different settings")


def test_photographs_of_another_split_are_warned_of(contents: Contents) -> None:
    changed = _changed(contents, "swcl", inputs={"idrid": "1" * 16})
    mark = contents.datasets["idrid"].artefact.fingerprint
    assert _warned(changed, "different photographs") == (
        f"IDRiD, photographs prepared as: {mark} (random, imagenet); {'1' * 16} (swcl)",
    )
