from __future__ import annotations

import pytest

from swcl_cli import __version__
from swcl_cli.datasets import DATASETS
from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.style import Figure, new_drawing
from swcl_cli.reporting.findings.cautions import Caution
from swcl_cli.reporting.findings.glance import Fact, facts
from swcl_cli.reporting.findings.next_steps import Step
from swcl_cli.reporting.findings.origins import Origin
from swcl_cli.reporting.page.html import by_place, columns_of_words, is_wide, render_page
from swcl_cli.reporting.page.rendering import Rendered
from swcl_cli.reporting.page.sections import Section
from swcl_cli.reporting.tables.table import Cell, Table

NASTY = "<script>alert('&\"')</script>"


def test_every_text_is_escaped() -> None:
    picture = Figure(NASTY, NASTY, NASTY, NASTY, lambda theme: new_drawing(theme, 1, 1))
    drawn = Rendered(picture, b"", b"", b"", "data:,", "data:,", (1, 1))
    table = Table(NASTY, NASTY, NASTY, (NASTY,), ((Cell(NASTY, best=True),),), (NASTY,))
    origin = Origin(NASTY, NASTY, NASTY, ((NASTY, NASTY),), ((NASTY, NASTY),), ((NASTY, NASTY),))
    cautions = [Caution(NASTY, (NASTY,)), Caution(NASTY, (NASTY,) * 9)]
    section = Section(NASTY, NASTY, [table], [picture], [table])
    page = render_page(True, [Fact(NASTY, NASTY)], cautions, [section], {NASTY: drawn}, [origin] * 4)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 60


def test_the_papers_number_stands_behind_ours() -> None:
    rows = ((Cell("x"), Cell("1.0", best=True, published="51.26<b>")), (Cell("y"), Cell("2.0")))
    table = Table("t", "t", "s", ("a", "b"), rows)
    page = render_page(False, [], [], [Section("s", "s", [table])], {}, [])
    assert page.count('<span class="published">') == 1
    assert '</strong> <span class="published">paper 51.26&lt;b&gt;</span></td>' in " ".join(page.split())


def test_numbers_end_on_the_right_and_words_start_on_the_left() -> None:
    rows = (("swcl", "1,234", "better", "-", ""), ("2", "+0.5 [-1, 2]", "1 worse", "3", "-0.1"))
    table = Table("t", "t", "s", tuple("abcde"), tuple(tuple(map(Cell, row)) for row in rows))
    assert columns_of_words(table) == [True, False, True, False, False]
    assert columns_of_words(Table("t", "t", "s", ("a", "b"), ())) == [False, False]


def test_what_lies_in_a_folder_is_shown_as_one() -> None:
    paths = [
        "data/idrid/m",
        "data/odir/m",
        "swap.parquet",
        "finetune/drive/a/r",
        "finetune/drive/b/r",
        "finetune/x/c/r",
    ]
    groups = by_place([Origin(path, "", "", (), (), ()) for path in paths])
    assert [(place, len(made)) for place, made in groups] == [
        ("data", 2),
        ("swap.parquet", 1),
        ("finetune/drive", 2),
        ("finetune/x", 1),
    ]


def test_no_backtick_is_left_and_what_stands_between_is_code() -> None:
    words = "Start with `swcl prep odir <b>`, or a lone ` of a name."
    table = Table("t", "t", words, ("a",), ((Cell("x"),),), (words,), conclusions=(words,))
    page = render_page(True, [], [Caution(words, (words,))], [Section("s", "s", [table])], {}, [], steps=[Step(words)])
    assert page.count("<code>swcl prep odir &lt;b&gt;</code>") == 6
    assert "`swcl" not in page


@pytest.mark.parametrize(
    ("columns", "text", "wide"),
    [(2, "61.2 [55.0, 67.1] (n = 3)", False), (6, "61.2 [55.0, 67.1] (n = 3)", True), (6, "3", False)],
)
def test_tables_are_as_wide_as_the_text_or_as_the_page(columns: int, text: str, wide: bool) -> None:
    table = Table("t", "t", "s", ("name",) * columns, ((Cell(text),) * columns,))
    assert is_wide(table) is wide
    assert ('class="scroll wide"' in render_page(False, [], [], [Section("s", "s", [table])], {}, [])) is wide
    assert not is_wide(Table("t", "t", "s", ("a",), ()))


def test_how_to_cite_is_at_the_end() -> None:
    page = render_page(
        False, [], [], [], {}, [], steps=[Step("Do this.", ("swcl audit",))], sources=[DATASETS["idrid"]]
    )
    places = [
        page.index(words)
        for words in ("Behind the numbers</h2>", "What to do next</h2>", "How to cite</h2>", "<footer")
    ]
    assert places == sorted(places)
    assert '<code class="command">swcl audit</code>' in page and "@article{yap2021swcl," in page
    assert f"version = {{{__version__}}}" in page
    assert "IDRiD: IEEE DataPort, Indian Diabetic Retinopathy Image Dataset (Porwal et al. 2018)." in page
    assert "IEEE DataPort" not in render_page(True, [], [], [], {}, [], sources=[DATASETS["idrid"]])


@pytest.mark.parametrize("photographs", [True, False])
def test_the_page_says_what_may_be_passed_on(photographs: bool) -> None:
    page = render_page(False, [], [], [], {}, [], photographs)
    assert "Photographs may fall under the terms of their data sets" in page
    assert ("--no-images" in page) is photographs
    assert ("pseudonyms stand for the ids" in page) is not photographs


def test_facts_name_the_best_only_where_it_is_told_apart(contents: Contents) -> None:
    assert facts(contents) == [
        Fact("36", "photographs in 4 data sets"),
        Fact("71.2", "percent AUC of the labeler [61.0, 80.0]"),
        Fact("100", "patches, 48 % of them abnormal"),
        Fact("not told apart", "joint accuracy on IDRiD: imagenet (100.0), swcl (83.3) and random (50.0), percent"),
        Fact("not told apart", "F1 on DRIVE: random (75.0) and swcl (75.0), percent"),
    ]
