"""What pretraining adds: starts are found by provenance, rows compared within their protocol, taught ones named."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.differences import Comparison, comparisons
from swcl_cli.reporting.findings.paired import Difference
from swcl_cli.reporting.findings.protocol import Protocol
from swcl_cli.reporting.findings.protocols import Row, is_taught, rows_by_protocol
from swcl_cli.reporting.tables.protocols import conclusions, protocols_table
from swcl_cli.workspace import Workspace
from tests.reporting import golden


@pytest.fixture
def probed(workspace: Workspace) -> Contents:
    golden.add_probes(workspace)
    return read_contents(workspace)


def _rows(contents: Contents) -> dict[tuple[str, str], Row]:
    return {(row.task, row.name): row for row in rows_by_protocol(contents)}


def test_a_row_stands_beside_its_start_and_beside_swcl(contents: Contents) -> None:
    rows = _rows(contents)
    random, swcl, imagenet = (rows["idrid", name] for name in ("random", "swcl", "imagenet"))
    assert swcl.start == "random" and swcl.over_start is not None and swcl.swcl is None
    assert swcl.over_start.gap.value == pytest.approx(5 / 6 - 1 / 2)
    assert random.start == "" and random.over_start is None and random.swcl is not None
    assert (random.swcl.name, random.swcl.against) == ("swcl", "random")
    assert random.swcl.gap.value == pytest.approx(5 / 6 - 1 / 2)
    assert imagenet.start == "" and imagenet.swcl is None  # nothing here began with it
    assert swcl.tested == 4 and not any(row.taught for row in rows.values())


def test_rows_of_another_protocol_are_compared_among_each_other(probed: Contents) -> None:
    rows = _rows(probed)
    probe = rows["idrid", "swcl-probe"]
    assert probe.protocol == Protocol("linear probe", 1.0) and probe.start == "random-probe"
    assert probe.over_start is not None and probe.over_start.gap.value == pytest.approx(-0.25)
    assert rows["idrid", "swcl"].start == "random"
    names = [name for task, name in rows if task == "idrid"]
    assert names == ["random-probe", "swcl-probe", "random", "imagenet", "swcl"]
    pairs = {(each.name, each.against) for each in comparisons(probed)[0] if each.task == "idrid"}
    assert pairs and all(name.endswith("-probe") == against.endswith("-probe") for name, against in pairs)


def test_the_table_is_there_for_several_protocols_alone(contents: Contents, probed: Contents) -> None:
    assert protocols_table(contents) is None
    table = protocols_table(probed)
    assert table is not None and table.name == "study"
    cells = {row[2].value or row[2].text: [cell.text for cell in row] for row in table.rows if row[0].value == "idrid"}
    assert cells["swcl-probe"][1:4] == ["linear probe, all labels", "swcl-probe", cells["swcl-probe"][3]]
    assert cells["swcl-probe"][4].startswith("-25.0 [") and cells["random-probe"][6].startswith("-25.0 [")
    assert cells["swcl"][4].startswith("+33.3 [") and cells["swcl"][6] == ""
    assert all(len(record) == len(table.records[0]) for record in table.records)
    header, record = table.records[0], next(record for record in table.records if record[3] == "swcl-probe")
    told = dict(zip(header, record, strict=True))
    assert (told["start"], told["fraction"], told["runs"], told["taught"]) == ("random-probe", 1.0, 3, 0)
    assert told["over_start"] == pytest.approx(-0.25) and told["swcl_over_it"] is None


@pytest.mark.parametrize(
    ("low", "high", "with_runs", "said"),
    [
        (0.01, 0.09, True, "swcl is better than random (+5.0 [+1.0, +9.0])"),
        (-0.01, 0.11, True, "swcl and random are not told apart (+5.0 [-1.0, +11.0])"),
        (0.01, 0.09, False, "swcl is better than random (+5.0 [+1.0, +9.0], patients alone)"),
        (math.nan, math.nan, True, "swcl and random are not told apart (+5.0)"),
    ],
)
def test_verdicts_are_said_in_words_each_pair_once(
    contents: Contents, low: float, high: float, with_runs: bool, said: str
) -> None:
    rows = [row for row in rows_by_protocol(contents) if row.task == "idrid"]
    gap = Difference(0.05, low, high, with_runs)

    def altered(pair: Comparison | None) -> Comparison | None:
        return pair and replace(pair, gap=gap)

    same = [replace(row, over_start=altered(row.over_start), swcl=altered(row.swcl)) for row in rows]
    assert conclusions(same) == (f"IDRiD, fine-tuning, all labels, tested on 4 photographs: {said}.",)


def test_what_is_compared_with_nothing_is_not_said(contents: Contents) -> None:
    assert conclusions([replace(row, over_start=None, swcl=None) for row in rows_by_protocol(contents)]) == ()


def test_protocols_are_ordered_from_probes_to_all_labels() -> None:
    ordered = [
        Protocol("linear probe", 1.0),
        Protocol("linear probe", 0.1),
        Protocol("frozen encoder", 1.0),
        Protocol("fine-tuning", 1.0),
        Protocol("fine-tuning", 0.25),
    ]
    assert sorted({*ordered}) == ordered
    assert [str(each) for each in ordered[3:]] == ["fine-tuning, all labels", "fine-tuning, 25 % of labels"]


def _on_odir(contents: Contents, **settings: Any) -> Contents:
    """A row of normal and abnormal eyes of ODIR, whose encoder was pretrained with these settings."""
    encoder = Artefact("x.safetensors", {"step": "pretrain", "settings": settings, "inputs": {}}, "e" * 16)
    made = {"step": "finetune", "settings": {"task": "folder"}, "inputs": {"odir": "1" * 16, "init": "e" * 16}}
    finetuned = {("folder-odir", "x"): Artefact("finetune/folder-odir/x/results.parquet", made, "f" * 16)}
    return replace(contents, encoders={**contents.encoders, "x": encoder}, finetuned=finetuned)


@pytest.mark.parametrize(
    ("settings", "taught"),
    [
        ({"method": "swcl"}, True),
        ({"method": "swcl-image"}, True),
        ({"method": "multitask", "variant": "ours"}, True),
        ({"method": "supervised-odir", "variant": "released"}, True),
        ({"method": "supervised-odir", "variant": "ours"}, False),
        ({"method": "supervised-eyepacs", "variant": "released"}, False),
        ({"method": "simclr"}, False),
    ],
)
def test_who_learnt_labels_that_are_tested(contents: Contents, settings: dict[str, str], taught: bool) -> None:
    odir = _on_odir(contents, **settings)
    assert is_taught(odir, "folder-odir", "x") is taught
    words = [caution for caution in cautions(odir) if "Pretrained on labels" in caution.text]
    assert [caution.details for caution in words] == ([("folder-odir: x",)] if taught else [])


def test_what_was_taught_stays_so_in_what_began_with_it(contents: Contents) -> None:
    odir = _on_odir(contents, method="simclr")
    began = odir.encoders["x"].provenance | {"inputs": {"init": contents.encoders["swcl"].fingerprint}}
    encoders = {**odir.encoders, "x": replace(odir.encoders["x"], provenance=began)}
    assert is_taught(replace(odir, encoders=encoders), "folder-odir", "x")


def test_patches_of_other_labelled_sets_teach_nothing_of_odir(contents: Contents) -> None:
    odir = _on_odir(contents, method="swcl")
    swap = odir.swap
    assert swap is not None
    settings = {**swap.settings, "labelled": ["clinic"]}
    other = replace(odir, swap=replace(swap, provenance={**swap.provenance, "settings": settings}))
    assert not is_taught(other, "folder-odir", "x")
