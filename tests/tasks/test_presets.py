"""Every task takes what each shipped preset says for it: a setting of masks in a row of labels is an error later."""

from __future__ import annotations

import pytest

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.settings import FinetuneSettings
from swcl_cli.settings.resolve import preset_names, resolve
from swcl_cli.tasks import KINDS


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_takes_the_settings_of_its_row(task: str, preset: str) -> None:
    kinds = KINDS.values() if TASKS[task].open else [KINDS[TASKS[task].kind]]
    for kind in kinds:
        kind.require_settings(resolve(FinetuneSettings, {"task": task}, preset).settings)
