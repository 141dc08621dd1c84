"""Every task takes what each shipped preset says for it: a setting of masks in a row of labels is an error later."""

from __future__ import annotations

import pytest

from swcl_cli.catalogue.tasks import TASKS
from swcl_cli.errors import UsageError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.settings.resolve import preset_names, resolve
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.kind import Kind


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_takes_the_settings_of_its_row(task: str, preset: str) -> None:
    settings = resolve(FinetuneSettings, {"task": task}, preset).settings
    if not TASKS[task].open:
        return KINDS[TASKS[task].kind].require_settings(settings)
    assert any(_takes(kind, settings) for kind in KINDS.values())  # a preset knows whether people's own are masks


def _takes(kind: Kind, settings: FinetuneSettings) -> bool:
    try:
        kind.require_settings(settings)
    except UsageError:
        return False
    return True
