from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.workspace import Workspace
from tests.reporting import golden


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golden.build(tmp_path_factory.mktemp("golden")).root


@pytest.fixture
def workspace(built: Path, tmp_path: Path) -> Workspace:
    """A golden workspace that the test may change."""
    return Workspace(Path(shutil.copytree(built, tmp_path / "workspace")))


@pytest.fixture
def contents(workspace: Workspace) -> Contents:
    return read_contents(workspace)
