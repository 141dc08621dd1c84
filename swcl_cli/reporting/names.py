"""How the paper calls and orders tasks, initialisations and measures. What it does not name keeps its own name."""

from __future__ import annotations

import re

TASKS = ("messidor", "idrid", "refuge-cls", "drive", "chase-db1", "stare", "refuge-seg")
INITIALISATIONS = (
    "random", "simclr", "byol", "dino", "oia-odir", "kaggle-eyepacs", "bit-s", "bit-m", "ce-multitask", "swcl-image",
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
OUT_OF_DOMAIN = ("imagenet", "ilsvrc", "bit-", "bit_")


def title(name: str) -> str:
    return TITLES.get(name, name)


def in_paper_order(found: list[str], order: tuple[str, ...]) -> list[str]:
    """The paper's first, in its order, then the others by name."""
    return sorted(set(found), key=lambda name: (order.index(name) if name in order else len(order), name))


def is_in_domain(initialisation: str) -> bool:
    """Pretrained on photographs of the retina only, as in Table II: neither on natural images nor not at all."""
    name = initialisation.lower()
    return name != "random" and name != "bit" and not name.startswith(OUT_OF_DOMAIN)


def slug(name: str) -> str:
    """A file name of small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
