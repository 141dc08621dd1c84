"""Tables of what is in masks, and the folders of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from swcl_cli.catalogue.structures import Structures
from swcl_cli.datasets import folder
from swcl_cli.datasets.mask_classes import read_classes
from swcl_cli.datasets.mask_folders import mask_folders
from swcl_cli.errors import SwclError, UsageError
from tests import downloads


def classes(tmp_path: Path, text: str) -> Structures:
    (tmp_path / "classes.csv").write_text(text, encoding="utf-8")
    return read_classes(tmp_path / "classes.csv", [])


def told(structures: Structures) -> dict[int | str | None, tuple[int, tuple[str, ...], bool]]:
    return {
        shade.colour if shade.value is None else shade.value: (shade.code, shade.names, shade.ignored)
        for shade in structures.shades
    }


def test_values_stand_for_themselves(tmp_path: Path) -> None:
    structures = classes(tmp_path, "value,name\n128,rim\n255,Background\n0,cup\n7,ignore\n")
    assert structures.names == ("rim", "cup") and structures.exclusive
    assert told(structures) == {
        0: (0, ("cup",), False),
        128: (128, ("rim",), False),
        255: (255, (), False),
        7: (7, (), True),
    }


def test_columns_without_use_are_named(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("value,name,opacity\n128,rim,0.5\n")
    remarks: list[str] = []
    assert read_classes(tmp_path / "classes.csv", remarks).names == ("rim",)
    assert remarks == ["classes.csv: columns that are not used: 'opacity'."]


@pytest.mark.parametrize("red", ["#ff0000", "FF0000", '"255,0,0"', '"(255, 0, 0)"', "255 0 0"])
def test_colours_are_numbered_behind_black(tmp_path: Path, red: str) -> None:
    structures = classes(tmp_path, f"name,colour\nartery,{red}\nsoft  exudate,#0000fe\nignore,#ffffff\n")
    assert told(structures) == {
        "#000000": (0, (), False),
        "#ff0000": (1, ("artery",), False),
        "#0000fe": (2, ("soft_exudate",), False),
        "#ffffff": (3, (), True),
    }


def test_a_colour_in_two_rows_is_of_two_structures(tmp_path: Path) -> None:
    structures = classes(tmp_path, "color,name\n#ff0000,artery\n#0000ff,vein\n#00ff00,artery\n#00ff00,vein\n")
    assert (
        not structures.exclusive and structures.codes_of("artery") == (1, 3) and structures.codes_of("vein") == (2, 3)
    )


def test_black_may_be_a_structure(tmp_path: Path) -> None:
    structures = classes(tmp_path, "colour,name\n#ffffff,background\n#000000,vessel\n")
    assert told(structures) == {"#000000": (0, ("vessel",), False), "#ffffff": (1, (), False)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,name\n1,a\n", "has none of the columns value, colour, color: a table of classes has one of them"),
        ("value,colour,name\n1,#ff0000,a\n", "has several of the columns value, colour, color"),
        ("value,title\n1,a\n", "row 1: column 'name' is missing"),
        (
            "value,name\n256,a\n",
            "row 2, column 'value': '256' is no value of 0 to 255 and no colour: #rrggbb, or r,g,b",
        ),
        ("colour,name\n1 2 300,a\n", "row 2, column 'colour': '1 2 300' is no value"),
        ("value,name\n1,a\n#ff0000,b\n", "row 3, column 'value': is a colour where other rows have values"),
        ("value,name\n1,a\n1,a\n", "row 3, column 'value': '1' is a already"),
        ("value,name\n1,ignore\n1,a\n", "row 3, column 'value': '1' is ignore already"),
        ("value,name\n1,a/b\n", "row 2, column 'name': 'a/b' can't be the name of a structure"),
        ("value,name\n1,dr_grade\n", "row 2, column 'name': a structure can't be called 'dr_grade'"),
        ("value,name\n1,ignore\n0,background\n", "names no structure beside background and ignore"),
    ],
)
def test_bad_tables_name_their_cell(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SwclError) as error:
        classes(tmp_path, text)
    assert message in str(error.value) and "classes.csv" in str(error.value)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for item, name in enumerate(("P1.jpg", "P2.jpg", "P3.jpg")):
        downloads.write_photograph(tmp_path / "source" / name, item)
    for name in (
        "disc/P1",
        "disc/P2_mask",
        "cups/P1_cup",
        "cups/P3",
        "fov/P1",
        "all/P1_disc",
        "all/P1_cup",
        "all/P2_cup",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        downloads.field(120, 100).save(tmp_path / f"{name}.png")
    return tmp_path / "source"


def layers(source: Path, *masks: str, **options: str) -> dict[str, tuple[str | None, ...]]:
    named = [Path(mask.replace("=", f"={source.parent}/")) for mask in masks]
    download = folder.read(source, masks=named, **options)  # type: ignore[arg-type]
    lacking = {problem.source_path for problem in download.problems if problem.problem == "no mask"}
    found = {
        photograph.path: tuple(layer and str(Path(layer).relative_to(source.parent)) for layer in photograph.layers)
        for photograph in download.photographs
    }
    assert lacking == ({path for path, names in found.items() if not names})
    return found


def test_a_folder_for_each_structure(source: Path) -> None:
    """Names end with the structure's or with mask; a photograph without one of the files is not learnt, or empty."""
    given = ("disc=disc", "cup=cups")
    both = ("disc/P1.png", "cups/P1_cup.png")
    assert layers(source, *given) == {"P1.jpg": both, "P2.jpg": (), "P3.jpg": ()}
    empty = {"P1.jpg": both, "P2.jpg": ("disc/P2_mask.png", None), "P3.jpg": (None, "cups/P3.png")}
    assert layers(source, *given, without_mask="empty") == empty


def test_structures_may_share_a_folder(source: Path) -> None:
    found = layers(source, "disc=all", "cup=all")
    assert found == {"P1.jpg": ("all/P1_disc.png", "all/P1_cup.png"), "P2.jpg": (), "P3.jpg": ()}


@pytest.mark.parametrize("ending", ["_HE", "-he", "_hard_exudate", "_1"])
@pytest.mark.parametrize("named", ["bleeding=", ""])
def test_masks_may_share_any_ending(source: Path, ending: str, named: str) -> None:
    """As in IDRiD's folders; which ending it is stands on the terminal. Files of no photograph are listed."""
    here = source.parent / "endings"
    here.mkdir()
    for name in ("P1", "P3", "P9_2"):
        downloads.field(120, 100).save(here / f"{name}{ending}.tif")
    download = folder.read(source, masks=[Path(f"{named}{here}")])
    masks = {row.path: row.layers[0] if row.layers else row.mask for row in download.photographs}
    assert masks == {f"P{n}.jpg": str(here / f"P{n}{ending}.tif") if n != 2 else None for n in (1, 2, 3)}
    assert f"masks in {here} are called PHOTOGRAPH_{ending[1:]}." in download.remarks
    listed = [row.source_path for row in download.problems if row.problem == "label without image"]
    assert listed == [f"P9_2{ending}.tif"]


@pytest.mark.parametrize("names", [("P1_HE", "P3_EX"), ("P1_HE", "other"), ("Q1_HE", "Q3_HE"), ("P1HE", "P3HE")])
def test_an_ending_that_not_all_masks_have_is_none(source: Path, names: tuple[str, str]) -> None:
    here = source.parent / "endings"
    here.mkdir()
    for name in names:
        downloads.field(120, 100).save(here / f"{name}.png")
    with pytest.raises(SwclError, match="is the mask of a photograph"):
        folder.read(source, masks=[Path(f"bleeding={here}")])


def test_a_structure_does_not_take_masks_of_another_in_the_same_folder(source: Path) -> None:
    (source.parent / "all/P1_cup.png").unlink()
    (source.parent / "all/P2_cup.png").unlink()
    with pytest.raises(SwclError, match="PHOTOGRAPH_cup"):
        layers(source, "disc=all", "cup=all")


@pytest.mark.parametrize("order", [("cup", "deep_cup"), ("deep_cup", "cup")])
def test_the_end_of_another_structures_name_is_not_taken_for_it(order: tuple[str, str], source: Path) -> None:
    for name in ("P1_cup", "P1_deep_cup", "P2_deep_cup", "P3_cup"):
        (source.parent / "ends").mkdir(exist_ok=True)
        downloads.field(120, 100).save(source.parent / f"ends/{name}.png")
    found = layers(source, *(f"{name}=ends" for name in order), without_mask="empty")
    by_name = {path: dict(zip(order, files, strict=True)) for path, files in found.items()}
    assert by_name == {
        "P1.jpg": {"cup": "ends/P1_cup.png", "deep_cup": "ends/P1_deep_cup.png"},
        "P2.jpg": {"cup": None, "deep_cup": "ends/P2_deep_cup.png"},
        "P3.jpg": {"cup": "ends/P3_cup.png", "deep_cup": None},
    }


def test_fields_of_view_stand_beside_masks(source: Path) -> None:
    download = folder.read(source, masks=[source.parent / "disc", Path(f"fov={source.parent}/fov")])
    fields = {photograph.path: (photograph.mask is not None, photograph.fov) for photograph in download.photographs}
    assert fields["P1.jpg"] == (True, f"{source.parent}/fov/P1.png") and fields["P2.jpg"] == (True, None)
    assert download.structures is None and download.mask_kind == "mask"


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (["disc", "cups"], "several folders need a name each: --masks NAME=.*disc --masks NAME=DIR"),
        (["disc", "cup=cups"], "several folders need a name each"),
        (["a=disc", "a=cups"], "a has two folders, .*disc and .*cups"),
        (["fov=fov"], "fov is the field of view, beside other masks"),
        (["mask=disc"], "a structure can't be called 'mask'"),
        (["a.b=disc"], "'a.b' can't be the name of a structure"),
        (["disc=nowhere"], ".*nowhere is not a folder"),
        ([f"s{number}=disc" for number in range(11)], "at most 10 structures may have a folder each, not 11"),
    ],
)
def test_folders_that_do_not_go_together(source: Path, masks: list[str], message: str) -> None:
    here = source.parent
    with pytest.raises(UsageError, match=f"masks: {message}"):
        mask_folders([Path(mask.replace("=", f"={here}/")) if "=" in mask else here / mask for mask in masks])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_classes": Path("c.csv"), "masks": ["disc=disc"]}, "mask_classes: it is about --masks DIR"),
        ({"mask_edges": "nearest", "masks": []}, "mask_edges: it is about --masks"),
        ({"without_mask": "empty", "masks": ["disc"]}, "without_mask: it is about --masks NAME=DIR"),
    ],
)
def test_settings_of_other_masks_are_refused(source: Path, options: dict[str, object], message: str) -> None:
    here = source.parent
    given = options.pop("masks")
    assert isinstance(given, list)
    masks = [Path(mask.replace("=", f"={here}/")) if "=" in mask else here / mask for mask in given]
    with pytest.raises(UsageError, match=message):
        folder.read(source, masks=masks, **options)  # type: ignore[arg-type]
