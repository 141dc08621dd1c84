"""Find out what each row of Table II began with: from its artefacts, and from its name only where they don't tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from swcl_cli.catalogue.encoders import NATURAL, UNTRAINED
from swcl_cli.catalogue.paper import INITIALISATIONS
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.names import ILSVRC, base

Domain = Literal["none", "retina", "natural", "unknown"]
FINGERPRINT = re.compile(r"[0-9a-f]{16}")  # any other mark is a tag of timm, whose weights come of natural images
IMAGENET_21K = "in21k"
FILE = "FILE"  # stands for weights that are not in the workspace


@dataclass(frozen=True)
class Initialisation:
    """method: one of INITIALISATIONS, or None where nothing tells; domain: what it was pretrained on."""

    method: str | None
    domain: Domain
    encoder: Artefact | None = None  # where it is in this workspace

    @property
    def in_domain(self) -> bool:
        """Tell whether it was pretrained on photographs of the retina only, as in Table II."""
        return self.domain == "retina"


def initialisation(contents: Contents, task: str, name: str) -> Initialisation:
    """Find out what a row of Table II began with. A file of unknown origin is what its name says, if that is known."""
    artefact = contents.finetuned.get((task, name))
    if artefact is None:
        is_random = base(name, INITIALISATIONS) == UNTRAINED
        return Initialisation(UNTRAINED, "none") if is_random else _named(name)
    init = artefact.inputs.get("init")
    if init is None:
        return Initialisation(UNTRAINED, "none")
    encoder = _encoder(contents, init)
    if encoder is not None:
        method = encoder.settings.get("method")
        return Initialisation(method, _domain(contents, encoder.inputs.get("init")), encoder)
    if not FINGERPRINT.fullmatch(init):
        return Initialisation(_tagged(init), "natural")
    if contents.labeler is not None and contents.labeler.fingerprint == init:
        return Initialisation(None, "retina")
    return _named(name)


def weights_of(contents: Contents, artefact: Artefact) -> str:
    """Return what `--init` was called with: a path in the workspace, a name, or FILE for weights from elsewhere."""
    init = artefact.inputs.get("init")
    if init is None:
        return UNTRAINED
    made = [*contents.encoders.values(), *filter(None, [contents.labeler])]
    if path := next((other.path for other in made if other.fingerprint == init), None):
        return path
    return FILE if FINGERPRINT.fullmatch(init) else _tagged(init)


def _tagged(mark: str) -> str:
    """Return the paper's name for weights of timm or of a package."""
    return "bit-m" if IMAGENET_21K in mark else ILSVRC


def _encoder(contents: Contents, init: str) -> Artefact | None:
    return next((encoder for encoder in contents.encoders.values() if encoder.fingerprint == init), None)


def _domain(contents: Contents, init: str | None) -> Domain:
    """Return the domain of an encoder that was pretrained on the retina, but began with `init`."""
    if init is None or (contents.labeler is not None and contents.labeler.fingerprint == init):
        return "retina"
    if not FINGERPRINT.fullmatch(init):
        return "natural"
    first = _encoder(contents, init)
    return "unknown" if first is None else _domain(contents, first.inputs.get("init"))


def _named(name: str) -> Initialisation:
    method = base(name, INITIALISATIONS)
    if method is None or method == UNTRAINED:  # weights from a file are not random, whatever it is called
        return Initialisation(None, "unknown")
    return Initialisation(method, "natural" if method in NATURAL else "retina")
