"""Columns of people's own tables: which are labels, of what kind, and which spellings are one class."""

from __future__ import annotations

import pytest

from swcl_cli.catalogue.labels import Label
from swcl_cli.datasets.label_cells import Choice, Unsuitable
from swcl_cli.datasets.label_columns import overview, read_choices, read_column, require_apart
from swcl_cli.datasets.sign_columns import read_together
from swcl_cli.errors import SwclError, UsageError


def read(cells: list[str], choice: str = "", name: str = "x") -> tuple[str, tuple[str, ...], list[str | float | None]]:
    column = read_column(name, cells, read_choices([f"{name}={choice}"])[name] if choice else None)
    return column.label.kind, column.label.names, list(column.values)


@pytest.mark.parametrize(
    ("cells", "kind", "names", "values"),
    [
        (["0", "1", "1", "0"], "classes", ("0", "1"), ["0", "1", "1", "0"]),
        (["0", "1.0", "1,0", "01"], "classes", ("0", "1"), ["0", "1", "1", "1"]),  # one class, however it is written
        (["01", "02", "02", "01"], "classes", ("01", "02"), ["01", "02", "02", "01"]),  # zeros of a name stay
        (["2", "0", "4", "0"], "grades", ("0", "1", "2", "3", "4"), ["2", "0", "4", "0"]),  # 1 and 3 have no photograph
        (["3", "1", "2", ""], "grades", ("1", "2", "3"), ["3", "1", "2", None]),
        (["DR", "dr", "AMD", "AMD", "DR"], "classes", ("AMD", "DR"), ["DR", "DR", "AMD", "AMD", "DR"]),
        (
            ["wet  AMD", "wet amd", "Normal", "Normal"],
            "classes",
            ("Normal", "wet AMD"),
            None,
        ),  # what is normal is first
        (["TRUE", "false", "NA", "n/a", "-", "true"], "classes", ("false", "TRUE"), None),
        (["none", "mild", "mild", "none"], "classes", ("none", "mild"), ["none", "mild", "mild", "none"]),
        (["0", "none", "1", "1"], "classes", ("0", "1"), ["0", None, "1", "1"]),  # beside numbers it says nothing
        (["DR;AMD", "amd", "none", "", "DR | DR", "AMD;dr;AMD"], "several", ("AMD", "DR"), None),
        (["yes", "no", "?", "?", "yes", "no"], "classes", ("no", "?", "yes"), None),  # nobody knows what it means
    ],
)
def test_what_is_guessed(cells: list[str], kind: str, names: tuple[str, ...], values: list[str | None] | None) -> None:
    found = read(cells)
    assert found[:2] == (kind, names)
    if values is not None:
        assert found[2] == values


@pytest.mark.parametrize(
    ("cells", "choice", "names"),
    [
        (["none", "mild", "severe"], "grades:none,mild,severe", ("none", "mild", "severe")),
        (["DR", "AMD", ""], "classes:healthy,AMD,dr", ("healthy", "AMD", "dr")),  # as people write them
        (["NA", "DR", "DR"], "classes:NA,DR", ("NA", "DR")),  # what is named counts, whatever it is
        (["10", "20", "55"], "classes", ("10", "20", "55")),
        (["0", "1", "2"], "classes", ("0", "1", "2")),
        (["a", "b", "c"], "classes", ("a", "b", "c")),
        (["7", "9"], "grades", ("7", "8", "9")),
        (["DR, AMD", "", "DR"], "several", ("AMD", "DR")),
        (["DR, AMD", "", "DR"], "several:glaucoma,DR,AMD", ("glaucoma", "DR", "AMD")),
    ],
)
def test_what_people_say_counts(cells: list[str], choice: str, names: tuple[str, ...]) -> None:
    kind, found, _ = read(cells, choice)
    assert (kind, found) == (choice.partition(":")[0], names)


def test_classes_have_the_names_that_are_given() -> None:
    assert read(["dr", "AMD", "NA", ""], "classes:AMD,DR")[2] == ["DR", "AMD", None, None]


@pytest.mark.parametrize(
    ("cells", "choice", "why"),
    [
        (["1", "1", ""], "", "has one class, '1'"),
        (["a", "a"], "classes", "has one class, 'a'"),
        (["", ""], "", "is empty"),
        (["+", "-", "+"], "", "says nothing in any row, such as '+'"),
        (["2.50", "2.5", "NA"], "number", "holds one number, 2.5"),
        (["NA", "-"], "number", "holds no number"),
        (
            ["12", "13,5", "20/40", "n.t.", "> 21", "1e999"],
            "number",
            "holds '20/40' and 'n.t.' and '> 21' and 1 o",
        ),
        (["12", "inf", "13"], "number", "holds 'inf' beside numbers"),
        ([*map(str, range(50)), "old"], "", "holds 'old' beside numbers"),
        ([*map(str, range(7, 40)), ""], "", "counts its rows: --label 'x=number' takes it for a label"),
        (["a", "b", "c"], "", "holds 3 different texts in 3 rows"),
        ([f"{number} a" for number in range(31)] * 3, "", "holds 31 different texts in 93 rows"),
        ([f"{number}" for number in range(101)], "classes", "has 101 different values: classes are 100 at most"),
        (["mild", "severe", "mild"], "grades", "holds words: name them in their order, --label 'x=grades:LEAST"),
        (["a", "b", "d"], "classes:a,b,c", "holds 'd', which is none of a, b, c"),
        (["a", "a;d"], "several:a,b,c", "holds 'd', which is none of a, b, c"),
        (["a", "a", "none"], "several", "has 1 signs: several are 2 to 100"),
        (["see; below", "unclear; ask", "a; b"], "", "holds 3 different texts in 3 rows"),
    ],
)
def test_what_is_no_label(cells: list[str], choice: str, why: str) -> None:
    with pytest.raises(Unsuitable) as error:
        read(cells, choice)
    assert why in str(error.value)


@pytest.mark.parametrize("name", ["path", "Width", "image_id", "mask", "a,b", "a\tb", "x" * 61])
def test_names_that_no_label_can_have(name: str) -> None:
    with pytest.raises(Unsuitable, match="has a name"):
        read_column(name, ["0", "1"], None)


def test_spellings_that_are_one_class_are_told() -> None:
    column = read_column("sign", ["DR", "dr", "none", "none", "None"], None)
    assert column.remarks == (
        "sign: 'None' and 'none' are one class, 'DR' and 'dr' are one class",
        "sign: taken as a class, not as missing: 'none' and 'None'",
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["x"], "'x' is not NAME=KIND, where KIND is one of classes, grades, several, number, none"),
        (["x=wrong"], "is not NAME=KIND"),
        (["x=none:a,b"], "classes can be named, each once and without ';', of classes, grades and several"),
        (["x=number:a,b"], "classes can be named, each once"),
        (["x=classes:a"], "two or more classes can be named"),
        (["x=classes:1,1.0"], "two or more classes can be named, each once"),
        (["x=several:a;b,c"], "each once and without ';'"),
        (["x=classes", "X=grades"], "X is told twice"),
    ],
)
def test_choices_that_can_not_be_read(given: list[str], why: str) -> None:
    with pytest.raises(UsageError) as error:
        read_choices(given)
    assert why in str(error.value)


def test_choices() -> None:
    choices = read_choices(["a=b=classes", "DR  stage=grades: none , mild"])
    assert [(each.column, each.kind, each.names) for each in choices.values()] == [
        ("a=b", "classes", ()),
        ("DR  stage", "grades", ("none", "mild")),
    ]
    assert list(choices) == ["a=b", "dr stage"]


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("x=classes/patient", Choice("x", "classes", (), "patient")),
        ("x=several:a,b/patient", Choice("x", "several", ("a", "b"), "patient")),
        ("x=several:a/b,c", Choice("x", "several", ("a/b", "c"))),
        ("x/patient=classes", Choice("x/patient", "classes")),
    ],
)
def test_choices_of_patients(given: str, choice: Choice) -> None:
    assert list(read_choices([given]).values()) == [choice]


@pytest.mark.parametrize(
    ("cells", "choice", "values"),
    [
        (["34", "51", "70.5", "NA", ""], "", [34, 51, 70.5, None, None]),
        (["0,5", "-1.50", "+2", "3.", ".25"], "", [0.5, -1.5, 2, 3, 0.25]),
        (["1e-05", "2E3", "0.1"], "", [1e-05, 2000, 0.1]),
        (["-1", "0", "1"], "", [-1, 0, 1]),
        (["0", "1", "1"], "number", [0, 1, 1]),  # else two classes
        (["0", "3", "10"], "number", [0, 3, 10]),  # else grades
        ([*map(str, range(40))], "number", [*range(40)]),  # else an index
    ],
)
def test_numbers(cells: list[str], choice: str, values: list[float | None]) -> None:
    column = read_column("x", cells, read_choices([f"x={choice}"])["x"] if choice else None)
    assert (column.label.kind, column.label.names, list(column.values)) == ("number", (), values)
    assert not column.remarks


@pytest.mark.parametrize("name", ["ID", "image_id", "Unnamed: 0", "row nr", "Exam.ID"])
def test_identifiers_are_taken_for_no_number(name: str) -> None:
    cells = ["104", "999", "17", "104"]
    with pytest.raises(Unsuitable, match="seems to name rows|has a name with a meaning"):
        read_column(name, cells, None)
    if name != "image_id":
        assert read_column(name, cells, Choice(name, "number")).values == [104, 999, 17, 104]


def test_numbers_that_may_mean_that_nothing_is_known() -> None:
    cells = [*map(str, range(30, 80)), "999", "-9999"]
    assert read_column("age in years", cells, None).remarks == (
        "age in years: far from all others are -9999, 999: empty these cells if they mean that nothing is known",
    )


def test_signs_of_a_cell_are_in_one_order_each_once() -> None:
    cells = ["DR;AMD", "amd", "none", "", "DR | DR", "AMD;dr;AMD"]
    assert read(cells)[2] == ["AMD;DR", "AMD", "", None, "DR", "AMD;DR"]
    column = read_column("x", cells, None)
    assert column.remarks == ("x: 'DR' and 'dr' are one sign, 'AMD' and 'amd' are one sign",)
    assert overview(column.label, column.values) == ("x", "several", "AMD (3), DR (3), none of them (1)", "1")


def test_columns_that_are_a_label_together() -> None:
    choice = Choice("signs", "several", ("DR", "AMD"))
    column = read_together(choice, {"DR": ["1", "0", "", "TRUE", "1.0"], "AMD": ["0", "0", "1", "yes", "no"]})
    assert (column.label.kind, column.label.names) == ("several", ("DR", "AMD"))
    assert column.values == ["DR", "", None, "DR;AMD", "DR"]
    with pytest.raises(Unsuitable, match="'AMD' holds '2', which is neither 0 nor 1"):
        read_together(choice, {"DR": ["1"], "AMD": ["2"]})


def test_overviews() -> None:
    label = Label("x", "classes", "x", names=("healthy", "AMD", "DR"))
    assert overview(label, ["AMD", None, "healthy", "AMD"]) == ("x", "classes", "healthy (1), AMD (2), DR (0)", "1")
    assert overview(Label("y", "binary", "y"), [True, False, True]) == ("y", "binary", "0 (1), 1 (2)", "0")
    assert overview(Label("z", "number", "z"), [7, None, 61]) == ("z", "number", "7 to 61", "1")
    assert overview(Label("v", "number", "v", of="patient"), [-0.25, None]) == (
        "v", "number, of patients", "-0.25 to -0.25", "1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({"dr-grade": ("0", "1"), "dr grade": ("0", "1")}, "'dr-grade' and 'dr grade' are hard to tell apart"),
        ({"a": ("b_c", "d"), "a_b": ("c", "e")}, "'a' and 'a_b' would both have a column 'a_b_c' of predictions"),
    ],
)
def test_labels_that_can_not_be_told_apart(labels: dict[str, tuple[str, ...]], why: str) -> None:
    with pytest.raises(SwclError, match=why):
        require_apart([Label(name, "classes", name, names=names) for name, names in labels.items()], "t.csv")
