"""Label ids and left/right pairs against loops over rows."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swcl_cli.data.columns import SWAP
from swcl_cli.errors import SwclError
from swcl_cli.swap.rows import patch_rows
from swcl_cli.swap.weak_labels import (
    ABSENT,
    COLUMN_OF,
    UNLABELLED,
    are_single,
    is_abnormal,
    label_ids,
    left_right_pairs,
    read_patches,
)
from swcl_cli.workspace import read_provenance, write_parquet
from tests import prepared

NAMES = ("position", "abnormality", "patient")
SUBSETS = [list(subset) for count in (1, 2, 3) for subset in combinations(NAMES, count)]
COLUMNS = ["dataset", "patient_id", "eye", "position", "abnormal"]
ROW = st.tuples(
    st.sampled_from(["odir", "eyepacs"]),
    st.sampled_from(["1", "2", "12"]),
    st.sampled_from(["left", "right", "unknown"]),
    st.sampled_from(["tl", "c", "br"]),
    st.booleans(),
)
TABLES = st.lists(ROW, min_size=1, max_size=30).map(lambda rows: pd.DataFrame(rows, columns=COLUMNS))


def alike(first: pd.Series, second: pd.Series, labels: list[str]) -> bool:
    agree = {
        "position": first["position"] == second["position"],
        "abnormality": first["abnormal"] == second["abnormal"],
        "patient": (first["dataset"], first["patient_id"]) == (second["dataset"], second["patient_id"]),
    }
    return all(agree[label] for label in labels)


def pairs_by_loops(table: pd.DataFrame) -> set[tuple[int, int]]:
    """Of each patient and position the lefts with the rights, in the order of rows; who is left over stays alone."""
    eyes: dict[tuple[str, str, str], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, row in enumerate(table.itertuples()):
        eyes[row.dataset, row.patient_id, row.position][row.eye].append(number)
    pairs: set[tuple[int, int]] = set()
    for of_eye in eyes.values():
        pairs |= set(zip_longest(of_eye["left"], of_eye["right"], fillvalue=ABSENT))
        pairs |= {(row, ABSENT) for row in of_eye["unknown"]}
    return pairs


@pytest.mark.parametrize("labels", SUBSETS, ids="+".join)
@settings(max_examples=30, deadline=None)
@given(table=TABLES, categorical=st.booleans())
def test_equal_ids_mean_equal_labels(labels: list[str], table: pd.DataFrame, categorical: bool) -> None:
    columns = [column for label in labels for column in COLUMN_OF[label]]
    ids = label_ids(table.astype("category") if categorical else table, columns)
    assert ids.dtype == np.int64 and ids.min() >= 0
    rows = [row for _, row in table.iterrows()]
    for first, second in combinations(range(len(table)), 2):
        assert (ids[first] == ids[second]) == alike(rows[first], rows[second], labels)


@settings(max_examples=150, deadline=None)
@given(table=TABLES)
def test_pairs_are_those_of_the_loops(table: pd.DataFrame) -> None:
    pairs = left_right_pairs(table)
    assert {tuple(pair) for pair in pairs.tolist()} == pairs_by_loops(table)
    assert sorted(pairs[pairs != ABSENT].tolist()) == list(range(len(table)))
    alone = {max(pair) for pair in pairs_by_loops(table) if ABSENT in pair}
    assert set(np.flatnonzero(are_single(table)).tolist()) == alone


def test_pairs_worked_out_by_hand() -> None:
    rows = [
        ("odir", "1", "left", "tl"), ("odir", "1", "left", "c"),  # 0, 1: a first photograph of the left eye
        ("odir", "1", "left", "tl"), ("odir", "1", "left", "c"),  # 2, 3: a second one
        ("odir", "1", "right", "tl"), ("odir", "1", "right", "c"),  # 4, 5
        ("odir", "2", "right", "tl"),  # 6: one eye alone
        ("eyepacs", "1", "right", "tl"), ("eyepacs", "1", "left", "tl"),  # 7, 8: another patient of the same name
        ("eyepacs", "3", "unknown", "tl"), ("eyepacs", "3", "right", "tl"),  # 9, 10: can't be a pair
    ]  # fmt: skip
    pairs = left_right_pairs(pd.DataFrame(rows, columns=["dataset", "patient_id", "eye", "position"]))
    assert sorted(map(tuple, pairs.tolist())) == [
        (ABSENT, 6), (ABSENT, 10), (0, 4), (1, 5), (2, ABSENT), (3, ABSENT), (8, 7), (9, ABSENT),
    ]  # fmt: skip


def test_pairs_come_in_the_order_of_their_patients() -> None:
    """Batches draw pairs by their number. Of a patient and position one photograph's pair follows the other's."""
    eyes = ["right", "left", "unknown", "left", "left", "left", "right"]
    table = pd.DataFrame({"patient_id": list("7733753"), "eye": eyes}).assign(dataset="odir", position="c")
    assert left_right_pairs(table).tolist() == [[1, 0], [4, ABSENT], [3, 6], [2, ABSENT], [5, ABSENT]]


def test_pairs_of_many_photographs_follow_the_rows() -> None:
    """As by the loops; a sort that does not keep the order of equal rows would part the pairs."""
    rng = np.random.default_rng(0)
    values = {"dataset": "ab", "patient_id": "123", "eye": ["left", "right", "unknown"], "position": ["tl", "c"]}
    table = pd.DataFrame({name: rng.choice(list(given), 2000) for name, given in values.items()})
    pairs = left_right_pairs(table)
    assert len(pairs) == len(set(map(tuple, pairs.tolist()))) and pairs.dtype == np.int64
    assert set(map(tuple, pairs.tolist())) == pairs_by_loops(table)
    single = are_single(table)
    assert single.dtype == bool and single.sum() == (pairs == ABSENT).any(axis=1).sum()


def test_no_rows_have_no_pairs() -> None:
    assert left_right_pairs(pd.DataFrame(columns=COLUMNS)).shape == (0, 2)


def test_a_value_that_is_not_known_is_one_of_its_own() -> None:
    rows = [("a", "c"), ("a", "tl"), ("a", None), ("b", None), ("b", None), (None, "c"), (None, None)]
    ids = label_ids(pd.DataFrame(rows, columns=["dataset", "position"]), ["dataset", "position"]).tolist()
    assert ids[3] == ids[4] and len(set(ids)) == 6 and min(ids) >= 0


def patches_of_two_sets(root: Path) -> Path:
    rows = [
        {"dataset": dataset, "patient_id": "1", "eye": eye, "position": position, "score": score, "path": path}
        for dataset in ("odir", "eyepacs")
        for eye, path in (("left", f"{dataset}/l.png"), ("right", f"{dataset}/r.png"))
        for position, score in (("tl", 0.4), ("c", 0.3))
    ]
    return prepared.swap(root, pd.DataFrame(rows).assign(abnormal=lambda table: table["score"] >= 0.4))


def test_read_patches(tmp_path: Path) -> None:
    patches = read_patches(patches_of_two_sets(tmp_path), ["position", "patient"], None)
    assert len(patches) == 8 and patches.size == 8
    assert patches.label[0] == patches.label[2] != patches.label[4]  # patient 1 of the other set is somebody else
    assert patches.path[6].as_py() == "eyepacs/r.png" and patches.mirrored[6] and not patches.mirrored[4]
    assert isinstance(patches.path, pa.DictionaryArray) and len(patches.path.dictionary) == 4
    assert sorted(map(tuple, patches.pairs.tolist())) == [(0, 2), (1, 3), (4, 6), (5, 7)]


def test_threshold_overrides_the_stored_label(tmp_path: Path) -> None:
    path = patches_of_two_sets(tmp_path)
    assert read_patches(path, ["abnormality"], None).abnormal.tolist() == [True, False] * 4
    assert not read_patches(path, ["abnormality"], 0.9).abnormal.any()
    assert read_patches(path, ["abnormality"], 0.3).abnormal.all()
    assert len(set(read_patches(path, ["abnormality"], 0.4).label.tolist())) == 2


def test_other_labels_replace_the_stored_one_and_drop_what_has_none(tmp_path: Path) -> None:
    path = patches_of_two_sets(tmp_path)
    whole = read_patches(path, ["patient"])
    given = np.arange(len(whole), dtype=np.int8) % 3 - 1
    kept = np.flatnonzero(given != UNLABELLED)
    found = read_patches(path, ["abnormality"], abnormal=given)
    assert found.abnormal.tolist() == [bool(given[row] == 1) for row in kept]
    for name in ("x", "y", "mirrored", "checksum"):
        assert getattr(found, name).tolist() == getattr(whole, name)[kept].tolist()
    assert found.path.to_pylist() == [whole.path[int(row)].as_py() for row in kept]
    assert sorted(row for row in found.pairs.ravel().tolist() if row != ABSENT) == list(range(len(kept)))
    assert (found.label[:, None] == found.label).tolist() == (found.abnormal[:, None] == found.abnormal).tolist()


def test_a_score_of_just_t_is_abnormal() -> None:
    for threshold in (0.1, 0.3, 0.4, 0.7):
        scores = np.array([np.nextafter(np.float32(threshold), np.float32(0)), threshold], np.float32)
        assert is_abnormal(scores, threshold).tolist() == [False, True]


def test_patches_of_several_sizes_are_an_error(tmp_path: Path) -> None:
    rows = pd.DataFrame({"patient_id": ["1", "2"], "eye": "left", "position": "tl", "size": [8, 9]})
    with pytest.raises(SwclError, match=r"several sizes \(\[8, 9\]\).*one --size"):
        read_patches(prepared.swap(tmp_path, rows), ["position"], None)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "swap.parquet"
    path.write_bytes(patches_of_two_sets(tmp_path).read_bytes()[:-100])
    with pytest.raises(SwclError, match="swap.parquet can't be read.*swcl make-swap --fresh"):
        read_patches(path, ["position"], None)


def test_a_file_of_an_earlier_version_is_an_error(tmp_path: Path) -> None:
    path = patches_of_two_sets(tmp_path)
    pq.write_table(pq.read_table(path).drop_columns(["mirrored", "checksum"]), path)
    with pytest.raises(SwclError, match="it has no column checksum, mirrored|it has no column mirrored, checksum"):
        read_patches(path, ["position"], None)


def swap_of(root: Path, sides: list[tuple[int, int]]) -> Path:
    """As make-swap writes it, of photographs of these widths and heights, by turns of left and right eyes."""
    table = pd.DataFrame({"width": [width for width, _ in sides], "height": [height for _, height in sides]}).assign(
        dataset="odir", image_id=lambda t: t.index.astype(str), patient_id=lambda t: (t.index // 2).astype(str),
        eye=lambda t: np.where(t.index % 2, "right", "left"), path=lambda t: t["image_id"] + ".png", checksum=1,
        image_abnormal=None,
    )  # fmt: skip
    scores = np.random.default_rng(0).random((len(table), 5), np.float32)
    return prepared.swap(root, patch_rows(table, scores, 0.4).drop(columns=["checksum", "single"]))


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((40, 41)), st.integers(0, 30), st.booleans()), min_size=1, max_size=5),
    st.integers(0, 10**6),
)
def test_every_value_that_patches_rest_on_is_held(
    tmp_path_factory: pytest.TempPathFactory, photographs: list[tuple[int, int, bool]], chosen: int
) -> None:
    """Photographs of any shape pass as make-swap writes them; a single value that is edited does not."""
    sides = [(side, side + more) if upright else (side + more, side) for side, more, upright in photographs]
    path = swap_of(tmp_path_factory.mktemp("swap"), sides)
    read_patches(path, ["position"])
    made, whole = made_of(path), pq.read_table(path).to_pandas()
    row = chosen % len(whole)
    for name, edited, told in (
        ("x", whole["x"][row] + 1, "the boxes of 1 photographs"),
        ("y", whole["y"][row] + 500, "the boxes of 1 photographs"),
        ("abnormal", not whole["abnormal"][row], "abnormal is not what score and threshold say in 1 of its rows"),
        ("mirrored", not whole["mirrored"][row], "mirrored is not what eye says in 1 of its rows"),
        ("eye", "unknown" if whole["eye"][row] == "right" else "right", "mirrored is not what eye says in 1 of"),
    ):
        frame = whole.copy()
        frame.loc[row, name] = edited
        write_parquet(path, pa.Table.from_pandas(frame, SWAP.schema, preserve_index=False), made)
        with pytest.raises(SwclError, match=rf"damaged, or of another version: {told}.*swcl make-swap --fresh"):
            read_patches(path, ["position"])


def test_all_boxes_of_a_right_eye_as_if_it_were_a_left_one(tmp_path: Path) -> None:
    path = swap_of(tmp_path, [(40, 40)] * 2)
    frame = pq.read_table(path).to_pandas()
    frame.loc[5:, "x"] = frame.loc[:4, "x"].to_numpy()
    write_parquet(path, pa.Table.from_pandas(frame, SWAP.schema, preserve_index=False), made_of(path))
    with pytest.raises(SwclError, match="the boxes of 1 photographs are not five of one square"):
        read_patches(path, ["position"])


def made_of(path: Path) -> dict[str, Any]:
    return {name: value for name, value in read_provenance(path).items() if name != "rows"}
