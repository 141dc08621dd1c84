"""Copies in the report: which rows have learnt tested photographs, their scores without these, tables and figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from swcl_cli.data import manifest
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.left_out import MARKS, mark
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.figures.copies import SHOWN, chosen, copies_figures
from swcl_cli.reporting.findings.cautions import Caution, cautions
from swcl_cli.reporting.findings.copies import leaks
from swcl_cli.reporting.page.report import PAGE, Report
from swcl_cli.reporting.page.sections import sections
from swcl_cli.reporting.tables.copies import copies_table, leaks_table
from swcl_cli.workspace import Workspace
from tests import prepared
from tests.reporting import golden


def places(workspace: Workspace, dataset: str, split: str) -> list[tuple[str, int]]:
    splits = manifest.read(workspace.manifest(dataset))["split"].tolist()
    return [(dataset, row) for row, of in enumerate(splits) if of == split]


def audited(workspace: Workspace, *pairs: dict[str, Any]) -> Contents:
    golden.add_audit(workspace, list(pairs))
    return read_contents(workspace)


def first_caution(contents: Contents) -> Caution:
    return cautions(contents)[0]


def joint_accuracy(contents: Contents, name: str, without: set[str]) -> float:
    """The mean over runs, by a plain loop over the stored predictions."""
    rows = contents.classified
    runs = []
    for run in sorted(set(rows.loc[(rows["task"] == "idrid") & (rows["name"] == name), "run"])):
        own = rows[
            (rows["task"] == "idrid") & (rows["name"] == name) & (rows["run"] == run) & (rows["split"] == "test")
        ]
        right: dict[str, bool] = {}
        for row in own.itertuples():
            if row.image_id not in without:
                right[row.image_id] = right.get(row.image_id, True) and row.truth == row.prediction
        runs.append(np.mean(list(right.values())))
    return float(np.mean(runs))


def test_without_an_audit_nothing_is_said(contents: Contents) -> None:
    assert leaks(contents) == [] and copies_table(contents) is None and leaks_table(contents) is None
    assert copies_figures(contents) == []


def test_a_copy_in_the_training_part_spoils_all_rows_of_the_task(workspace: Workspace) -> None:
    tested, trained = places(workspace, "idrid", "test")[0], places(workspace, "idrid", "train")[0]
    contents = audited(workspace, {"one": trained, "other": tested, "leak": "train and test"})
    found = {leak.name: leak for leak in leaks(contents)}
    assert set(found) == {"random", "swcl", "imagenet"}
    ids = set(found["swcl"].ids)
    assert len(ids) == 1 and ids <= {"test0", "test1", "test2", "test3"}
    for name, leak in found.items():
        assert leak.task == "idrid" and leak.tested == golden.TEST_PATIENTS
        assert leak.official is not None and leak.without is not None
        assert leak.official.mean == pytest.approx(joint_accuracy(contents, name, set()))
        assert leak.without.mean == pytest.approx(joint_accuracy(contents, name, ids))
        assert leak.without.patients == leak.official.patients - 1
    caution = first_caution(contents)
    assert caution.text == "Copies of tested photographs were learnt: what is tested there was seen in training."
    (line,) = caution.details
    assert line.startswith(f"IDRiD: 1 of 4 tested photographs ({ids.pop()}): ")
    assert f"swcl {100 * found['swcl'].without.mean:.1f} without, " in line  # type: ignore[union-attr]


def test_a_copy_in_what_the_weights_learnt_spoils_their_rows_alone(workspace: Workspace) -> None:
    """SWCL was made from retinal-SWAP, that from ODIR and EyePACS; weights of ImageNet from neither."""
    tested = places(workspace, "idrid", "test")[1]
    contents = audited(workspace, {"one": tested, "other": ("eyepacs", 0), "leak": "test and train"})
    assert [(leak.task, leak.name) for leak in leaks(contents)] == [("idrid", "swcl")]
    table = leaks_table(contents)
    assert table is not None
    assert [cell.text for cell in table.rows[0][:4]] == ["IDRiD", "swcl", "4", "1"]
    record = dict(zip(table.records[0], table.records[1], strict=True))
    assert record["without"] == pytest.approx(joint_accuracy(contents, "swcl", set(leaks(contents)[0].ids)))


def test_what_labeler_and_patches_left_out_spoils_nothing(workspace: Workspace) -> None:
    tested = places(workspace, "idrid", "test")[1]
    contents = audited(workspace, {"one": tested, "other": ("eyepacs", 0), "leak": "test and train"})
    marks = [mark(path) for path in contents.pairs["other_path"]]
    assert contents.labeler and contents.swap and len(leaks(contents)) == 1
    contents.swap = replace(contents.swap, provenance={**contents.swap.provenance, MARKS: marks})
    assert len(leaks(contents)) == 1, "the labeler has learnt it still"
    contents.labeler = replace(contents.labeler, provenance={**contents.labeler.provenance, MARKS: marks})
    assert leaks(contents) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "visit"},
        {"one": ("idrid", 0), "other": ("odir", 0)},  # no test photograph
        {"one": ("drive", 0), "other": ("drive", 0)},
    ],
)
def test_what_is_no_leak(workspace: Workspace, changed: dict[str, Any]) -> None:
    tested = places(workspace, "idrid", "test")[0]
    contents = audited(workspace, {"one": tested, "other": ("odir", 0), **changed})
    assert leaks(contents) == []


def test_where_all_tested_photographs_are_copies_no_score_remains(workspace: Workspace) -> None:
    tested, (trained, *_) = places(workspace, "idrid", "test"), places(workspace, "idrid", "train")
    contents = audited(workspace, *({"one": trained, "other": place} for place in tested))
    assert all(leak.without is None and len(leak.ids) == 4 for leak in leaks(contents))
    table = leaks_table(contents)
    assert table is not None and {row[5].text for row in table.rows} == {"-"} == {row[6].text for row in table.rows}
    assert "no score without them" in first_caution(contents).details[0]


def test_an_audit_before_the_last_prep_is_told(workspace: Workspace) -> None:
    contents = audited(workspace, {"one": ("odir", 0), "other": ("odir", 1)})
    assert not any("audit.parquet" in line for caution in cautions(contents) for line in caution.details)
    table = manifest.read(workspace.manifest("odir"))
    prepared.change(workspace.root, "odir", eye=["unknown"] * len(table))
    lines = [line for caution in cautions(read_contents(workspace)) for line in caution.details]
    assert "audit.parquet knows nothing of odir as prepared now; renew it with: swcl audit" in lines


def test_pairs_of_photographs_that_are_gone_are_left_out(workspace: Workspace) -> None:
    golden.add_audit(
        workspace, [{"one": ("odir", 0), "other": ("odir", 1)}, {"one": ("odir", 1), "other": ("drive", 0)}]
    )
    workspace.manifest("drive").unlink()
    assert len(read_contents(workspace).pairs) == 1


def test_an_audit_that_found_nothing(workspace: Workspace) -> None:
    contents = audited(workspace)
    table = copies_table(contents)
    assert table is not None and table.rows == () and table.sentence.endswith("None was found.")
    assert contents.damaged == [] and copies_figures(contents) == []


def test_counts_by_data_sets(workspace: Workspace) -> None:
    contents = audited(
        workspace,
        {"one": ("odir", 0), "other": ("odir", 1), "unlike": "abnormal 0 and 1"},
        {"one": ("odir", 2), "other": ("odir", 3), "kind": "visit"},
        {"one": ("idrid", 0), "other": ("odir", 1), "leak": "test and train"},
    )
    table = copies_table(contents)
    assert table is not None
    assert [tuple(cell.text for cell in row) for row in table.rows] == [
        ("IDRiD and OIA-ODIR", "1", "0", "1", "0"), ("OIA-ODIR", "1", "1", "0", "1"),
    ]  # fmt: skip


def pairs(**columns: list[Any]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    usual: dict[str, Any] = dict.fromkeys(AUDIT.names)
    usual |= {"kind": "copy", "vessels": 0.9, "patient_id": "a", "other_patient_id": "a"}
    frame = pd.DataFrame({name: [value] * count for name, value in usual.items()})
    paths = [f"{row:02d}" for row in range(count)]
    return frame.assign(path=paths, other_path=[f"other {path}" for path in paths]).assign(**columns)


def test_the_gravest_pairs_are_shown_one_of_each_group() -> None:
    told = pairs(
        leak=[None, "train and test", None, None, None],
        unlike=[None, None, "dr_grade 0 and 1", None, None],
        vessels=[0.99, 0.99, 0.99, 0.7, 0.6],
        other_path=["a", "b", "c", "04", "d"],
    )
    assert chosen(told)["path"].tolist() == ["01", "02", "04", "00"]
    visits = pairs(kind=["visit"] * 3, other_patient_id=["a", "b", "a"], vessels=[0.7, 0.9, 0.8])
    assert chosen(visits)["path"].tolist() == ["01", "00", "02"]
    assert len(chosen(pairs(family=list(range(30))))) == SHOWN


def test_figures_show_both_kinds_side_by_side(workspace: Workspace) -> None:
    contents = audited(
        workspace,
        {"one": ("odir", 0), "other": ("odir", 1), "unlike": "abnormal 0 and 1", "family": 0},
        {"one": ("odir", 2), "other": ("eyepacs", 0), "kind": "visit"},
    )
    figures = {figure.name: figure for figure in copies_figures(contents)}
    assert set(figures) == {"copies", "visits"} and all(figure.photographic for figure in figures.values())
    assert "mirrored; abnormal 0 and 1" in figures["copies"].alt
    assert {section.name for section in sections(contents, photographs=False) for _ in section.figures} & {
        "data"
    } == set()


def test_a_photograph_that_is_missing_is_named_and_the_rest_is_shown(workspace: Workspace) -> None:
    frame = golden.add_audit(
        workspace,
        [
            {"one": ("odir", 0), "other": ("odir", 1), "family": 0},
            {"one": ("odir", 2), "other": ("odir", 3), "family": 1},
        ],
    )
    (workspace.root / frame["path"][0]).unlink()
    contents = read_contents(workspace)
    (figure,) = copies_figures(contents)
    assert figure.alt.count(" and ") == 1 and any(frame["path"][0] in line for line in contents.damaged)


def test_ids_stay_at_home_without_images(workspace: Workspace) -> None:
    tested, trained = places(workspace, "idrid", "test")[0], places(workspace, "idrid", "train")[0]
    frame = golden.add_audit(workspace, [{"one": trained, "other": tested, "leak": "train and test"}])
    for photographs in (True, False):
        page = Report(read_contents(workspace), photographs).files()[PAGE].decode()
        assert "Scores without photographs that were learnt" in page
        (leak,) = {leak.ids for leak in leaks(read_contents(workspace))}
        assert ((frame["other_image_id"][0] in page) or (leak[0] in page)) == photographs
