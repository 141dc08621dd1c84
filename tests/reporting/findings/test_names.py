from __future__ import annotations

from swcl_cli.catalogue.methods import METHODS
from swcl_cli.catalogue.paper import INITIALISATIONS, TASK_ORDER
from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.reporting.findings import names


def test_every_name_that_the_program_gives_has_its_place() -> None:
    assert set(INITIALISATIONS) == {*METHODS, "random", "imagenet", "bit-m", "bit-s"}
    assert len(set(INITIALISATIONS)) == len(INITIALISATIONS)
    assert set(TASK_ORDER) <= set(TASKS)
    assert names.ordered_tasks(["added", "drive", *TASK_ORDER]) == [*TASK_ORDER, "added"]


def test_variants_stand_behind_what_they_vary() -> None:
    found = ["swcl-frozen", "mine", "swcl", "random-0.1", "swcl-image-0.1", "BiT-M-R50x1", "random", "simclr", "bit_s"]
    assert names.ordered_initialisations(found) == [
        "random", "random-0.1", "simclr", "bit_s", "BiT-M-R50x1", "swcl-image-0.1", "swcl", "swcl-frozen", "mine",
    ]  # fmt: skip
    assert names.ordered_tasks(["stare", "folder-mine", "idrid", "idrid"]) == [
        "idrid",
        "stare",
        "folder-mine",
    ]


def test_a_name_is_known_by_whole_words() -> None:
    bases = {name: names.base(name, INITIALISATIONS) for name in ("swcl-image", "swclone", "SWCL_2", "dino (x)")}
    assert bases == {"swcl-image": "swcl-image", "swclone": None, "SWCL_2": "swcl", "dino (x)": "dino"}
