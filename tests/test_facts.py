"""What code, tests and presets cite is there: rows and sections of FACTS.md, sections of the paper, documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import swcl_cli
from swcl_cli.settings import STEPS

ROOT = Path(__file__).parents[1]
FACTS = Path(swcl_cli.__file__).with_name("FACTS.md").read_text(encoding="utf-8")
SUFFIXES = {".py", ".toml", ".md", ".j2"}
FOLDERS = ("swcl_cli", "tests", "presets")
ID = r"[A-E]?\d+[a-z]?\b"
CITED = re.compile(rf"\bFACTS ({ID}(?:(?:,| to| and) [A-E]\d+[a-z]?\b)*)")
SECTION = r"(?:I{1,3}|IV|VI{0,3}|IX|X)(?:-[A-Z])?\b"
OF_THE_PAPER = re.compile(
    rf"\bpaper,? (?:section )?({SECTION})|\bsections? ({SECTION})(?: and ({SECTION}))?|\(({SECTION})\)"
)
TABLE = re.compile(r"\bTables? ([IVX]+)(?:(?: to | and )([IVX]+))?")
DOCUMENT = re.compile(r"\b([A-Z]{3,}\.md)\b|\(([A-Z]{4,}) [A-E]?\d+[a-z]?[,;)]")


def texts() -> Iterator[tuple[Path, str]]:
    """Files that cite, each with its text on one line: a reference may be broken between two lines of a comment."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")) if path.suffix in SUFFIXES]
    files += [ROOT / "Makefile", ROOT / ".ci/run", ROOT / "pyproject.toml", *sorted(ROOT.glob("*.md"))]
    for path in files:
        if path != Path(__file__):
            yield path.relative_to(ROOT), re.sub(r"\s*\n[\s#]*", " ", path.read_text(encoding="utf-8"))


def cited(pattern: re.Pattern[str]) -> set[tuple[str, Path]]:
    return {
        (name, path)
        for path, text in texts()
        for found in pattern.findall(text)
        for name in ([found] if isinstance(found, str) else found)
        if name
    }


def rows() -> list[str]:
    return re.findall(rf"^- \*\*({ID}), ", FACTS, re.MULTILINE)


def sections() -> list[str]:
    return re.findall(r"^## (\d+)\. ", FACTS, re.MULTILINE)


def test_every_reference_to_a_fact_resolves() -> None:
    references = {(name, path) for ids, path in cited(CITED) for name in re.findall(ID, ids)}
    assert len(references) > 80
    assert {reference for reference in references if reference[0] not in {*rows(), *sections()}} == set()


def test_a_reference_names_a_row_or_a_section() -> None:
    bare = re.compile(rf"\bFACTS\b(?! {ID}|\.md)(.{{,30}})")
    assert cited(bare) == set()


def test_rows_are_there_once_and_say_what_swcl_does() -> None:
    parts = re.split(rf"^- \*\*(?={ID}, )", FACTS, flags=re.MULTILINE)[1:]
    assert len(parts) == len(set(rows())) > 40
    assert [part for part in parts if "swcl" not in part] == []


def test_sections_and_tables_of_the_paper_exist() -> None:
    known = set(re.findall(rf"^\| ({SECTION}) \|", FACTS, re.MULTILINE))
    assert {"I", "V", "III-C"} < known
    references = cited(OF_THE_PAPER)
    assert len(references) > 30
    assert {reference for reference in references if reference[0] not in known} == set()
    assert {reference for reference in cited(TABLE) if reference[0] not in ("I", "II", "III")} == set()


def test_no_reference_leads_to_a_document_that_is_not_here() -> None:
    here = {path.name for path in (*ROOT.glob("*.md"), *(ROOT / "swcl_cli").glob("*.md"))}
    references = {(name if name.endswith(".md") else f"{name}.md", path) for name, path in cited(DOCUMENT)}
    assert {reference for reference in references if reference[0] not in here} == set()


@pytest.mark.parametrize("document", ["swcl_cli/FACTS.md", "CONTRIBUTING.md", "README.md"])
def test_options_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    known = {name.replace("_", "-") for step in STEPS.values() for name in step.model_fields}
    typed = {
        option for code in re.findall(r"`swcl [^`]*`|`--[^`]*`", text) for option in re.findall(r"--([a-z-]+)", code)
    }
    assert typed - known - {"preset", "dry-run", "help", "debug"} == set()


def test_citation_and_changelog_know_this_version() -> None:
    assert f"\nversion: {swcl_cli.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{swcl_cli.__version__}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
