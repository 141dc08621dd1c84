from __future__ import annotations

from swcl_cli.reporting.cautions import Caution
from swcl_cli.reporting.contents import Contents
from swcl_cli.reporting.glance import Fact, facts
from swcl_cli.reporting.origins import Origin
from swcl_cli.reporting.page import Section, render_page
from swcl_cli.reporting.style import Picture, Rendered, new_figure
from swcl_cli.reporting.tables import Cell, Table

NASTY = "<script>alert('&\"')</script>"


def test_every_text_is_escaped() -> None:
    picture = Picture(NASTY, NASTY, NASTY, NASTY, lambda theme: new_figure(theme, 1, 1))
    drawn = Rendered(picture, b"", b"", "data:,", "data:,", (1, 1))
    table = Table(NASTY, NASTY, NASTY, (NASTY,), ((Cell(NASTY, best=True),),), (NASTY,))
    origin = Origin(NASTY, NASTY, NASTY, ((NASTY, NASTY),), ((NASTY, NASTY),), ((NASTY, NASTY),))
    cautions = [Caution(NASTY, (NASTY,)), Caution(NASTY, (NASTY,) * 9)]
    page = render_page(
        True, [Fact(NASTY, NASTY)], cautions, [Section(NASTY, NASTY, [table], [drawn], [table])], [origin]
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 40


def test_facts_are_the_best_averages(contents: Contents) -> None:
    assert facts(contents) == [
        Fact("36", "photographs in 4 data sets"),
        Fact("71.2", "percent AUC of the labeler [61.0, 80.0]"),
        Fact("100", "patches, 48 % of them abnormal"),
        Fact("100.0", "percent joint accuracy on IDRiD: imagenet, n = 3"),
        Fact("75.0", "percent F1 on DRIVE: random, n = 1"),
    ]
