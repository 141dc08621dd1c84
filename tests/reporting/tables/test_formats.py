from __future__ import annotations

import csv
import io

import pytest

from swcl_cli.reporting.tables.formats import to_csv, to_latex, to_markdown
from swcl_cli.reporting.tables.table import Cell, Table

NASTY = '=1+1|<b>_$x$&%#{}~^\\"\n`*'
TABLE = Table(
    "t", "T_1", "One & all.", ("a", "b"), ((Cell(NASTY), Cell("1.0", 0.5, best=True, best_in_domain=True)),), ("n%",)
)


def test_markdown() -> None:
    lines = to_markdown(TABLE).splitlines()
    assert lines[0] == r"## T\_1"
    assert lines[4:6] == ["| a | b |", "| --- | ---: |"]
    assert lines[6] == r'| =1+1\|\<b\>\_\$x\$\&%\#\{\}\~^\\" \`\* | **<u>1.0</u>** |'
    assert lines[-1] == "n%"


def test_latex() -> None:
    text = to_latex(TABLE)
    assert r"\caption{One \& all.}" in text and r"\label{tab:t}" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lr}"):
        assert rule in text
    expected = (
        r"=1+1\textbar{}\textless{}b\textgreater{}\_\$x\$\&\%\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
        r"\textquotedbl{} `* & \textbf{\underline{1.0}} \\"
    )
    assert expected in text
    assert r"\footnotesize n\%" in text


def test_csv_holds_values_and_no_formula() -> None:
    assert list(csv.reader(io.StringIO(to_csv(TABLE)))) == [["a", "b"], [f"'{NASTY}", "0.5"]]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run(text: str) -> None:
    table = Table("t", "t", "t", ("a",), ((Cell(text),), (Cell("x", -0.5),)))
    assert list(csv.reader(io.StringIO(to_csv(table), newline=""))) == [
        ["a"],
        [f"'{text}".replace("\r", " ")],
        ["-0.5"],
    ]


def test_the_papers_numbers_stand_behind_ours() -> None:
    cell = Cell("1.0", 0.01, best=True, published="51.26 & {_}")
    table = Table("t", "t", "t", ("a",), ((Cell("x"), cell), (Cell("y"), Cell("2.0", 0.02))))
    assert r"| x | **1.0** *(paper 51.26 & \{\_\})* |".replace(" & ", r" \& ") in to_markdown(table)
    assert "| y | 2.0 |" in to_markdown(table)
    assert r"x & \textbf{1.0} \emph{(paper 51.26 \& \{\_\})} \\" in to_latex(table)
    assert r"y & 2.0 \\" in to_latex(table)
    assert list(csv.reader(io.StringIO(to_csv(table))))[1:] == [["x", "0.01"], ["y", "0.02"]]


def test_csv_prefers_records() -> None:
    table = Table("t", "t", "t", ("a",), ((Cell("x"),),), records=(("header",), ("=x",), (None,)))
    assert to_csv(table) == 'header\n\'=x\n""\n'


def test_what_is_to_be_typed_is_code() -> None:
    """And a lone backtick, as a name may hold, is nothing but itself."""
    words = "By `swcl audit --least_quality 5%`, of a`b."
    table = Table("t", "T", words, ("a",), ((Cell("x"),),), (words,))
    markdown, latex = to_markdown(table), to_latex(table)
    assert markdown.count("By `swcl audit --least_quality 5%`, of a\\`b.") == 2
    assert latex.count(r"By \texttt{swcl audit -{}-least\_quality 5\%}, of a`b.") == 2
