"""Read single files of a workspace, and notes those that can't be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd

from swcl_cli.data.columns import Columns
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.evidence.stored import described
from swcl_cli.workspace import Workspace, fingerprint, require_file

T = TypeVar("T")


class Reader:
    """Read files of a workspace, and note in the contents those that can't be read."""

    def __init__(self, workspace: Workspace, contents: Contents) -> None:
        self.workspace, self.contents = workspace, contents

    def read(self, path: Path, read: Callable[[Path], T]) -> T | None:
        """Return None where the file is missing or damaged."""
        if not path.exists():
            return None
        return self.contents.attempt(lambda: read(_filled(path)), file=self.workspace.relative(path))

    def artefact(self, path: Path, step: str, required: Sequence[str] = ()) -> Artefact | None:
        """Return the artefact if it is of this step, with these settings."""
        return self.read(path, lambda path: read_artefact(self.workspace, path, step, required))


def _filled(path: Path) -> Path:
    require_file(path)
    if path.suffix in (".parquet", ".safetensors", ".csv") and not path.stat().st_size:
        raise SwclError("it is empty")
    return path


def read_artefact(workspace: Workspace, path: Path, step: str, required: Sequence[str] = ()) -> Artefact:
    return Artefact(workspace.relative(path), described(path, [step], required), fingerprint(path))


def read_frame(columns: Columns, path: Path) -> pd.DataFrame:
    return read_columns(path, columns).to_pandas()
