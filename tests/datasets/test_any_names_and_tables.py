"""Whatever names photographs have, however a table is written: each photograph and label is used once, or listed."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swcl_cli.datasets import folder
from swcl_cli.errors import SwclError

BOUNDED = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PARTS = ("a", "A", "b", "01", "1", ".", "..1", "_", "-", " ", "\u00fc", "u\u0308", ".jpg", "\u00df", "\u53f3")
SUFFIXES = (".jpg", ".JPG", ".jpeg", ".png", ".tif", ".ppm.gz", ".txt", ".3", "")
READABLE = re.compile(r"\.(jpe?g|png|tiff?|gif|bmp|ppm)(\.gz)?$", re.IGNORECASE)


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def without_suffix(name: str) -> str:
    return READABLE.sub("", name)


stems = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("".join).map(str.strip).filter(bool)
names = st.builds(str.__add__, stems, st.sampled_from(SUFFIXES)).map(str.strip)
paths = st.builds(str.__add__, st.sampled_from(("", "", "north/", "south.jpg/")), names)


@st.composite
def downloads(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Files, and names in a table: theirs as they are, without suffix, with another one, in another form, or others."""
    files = draw(st.lists(paths, min_size=1, max_size=7, unique=True))
    changes = (
        str,
        without_suffix,
        lambda name: without_suffix(name) + ".bmp",
        lambda name: unicodedata.normalize("NFD", name),
        str.swapcase,
        lambda name: name + ".7",
    )
    known = st.builds(lambda name, change: change(name), st.sampled_from(files), st.sampled_from(changes))
    rows = draw(st.lists(st.one_of(known, paths).map(str.strip).filter(bool), min_size=1, max_size=7, unique=True))
    return files, rows


def write_files(root: Path, files: list[str]) -> list[str]:
    """Makes empty files; return those that could be made: `a` can't be a folder and a file."""
    made = []
    for name in files:
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
        except OSError:
            continue
        made.append(name)
    return made


def fits(name: str, path: str) -> bool:
    """Whether a name in a table can mean a file, by a rule of three lines."""
    ends = {composed(name), composed(without_suffix(name))}
    return composed(name) == composed(path) or composed(without_suffix(path)) in ends


@BOUNDED
@given(downloads())
def test_each_photograph_and_label_is_used_once_or_listed(download: tuple[list[str], list[str]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root, table = Path(place, "photographs"), Path(place, "labels.csv")
        root.mkdir()
        files = write_files(root, download[0])
        with open(table, "w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows([("image", "age"), *((name, age) for age, name in enumerate(download[1]))])
        try:
            read = folder.read(root, labels=table)
        except SwclError as error:
            # two rows of one photograph, in one form or two; or a name that is none
            assert re.search(r"row \d+, column 'image'|would both be called", str(error))
            return
    used: dict[str, Any] = {photograph.path: photograph.labels["age"] for photograph in read.photographs}
    missing = [problem.source_path for problem in read.problems if problem.problem == "label without image"]
    listed = [problem.source_path for problem in read.problems if problem.problem != "label without image"]
    assert Counter([*used, *listed]) == Counter(files)
    rows = [composed(name.replace("\\", "/")) for name in download[1]]
    assert Counter([rows[age] for age in used.values()] + missing) == Counter(rows)
    for path, age in used.items():
        name = rows[age]
        assert READABLE.search(path) and fits(name, path)
        others = [other for other in files if READABLE.search(other) and fits(name, other) and other != path]
        assert not others or composed(name) == composed(path)
    ambiguous = [name for name in missing if any(READABLE.search(path) and fits(name, path) for path in files)]
    assert bool(ambiguous) == bool(read.stops)
    assert len({photograph.image_id for photograph in read.photographs}) == len(used)


@st.composite
def masked(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Photographs, and files of a folder of masks: called as a photograph is, with or without `mask`, or otherwise."""
    files = draw(st.lists(paths, min_size=1, max_size=5, unique=True))
    changes = (
        str,
        lambda name: without_suffix(name) + ".png",
        lambda name: without_suffix(name) + "_mask.png",
        lambda name: without_suffix(name) + "-MASK.tif",
        lambda name: name.rpartition("/")[0] + "/mask_" + without_suffix(name.rpartition("/")[2]) + ".gif",
        lambda name: unicodedata.normalize("NFD", name),
        str.swapcase,
    )
    known = st.builds(lambda name, change: change(name).lstrip("/"), st.sampled_from(files), st.sampled_from(changes))
    return files, draw(st.lists(st.one_of(known, paths), min_size=1, max_size=6, unique=True))


def bare(mask: str) -> str:
    """The path of a mask without suffix and without `mask`."""
    place, slash, name = without_suffix(mask).rpartition("/")
    return place + slash + (re.sub(r"[_-]masks?$|^masks?[_-]", "", name, count=1, flags=re.IGNORECASE) or name)


@BOUNDED
@given(masked())
def test_each_mask_and_each_photograph_without_one_is_used_or_listed(files: tuple[list[str], list[str]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        root, aside = Path(place, "photographs"), Path(place, "masked")
        root.mkdir()
        aside.mkdir()
        photographs, masks = write_files(root, files[0]), write_files(aside, files[1])
        try:
            read = folder.read(root, masks=[aside])
        except SwclError as error:
            assert re.search("is the mask of a photograph|would both be called|seems to be", str(error))
            return
    used = {row.path: str(Path(row.mask).relative_to(aside.absolute())) for row in read.photographs if row.mask}
    of_masks = [row.source_path for row in read.problems if row.detail.startswith("a mask of")]
    kinds = {row.source_path for row in read.problems if row.problem in ("image without label", "ignored", "refused")}
    assert len(set(used.values())) == len(used)
    for mask in masks:
        twice = any(f"two masks, {first} and {mask}" in stop for stop in read.stops for first in used.values())
        assert (mask in used.values()) + (mask in of_masks) + (mask in kinds) == 1 or (
            mask in kinds and mask in photographs
        )
        assert mask in kinds or not twice
    for path, mask in used.items():
        assert fits(mask, path) or fits(bare(mask), path)
    without = [row.source_path for row in read.problems if row.problem == "no mask"]
    assert Counter([*used, *without]) == Counter(row.path for row in read.photographs)


cells = st.one_of(st.none(), st.integers(0, 4))
# Three accents in a row are no word of a Western language: such bytes are not taken for Windows-1252.
texts = st.text("ab ,;\t\"'.\u00e4\u00df", max_size=6).filter(lambda text: not re.search("[\u00e4\u00df]{3}", text))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[dict[str, Any]], bytes]:
    """Rows of a table, with missing cells, and its bytes as some program may write it."""
    patients = st.sampled_from(("P1", "P 2", "M\u00fcller", "7", "a;b", "c,d", 'e"f'))
    count = draw(st.integers(1, 6))
    rows = [
        {"image": f"{number:03d}", "patient": draw(patients), "dr_grade": draw(cells), "age": draw(cells),
         "note": draw(texts), "camera": draw(st.sampled_from(("", "x")))}
        for number in range(count)
    ]  # fmt: skip
    columns = draw(st.permutations(list(rows[0])))
    absent, decimals = draw(st.sampled_from(("", "NA", "n/a", "-"))), draw(st.sampled_from(("", ".0", ".00")))
    separator, encoding = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(ENCODINGS))
    text = io.StringIO()
    if draw(st.booleans()):
        text.write(f"sep={separator}\r\n")
    writer = csv.writer(
        text,
        delimiter=separator,
        quoting=draw(st.sampled_from((csv.QUOTE_ALL, csv.QUOTE_MINIMAL))),
        lineterminator=draw(st.sampled_from(("\n", "\r\n", "\r"))),
    )
    spelt = draw(st.sampled_from(("lower", "upper", "title")))
    writer.writerow([getattr(column, spelt)() for column in columns])
    for row in rows:
        shown = {name: absent if row[name] is None else f"{row[name]}{decimals}" for name in ("dr_grade", "age")}
        writer.writerow([{**row, **shown}[column] for column in columns])
    return rows, text.getvalue().encode(encoding)


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")


@BOUNDED
@given(tables())
def test_each_cell_is_read_however_the_table_is_written(table: tuple[list[dict[str, Any]], bytes]) -> None:
    rows, data = table
    with tempfile.TemporaryDirectory() as place:
        root, path = Path(place, "photographs"), Path(place, "labels.csv")
        root.mkdir()
        for row in rows:
            (root / f"{row['image']}.jpg").touch()
        path.write_bytes(data)
        read = folder.read(root, labels=path)
    assert not read.problems and not read.stops
    by_name = {photograph.image_id: photograph for photograph in read.photographs}
    for row in rows:
        photograph = by_name.pop(row["image"])
        assert photograph.patient_id == row["patient"]
        for label in ("dr_grade", "age"):
            assert photograph.labels.get(label) == row[label]
    assert not by_name
    labels = {label.name.casefold() for label in read.own_labels}
    unused = "".join(remark for remark in read.remarks if "not used" in remark).casefold()
    assert all((name in labels) != (f"'{name}' (" in unused) for name in ("note", "camera"))
