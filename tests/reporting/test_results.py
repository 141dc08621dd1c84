from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from swcl_cli.reporting.contents import Contents, read_contents
from swcl_cli.reporting.results import ablation_table, results_table, runs_table, scores
from swcl_cli.reporting.tables import Cell, Table
from swcl_cli.workspace import Workspace
from tests.reporting import golden


def _row(table: Table, name: str) -> dict[str, Cell]:
    (found,) = [row for row in table.rows if row[0].text == name]
    return dict(zip(table.columns, found, strict=True))


IDRID, DRIVE = "IDRiD (joint accuracy)", "DRIVE (F1)"


def test_table_two_equals_values_worked_out_by_hand(contents: Contents) -> None:
    table = results_table(contents)
    assert table is not None
    assert table.columns == ("initialisation", IDRID, DRIVE)
    assert [row[0].text for row in table.rows] == ["random", "swcl", "imagenet"]
    # random: 1/4, 2/4, 3/4; swcl: 3/4, 3/4, 1, deviation sqrt(((1/12)^2 * 2 + (1/6)^2) / 2) = 0.1443
    assert _row(table, "random")[IDRID] == Cell("50.0 ± 25.0 (n = 3)", 0.5)
    assert _row(table, "swcl")[IDRID] == Cell("83.3 ± 14.4 (n = 3)", 2.5 / 3, False, True)
    assert _row(table, "imagenet")[IDRID] == Cell("100.0 ± 0.0 (n = 3)", 1.0, True, False)
    assert _row(table, "random")[DRIVE] == Cell("75.0 [50.0, 100.0] (n = 1)", 0.75, True, False)
    assert _row(table, "swcl")[DRIVE] == Cell("75.0 [50.0, 100.0] (n = 1)", 0.75, True, True)
    assert _row(table, "imagenet")[DRIVE] == Cell()


def test_a_missing_run_shows_in_n_and_mean(contents: Contents) -> None:
    gone = (contents.results["name"] == "random") & (contents.results["run"] == "seed0")
    table = results_table(replace(contents, results=contents.results[~gone]))
    assert table is not None
    assert _row(table, "random")[IDRID].text == "62.5 ± 17.7 (n = 2)"  # of 50 and 75: 25 / sqrt(2)


def test_runs_without_a_value_are_not_averaged(contents: Contents) -> None:
    results = contents.results.copy()
    results.loc[(results["name"] == "random") & (results["run"] == "seed0"), "value"] = float("nan")
    table = results_table(replace(contents, results=results))
    assert table is not None
    assert _row(table, "random")[IDRID].text == "62.5 ± 17.7 (n = 2)"


def test_secondary_measures_and_other_splits_are_not_averaged(contents: Contents) -> None:
    (random,) = [score for score in scores(contents.results) if (score.task, score.name) == ("idrid", "random")]
    assert (random.mean, random.runs, random.split) == (0.5, 3, "test")


def test_without_test_photographs_validation_is_shown_and_wins_nothing(contents: Contents) -> None:
    imagenet_test = (contents.results["name"] == "imagenet") & (contents.results["split"] == "test")
    table = results_table(replace(contents, results=contents.results[~imagenet_test]))
    assert table is not None
    assert _row(table, "imagenet")[IDRID] == Cell("87.5 ± 0.0 (n = 3), validation", 0.875)
    assert _row(table, "swcl")[IDRID].best


def test_a_single_initialisation_is_not_called_best(contents: Contents) -> None:
    alone = contents.results[contents.results["name"] == "swcl"]
    table = results_table(replace(contents, results=alone))
    assert table is not None
    assert not any(cell.best or cell.best_in_domain for row in table.rows for cell in row)


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


def test_table_three_needs_encoders_that_differ(contents: Contents, workspace: Workspace) -> None:
    assert ablation_table(contents) is None
    golden.add_ablation(workspace)
    table = ablation_table(read_contents(workspace))
    assert table is not None
    # on validation each accuracy is 1/8 lower; drive has no second encoder, imagenet is none of ours
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["random", "random", "IDRiD", "37.5 ± 25.0 (n = 3)"],
        ["t = 0.4", "swcl", "IDRiD", "70.8 ± 14.4 (n = 3)"],
        ["t = 0.5, without patient", "swcl-without", "IDRiD", "37.5 ± 0.0 (n = 3)"],
    ]
