"""Define the settings of `report`."""

from __future__ import annotations

from typing import ClassVar

from swcl_cli.settings.step import StepSettings, setting


class ReportSettings(StepSettings):
    """Set how `swcl report` writes tables, figures and a page from all that the workspace holds."""

    step: ClassVar[str] = "report"

    no_images: bool = setting(
        False,
        "For passing the report on: leave out every photograph, and replace ids and file names of patients and "
        "photographs by pseudonyms. Names that you chose, of runs and data sets, stay.",
        panel="Data",
    )
