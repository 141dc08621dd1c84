from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.configurations import Configuration
from swcl_cli.reporting.findings.names import SWCL
from swcl_cli.reporting.findings.recipes import preset_recipe
from swcl_cli.reporting.tables.ablation import ablation_table
from swcl_cli.reporting.tables.results import results_table
from swcl_cli.reporting.tables.table import Table
from swcl_cli.workspace import Workspace
from tests.reporting import golden

EVERY = ("position", "abnormality", "patient")
REMOVALS = (EVERY[1:], EVERY[::2], EVERY[:2], EVERY[2:], EVERY[1:2], EVERY[:1])  # what is left, in the paper's order


def _texts(table: Table | None) -> list[list[str]]:
    assert table is not None
    return [[cell.text for cell in row] for row in table.rows]


def test_it_needs_encoders_that_differ(contents: Contents, workspace: Workspace) -> None:
    assert ablation_table(contents) is None
    golden.add_ablation(workspace)
    # on validation each accuracy is 1/8 lower; drive has no second encoder
    assert _texts(ablation_table(read_contents(workspace))) == [
        ["random", "random", "IDRiD (joint accuracy)", "37.5 ± 25.0 (n = 3)"],
        ["ILSVRC-2012", "imagenet", "IDRiD (joint accuracy)", "87.5 ± 0.0 (n = 3)"],
        ["t = 0.4", "swcl", "IDRiD (joint accuracy)", "70.8 ± 14.4 (n = 3)"],
        ["t = 0.5, without patient", "swcl-without", "IDRiD (joint accuracy)", "37.5 ± 0.0 (n = 3)"],
    ]


def test_the_rows_stand_in_the_papers_order() -> None:
    rows = [Configuration("random"), Configuration("imagenet")]
    rows += [Configuration(SWCL, EVERY, t) for t in (0.3, 0.4, 0.5)]
    rows += [Configuration(SWCL, left, 0.4) for left in REMOVALS]
    assert [row.place for row in rows] == sorted({row.place for row in rows})
    assert list(map(str, rows)) == [
        "random", "ILSVRC-2012", "t = 0.3", "t = 0.4", "t = 0.5", "without position", "without abnormality",
        "without patient", "without position and abnormality", "without position and patient",
        "without abnormality and patient",
    ]  # fmt: skip


def _paper(contents: Contents, **changed: object) -> Contents:
    """Table III on REFUGE-cls with two configurations, as `make ablation` leaves it, or with changed settings."""
    finetuned, encoders, results = {}, {}, []
    tuned = preset_recipe("ablation", "finetune", "refuge-cls", eval="val") | changed
    for name, mark, left in (("random", None, ()), ("all", "a" * 16, EVERY), ("less", "b" * 16, EVERY[1:])):
        if mark:
            settings = preset_recipe("ablation", "pretrain", "swcl", labels=left, threshold=0.4)
            encoders[name] = Artefact(f"{name}.safetensors", {"step": "pretrain", "settings": settings}, mark)
        inputs = {"init": mark} if mark else {}
        finetuned["refuge-cls", name] = Artefact(
            name, {"step": "finetune", "settings": tuned, "inputs": inputs}, name.rjust(16, "0")
        )
        rows = contents.results[(contents.results["name"] == "swcl") & (contents.results["task"] == "idrid")]
        results.append(rows[rows["split"] == "val"].assign(task="refuge-cls", name=name, measure="auc"))
    return replace(contents, finetuned=finetuned, encoders=encoders, results=pd.concat(results, ignore_index=True))


def test_the_papers_numbers_stand_beside_what_its_preset_made(contents: Contents) -> None:
    table = ablation_table(_paper(contents))
    assert [row[:2] + row[3:] for row in _texts(table)] == [
        ["random", "random", "70.8 ± 14.4 (n = 3)"],
        ["t = 0.4", "all", "70.8 ± 14.4 (n = 3)"],
        ["without position", "less", "70.8 ± 14.4 (n = 3)"],
    ]
    assert table is not None
    assert [row[3].published for row in table.rows] == ["71.88", "96.52", "95.78"]
    assert [record[-3:] for record in table.records[1:]] == [
        ("", None, 0.7188),
        ("", 0.4, 0.9652),
        ("position", 0.4, 0.9578),
    ]


@pytest.mark.parametrize("changed", [{"epochs": 12}, {"grid": False}, {"architecture": "resnet34"}])
def test_other_settings_withhold_them(contents: Contents, changed: dict[str, object]) -> None:
    table = ablation_table(_paper(contents, **changed))
    assert table is not None and not any(row[3].published for row in table.rows)
    assert f"finetune ({next(iter(changed))}" in table.notes[-1]


def test_encoders_that_differ_in_more_are_named(contents: Contents) -> None:
    found = _paper(contents)
    longer = found.encoders["less"].provenance["settings"] | {"epochs": 80}
    found.encoders["less"] = replace(found.encoders["less"], provenance={"step": "pretrain", "settings": longer})
    table = ablation_table(found)
    assert table is not None
    assert "The encoders compared on REFUGE-cls differ in more than labels and threshold: epochs." in table.notes
    assert [row[3].published for row in table.rows] == ["71.88", "96.52", ""]


def test_what_was_only_validated_for_it_is_not_in_table_two(contents: Contents, workspace: Workspace) -> None:
    golden.add_ablation(workspace)
    contents = read_contents(workspace)
    of_less = (contents.results["name"] == "swcl-without") & (contents.results["split"] == "test")
    table = results_table(replace(contents, results=contents.results[~of_less]))
    assert table is not None and [row[0].text for row in table.rows] == ["random", "imagenet", "swcl"]
    nobody = replace(contents, results=contents.results[contents.results["split"] == "val"])
    assert "swcl-without" in [row[0] for row in _texts(results_table(nobody))]
