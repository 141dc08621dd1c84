"""How tasks, initialisations and measures are called and ordered: as in the paper. What it lacks keeps its own name."""

from __future__ import annotations

import re

TASKS = ("messidor", "idrid", "refuge-cls", "drive", "chase-db1", "stare", "refuge-seg")
UNTRAINED = "random"
NATURAL = ("imagenet", "bit-s", "bit-m")  # pretrained on natural images
INITIALISATIONS = (
    UNTRAINED, "simclr", "byol", "dino", "supervised-odir", "supervised-eyepacs", *NATURAL, "multitask", "swcl-image",
    "swcl",
)  # fmt: skip
TITLES = {
    "odir": "OIA-ODIR",
    "eyepacs": "Kaggle EyePACS",
    "messidor": "Messidor",
    "idrid": "IDRiD",
    "refuge-cls": "REFUGE-cls",
    "refuge-seg": "REFUGE-seg",
    "drive": "DRIVE",
    "chase-db1": "CHASE_DB1",
    "stare": "STARE",
    "joint_accuracy": "joint accuracy",
    "f1": "F1",
    "auc": "AUC",
    "dr": "DR grade",
    "dme": "DME grade",
    "dr_grade": "DR grade",
    "dme_grade": "DME grade",
}


def title(name: str) -> str:
    return TITLES.get(name, name)


def base(name: str, known: tuple[str, ...]) -> str | None:
    """The known name that this is, or begins with: `swcl-image-0.1` is a swcl-image, `BiT-S-R50x1` a bit-s."""
    plain = name.lower().replace("_", "-")
    found = [one for one in known if plain.startswith(one) and not plain[len(one) : len(one) + 1].isalnum()]
    return max(found, key=len, default=None)


def in_paper_order(found: list[str], order: tuple[str, ...]) -> list[str]:
    """The paper's first, in its order, each with its variants, then the others by name."""

    def place(name: str) -> tuple[int, bool, str]:
        known = base(name, order)
        return len(order) if known is None else order.index(known), name != known, name

    return sorted(set(found), key=place)


def slug(name: str) -> str:
    """A file name of small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
