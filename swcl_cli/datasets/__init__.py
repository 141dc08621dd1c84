"""Public data sets, one file each.

To add one: write datasets/NAME.py with `read(source) -> Download`, enter it below, and add its name and size to
settings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swcl_cli.datasets import drive, eyepacs, idrid, odir
from swcl_cli.datasets.download import Download

DATASETS: dict[str, Callable[[Path], Download]] = {
    "odir": odir.read,
    "eyepacs": eyepacs.read,
    "idrid": idrid.read,
    "drive": drive.read,
}
