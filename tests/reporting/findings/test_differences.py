from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.findings.differences import comparisons
from swcl_cli.reporting.findings.scores import scores
from swcl_cli.reporting.tables.differences import differences_table, of_many
from swcl_cli.reporting.tables.table import Cell, Table


def _table(contents: Contents) -> dict[tuple[str, str], tuple[Cell, ...]]:
    table = differences_table(contents)
    assert table is not None
    return {(row[0].text, row[1].text): row[2:] for row in table.rows}


def _notes(contents: Contents) -> str:
    table = differences_table(contents)
    assert table is not None
    return " ".join(table.notes)


def test_differences_equal_values_worked_out_by_hand(contents: Contents) -> None:
    found = _table(contents)
    assert list(found) == [("IDRiD", "imagenet"), ("IDRiD", "swcl"), ("DRIVE", "swcl")]
    # idrid: random 1/2, swcl 5/6, imagenet 1, three runs each; drive: the same run twice, one seed
    assert found["IDRiD", "swcl"][0].value == pytest.approx(5 / 6 - 1 / 2)
    assert found["IDRiD", "imagenet"][0].value == pytest.approx(1 / 2)
    assert [found["IDRiD", name][2].text for name in ("imagenet", "swcl")] == ["swcl", "imagenet"]
    assert found["IDRiD", "swcl"][3].value == pytest.approx(5 / 6 - 1)
    assert [cell.text for cell in found["DRIVE", "swcl"]] == [
        "+0.0 [+0.0, +0.0]",
        "not told apart (patients alone)",
        "random",
        "+0.0 [+0.0, +0.0]",
        "not told apart (patients alone)",
    ]
    assert "alone" not in found["IDRiD", "swcl"][1].text


def test_differences_are_those_of_table_two(contents: Contents) -> None:
    means = {(score.task, score.name): score.mean for score in scores(contents.results)}
    found, left_out = comparisons(contents)
    assert len(found) == 6 and not left_out
    for one in found:
        assert one.gap.value == pytest.approx(means[one.task, one.name] - means[one.task, one.against], abs=1e-9)


def test_two_identical_initialisations_do_not_differ(contents: Contents) -> None:
    def doubled(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([frame, frame[frame["name"] == "swcl"].assign(name="twin")], ignore_index=True)

    twins = replace(contents, results=doubled(contents.results), classified=doubled(contents.classified))
    only = replace(twins, results=twins.results[twins.results["name"].isin(["swcl", "twin"])])
    for name, against in (("swcl", "twin"), ("twin", "swcl")):
        cells = _table(only)["IDRiD", name]
        assert [cell.text for cell in cells[2:5]] == [against, "+0.0 [+0.0, +0.0]", "not told apart"]


def test_predictions_that_do_not_give_the_score_are_named_and_left_out(contents: Contents) -> None:
    results = contents.results.copy()
    chosen = (results["task"] == "idrid") & (results["name"] == "swcl") & (results["run"] == "seed0")
    results.loc[chosen & results["primary"] & (results["split"] == "test"), "value"] = 0.91
    changed = replace(contents, results=results)
    assert ("IDRiD", "swcl") not in _table(changed)
    assert "do not give the score of the run: IDRiD, swcl." in _notes(changed)
    lacking = replace(contents, classified=contents.classified[contents.classified["run"] != "seed2"])
    assert not any(task == "IDRiD" for task, _ in _table(lacking))
    assert (
        differences_table(replace(contents, classified=contents.classified[:0], segmented=contents.segmented[:0]))
        is None
    )


def test_other_photographs_are_not_compared(contents: Contents) -> None:
    classified = contents.classified.copy()
    moved = (classified["name"] == "swcl") & (classified["image_id"] == "test3")
    classified.loc[moved, "image_id"] = "elsewhere"
    found = _table(replace(contents, classified=classified))
    assert found["IDRiD", "imagenet"][2].text == "random"
    assert ("IDRiD", "swcl") not in found


def test_what_nobody_was_tested_on_is_compared_on_validation(contents: Contents) -> None:
    results = contents.results[(contents.results["task"] != "idrid") | (contents.results["split"] == "test")]
    as_val = replace(
        contents,
        results=results.assign(split="val"),
        classified=contents.classified.assign(split="val"),
        segmented=contents.segmented.assign(split="val"),
    )
    assert _table(as_val) == {(f"{task}, validation", name): row for (task, name), row in _table(contents).items()}


def test_random_weights_are_known_by_what_they_began_with(contents: Contents) -> None:
    def renamed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(name=frame["name"].replace("random", "scratch"))

    changed = replace(
        contents,
        results=renamed(contents.results),
        classified=renamed(contents.classified),
        segmented=renamed(contents.segmented),
        finetuned={(t, n.replace("random", "scratch")): one for (t, n), one in contents.finetuned.items()},
    )
    assert _table(changed)["IDRiD", "swcl"][0] == _table(contents)["IDRiD", "swcl"][0]


def test_the_reference_was_fine_tuned_alike_where_there_is_one(contents: Contents) -> None:
    small, alike = {"random": "random-0.1", "swcl": "swcl-0.1"}, {"fraction": 0.1}

    def more(frame: pd.DataFrame) -> pd.DataFrame:
        copies = frame[frame["name"].isin(small)]
        return pd.concat([frame, copies.assign(name=copies["name"].map(small))], ignore_index=True)

    finetuned = dict(contents.finetuned)
    for name, new in small.items():
        one = finetuned["idrid", name]
        settings = {**one.settings, **alike}
        finetuned["idrid", new] = replace(one, provenance={**one.provenance, "settings": settings})
    changed = replace(
        contents, results=more(contents.results), classified=more(contents.classified), finetuned=finetuned
    )
    against = {one.name: one.against for one in comparisons(changed)[0] if one.task == "idrid" and one.kind == "random"}
    assert against == {"imagenet": "random", "swcl": "random", "swcl-0.1": "random-0.1"}


def test_comparisons_are_counted(contents: Contents) -> None:
    assert "makes 4 comparisons" in _notes(contents) and "one in twenty would" in _notes(contents)
    assert "about 2 of them would" in of_many(40)


def test_records_are_numbers(contents: Contents) -> None:
    table: Table | None = differences_table(contents)
    assert table is not None
    frame = pd.DataFrame(table.records[1:], columns=list(table.records[0]))
    row = frame[(frame["initialisation"] == "swcl") & (frame["task"] == "idrid") & (frame["kind"] == "random")].iloc[0]
    assert row["difference"] == pytest.approx(1 / 3)
    assert row["low"] <= row["difference"] <= row["high"]
    assert (row["runs"], row["runs_against"], row["drawn"]) == (3, 3, "patients and runs")
    assert np.isfinite(frame[["difference", "low", "high"]].to_numpy(dtype=float)).all()
