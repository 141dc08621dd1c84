"""Define the settings of `audit`."""

from __future__ import annotations

from typing import ClassVar

from swcl_cli.settings.path_parts import PathParts
from swcl_cli.settings.step import StepSettings, setting


class AuditSettings(StepSettings):
    """Set how `swcl audit` looks for copies among the prepared photographs."""

    step: ClassVar[str] = "audit"

    data: PathParts | None = setting(
        None,
        "Data sets that are compared, within and with each other, joined by commas; by default all that are prepared.",
        panel="Data",
        runtime=True,
    )
    workers: int = setting(1, "Processes that describe and compare.", panel="Machine", runtime=True, ge=0, le=256)
    fresh: bool = setting(
        False,
        "Describe and compare again what earlier audits did; what they keep may be removed at any time.",
        panel="Machine",
        runtime=True,
    )
