"""Tell which encoders were pretrained with rates that were tuned for their method, and which were not (FACTS D0)."""

from __future__ import annotations

from collections.abc import Mapping

from swcl_cli.catalogue.methods import METHODS, RATES
from swcl_cli.reporting.evidence.contents import Artefact

UNTUNED = (
    "Not tuned: {}. Learning rate and weight decay of this pretraining are SWCL's own; the paper tuned them for each "
    "of its baselines, and published none. swcl pretrain --grid chooses them by the k-NN probe."
)
TUNED = "Learning rate and weight decay of this pretraining were chosen by the k-NN probe: {}."


def rates_notes(encoders: Mapping[str, Artefact | None]) -> list[str]:
    """List notes on the rates of these encoders, by the name of their row; on others nothing is known here."""
    untuned, tuned = [], []
    for name, encoder in sorted(encoders.items()):
        settings = encoder.settings if encoder else {}
        method = METHODS.get(str(settings.get("method")))
        if method is None:
            continue
        if settings.get("grid"):
            tuned.append(f"{name} ({settings['learning_rate']:g} and {settings['weight_decay']:g})")
        elif not method.tuned and all(settings.get(rate) == value for rate, value in RATES.items()):
            untuned.append(name)
    notes = ((UNTUNED, untuned), (TUNED, tuned))
    return [words.format(", ".join(names)) for words, names in notes if names]
