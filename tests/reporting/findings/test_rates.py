"""What a report says of the rates that encoders were pretrained with."""

from __future__ import annotations

from typing import Any

from swcl_cli.catalogue.methods import RATES
from swcl_cli.reporting.evidence.contents import Artefact
from swcl_cli.reporting.findings.rates import rates_notes


def encoder(method: str | None, **settings: Any) -> Artefact:
    return Artefact("x.safetensors", {"settings": {"method": method, **RATES, **settings}}, "0" * 16)


def test_untuned_and_tuned_rows_are_named() -> None:
    """SWCL's rates are the paper's; what was given by hand is neither."""
    notes = rates_notes(
        {
            "swcl": encoder("swcl"), "mine": encoder("byol"), "dino": encoder("dino"), "random": None,
            "simclr": encoder("simclr", grid=True, learning_rate=0.003, weight_decay=0.01),
            "swcl-image": encoder("swcl-image", learning_rate=0.002), "foreign": encoder(None),
        }
    )  # fmt: skip
    untuned, tuned = notes
    assert untuned.startswith("Not tuned: dino, mine. ") and "swcl pretrain --grid chooses" in untuned
    assert tuned.endswith("chosen by the k-NN probe: simclr (0.003 and 0.01).")
    assert rates_notes({"swcl": encoder("swcl"), "random": None}) == []
    assert rates_notes({"a": encoder("dino", grid=True)}) == [
        tuned.replace("simclr (0.003 and 0.01)", "a (0.001 and 0.0001)")
    ]
