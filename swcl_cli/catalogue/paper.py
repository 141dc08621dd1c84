"""Hold the paper's own numbers and order (arXiv 2108.02122, Tables II and III), in percent."""

from __future__ import annotations

from swcl_cli.catalogue.encoders import NATURAL, UNTRAINED
from swcl_cli.catalogue.methods import METHODS

PRESET = "paper"  # the preset that these numbers belong to
PATCHES, ABNORMAL_PATCHES = 493_470, 142_957  # of retinal-SWAP; abnormal at t = 0.4 (FACTS 1)
TASK_ORDER = ("messidor", "idrid", "refuge-cls", "drive", "chase-db1", "stare", "refuge-seg")  # columns of Table II
ROW_ORDER = (  # rows of Table II, `imagenet` of Table III among them
    UNTRAINED,
    "simclr",
    "byol",
    "dino",
    "supervised-odir",
    "supervised-eyepacs",
    *NATURAL,
    "multitask",
    "swcl-image",
    "swcl",
)
INITIALISATIONS = (*ROW_ORDER, *(name for name in METHODS if name not in ROW_ORDER))
TITLES = {"bit-s": "BiT-S", "bit-m": "BiT-M", **{name: method.title for name, method in METHODS.items()}}
TABLE_TWO = {  # of TASK_ORDER: the means of five runs on test
    "random": (60.96, 32.62, 85.27, 76.83, 76.52, 74.34, 85.66),
    "simclr": (66.81, 45.83, 93.19, 77.11, 77.64, 75.02, 88.01),
    "byol": (67.14, 38.25, 91.96, 76.15, 76.32, 72.52, 85.66),
    "dino": (64.46, 40.19, 92.59, 76.30, 77.15, 74.54, 84.74),
    "supervised-odir": (64.05, 38.64, 86.68, 76.29, 77.46, 76.96, 83.95),
    "supervised-eyepacs": (67.06, 46.41, 91.80, 77.99, 77.92, 77.41, 88.30),
    "bit-s": (76.59, 54.76, 91.99, 78.88, 78.19, 78.88, 90.70),
    "bit-m": (79.35, 53.59, 93.73, 77.93, 78.50, 79.37, 90.91),
    "multitask": (66.56, 45.05, 90.97, 78.24, 78.57, 77.24, 89.30),
    "swcl-image": (70.65, 48.54, 92.93, 78.05, 78.34, 78.44, 90.01),
    "swcl": (71.57, 51.26, 95.86, 78.08, 78.61, 78.45, 89.65),
}
NOTHING: tuple[str, ...] = ()
TABLE_THREE = {  # by method, labels removed, threshold: AUC on REFUGE's validation photographs
    ("random", NOTHING, None): 71.88,
    ("imagenet", NOTHING, None): 88.18,
    ("swcl", NOTHING, 0.3): 95.03,
    ("swcl", NOTHING, 0.4): 96.52,
    ("swcl", NOTHING, 0.5): 92.91,
    ("swcl", ("position",), 0.4): 95.78,
    ("swcl", ("abnormality",), 0.4): 93.00,
    ("swcl", ("patient",), 0.4): 95.68,
    ("swcl", ("position", "abnormality"), 0.4): 94.43,
    ("swcl", ("position", "patient"), 0.4): 87.51,
    ("swcl", ("abnormality", "patient"), 0.4): 85.85,
}
