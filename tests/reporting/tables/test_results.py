from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.scores import scores
from swcl_cli.reporting.tables.results import results_table, runs_table
from swcl_cli.reporting.tables.table import Cell, Table
from swcl_cli.settings import FinetuneSettings
from swcl_cli.settings.resolve import resolve


def _row(table: Table, name: str) -> dict[str, Cell]:
    (found,) = [row for row in table.rows if row[0].text == name]
    return dict(zip(table.columns, found, strict=True))


IDRID, DRIVE = "IDRiD (joint accuracy)", "DRIVE (F1)"


def test_table_two_equals_values_worked_out_by_hand(contents: Contents) -> None:
    table = results_table(contents)
    assert table is not None
    assert table.columns == ("initialisation", IDRID, DRIVE)
    assert [row[0].text for row in table.rows] == ["random", "imagenet", "swcl"]
    # random: 1/4, 2/4, 3/4; swcl: 3/4, 3/4, 1, deviation sqrt(((1/12)^2 * 2 + (1/6)^2) / 2) = 0.1443
    assert _row(table, "random")[IDRID] == Cell("50.0 ± 25.0 [9.6, 90.4] (n = 3)", 0.5)
    assert _row(table, "swcl")[IDRID] == Cell("83.3 ± 14.4 [23.2, 98.8] (n = 3)", 2.5 / 3)
    assert _row(table, "imagenet")[IDRID] == Cell("100.0 ± 0.0 [28.3, 100.0] (n = 3)", 1.0)
    assert _row(table, "random")[DRIVE] == Cell("75.0 [50.0, 100.0] (n = 1)", 0.75)
    assert _row(table, "swcl")[DRIVE] == Cell("75.0 [50.0, 100.0] (n = 1)", 0.75)
    assert _row(table, "imagenet")[DRIVE] == Cell()


def test_a_missing_run_shows_in_n_and_mean(contents: Contents) -> None:
    gone = (contents.results["name"] == "random") & (contents.results["run"] == "seed0")
    table = results_table(replace(contents, results=contents.results[~gone]))
    assert table is not None
    assert _row(table, "random")[IDRID].text == "62.5 ± 17.7 [11.8, 95.4] (n = 2)"  # of 50 and 75: 25 / sqrt(2)


def test_runs_without_a_value_are_not_averaged(contents: Contents) -> None:
    results = contents.results.copy()
    results.loc[(results["name"] == "random") & (results["run"] == "seed0"), "value"] = float("nan")
    table = results_table(replace(contents, results=results))
    assert table is not None
    assert _row(table, "random")[IDRID].text == "62.5 ± 17.7 [11.8, 95.4] (n = 2)"


def test_folds_are_averaged_within_a_seed(contents: Contents) -> None:
    """Two seeds of three folds are two runs: their means are 30 and 50, whatever folds differ by."""
    results = contents.results
    one = (results["name"] == "random") & (results["run"] == "seed0") & (results["task"] == "idrid")
    (row,) = results[one & results["primary"] & (results["split"] == "test")].to_dict("records")
    folds = [
        {**row, "name": "folds", "run": f"fold{fold}-seed{seed}", "seed": seed, "fold": fold, "value": value}
        for seed, values in enumerate([(0.1, 0.3, 0.5), (0.2, 0.5, 0.8)])
        for fold, value in enumerate(values)
    ]
    folded = replace(contents, results=pd.concat([results, pd.DataFrame(folds)], ignore_index=True))
    table = results_table(folded)
    assert table is not None
    assert _row(table, "folds")[IDRID].text == "40.0 ± 14.1 (n = 2)"  # 20 / sqrt(2)
    (score,) = [score for score in scores(folded.results) if score.name == "folds"]
    assert score.runs == 2 and score.spread == pytest.approx(0.2 / 2**0.5)
    (few,) = [caution for caution in cautions(folded) if "Fewer than 3 runs" in caution.text]
    assert "IDRiD: folds (n = 2)" in few.details


def test_secondary_measures_and_other_splits_are_not_averaged(contents: Contents) -> None:
    (random,) = [score for score in scores(contents.results) if (score.task, score.name) == ("idrid", "random")]
    assert (random.mean, random.runs, random.split) == (0.5, 3, "test")


def test_without_test_photographs_validation_is_shown_and_wins_nothing(contents: Contents) -> None:
    imagenet_test = (contents.results["name"] == "imagenet") & (contents.results["split"] == "test")
    table = results_table(replace(contents, results=contents.results[~imagenet_test]))
    assert table is not None
    assert _row(table, "imagenet")[IDRID] == Cell("87.5 ± 0.0 (n = 3), validation", 0.875)
    assert table.conclusions[0] == "IDRiD: not told apart: swcl (83.3) and random (50.0)."


def test_a_single_initialisation_is_not_called_best(contents: Contents) -> None:
    alone = contents.results[contents.results["name"] == "swcl"]
    table = results_table(replace(contents, results=alone))
    assert table is not None
    assert not any(cell.best or cell.best_in_domain for row in table.rows for cell in row)


def test_joint_accuracy_is_defined_where_it_is_shown(contents: Contents) -> None:
    words = "Joint accuracy: the share of photographs of which all labels are told rightly."
    for task, told in (("idrid", True), ("drive", False)):
        table = results_table(replace(contents, results=contents.results[contents.results["task"] == task]))
        assert table is not None and (words in " ".join(table.notes)) is told


def test_no_results_no_table(contents: Contents) -> None:
    empty = replace(contents, results=contents.results[:0])
    assert results_table(empty) is None
    assert runs_table(empty) is None


def test_records_hold_unrounded_values(contents: Contents) -> None:
    table = results_table(contents)
    assert table is not None
    frame = pd.DataFrame(table.records[1:], columns=list(table.records[0])).set_index(["initialisation", "task"])
    assert frame.loc[("swcl", "idrid"), "mean"] == pytest.approx(5 / 6)
    assert frame.loc[("swcl", "idrid"), "standard_deviation"] == pytest.approx(0.14433757)
    assert frame.loc[("swcl", "drive"), ["low", "high", "runs"]].tolist() == [0.5, 1.0, 1]


def test_every_run_is_listed(contents: Contents) -> None:
    table = runs_table(contents)
    assert table is not None
    assert len(table.rows) == 3 * 3 * 2 + 2  # idrid on test and validation, drive on test
    assert [cell.text for cell in table.rows[0]] == ["DRIVE", "random", "seed0", "test", "F1", "75.0 [50.0, 100.0]"]


def _as_the_paper(contents: Contents, task: str, name: str, **settings: Any) -> Contents:
    """That row made with the preset `paper`, from nothing that is here, but for `settings`."""
    preset = resolve(FinetuneSettings, {"task": task}, "paper").settings
    made = {**preset.defining(), "architecture": "resnetv2_50x1_bit", "learning_rate": None, "weight_decay": None}
    made |= {"seed": 3, "seeds": 2, **settings}
    inputs = {} if name == "random" else {"init": "0123456789abcdef"}
    artefact = Artefact("x", {"step": "finetune", "settings": made, "inputs": inputs}, "2" * 16)
    return replace(contents, finetuned={**contents.finetuned, (task, name): artefact})


def test_the_papers_number_stands_beside_what_was_made_with_its_settings(contents: Contents) -> None:
    table = results_table(_as_the_paper(_as_the_paper(contents, "idrid", "swcl"), "idrid", "random"))
    assert table is not None
    assert _row(table, "swcl")[IDRID] == Cell("83.3 ± 14.4 [23.2, 98.8] (n = 3)", 2.5 / 3, published="51.26")
    assert _row(table, "random")[IDRID].published == "32.62"
    assert not any(_row(table, name)[DRIVE].published for name in ("random", "swcl"))  # 300 epochs, but no grid
    assert _row(table, "swcl")["initialisation"] == Cell("swcl")
    notes = " ".join(table.notes)
    assert "in grey: the paper's own means" in notes
    assert "left out beside DRIVE: not made as the preset paper says, in the settings of finetune" in notes
    frame = pd.DataFrame(table.records[1:], columns=list(table.records[0])).set_index(["initialisation", "task"])
    assert frame.loc[("swcl", "idrid"), "paper_mean"] == 0.5126
    assert frame.loc[("swcl", "drive"), "paper_mean"] is None or pd.isna(frame.loc[("swcl", "drive"), "paper_mean"])
    assert list(frame["pretrained_on"]) == ["none", "none", "natural", "retina", "retina"]


@pytest.mark.parametrize(
    "settings", [{"epochs": 40}, {"crop": 192}, {"grid": False, "learning_rate": 0.1}, {"architecture": "resnet18"}]
)
def test_other_settings_withhold_the_papers_number(contents: Contents, settings: dict[str, Any]) -> None:
    changed = _as_the_paper(contents, "idrid", "swcl", **settings)
    table = results_table(replace(changed, results=changed.results[changed.results["name"] == "swcl"]))
    assert table is not None
    assert not _row(table, "swcl")[IDRID].published
    assert any("left out" in note and next(iter(settings)) in note for note in table.notes)


def test_an_encoder_of_other_settings_withholds_it_too(contents: Contents) -> None:
    changed = _as_the_paper(contents, "idrid", "swcl")
    artefact = changed.finetuned["idrid", "swcl"]
    changed.finetuned["idrid", "swcl"] = replace(
        artefact, provenance={**artefact.provenance, "inputs": {"init": contents.encoders["swcl"].fingerprint}}
    )
    table = results_table(replace(changed, results=changed.results[changed.results["name"] == "swcl"]))
    assert table is not None and not _row(table, "swcl")[IDRID].published
    assert "in the settings of make-swap, prep, pretrain, train-labeler." in " ".join(table.notes)


def test_the_paper_has_no_phantom_eyes(contents: Contents) -> None:
    table = results_table(replace(_as_the_paper(contents, "idrid", "swcl"), phantom=True))
    assert table is not None and not _row(table, "swcl")[IDRID].published
    assert "The paper's own numbers are left out: these are phantom eyes." in table.notes


def test_the_papers_name_stands_beside_another_one(contents: Contents) -> None:
    renamed = replace(
        contents, results=contents.results.assign(name=contents.results["name"].replace("swcl", "multitask"))
    )
    table = results_table(_as_the_paper(renamed, "idrid", "multitask"))
    assert table is not None
    assert _row(table, "multitask")["initialisation"] == Cell("multitask", published="CE-multitask")
    assert _row(table, "multitask")[IDRID].published == "45.05"


def test_only_the_retina_counts_as_in_domain(contents: Contents) -> None:
    natural = _as_the_paper(contents, "idrid", "swcl")
    natural.finetuned["idrid", "swcl"].provenance["inputs"]["init"] = "resnet18.tv_in1k"
    table = results_table(natural)
    assert table is not None
    frame = pd.DataFrame(table.records[1:], columns=list(table.records[0])).set_index(["initialisation", "task"])
    assert list(frame.loc["swcl", "pretrained_on"]) == ["natural", "retina"]
