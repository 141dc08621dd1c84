from __future__ import annotations

from pathlib import Path

import pytest

from swcl_cli.reporting.contents import Contents, read_contents
from swcl_cli.workspace import Workspace
from tests.reporting import golden


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return golden.build(tmp_path)


@pytest.fixture
def contents(workspace: Workspace) -> Contents:
    return read_contents(workspace)
