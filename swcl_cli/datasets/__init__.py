"""Public data sets, one file each.

To add one: write datasets/NAME.py with `read(source) -> Download`, PUBLISHED and ABOUT, enter it below, and add its
name and size, and the options of its own that `read` takes, to settings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from swcl_cli.datasets import (
    chase_db1,
    drive,
    eyepacs,
    folder,
    idrid,
    messidor,
    odir,
    refuge_cls,
    refuge_seg,
    stare,
)
from swcl_cli.datasets.download import About, Download


@dataclass(frozen=True)
class Source:
    """read(source, **options of its own); published: images by split."""

    read: Callable[..., Download]
    published: dict[str, int]
    about: About


DATASETS = {
    "odir": Source(odir.read, odir.PUBLISHED, odir.ABOUT),
    "eyepacs": Source(eyepacs.read, eyepacs.PUBLISHED, eyepacs.ABOUT),
    "messidor": Source(messidor.read, messidor.PUBLISHED, messidor.ABOUT),
    "idrid": Source(idrid.read, idrid.PUBLISHED, idrid.ABOUT),
    "refuge-cls": Source(refuge_cls.read, refuge_cls.PUBLISHED, refuge_cls.ABOUT),
    "refuge-seg": Source(refuge_seg.read, refuge_seg.PUBLISHED, refuge_seg.ABOUT),
    "drive": Source(drive.read, drive.PUBLISHED, drive.ABOUT),
    "stare": Source(stare.read, stare.PUBLISHED, stare.ABOUT),
    "chase-db1": Source(chase_db1.read, chase_db1.PUBLISHED, chase_db1.ABOUT),
    "folder": Source(folder.read, folder.PUBLISHED, folder.ABOUT),
}
