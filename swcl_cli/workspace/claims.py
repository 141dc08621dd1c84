"""Record in a folder of people's own what it holds, so that nothing of others is written over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swcl_cli.errors import SwclError
from swcl_cli.workspace.artefacts import require_record, write_text
from swcl_cli.workspace.locks import LOCK
from swcl_cli.workspace.provenance import differences


def claim(folder: Path, name: str, work: Mapping[str, Any], what: str) -> None:
    """Record in the folder, in the file `name`, what it holds. what: the plural of that, for messages.

    Raises SwclError where it holds anything but the results of this work, whole or begun.
    """
    record = folder / name
    if record.is_file():
        if changed := differences(_recorded(record), work):
            raise SwclError(f"{folder} holds other {what} ({'; '.join(changed)}): name another folder with --out.")
    elif any(path.name != LOCK for path in folder.iterdir()):
        raise SwclError(f"{folder} is not empty: name a new folder with --out.")
    write_text(record, json.dumps(work, sort_keys=True, indent=1) + "\n")


def _recorded(path: Path) -> dict[str, Any]:
    """Read whose results a folder holds. Raises SwclError where the record is damaged."""
    try:
        return require_record(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise SwclError(
            f"{path} is damaged, or of another version: {error}. Remove its folder, or name another one with --out."
        ) from error
