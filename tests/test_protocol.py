"""Each sentence of the paper's sections III and IV is done somewhere, with its numbers, and tested (FACTS 8)."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import swcl_cli
from swcl_cli.settings import ROWS, STEPS
from tests.commands import swcl

PACKAGE = Path(swcl_cli.__file__).parent
TESTS = Path(__file__).parent
HEADER = ["sentence", "done in", "settings", "test"]
OF_A_STEP = re.compile(r"(?P<step>[a-z-]+)(?: (?P<row>[a-z0-9-]+))?(?: \((?P<preset>[a-z]+)\))?: (?P<values>.+)")


def tables() -> dict[str, list[list[str]]]:
    """The cells of each table of section 8, by its title, without the header."""
    section = (PACKAGE / "FACTS.md").read_text(encoding="utf-8").split("\n## 8. ")[1].split("\n## ")[0]
    found = {}
    for part in section.split("\n### ")[1:]:
        title, text = part.split("\n", 1)
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines() if line.startswith("|")]
        assert rows[0] == HEADER and set("".join(rows[1])) == {"-"}, title
        found[title] = rows[2:]
    return found


ROWS_OF_THE_PAPER = [row for rows in tables().values() for row in rows]


def places(cell: str) -> list[tuple[str, str]]:
    """Files, and the name in each or an empty text: `a.py: b`, `c.py`."""
    found = [tuple(part.partition(": ")[::2]) for part in re.findall(r"`([^`]+)`", cell)]
    assert found and "".join(f"`{file}{name and ': '}{name}`, " for file, name in found) == f"{cell}, ", cell
    return [(file, name) for file, name in found]


def wanted() -> dict[tuple[str, str, str], dict[str, str]]:
    """The values of settings, by preset, step and row."""
    found: defaultdict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for _, _, settings, _ in ROWS_OF_THE_PAPER:
        for part in filter(None, settings.split("; ")):
            match = OF_A_STEP.fullmatch(part)
            assert match, part
            values = found[match["preset"] or "paper", match["step"], match["row"] or ""]
            for name, _, value in (pair.partition(" ") for pair in match["values"].split(", ")):
                assert value and values.setdefault(name, value) == value, f"{part}: {name}"
    return dict(found)


@cache
def shown(preset: str, step: str, row: str) -> dict[str, str]:
    """What a dry run shows of each setting."""
    key = {"prep": (row, "."), "finetune": (row,), "pretrain": ("--method", row)}.get(step, ())
    done = swcl(step, *key, "--preset", preset, "--dry-run")
    assert done.code == 0, done.err
    rows = [re.split(r" *│ *", line)[1:-1] for line in done.out.splitlines()]
    return {cells[0]: cells[1] for cells in rows if len(cells) == 3}


def test_all_four_parts_are_there() -> None:
    assert list(tables()) == ["III-A", "III-B", "III-C", "IV-A and IV-B", "IV-C to IV-E"]
    assert len(ROWS_OF_THE_PAPER) > 70


@pytest.mark.parametrize("row", ROWS_OF_THE_PAPER, ids=lambda row: row[0])
def test_a_sentence_is_done_and_tested(row: list[str]) -> None:
    sentence, done_in, _, tests = row
    assert sentence
    for file, name in places(done_in):
        text = (PACKAGE / file).read_text(encoding="utf-8")
        assert not name or re.search(rf"^(?:def|class) {name}\b|^{name}(?:: [^=]+)? = ", text, re.MULTILINE), name
    for file, name in places(tests):
        assert re.search(rf"^def test_{name}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE), name


@pytest.mark.parametrize("of", wanted(), ids=" ".join)
def test_a_dry_run_shows_the_settings_of_the_paper(of: tuple[str, str, str]) -> None:
    values = shown(*of)
    listed = {name: re.sub(r"[\[\]' ]", "", values.get(name, "no such setting")) for name in wanted()[of]}
    assert listed == wanted()[of]


def test_each_step_that_has_a_preset_is_in_it() -> None:
    steps = {step for _, step, _ in wanted()}
    assert steps == STEPS.keys() - {"audit", "export", "predict", "report", "study"}
    assert {row for _, step, row in wanted() if step in ROWS} >= {"odir", "eyepacs", "swcl", "simclr", "byol", "dino"}
