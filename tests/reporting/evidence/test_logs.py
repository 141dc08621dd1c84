from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swcl_cli.reporting.evidence.logs import read_log
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.workspace import PRETRAIN, RunName, Workspace
from tests.reporting.large_logs import falling_loss, write_log

LINES = ['{"step": 0, "loss": 1.5}', '{"step": 0, "epoch": 0, "auc": 0.75}', '{"step": 1, "loss": 2}']


def _read(tmp_path: Path, content: bytes) -> tuple[pd.DataFrame, int]:
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    log = read_log(path)
    return log.records, log.lost


def _joined(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_records_are_as_json_has_them(tmp_path: Path) -> None:
    """A naive reading, line by line, of a real log's size."""
    workspace = Workspace(tmp_path)
    write_log(workspace.pretraining("x"), falling_loss(3000, 0, 1.0), {"knn_auc": np.linspace(0.5, 0.7, 10)})
    path = workspace.pretraining("x").log
    expected = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    pd.testing.assert_frame_equal(read_log(path).records[list(expected)], expected)
    assert len(expected) == 3010 and read_log(path).lost == 0


def test_what_a_line_lacks_is_nan(tmp_path: Path) -> None:
    records, lost = _read(tmp_path, _joined(*LINES))
    assert lost == 0
    assert records["step"].to_list() == [0, 0, 1]
    np.testing.assert_array_equal(records["loss"], [1.5, np.nan, 2.0])
    np.testing.assert_array_equal(records["auc"], [np.nan, 0.75, np.nan])


def test_numbers_that_are_none_are_kept(tmp_path: Path) -> None:
    records, lost = _read(
        tmp_path, b'{"step": 0, "loss": NaN}\n{"step": 1, "loss": -Infinity}\n{"step": 2, "loss": 1}\n'
    )
    assert lost == 0
    np.testing.assert_array_equal(records["loss"], [np.nan, -np.inf, 1.0])


@pytest.mark.parametrize(
    ("bad", "lost"),
    [
        ("", 0),
        ("rubbish", 1),
        ("\x00\xff\x1b[31m", 1),
        ('{"step": 7, "lo', 1),
        ("[1, 2]", 1),
        ("{}", 1),
        ('{"loss": 3.0}', 1),
        ('{"step": 7, "loss": "low"}', 1),
        ('{"step": "seven"}', 1),
        ("rubbish\nrubbish", 2),
    ],
)
def test_a_bad_line_in_the_middle_costs_itself(tmp_path: Path, bad: str, lost: int) -> None:
    records, found = _read(tmp_path, _joined(LINES[0], bad, *LINES[1:]))
    assert found == lost
    assert records["step"].to_list() == [0, 0, 1]
    np.testing.assert_array_equal(records["loss"], [1.5, np.nan, 2.0])


@pytest.mark.parametrize("end", ['{"step": 100, "lo', "{", '{"step": 2, "loss": 1'])
def test_a_last_line_that_is_being_written_is_no_loss(tmp_path: Path, end: str) -> None:
    records, lost = _read(tmp_path, _joined(*LINES) + end.encode())
    assert lost == 0 and len(records) == 3


def test_a_last_line_that_only_lacks_its_end_of_line_counts(tmp_path: Path) -> None:
    records, lost = _read(tmp_path, _joined(*LINES, "rubbish") + b'{"step": 2, "loss": 1}')
    assert lost == 1 and records["step"].to_list() == [0, 0, 1, 2]


@pytest.mark.parametrize(("content", "lost"), [(b"", 0), (b"\n\n", 0), (b"\x00\x01\x02", 1), (b"rubbish\n" * 3, 3)])
def test_a_log_without_any_record(tmp_path: Path, content: bytes, lost: int) -> None:
    records, found = _read(tmp_path, content)
    assert found == lost and len(records) == 0 and list(records) == ["step"]


def test_lost_lines_are_told(workspace: Workspace) -> None:
    path = workspace.pretraining("swcl").log
    path.write_bytes(path.read_bytes() + b"rubbish\nrubbish\n")
    contents = read_contents(workspace)
    assert contents.damaged == [
        "runs/pretrain/swcl/log.jsonl: 2 lines are damaged and left out. Curves lack what it held; no table does."
    ]
    assert len(contents.logs[RunName(PRETRAIN, name="swcl")]) == 100
