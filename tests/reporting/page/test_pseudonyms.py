"""Reports that are passed on: no photograph, and no id of a patient or a photograph, in any of their bytes."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from safetensors.numpy import load_file, save_file

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.identities import IDS, PATHS
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.cautions import Caution
from swcl_cli.reporting.page.pseudonyms import Pseudonyms
from swcl_cli.reporting.page.sections import sections
from swcl_cli.reporting.tables.table import Cell, Table
from swcl_cli.settings import ReportSettings
from swcl_cli.steps import report
from swcl_cli.workspace import Workspace
from tests.reporting import golden

SECRET = "SECRET123"
EARLIER = (  # the page of a report that had a picture
    '<meta name="generator" content="swcl 0.1.0">'
    '<meta name="swcl-files" content="[&#34;figures/cam-overlays.png&#34;]">'
)


def _hide(value: str | None) -> str | None:
    """SECRET123 before each id and each file name of a photograph."""
    if not value:
        return value
    folder, slash, name = value.rpartition("/")
    return f"{folder}{slash}{SECRET}{name}"


@pytest.fixture(scope="module")
def secret(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The golden workspace with recognisable ids and file names everywhere, quarantined ones too."""
    root = Path(shutil.copytree(built, tmp_path_factory.mktemp("secret") / "workspace"))
    for path in sorted(root.rglob("*.parquet")):
        table = pq.read_table(path)
        for place, name in enumerate(table.column_names):
            if name in (*IDS, *PATHS):
                hidden = pa.array(map(_hide, table[name].to_pylist()), table.schema.field(name).type)
                table = table.set_column(place, table.schema.field(name), hidden)
        pq.write_table(table, path)
    for path in [*root.rglob("*.png"), *root.rglob("*.jpg")]:
        path.rename(path.with_name(f"{SECRET}{path.name}"))
    cams = root / "runs/make-swap/cams.safetensors"
    save_file({str(_hide(name)): values for name, values in load_file(cams).items()}, cams)
    workspace = Workspace(root)
    workspace.quarantine("idrid").write_text(
        f"source_path,problem,detail\nImages/{SECRET} left.jpg,truncated,{SECRET}\n{SECRET}.jpg,{SECRET} is odd,\n"
    )
    return workspace


@pytest.fixture(scope="module")
def names(secret: Workspace) -> Pseudonyms:
    return Pseudonyms(read_contents(secret))


def test_no_byte_of_the_report_holds_an_id(
    secret: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []
    draw = Text.draw

    def draw_and_note(text: Text, renderer: RendererBase) -> None:
        written.append(text.get_text())
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", draw_and_note)
    damaged = next((secret.finetune("drive", "swcl") / "seed0/maps").glob("*.png"))
    damaged.write_bytes(b"")

    def read(workspace: Workspace) -> Contents:
        contents = read_contents(workspace)
        contents.damaged += [f"{secret.relative(damaged)} can't be used", f"data/odir/images/{SECRET} new.png: odd"]
        return contents

    monkeypatch.setattr(report, "read_contents", read)
    left = secret.report / "figures/cam-overlays.png"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"a photograph of an earlier report")
    (secret.report / "index.html").write_text(EARLIER, encoding="utf-8")
    page = report.run(ReportSettings(workspace=secret.root, no_images=True)).read_text(encoding="utf-8")

    files = [path for path in secret.report.rglob("*") if path.is_file()]
    assert len(files) > 30 and not left.exists()
    for path in files:
        assert SECRET.encode() not in path.read_bytes(), path.name
    assert not [text for text in written if SECRET in text] and len(written) > 100
    embedded = re.findall(r"data:image/([a-z+]+);base64,([\w+/=]+)", page)
    assert {kind for kind, _ in embedded} == {"svg+xml"}
    assert all(SECRET.encode() not in base64.b64decode(data) for _, data in embedded)
    assert not [
        path.name
        for path in files
        if path.name.startswith(("segmentation", "patch", "cam", "cases")) and path.parent.name == "figures"
    ]
    assert "photograph 1 can&#39;t be used" in page and "file 1: odd" in page
    assert "every photograph was left out" in page and "they were left out, and ids replaced" in page
    assert SECRET in capsys.readouterr().err  # on the own terminal the file can be found


def test_the_numbers_stay(secret: Workspace, contents: Contents) -> None:
    hidden, shown = (sections(each, photographs=False) for each in (read_contents(secret), contents))
    tables = [{table.name: table.rows for section in each for table in section.tables} for each in (hidden, shown)]
    assert tables[0].keys() == tables[1].keys() and len(tables[0]) > 5
    for name in tables[0].keys() - {"datasets"}:  # which counts the quarantine list
        assert tables[0][name] == tables[1][name], name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{SECRET}test0_left is odd", "photograph 1 is odd"),
        (f"data/drive/masks/{SECRET}test0_left_mask.png: odd", "mask of photograph 1: odd"),
        (f"finetune/drive/swcl/seed0/maps/{SECRET}test0_left.png.", "photograph 1."),
        (f"patient {SECRET}test0, twice: {SECRET}test0.", "patient patient 1, twice: patient 1."),
        (f"Images/{SECRET} left.jpg", "photograph 1"),
        (f"{SECRET} is odd", "file 1"),
        ("data/odir/images/new one.JPG is missing", "file 1 is missing"),
        ("swcl on IDRiD: 83.3 ± 14.4 (n = 3), seed0", "swcl on IDRiD: 83.3 ± 14.4 (n = 3), seed0"),
        ("finetune/drive/swcl/results.parquet", "finetune/drive/swcl/results.parquet"),
        ("labels.csv", "label file 1"),
    ],
)
def test_what_stands_for_what(secret: Workspace, text: str, expected: str) -> None:
    assert Pseudonyms(read_contents(secret))(text) == expected


def test_one_name_wherever_one_is_meant_and_numbers_by_first_mention(names: Pseudonyms) -> None:
    photograph = f"{SECRET}train2_left"
    table = Table("t", photograph, "s", ("a",), ((Cell(photograph, photograph),),), (), ((photograph, 0.5),))
    caution = Caution("Odd", tuple(f"data/odir/images/{SECRET}train{number}_left.png" for number in (0, 2)))
    shown, warned = names.all_of((table, caution))
    assert shown == Table(
        "t", "photograph 1", "s", ("a",), ((Cell("photograph 1", "photograph 1"),),), (), (("photograph 1", 0.5),)
    )
    assert warned == Caution("Odd", ("photograph 2", "photograph 1"))


def test_names_that_users_chose_and_plain_words_stay(workspace: Workspace) -> None:
    """A run called as a patient is, and ids that read as numbers or small words."""
    golden.add_initialisation(workspace, "test0")
    frame = pq.read_table(workspace.swap).to_pandas()
    frame["patient_id"] = [("12", "left", "test0", "Smith")[place % 4] for place in range(len(frame))]
    table = pa.Table.from_pandas(frame, pq.read_schema(workspace.swap), preserve_index=False)
    pq.write_table(table, workspace.swap)
    renamed = Pseudonyms(read_contents(workspace))
    assert renamed("test0: n = 12 left, by Smith") == "test0: n = 12 left, by patient 1"


def test_equal_workspaces_get_equal_names(secret: Workspace, tmp_path: Path) -> None:
    other = Workspace(Path(shutil.copytree(secret.root, tmp_path / "elsewhere")))
    text = f"{SECRET}train2_left, {SECRET}train0_left, {SECRET}train0"
    assert Pseudonyms(read_contents(other))(text) == Pseudonyms(read_contents(secret))(text)
