"""The page in a real browser, as a file that came by mail: what is seen, clicked, typed, printed, and read aloud."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swcl_cli.catalogue.paper import INITIALISATIONS, TASK_ORDER
from swcl_cli.reporting.figures.style import Figure, new_drawing
from swcl_cli.reporting.findings.cautions import Caution
from swcl_cli.reporting.findings.glance import Fact
from swcl_cli.reporting.page.html import render_page
from swcl_cli.reporting.page.rendering import render
from swcl_cli.reporting.page.sections import Section
from swcl_cli.reporting.tables.table import Cell, Table
from swcl_cli.settings import ReportSettings
from swcl_cli.steps import report
from swcl_cli.workspace import Workspace
from tests.reporting import golden
from tests.reporting.browser import launched, opened

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
PHONE, TABLET, DESKTOP = 390, 768, 1280
PAPER = 680  # CSS pixels between the margins of an A4 page
SMALLEST = 10.0  # CSS pixels: 7.5 points
NASTY = """<img src=x onerror="document.title='ran'">&amp; _$%#{}\\ =1+1 \u202etxt.\x1b[31m"""

TOO_WIDE = """(limit) => [...document.querySelectorAll("body *")]
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > limit + 1)
    .map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`)"""
SMALLER_THAN = """(limit) => [...document.querySelectorAll("body *")]
    .filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim()))
    .filter(e => parseFloat(getComputedStyle(e).fontSize) < limit).map(e => `${e.tagName}.${e.className}`)"""
PLACES = """() => [...document.querySelectorAll("main .scroll, main .enlarge, main details, main pre")]
    .filter(e => e.checkVisibility() && !e.closest("details:not(:scope)") && !e.parentElement.closest("details"))
    .map(e => e.getBoundingClientRect()).map(r => [Math.round(r.left), Math.round(r.width)])"""
MOVING = """() => [document.documentElement, ...document.querySelectorAll("*")].filter(e => {
    const style = getComputedStyle(e);
    return style.animationName != "none" || parseFloat(style.transitionDuration) > 0 || style.scrollBehavior == "smooth"
}).length"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def index(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden workspace's page."""
    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("read") / "workspace"))
    return report.run(ReportSettings(workspace=root))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the paper's eleven rows and seven columns, long names, and many warnings."""
    cells = [[Cell(f"{50 + row + column}.0 ± 10.0 (n = 25)") for column in range(7)] for row in range(11)]
    names = [Cell(name) for name in (*INITIALISATIONS[:10], "swcl" + "x" * 200)]
    rows = tuple((name, *row) for name, row in zip(names, cells, strict=True))
    table = Table("results", "Results", "Each.", ("initialisation", *(f"{task} (F1)" for task in TASK_ORDER)), rows)
    picture = Figure("tall", "Tall", "A chart.", "A chart.", lambda theme: new_drawing(theme, 7, 20))
    cautions = [Caution(f"Warning {n}, with several cases.", ("y" * 150, "z", "z", "z")) for n in range(9)]
    facts = [Fact("12,345", f"of the kind {'n' * n}") for n in range(0, 50, 5)]
    long = Table("long", "Long", "Many.", ("run", "value"), tuple((Cell(f"run {n}"), Cell("1.0")) for n in range(99)))
    section = Section("results", "Results", [table, long], [picture])
    path = tmp_path_factory.mktemp("wide") / "index.html"
    path.write_text(render_page(True, facts, cautions, [section], {"tall": render(picture)}, []), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, TABLET, DESKTOP])
def test_nothing_is_asked_for_and_nothing_goes_wrong(browser: Any, index: Path, width: int, scheme: str) -> None:
    with opened(browser, index, width, color_scheme=scheme) as page:
        page.wait_for_load_state("networkidle")
        shown = page.locator("img:visible")
        assert shown.count() > 5
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0 && i.alt.length > 20)")
        assert page.said == []
        assert [url for url in page.asked if not url.startswith("data:")] == [index.as_uri()]


@pytest.mark.parametrize("width", [PHONE, TABLET, DESKTOP])
def test_it_is_as_wide_as_the_window(browser: Any, index: Path, wide: Path, width: int) -> None:
    for path in (index, wide):
        with opened(browser, path, width) as page:
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [PHONE, TABLET, DESKTOP, 1600])
def test_text_tables_and_figures_have_one_of_two_widths(browser: Any, index: Path, width: int) -> None:
    """That of the text, or all of the column; and on wide screens the contents stand beside them."""
    with opened(browser, index, width) as page:
        column = page.locator("main").bounding_box()
        places = page.evaluate(PLACES)
        text = min(column["width"], 46 * 16)
        assert len(places) > 20 and {left for left, _ in places} == {round(column["x"])}
        assert {width for _, width in places} <= {round(text), round(column["width"])}
        contents = page.locator("nav").bounding_box()
        beside = contents["x"] + contents["width"] <= column["x"]
        assert beside is (width >= 1200) and (beside or contents["y"] + contents["height"] <= column["y"])


def test_a_wide_table_moves_under_its_first_column(browser: Any, wide: Path) -> None:
    with opened(browser, wide, PHONE) as page:
        first, last = page.locator("tbody th").first, page.locator("tbody tr").first.locator("td").last
        left = first.bounding_box()["x"]
        page.locator(".scroll").first.evaluate("e => e.scrollLeft = e.scrollWidth")
        assert first.bounding_box()["x"] == pytest.approx(left, abs=1)
        ends = last.bounding_box()
        assert ends["x"] + ends["width"] <= PHONE
        assert first.bounding_box()["width"] < PHONE / 2


def test_a_long_table_moves_under_its_head(browser: Any, wide: Path) -> None:
    with opened(browser, wide) as page:
        table = page.locator(".tall")
        assert table.bounding_box()["height"] < 800
        head, last = table.locator("thead th").first, table.locator("tbody tr").last
        top = head.bounding_box()["y"]
        table.evaluate("e => e.scrollTop = e.scrollHeight")
        assert head.bounding_box()["y"] == pytest.approx(top, abs=1)
        assert top < last.bounding_box()["y"] < top + table.bounding_box()["height"]
        page.emulate_media(media="print")
        assert table.bounding_box()["height"] > 99 * 10


@pytest.mark.parametrize("kind", [".chart", ":not(.chart)"])
@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_a_click_enlarges_a_figure_and_leads_back(
    browser: Any, index: Path, kind: str, width: int, scheme: str
) -> None:
    with opened(browser, index, width, color_scheme=scheme) as page:
        figure = page.locator(f"figure{kind}").first
        link, image = figure.locator(".enlarge"), figure.locator("img:visible")
        link.scroll_into_view_if_needed()
        before, place = image.bounding_box(), page.evaluate("scrollY")
        assert image.get_attribute("class") == scheme and figure.get_by_text("Enlarge").is_visible()
        image.click()
        after = image.bounding_box()
        assert after["width"] > before["width"] and after["width"] > max(0.9 * width, 1000)
        assert after["width"] / after["height"] == pytest.approx(before["width"] / before["height"], rel=0.02)
        assert image.get_attribute("class") == scheme and not page.locator("h1").is_visible()
        figure.get_by_text("Back to the page").click()
        assert page.locator("h1").is_visible() and image.bounding_box()["width"] == before["width"]
        assert page.evaluate("document.activeElement.id") == link.get_attribute("id")
        assert -before["height"] < image.bounding_box()["y"] < 800
        page.go_back()
        page.go_back()
        assert page.locator("h1").is_visible() and abs(page.evaluate("scrollY") - place) < 200


def test_the_keyboard_does_all_of_it(browser: Any, index: Path) -> None:
    with opened(browser, index) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        wanted = page.locator(".enlarge").first.get_attribute("id")
        for _ in range(100):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == wanted:
                break
        assert page.evaluate("document.activeElement.id") == wanted
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        assert page.locator("figure:target").count() == 1 and not page.locator("h1").is_visible()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "close"
        page.keyboard.press("Enter")
        assert page.locator("figure:target").count() == 0
        assert page.evaluate("document.activeElement.id") == wanted


@pytest.mark.parametrize(("scheme", "width"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing(browser: Any, index: Path, scheme: str, width: int) -> None:
    """Names, headings, landmarks, languages, and the contrast of every text (AA), in folded parts too."""
    with opened(browser, index, width, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_published_numbers_are_grey_and_readable(browser: Any, wide: Path) -> None:
    for scheme in ("light", "dark"):
        with opened(browser, wide, color_scheme=scheme) as page:
            page.evaluate("document.querySelector('tbody td').innerHTML += ' <span class=published>78.1</span>'")
            found = axe.Axe().run(page, options={"runOnly": ["color-contrast"]})
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate(
                "getComputedStyle(document.querySelector('.published')).color != getComputedStyle(document.body).color"
            )


def test_no_script_is_needed(browser: Any, index: Path) -> None:
    with opened(browser, index, java_script_enabled=False) as page:
        assert page.get_by_text("50.0 ± 25.0 [").first.is_visible()
        page.locator("summary", has_text="Every run").click()
        assert page.get_by_text("The single runs behind the averages").is_visible()
        page.locator(".enlarge").first.click()
        assert page.get_by_text("Back to the page").first.is_visible()


def test_it_prints_in_light_colours_and_whole(browser: Any, index: Path, wide: Path) -> None:
    for path in (index, wide):
        with opened(browser, path, PAPER, color_scheme="dark") as page:
            page.emulate_media(media="print")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
            assert page.locator("img.dark:visible").count() == 0 < page.locator("img.light:visible").count()
            assert page.evaluate(TOO_WIDE, PAPER) == []
            assert page.evaluate(SMALLER_THAN, SMALLEST) == []
            heights = page.evaluate("[...document.images].map(i => i.getBoundingClientRect().height)")
            assert max(heights) < 1000  # of the 1010 pixels of a page
            assert page.pdf(format="A4")[:5] == b"%PDF-"


def test_nothing_moves(browser: Any, index: Path) -> None:
    with opened(browser, index, reduced_motion="reduce") as page:
        assert page.evaluate(MOVING) == 0


def test_names_that_would_act_are_only_read(browser: Any, built: Path, tmp_path: Path) -> None:
    """An initialisation named as markup, formulas and escapes, and the same as a reason in a quarantine list."""
    workspace = Workspace(Path(shutil.copytree(built, tmp_path / "workspace")))
    golden.add_initialisation(workspace, NASTY)
    with workspace.quarantine("odir").open("a", encoding="utf-8") as handle:
        handle.write("z.jpg,<script>document.title='ran'</script>,why\n")
    index = report.run(ReportSettings(workspace=workspace.root))
    with opened(browser, index) as page:
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        literal = NASTY.replace("\u202e", "\\u202e").replace("\x1b", "\\u001b")
        assert page.get_by_role("rowheader", name=literal, exact=True).first.is_visible()
        assert page.get_by_text("<script>document.title='ran'</script>").first.is_visible()
        assert page.title().startswith("Retinal encoders") and page.said == []
        assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        assert [url for url in page.asked if not url.startswith("data:")] == [index.as_uri()]
