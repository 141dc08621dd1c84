"""The manifest: order, types, round trip, and what it refuses to write or read."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swcl_cli.catalogue.labels import LABELS, Label
from swcl_cli.data import manifest
from swcl_cli.data.columns import MANIFEST
from swcl_cli.errors import SwclError
from swcl_cli.workspace import read_provenance, write_parquet

names = st.text(string.ascii_letters + string.digits + "_- äü\uff0c", min_size=1, max_size=8)
optional = {
    "abnormal": st.none() | st.booleans(),
    "dr_grade": st.none() | st.integers(0, 4),
    "age": st.none() | st.integers(0, 130),
    "keywords": st.none() | names,
}
rows = st.fixed_dictionaries({"split": st.sampled_from(manifest.SPLITS), "image_id": names, **optional})


def row(image_id: str, **values: Any) -> dict[str, Any]:
    return {
        "dataset": "odir", "split": "train", "image_id": image_id, "patient_id": "1", "group_id": "1", "eye": "left",
        "path": f"data/odir/images/{image_id}.jpg", "width": 448, "height": 448, "checksum": 2**32 - 1,
        "source_path": "a.jpg", "source_hash": "0" * 64, **values,
    }  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(rows, min_size=1, max_size=8, unique_by=lambda drawn: drawn["image_id"]))
def test_what_is_written_is_read(tmp_path: Path, drawn: list[dict[str, Any]]) -> None:
    path = tmp_path / "manifest.parquet"
    expected = sorted(drawn, key=lambda values: (manifest.SPLITS.index(values["split"]), values["image_id"].encode()))
    with mock.patch.object(manifest, "ROWS_AT_ONCE", 3):
        manifest.write(path, (row(**values) for values in expected), {"seed": 1})
    read: Any = manifest.read(path)
    for name in ("split", "image_id", *optional):
        values = [None if value is pd.NA else value for value in read[name].tolist()]
        assert values == [values_of[name] for values_of in expected], name
    provenance = read_provenance(path)
    assert provenance.pop("labels") and provenance == {"seed": 1}


def test_metadata_describe_the_labels_of_the_data_set(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    manifest.write(path, [row("1_left", dr_grade=3)], {}, ["sex", "dr_grade"])
    assert read_provenance(path)["labels"] == [
        {"name": "dr_grade", "kind": "grade", "classes": 5, "of": "photograph"},
        {"name": "sex", "kind": "text", "classes": 0, "of": "patient"},
    ]
    assert [label.name for label in manifest.read_labels(path)] == ["dr_grade", "sex"]
    older = tmp_path / "older.parquet"
    write_parquet(older, pq.read_table(path), {"step": "prep"})
    assert [label.name for label in manifest.read_labels(older)] == list(LABELS)


@pytest.mark.parametrize(
    ("rows", "provenance", "stays"),
    [
        ([row("1"), row("2", age=7)], {"step": "prep", "versions": {"swcl": "9"}}, True),
        ([row("1"), row("2", age=8)], {"step": "prep"}, False),
        ([row("1")], {"step": "prep"}, False),
        ([row("1"), row("2", age=7), row("3")], {"step": "prep"}, False),
        ([row("1"), row("2", age=7)], {"step": "prep", "counts": {"empty": 1}}, False),
    ],
)
def test_what_says_the_same_stays_as_it_is(
    tmp_path: Path, rows: list[dict[str, Any]], provenance: dict[str, Any], stays: bool
) -> None:
    """Written by an earlier version: with other columns first, and no description of labels."""
    path = tmp_path / "manifest.parquet"
    manifest.write(path, [row("1"), row("2", age=7)], {"step": "prep"})
    table = pq.read_table(path)
    write_parquet(path, table.select(sorted(table.column_names)), {"step": "prep", "versions": {"swcl": "0"}})
    before = path.read_bytes()
    manifest.write(path, rows, provenance)
    assert (path.read_bytes() == before) == stays
    assert not list(tmp_path.glob(".*"))


def test_a_label_that_an_older_file_lacks_is_null(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    manifest.write(path, [row("1", age=7), row("2")], {"step": "prep"})
    write_parquet(path, pq.read_table(path).drop_columns("dr_grade"), {"step": "prep"})
    before = path.read_bytes()
    read = manifest.read(path, ["image_id", "dr_grade", "age"])
    assert list(read.columns) == ["image_id", "dr_grade", "age"]
    assert read["dr_grade"].isna().all() and read["dr_grade"].dtype.pyarrow_dtype == pa.int8()
    manifest.write(path, [row("1", age=7), row("2")], {"step": "prep"})
    assert path.read_bytes() == before
    manifest.write(path, [row("1", age=7), row("2", dr_grade=0)], {"step": "prep"})
    assert path.read_bytes() != before
    write_parquet(path, pq.read_table(path).drop_columns("width"), {"step": "prep"})
    with pytest.raises(SwclError, match="it has no column width"):
        manifest.read(path)


def test_columns_and_types(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    manifest.write(path, [row("1_left")], {})
    read: Any = manifest.read(path)
    assert list(read.columns) == MANIFEST.names
    assert [dtype.pyarrow_dtype for dtype in read.dtypes] == MANIFEST.schema.types
    assert list(manifest.read(path, ["path", "age"]).columns) == ["path", "age"]
    manifest.write(tmp_path / "again.parquet", pa.parquet.read_table(path).to_pylist(), {})
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("1"), row("1")], "sorted by split and image_id, which is unique: 1"),
        ([row("2"), row("1")], "sorted by split and image_id, which is unique: 1"),
        ([row("1", split="val"), row("2")], "sorted by split and image_id, which is unique: 2"),
        ([row("1"), row("2"), row("3"), row("3")], "sorted by split and image_id, which is unique: 3"),
        ([row("1", split="training")], "split is one of"),
        ([row("1", eye="both")], "eye is one of"),
        ([row("1", patient_id=None)], "patient_id is never null"),
        ([row("1", grade=1)], r"no columns \['grade'\]"),
    ],
)
def test_wrong_rows_are_not_written(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with mock.patch.object(manifest, "ROWS_AT_ONCE", 3), pytest.raises(ValueError, match=message):
        manifest.write(tmp_path / "manifest.parquet", rows, {})
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_manifests(tmp_path: Path) -> None:
    path = tmp_path / "odir" / "manifest.parquet"
    with pytest.raises(SwclError, match=r"manifest\.parquet is missing. Make it with: swcl prep odir SOURCE"):
        manifest.read(path)
    path.parent.mkdir()
    path.write_bytes(b"PAR1 torn")
    with pytest.raises(SwclError, match=r"manifest\.parquet can't be read"):
        manifest.read(path)
    pa.parquet.write_table(pa.table({"path": ["a"]}), path)
    with pytest.raises(SwclError, match="was not written by swcl"):
        manifest.read(path)


OWN = (Label("stage", "grades", "stage", names=("0", "1", "2")), Label("score", "classes", "score", names=("a", "b")))


def test_labels_of_peoples_own_are_columns_that_the_metadata_describe(tmp_path: Path) -> None:
    """One may be called as a column of another table is."""
    path = tmp_path / "manifest.parquet"
    rows = [row("1", dr_grade=3, stage="2", score=None), row("2", stage=None, score="b")]
    manifest.write(path, rows, {}, ["dr_grade"], own=OWN)
    assert read_provenance(path)["labels"] == [
        {"name": "dr_grade", "kind": "grade", "classes": 5, "of": "photograph"},
        {"name": "stage", "kind": "grades", "classes": 3, "of": "photograph", "names": ["0", "1", "2"]},
        {"name": "score", "kind": "classes", "classes": 2, "of": "photograph", "names": ["a", "b"]},
    ]
    assert manifest.read_labels(path) == [LABELS["dr_grade"], *OWN]
    table = manifest.read(path)
    assert table["stage"].tolist() == ["2", pd.NA] and table["score"].tolist() == [pd.NA, "b"]
    assert manifest.read(path, ["score", "image_id"]).columns.tolist() == ["score", "image_id"]
    with pytest.raises(ValueError, match="a manifest has no columns \\['stage'\\]"):
        manifest.write(path, [row("1", stage="2")], {})


@pytest.mark.parametrize(
    "own",
    [
        (Label("stage", "classes", "stage", names=("0", "1", "2")), OWN[1]),
        (Label("stage", "grades", "stage", names=("0", "1", "2", "3")), OWN[1]),
        OWN[:1],
        OWN,
    ],
)
def test_a_manifest_that_describes_other_labels_is_another(tmp_path: Path, own: tuple[Label, ...]) -> None:
    path = tmp_path / "manifest.parquet"
    for described in (OWN, own):
        values = {label.name: label.names[0] for label in described}
        manifest.write(path, [row("1", **values)], {}, own=described)
    assert manifest.read_labels(path)[-len(own) :] == list(own)


@pytest.mark.parametrize(
    "described",
    [
        {"name": "x"},
        {"name": "x", "kind": "classes", "of": "photograph", "names": ["a"]},
        {"name": "x", "kind": "classes", "of": "photograph", "names": ["a", "a"]},
        {"name": "x", "kind": "unheard", "of": "photograph", "names": ["a", "b"]},
        {"name": "x", "kind": "classes", "of": "pupil", "names": ["a", "b"]},
    ],
)
def test_labels_of_another_version_are_told(tmp_path: Path, described: dict[str, Any]) -> None:
    path = tmp_path / "manifest.parquet"
    manifest.write(path, [row("1")], {})
    write_parquet(path, pq.read_table(path).replace_schema_metadata(None), {"step": "prep", "labels": [described]})
    with pytest.raises(SwclError, match="it describes the label x, which is not known here"):
        manifest.read_labels(path)
