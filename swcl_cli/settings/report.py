"""Settings of `report`."""

from __future__ import annotations

from typing import ClassVar

from swcl_cli.settings.step import StepSettings


class ReportSettings(StepSettings):
    """`swcl report`: tables, figures and one page from all that the workspace holds."""

    step: ClassVar[str] = "report"
