from __future__ import annotations

import io
import re
import shutil
from contextlib import AbstractContextManager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from swcl_cli import console
from swcl_cli.errors import SwclError
from swcl_cli.reporting.figures.style import Figure
from swcl_cli.reporting.page.html import read_files
from swcl_cli.reporting.page.rendering import Rendered
from swcl_cli.settings import ReportSettings
from swcl_cli.steps import report
from swcl_cli.workspace import atomic
from tests.reporting import golden

TABLES = {
    "datasets", "labeler", "labeler-outcomes", "retinal-swap", "patch-scores", "patch-scores-parts", "patch-thresholds",
    "results", "differences", "runs",
}  # fmt: skip
FIGURES = {
    "results", "labeler-roc", "labeler-reliability", "labeler-curves", "patch-construction", "cam-overlays",
    "lesion-scores", "pretraining-curves", "segmentation-drive", "cases-idrid", "roc-idrid-dr-grade",
    "roc-idrid-dme-grade", "reliability-idrid-dr-grade", "reliability-idrid-dme-grade", "confusion-idrid-dr-grade",
    "confusion-idrid-dme-grade", "finetuning-idrid", "finetuning-drive",
}  # fmt: skip


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _words(page: Path) -> str:
    """The page's text without the places where a line may break."""
    return page.read_text(encoding="utf-8").replace("<wbr>", "")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A golden workspace, reported."""
    root = tmp_path_factory.mktemp("first")
    golden.build(root)
    assert report.run(ReportSettings(workspace=root)) == root / "report" / "index.html"
    return root


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return _words(root / "report" / "index.html")


@pytest.fixture(scope="module")
def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(page)
    return parser.found


def test_exactly_these_files_are_written(root: Path) -> None:
    written = {path.relative_to(root / "report").as_posix() for path in (root / "report").rglob("*") if path.is_file()}
    tables = {f"tables/{name}.{suffix}" for name in TABLES for suffix in ("md", "csv", "tex")}
    figures = {f"figures/{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg", "pdf")}
    assert written == {"index.html"} | tables | figures


def test_figures_show_something(root: Path) -> None:
    for path in (root / "report" / "figures").glob("*.png"):
        pixels = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("L"))
        assert min(pixels.shape) > 150, path.name
        assert np.count_nonzero(np.bincount(pixels.ravel())) > 20, path.name
        assert pixels.std() > 5, path.name


def test_the_page_asks_no_other_host_and_runs_no_script(
    page: str, tags: list[tuple[str, dict[str, str | None]]]
) -> None:
    assert "<script" not in page
    assert re.findall(r"""(?:src|href|srcset|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", page) == []
    for tag, attributes in tags:
        for name in ("src", "srcset", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)


def test_figures_have_alternative_texts(tags: list[tuple[str, dict[str, str | None]]]) -> None:
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) == 2 * len(FIGURES)  # for light and for dark windows
    assert all(len(image["alt"] or "") > 40 for image in images)


def test_links_within_the_page_lead_somewhere(tags: list[tuple[str, dict[str, str | None]]]) -> None:
    names = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = {str(attributes["href"])[1:] for tag, attributes in tags if tag == "a"}
    assert links <= set(names) and {"results", "data", "origins"} <= links


def test_what_the_page_says(page: str) -> None:
    assert "83.3 ± 14.4 [23.2, 98.8] (n = 3)" in page
    assert "<strong>1" not in page and "not told apart: imagenet (100.0), swcl (83.3) and random (50.0)" in page
    assert "Fewer than 3 runs" in page and "noise floor" in page
    assert "swcl pretrain --name swcl --architecture resnet18 --epochs 3" in page
    assert page.index("Fewer than 3 runs") < page.index("Initialisations and tasks")


def test_equal_workspaces_elsewhere_give_equal_bytes(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "a different name"
    golden.build(other)
    report.run(ReportSettings(workspace=other))
    for path in sorted((root / "report").rglob("*")):
        if path.is_file():
            assert (other / "report" / path.relative_to(root / "report")).read_bytes() == path.read_bytes(), path.name
    assert str(root).encode() not in (root / "report" / "index.html").read_bytes()


def test_damage_is_said_and_the_rest_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = golden.build(tmp_path)
    (workspace.finetune("idrid", "random") / "results.parquet").write_bytes(b"PAR1")
    for path in (workspace.swap, workspace.labeler, *workspace.root.glob("runs/**/log.jsonl")):
        path.unlink()
    page = _words(report.run(ReportSettings(workspace=tmp_path)))
    assert "finetune/idrid/random/results.parquet can&#39;t be used" in page
    assert "83.3 ± 14.4 [23.2, 98.8] (n = 3)" in page
    assert "finetune/idrid/random/results.parquet can't be used" in capsys.readouterr().err


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[list[str]]]]:
    """Title and rows of each table on the terminal."""
    tables: list[tuple[str, list[list[str]]]] = []
    monkeypatch.setattr(console, "table", lambda title, columns, rows: tables.append((title, rows)))
    monkeypatch.setattr("swcl_cli.reporting.page.report.render", _blank)
    return tables


def test_phantom_eyes_are_told_on_the_terminal_and_nothing_of_the_paper_stands_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = golden.build(tmp_path)
    monkeypatch.setattr("swcl_cli.reporting.page.report.render", _blank)
    told = {}
    for phantom in (False, True):
        if phantom:
            workspace.phantom.mkdir()
        page = _words(report.run(ReportSettings(workspace=tmp_path)))
        told[phantom] = (page, capsys.readouterr().err)
    (real, said), (drawn, warned) = told[False], told[True]
    assert "phantom eyes" not in said and "phantom eyes, drawn by this program" in warned
    assert "4 of 1,000" in real and "4 of 1,000" not in drawn
    tables = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "report/tables").glob("*.md")}
    numbers = (" 72 ", "493,470", "142,957", "of 7,000", "of 413", "of 103")
    assert "own numbers are left out: these are phantom eyes" in drawn
    assert [(name, number) for name, text in tables.items() for number in numbers if number in text] == []


def test_table_two_is_printed_and_then_the_differences(
    tmp_path: Path, shown: list[tuple[str, list[list[str]]]]
) -> None:
    golden.build(tmp_path)
    report.run(ReportSettings(workspace=tmp_path))
    (_, table_two), (title, differences) = shown
    assert table_two == [
        ["random", "50.0 ± 25.0 [9.6, 90.4] (n = 3)", "75.0 [50.0, 100.0] (n = 1)"],
        ["imagenet", "100.0 ± 0.0 [28.3, 100.0] (n = 3)", ""],
        ["swcl", "83.3 ± 14.4 [23.2, 98.8] (n = 3)", "75.0 [50.0, 100.0] (n = 1)"],
    ]
    assert title == "Differences on the same photographs, in points, with 95 % intervals"
    written = pd.read_csv(tmp_path / "report" / "tables" / "differences.csv")
    gained = {row[1]: row[2].split()[0] for row in differences if row[0] == "IDRiD" and row[2]}
    of_idrid = written[(written["task"] == "idrid") & (written["kind"] == "random")]
    assert gained == {
        name: f"{100 * gap:+.1f}" for name, gap in zip(of_idrid["initialisation"], of_idrid["difference"], strict=True)
    }


def test_what_pretraining_adds_comes_last_and_is_said_in_words(
    tmp_path: Path, shown: list[tuple[str, list[list[str]]]], capsys: pytest.CaptureFixture[str]
) -> None:
    golden.add_probes(golden.build(tmp_path))
    page = _words(report.run(ReportSettings(workspace=tmp_path)))
    assert [title for title, _ in shown][1:] == ["What pretraining adds, in points, with 95 % intervals"]
    said = [line for line in capsys.readouterr().out.splitlines() if "tested on" in line]
    assert [line.split(",")[0] for line in said] == ["IDRiD", "IDRiD", "DRIVE"]
    assert "swcl" in said[0] and "random" in said[0] and all(" ".join(line.split()) in page for line in said)
    markdown, latex = ((tmp_path / "report" / "tables" / f"study.{suffix}").read_text() for suffix in ("md", "tex"))
    assert all("IDRiD, linear probe, all labels, tested on 4 photographs: " in text for text in (markdown, latex))


@pytest.mark.parametrize("last", ["tables/results.csv", "figures/results.png", "index.html"])
def test_broken_off_it_leaves_the_old_page_and_all_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    workspace = golden.build(tmp_path)
    monkeypatch.setattr("swcl_cli.reporting.page.report.render", _blank)
    page = report.run(ReportSettings(workspace=tmp_path))
    before = {path: path.read_bytes() for path in workspace.report.rglob("*") if path.is_file()}
    golden.add_initialisation(workspace, "another")
    shutil.rmtree(workspace.finetune("drive", "random"))

    def broken_off(path: Path) -> AbstractContextManager[Path]:
        if path == workspace.report / last:
            raise KeyboardInterrupt
        return atomic(path)

    monkeypatch.setattr(report, "atomic", broken_off)
    with pytest.raises(KeyboardInterrupt):
        report.run(ReportSettings(workspace=tmp_path))
    after = {path for path in workspace.report.rglob("*") if path.is_file()}
    assert after >= set(before) and page.read_bytes() == before[page]
    assert not [path for path in after if path.name.endswith(".partial")]
    monkeypatch.setattr(report, "atomic", atomic)
    report.run(ReportSettings(workspace=tmp_path))
    assert "another" in page.read_text(encoding="utf-8") and page.read_bytes() != before[page]


def test_what_an_earlier_report_left_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photographs too, where the next one is without; but nothing that others put there, which is told then."""
    workspace = golden.build(tmp_path)
    monkeypatch.setattr("swcl_cli.reporting.page.report.render", _blank)
    report.run(ReportSettings(workspace=tmp_path))
    first = {path for path in workspace.report.rglob("*") if path.is_file()}
    kept = [workspace.report / name for name in ("notes.txt", "tables/mine.csv", "figures/older/cam-overlays.png")]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    page = report.run(ReportSettings(workspace=tmp_path, no_images=True))
    second = {path for path in workspace.report.rglob("*") if path.is_file()} - set(kept)
    assert all(path.read_text() == "x" for path in kept)
    assert "3 files that are not of this report, such as figures/older/cam-overlays.png" in capsys.readouterr().err
    assert second < first and workspace.report / "figures/cam-overlays.png" in first - second
    told = read_files(page.read_text(encoding="utf-8"))
    assert told == sorted(path.relative_to(workspace.report).as_posix() for path in second - {page})


def test_photographs_of_a_report_that_does_not_tell_its_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of earlier versions."""
    workspace = golden.build(tmp_path)
    monkeypatch.setattr("swcl_cli.reporting.page.report.render", _blank)
    page = report.run(ReportSettings(workspace=tmp_path))
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub(r'<meta name="swcl-files"[^>]*>', "", text), encoding="utf-8")
    report.run(ReportSettings(workspace=tmp_path, no_images=True))
    assert not (workspace.report / "figures/cam-overlays.png").exists()


@pytest.mark.parametrize("text", ["my thesis", "", '<meta name="generator" content="Word">'])
def test_a_page_of_somebody_else_is_kept(tmp_path: Path, text: str) -> None:
    workspace = golden.build(tmp_path)
    workspace.report.mkdir()
    (workspace.report / "index.html").write_text(text)
    with pytest.raises(
        SwclError, match=r"index\.html was not made by swcl report, which does not replace it\. Move it"
    ):
        report.run(ReportSettings(workspace=tmp_path))
    assert [path.name for path in workspace.report.iterdir()] == ["index.html"]
    assert (workspace.report / "index.html").read_text() == text


def test_a_figure_that_cannot_be_made_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(figure: Figure, named: object) -> Rendered:
        if figure.name == "lesion-scores":
            raise ValueError("no room")
        return _blank(figure, named)

    golden.build(tmp_path)
    monkeypatch.setattr("swcl_cli.reporting.page.report.render", broken)
    page = report.run(ReportSettings(workspace=tmp_path)).read_text(encoding="utf-8")
    assert "lesion-scores" not in page and "labeler-roc" in page
    assert "left out" in page and "no room" in capsys.readouterr().err


def _blank(figure: Figure, named: object) -> Rendered:
    """In no time, for tests of all else."""
    return Rendered(figure, b"png", b"svg", b"pdf", "data:,", "data:,", (1, 1))


def test_an_empty_workspace(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match="swcl prep phantom"):
        report.run(ReportSettings(workspace=tmp_path))
    assert list(tmp_path.iterdir()) == []
