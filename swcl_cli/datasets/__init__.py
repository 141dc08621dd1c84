"""List the public data sets, one file each. To add one: datasets/NAME.py with its SOURCE, and a line in DATASETS.

No file here has a heavy import, so `--help` and settings can ask for names and options.
"""

from __future__ import annotations

from swcl_cli.datasets import (
    chase_db1,
    drive,
    eyepacs,
    folder,
    idrid,
    idrid_seg,
    messidor,
    odir,
    refuge_cls,
    refuge_seg,
    stare,
)

DATASETS = {
    source.name: source
    for source in (
        odir.SOURCE,
        eyepacs.SOURCE,
        messidor.SOURCE,
        idrid.SOURCE,
        refuge_cls.SOURCE,
        refuge_seg.SOURCE,
        drive.SOURCE,
        stare.SOURCE,
        chase_db1.SOURCE,
        idrid_seg.SOURCE,
        folder.SOURCE,
    )
}
KNOWN_LESIONS = [name for name, source in DATASETS.items() if source.lesions]  # that scores of patches are judged on
OWN = folder.SOURCE.name  # photographs of people's own
