from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from swcl_cli.datasets import eyepacs, odir
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.tables.datasets import datasets_table
from swcl_cli.reporting.tables.labeler import labeler_outcomes_table, labeler_table
from swcl_cli.reporting.tables.patches import (
    judged_thresholds_table,
    judgement_parts_table,
    judgement_table,
    swap_table,
)
from swcl_cli.reporting.tables.table import Table
from swcl_cli.settings import MakeSwapSettings, PrepSettings, TrainLabelerSettings
from swcl_cli.settings.resolve import resolve
from swcl_cli.workspace import Workspace
from tests.reporting import golden


def _texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for row in table.rows]


def test_data_sets_stand_beside_the_published_numbers(contents: Contents) -> None:
    table = datasets_table(contents)
    assert _texts(table) == [
        ["DRIVE", "4 of 20", "2 of these", "2 of 20", "3", "0"],
        ["Kaggle EyePACS", "8 of 35,126", "0", "0 of 53,576", "4", "0"],
        ["IDRiD", "6 of 413", "2 of these", "4 of 103", "5", "0"],
        ["OIA-ODIR", "6 of 7,000", "4 of 1,000", "2 of 2,000", "6", "2"],
    ]
    assert table is not None and table.records[1] == ("drive", 2, 2, 2, 20, None, 20, 3, 0)


def test_why_the_papers_number_of_patches_cannot_be_met(contents: Contents) -> None:
    """Five of each photograph of the whole downloads, less eight of anterior segments, and three nearly empty ones."""
    photographs = sum(eyepacs.PUBLISHED.values()) + sum(odir.PUBLISHED.values()) - 8
    assert 5 * photographs == 493_470 and 5 * (photographs - len(eyepacs.NEARLY_EMPTY)) == 493_455
    table = datasets_table(contents)
    assert table is not None and len(table.notes) == 1  # of another size than the paper's
    for name in ("odir", "eyepacs"):
        made = resolve(PrepSettings, {"dataset": name, "source": Path("x")}, "paper").settings.defining()
        artefact = contents.datasets[name].artefact
        made_so = replace(artefact, provenance={**artefact.provenance, "settings": made})
        contents.datasets[name] = replace(contents.datasets[name], artefact=made_so)
    phantom = datasets_table(replace(contents, phantom=True))
    assert phantom is not None and len(phantom.notes) == 1
    table = datasets_table(contents)
    assert table is not None
    note = table.notes[-1]
    assert "493,470 patches are 5 of each of 98,694" in note
    assert "3 of the whole Kaggle EyePACS, so that 493,455 patches, 15 fewer, can be met at most" in note
    assert note.endswith("Of the photographs that were read here 0 were nearly empty.")
    problems = {"odir": Counter({"empty": 1, "dropped": 8}), "eyepacs": Counter({"empty": 2, "cut off": 1})}
    found = {name: replace(contents.datasets[name], problems=counted) for name, counted in problems.items()}
    table = datasets_table(replace(contents, datasets={**contents.datasets, **found}))
    assert table is not None and table.notes[-1].endswith(" 4 were nearly empty.")
    others = {name: contents.datasets[name] for name in ("drive", "idrid")}
    table = datasets_table(replace(contents, datasets=others))
    assert table is not None and len(table.notes) == 1


def _row(contents: Contents, name: str, like: str, settings: dict[str, str], *files: str) -> list[str]:
    """Of a data set with the photographs of `like`."""
    provenance = {"settings": settings, "inputs": dict.fromkeys(files, "f" * 16)}
    dataset = replace(contents.datasets[like], name=name, artefact=Artefact("x", provenance, "0" * 16))
    ((_, *counts, _, _),) = _texts(datasets_table(replace(contents, datasets={name: dataset})))
    return counts


def test_published_numbers_are_those_of_the_packaging(contents: Contents) -> None:
    part = "{0}/Annotation/{0} annotation (English).xlsx"
    files = {split: part.format(split) for split in ("training", "off-site test", "on-site test")}
    assert _row(contents, "odir", "odir", {}, *files.values()) == ["6 of 7,000", "4 of 1,000", "2 of 2,000"]
    assert _row(contents, "odir", "odir", {}, files["training"]) == ["10 of 7,000", "4 of these", "2"]
    assert _row(contents, "odir", "odir", {}, "ODIR-5K/data.xlsx") == ["10 of 7,000", "4 of these", "2"]
    assert _row(contents, "chase-db1", "drive", {}) == ["4 of 20", "2 of these", "2 of 8"]
    assert _row(contents, "chase-db1", "drive", {"chase_split": "8/20"}) == ["4 of 8", "2 of these", "2 of 20"]
    assert _row(contents, "mine", "drive", {}) == ["2", "2", "2"]


def test_labeler(contents: Contents) -> None:
    assert _texts(labeler_table(contents)) == [
        ["resnet18", "64 px", "71.2 [61.0, 80.0]", "74.2 (epoch 1)", "the last epoch's"]
    ]


def test_the_papers_numbers_stand_beside_what_is_made_as_it_says_alone(contents: Contents) -> None:
    assert contents.labeler is not None and contents.swap is not None
    tables = {"72 on the off-site part": (labeler_table, "labeler"), "493,470 patches": (swap_table, "swap")}
    preset = {
        "labeler": resolve(TrainLabelerSettings, {}, "paper").settings.defining(),
        "swap": resolve(MakeSwapSettings, {}, "paper").settings.defining(),
    }
    for words, (make, key) in tables.items():
        held: Artefact = getattr(contents, key)
        for phantom, settings, told in ((False, {}, True), (True, {}, False), (False, {"seed": 7}, True)):
            given = {**held.provenance, "settings": {**preset[key], **settings}, "inputs": {}}
            artefact = replace(held, provenance=given)
            changed: dict[str, Any] = {"phantom": phantom, key: artefact}
            table = make(replace(contents, **changed))
            assert table is not None and any(words in note for note in table.notes) is told, (key, phantom, settings)
        table = make(contents)  # of other settings
        assert table is not None and not any(words in note for note in table.notes)


def test_outcomes_of_the_labeler(contents: Contents) -> None:
    table = labeler_outcomes_table(contents)
    assert _texts(table) == [
        ["abnormal", "1", "1", "sensitivity 50.0"],  # of one patient each: without an interval
        ["normal", "1", "1", "specificity 50.0"],
    ]
    assert table is not None and "Expected calibration error: 32.5 percentage points" in table.notes[0]
    scores = contents.labeler_scores
    assert scores is not None
    higher = replace(contents, labeler_scores=scores.assign(score=[0.9, 0.8, 0.6, 0.05]))
    assert [row[1:3] for row in _texts(labeler_outcomes_table(higher))] == [["2", "0"], ["1", "1"]]
    assert labeler_outcomes_table(replace(contents, labeler_scores=scores.assign(truth=True))) is None
    assert labeler_outcomes_table(replace(contents, labeler_scores=None)) is None


def test_shares_of_abnormal_patches(contents: Contents) -> None:
    # eyepacs: 8 photographs of scores .1 .3 .4 .5 .6; odir: 8 such abnormal ones, and 4 normal ones that score 0
    table = swap_table(contents)
    assert _texts(table) == [
        ["Kaggle EyePACS", "8", "40", "32 (80.0 %)", "24 (60.0 %)", "16 (40.0 %)"],
        ["OIA-ODIR", "12", "60", "32 (53.3 %)", "24 (40.0 %)", "16 (26.7 %)"],
        ["all", "20", "100", "64 (64.0 %)", "48 (48.0 %)", "32 (32.0 %)"],
    ]
    assert table is not None and table.records[0][3:6] == ("abnormal_at_0.3", "abnormal_at_0.4", "abnormal_at_0.5")
    assert table.records[-1] == ("all", 20, 100, 64, 48, 32, 0.64, 0.48, 0.32)
    assert table is not None and table.columns[3:] == ("t = 0.3", "t = 0.4 (chosen)", "t = 0.5")


def test_a_chosen_threshold_of_its_own_gets_a_column(contents: Contents) -> None:
    assert contents.swap is not None
    provenance = {**contents.swap.provenance, "settings": {"threshold": 0.45}}
    table = swap_table(replace(contents, swap=replace(contents.swap, provenance=provenance)))
    assert table is not None and table.columns[3:] == ("t = 0.3", "t = 0.4", "t = 0.45 (chosen)", "t = 0.5")
    assert table.rows[-1][5].text == "32 (32.0 %)"


def test_judgement_against_lesion_masks(contents: Contents) -> None:
    assert _texts(judgement_table(contents)) == [
        ["all patches", "81.0 [75.0, 86.0]"],
        ["patches of photographs with lesions", "66.0 [58.0, 73.0]"],
        ["of these, in the same place", "62.0 [54.0, 70.0]"],
    ]
    assert _texts(judgement_parts_table(contents)) == [
        ["lesion: drusen", "-"],
        ["lesion: exudates", "90.0"],
        ["position: c", "70.0"],
        ["position: tl", "60.0"],
    ]


def test_the_chosen_threshold_stands_beside_the_best(contents: Contents) -> None:
    assert _texts(judged_thresholds_table(contents)) == [
        ["retinal-SWAP", "chosen", "0.4", "45.0"],
        ["retinal-SWAP", "best by F1", "0.37", "50.0"],
    ]
    assert contents.swap is not None
    for f1 in (float("nan"), None):
        judgement = {**contents.swap.provenance["judgement"], "f1": f1}
        changed = replace(contents.swap, provenance={**contents.swap.provenance, "judgement": judgement})
        if f1 is None:
            del judgement["f1"]
        assert judged_thresholds_table(replace(contents, swap=changed)) is None


def test_patches_that_serve_the_judgement_alone_stand_beside_those_of_retinal_swap(workspace: Workspace) -> None:
    golden.add_judged(workspace, "idrid")
    contents = read_contents(workspace)
    table, parts = judgement_table(contents), judgement_parts_table(contents)
    assert table is not None and parts is not None
    assert table.columns == parts.columns == (
        "among", "retinal-SWAP: AUC, 95 % interval", "IDRiD: AUC, 95 % interval")  # fmt: skip
    assert _texts(table)[0] == ["all patches", "81.0 [75.0, 86.0]", "75.0 [70.0, 80.0]"]
    assert _texts(table)[3:] == [
        ["two patches of one photograph", "-", "58.0 [50.0, 66.0]"],
        ["two patches in the same place", "-", "52.0 [40.0, 63.0]"],
    ]
    assert _texts(parts) == [
        ["lesion: drusen", "-", "65.0 [50.0, 78.0]"],
        ["lesion: exudates", "90.0", "-"],
        ["lesion: drusen, in the same place", "-", "61.0 [45.0, 70.0]"],
        ["position: c", "70.0", "-"],
        ["position: tl", "60.0", "55.0"],
    ]
    assert table.notes[2] == (
        "IDRiD, on which nothing is pretrained: 2 photographs, 10 patches, of which 4 hold lesions; left out: 3 of its "
        "test split."
    )
    thresholds = judged_thresholds_table(contents)
    assert thresholds is not None and thresholds.notes == (
        "IDRiD: 40.0 % of the patches hold a lesion. Calling all of them abnormal has an F1 of 57.1.",
    )
    assert _texts(thresholds)[2:] == [
        ["IDRiD", "chosen", "0.3", "20.0"],
        ["IDRiD", "best by F1", "0.50", "60.0"],
    ]


def test_no_judgement_no_table(contents: Contents) -> None:
    unjudged = replace(contents, swap=Artefact("swap.parquet", json.loads('{"judgement": null}'), "0" * 16))
    assert judgement_table(unjudged) is None
    assert judgement_parts_table(unjudged) is None
    assert judged_thresholds_table(unjudged) is None
    assert judgement_table(replace(contents, swap=None)) is None
