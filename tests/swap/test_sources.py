"""What is said of photographs whose side nobody knows."""

from __future__ import annotations

import pandas as pd
import pytest

from swcl_cli.swap.sources import tell_of_sides

OF_OWN = "The column eye of --labels, or --name-pattern, tells it."


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("name", "own"), [("idrid", False), ("folder", True), ("clinic-b", True)])
def test_only_ways_that_a_set_has_are_named(
    name: str, own: bool, aligned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_of_sides(pd.DataFrame({"dataset": [name, name, "odir"], "eye": ["unknown", "left", "right"]}), aligned)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{name}: of 1 of 2 photographs the side is not known." in said and "odir" not in said
    assert (OF_OWN in said, "swcl audit" in said) == (own, not aligned)
