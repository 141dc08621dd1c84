"""Train an encoder by one of the methods of catalogue/methods.py, one file each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from swcl_cli.catalogue.methods import METHODS

if TYPE_CHECKING:
    from swcl_cli.methods.method import Method
    from swcl_cli.settings import PretrainSettings
    from swcl_cli.workspace import Workspace


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build the method that the settings name, from the workspace's data. No other method is imported."""
    module, _, function = METHODS[settings.method].prepare.partition(":")
    method: Method = getattr(import_module(f"swcl_cli.methods.{module}"), function)(settings, workspace)
    return method
