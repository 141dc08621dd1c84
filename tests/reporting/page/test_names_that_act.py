"""Whatever a name holds, each format shows it as it is: drawn at random from letters that mean something somewhere."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swcl_cli import console
from swcl_cli.legible import legible
from swcl_cli.reporting.figures.style import LIGHT, Drawing, Figure, Theme, new_drawing
from swcl_cli.reporting.figures.texts import shortened
from swcl_cli.reporting.page.html import render_page
from swcl_cli.reporting.page.rendering import render
from swcl_cli.reporting.page.sections import Section
from swcl_cli.reporting.tables.formats import to_csv, to_latex, to_markdown
from swcl_cli.reporting.tables.table import Cell, Table

ACTING = "<>&\"'`=+-@|\\_*{}[]()$%#^~!;,.:/\t\n\r\x00\x07\x1b\x7f\x85\x9b\u200f\u202e\u2066\u2028\ufeff\udcff א日a1 "
SEVERAL = ("<b>[red]x[/red]", "--[0m\x1b[31m\x00", "]]>\ud800&amp;<!--", "a\nb\u202ec", "$x_1^2$", "n" * 300, "אבג 1")
names = st.text(alphabet=st.sampled_from(ACTING), min_size=1, max_size=30)


def _table(name: str) -> Table:
    return Table(
        "t", name, name, ("head", name), ((Cell(name, name), Cell("1", 0.5)), (Cell("x"), Cell(name))), (name,)
    )


@given(names)
def test_legible_text_has_no_letters_that_act(name: str) -> None:
    shown = legible(name)
    assert not [
        letter
        for letter in shown
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in "\t\n"
    ]
    assert shown.encode()
    harmless = "".join(letter for letter in name if letter == legible(letter))
    assert len(shown) == len(harmless) + 6 * (len(name) - len(harmless))


@given(names)
def test_csv(name: str) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(_table(name)), newline="")))
    expected = legible(name.replace("\r", " "))
    assert [row[0].removeprefix("'") for row in rows] == ["head", expected.removeprefix("'"), "x"]
    assert all(not row[0].startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows)
    assert {len(row) for row in rows} == {2}


@given(names)
@example("`1`")
@example("`a\n# |b`")
def test_markdown(name: str) -> None:
    """What a name has between backticks is shown as code, in sentences alone: in code nothing acts."""
    text = to_markdown(_table(name))
    code = re.compile(r"^(?!\||#)(.*?)(?<!\\)`[^`\n]+`", flags=re.MULTILINE)
    while code.search(text):
        text = code.sub(r"\1", text)
    plain = re.sub(r"\\.", "", text)
    lines = plain.split("\n")
    assert [line.count("|") for line in lines[4:8]] == [3] * 4
    assert lines[0].startswith("## ") and len(lines) == 11
    assert not re.search(r"[`*_{}\[\]<>~&$\\]|#(?!# )", plain.replace("## ", "", 1))


@given(names)
@example("`1`")
@example("`a\n# |b`")
def test_latex(name: str) -> None:
    text = to_latex(_table(name))
    body = text[text.index(r"\toprule") :]
    plain = re.sub(r"\\[{}$&#_%]", "", text)
    assert plain.count("{") == plain.count("}")
    assert all(len(re.findall(r"(?<!\\)&", line)) == 1 for line in body.splitlines() if line.endswith(r" \\"))
    assert not re.search(r"(?<!\\)[#%_$^~<>|\"]", re.sub(r"\$\\pm\$", "", plain))
    commands = {"textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textbar",
                "textquotedbl", "texttt"}  # fmt: skip
    structure = {"toprule", "midrule", "bottomrule", "end", "par", "smallskip", "footnotesize"}
    assert set(re.findall(r"\\([a-z]+)", body)) <= commands | structure
    assert not re.search(r"\\\\\n[\[*]", text) and "--" not in body


class _Read(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.alts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.texts.append("")
        self.alts += [value or "" for name, value in attrs if name == "alt"]

    def handle_data(self, data: str) -> None:
        self.texts[-1:] = [(self.texts or [""])[-1] + data]


def _read(name: str) -> _Read:
    picture = Figure("p", name, name, name, lambda theme: new_drawing(theme, 1, 1))
    drawn = {"p": DRAWN}
    parser = _Read()
    parser.feed(render_page(True, [], [], [Section("s", name, [_table(name)], [picture])], drawn, []))
    return parser


DRAWN = render(Figure("p", "", "", "", lambda theme: new_drawing(theme, 1, 1)))


@settings(deadline=None, max_examples=50)
@given(names)
def test_html(name: str) -> None:
    read, harmless = _read(name), _read("a (b) [c]")
    assert set(read.tags) == set(harmless.tags)
    assert legible(name) in read.texts and set(read.alts) == {legible(name)}


@pytest.mark.parametrize("name", SEVERAL)
def test_figures(name: str) -> None:
    """Valid XML, in which a name is nothing but text, and none so long that it takes the place of the data."""

    def draw(theme: Theme) -> Drawing:
        figure = new_drawing(LIGHT, 4, 3)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], label=name)
        axes.set_yticks([0, 1], [name, "x"])
        axes.set_title(name)
        figure.legend()
        return figure

    drawn = render(Figure("p", name, name, name, draw))
    assert {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawn.svg).iter()}.isdisjoint(
        {"script", "a", "foreignObject"}
    )
    assert not set(drawn.svg.decode()) & set("\x00\x07\x1b\u202e\ud800")
    for written in (drawn.svg, drawn.pdf):
        assert b"<script" not in written and b"<img" not in written and b"/JavaScript" not in written


@pytest.mark.parametrize("name", SEVERAL)
def test_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.say(name)
    console.table(name, [name], [[name]])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{legible(name)}\n") and not set(printed) & set("\x00\x07\x1b\u202e\ud800")


def test_long_text_keeps_both_ends() -> None:
    assert shortened("a" * 36, 36) == "a" * 36
    assert shortened("begin" + "x" * 99 + "end", 12) == "beginxx…xend"
