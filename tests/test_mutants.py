"""`make mutants`: its sample stays while the code changes, and what it damages and runs is there."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.mutants import sample, table

ROOT = Path(__file__).parents[1]
NAMES = [f"swcl_cli.losses.x_{name}__mutmut_{number}" for name in ("one", "other") for number in range(300)]


def test_the_sample_is_drawn_by_its_seed() -> None:
    drawn = sample(NAMES, 100)
    assert drawn == sample(reversed(NAMES), 100) and len(set(drawn)) == 100
    assert 30 < sum("other" in name for name in drawn) < 70
    assert drawn != sample(NAMES, 100, seed=1)


def test_new_mutants_leave_most_of_the_sample_alone() -> None:
    drawn, grown = sample(NAMES, 100), sample([*NAMES, "swcl_cli.losses.x_third__mutmut_1"], 100)
    assert len(set(drawn) & set(grown)) >= 99


def test_the_table_counts_by_file() -> None:
    files = {"a": Path("one.py"), "b": Path("one.py"), "c": Path("two.py"), "d": Path("unused.py")}
    lines = table({"a": "killed", "b": "survived", "c": "killed"}, files).splitlines()
    assert [line.split() for line in lines] == [
        ["file", "mutants", "killed", "survived"], ["one.py", "2", "1", "1"], ["two.py", "1", "1", "0"],
    ]  # fmt: skip


def test_all_that_is_named_is_there() -> None:
    """A file that was renamed would drop out without a word."""
    given = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    for pattern in (*given["only_mutate"], *given["pytest_add_cli_args_test_selection"]):
        assert list(ROOT.glob(pattern)), pattern
