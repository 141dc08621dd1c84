from __future__ import annotations

from collections.abc import Mapping

from swcl_cli.reporting.figures.alt_texts import LONGEST, Entry, shortened, summary


def _told(values: Mapping[str, float]) -> list[Entry]:
    return [Entry(name, value, f"{value:g} %") for name, value in values.items()]


def test_few_are_all_told() -> None:
    assert summary(_told({"random": 50, "swcl": 70.5})) == "random 50 %; swcl 70.5 %"


def test_of_many_the_ends_and_random_are_told() -> None:
    values = {"random": 55, "byol": 50, "dino": 60, "simclr": 58, "swcl": 70}
    assert summary(_told(values)) == "highest swcl 70 %; lowest byol 50 %; random 55 %; 2 others between"


def test_random_is_told_once_where_it_is_lowest() -> None:
    values = {"random": 40, "byol": 50, "dino": 60, "simclr": 58, "swcl": 70}
    assert summary(_told(values)) == "highest swcl 70 %; lowest random 40 %; 3 others between"


def test_long_texts_end_between_two_parts() -> None:
    assert shortened("a; b") == "a; b"
    cut = shortened("; ".join(f"part {number:04}" for number in range(100)))
    assert len(cut) <= LONGEST and cut.endswith(" …")
    assert all(len(part) == 9 for part in cut.removesuffix(" …").split("; "))
    assert len(shortened("x" * 5000)) <= LONGEST
