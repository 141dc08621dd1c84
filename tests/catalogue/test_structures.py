"""What the values of masks mean: the same again from its description, and of some of the structures."""

from __future__ import annotations

import json

import pytest

from swcl_cli.catalogue.structures import MOST_LAYERS, Shade, Structures

WRITTEN = Structures(
    ("artery", "vein"),
    (
        Shade(0),
        Shade(1, ("artery",), colour="#ff0000"),
        Shade(2, ("vein",), colour="#0000ff"),
        Shade(3, ignored=True, colour="#ffffff"),
    ),
)
CROSSING = Structures(WRITTEN.names, (*WRITTEN.shades, Shade(4, ("artery", "vein"), colour="#00ff00")))


def test_layers_are_bits() -> None:
    layered = Structures.layered(("a", "b", "c"))
    assert layered.codes == tuple(range(8))
    assert [layered.codes_of(name) for name in "abc"] == [(1, 3, 5, 7), (2, 3, 6, 7), (4, 5, 6, 7)]
    assert not layered.exclusive and layered.is_layered and not layered.are_told
    with pytest.raises(ValueError, match=f"at most {MOST_LAYERS} structures may overlap, not 11"):
        Structures.layered([str(number) for number in range(11)])


@pytest.mark.parametrize(
    ("structures", "exclusive", "told"),
    [(WRITTEN, True, True), (CROSSING, False, True), (Structures.two_valued("vessel"), False, False)],
)
def test_structures_exclude_each_other_unless_a_value_is_of_two(
    structures: Structures, exclusive: bool, told: bool
) -> None:
    assert (structures.exclusive, structures.are_told, structures.is_layered) == (exclusive, told, False)


@pytest.mark.parametrize(
    "structures", [WRITTEN, CROSSING, Structures.two_valued("vessel"), Structures.layered(("disc", "cup"))]
)
def test_a_description_gives_the_same_again(structures: Structures) -> None:
    assert Structures.read(json.loads(json.dumps(structures.described(), sort_keys=True))) == structures


def test_of_some_structures_the_others_are_background() -> None:
    vein = CROSSING.only(["vein"])
    assert vein.names == ("vein",) and vein.codes == CROSSING.codes and vein.ignored == (3,)
    assert vein.codes_of("vein") == (2, 4) and not vein.exclusive
    assert [shade.colour for shade in vein.shades] == [None, None, "#0000ff", "#ffffff", None]
    assert CROSSING.only(["vein", "artery"]) is CROSSING
