"""Read provenance, and check that it holds what the report expects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from swcl_cli.errors import SwclError
from swcl_cli.workspace import METADATA_KEY, read_provenance


def described(path: Path, steps: Sequence[str], required: Sequence[str] = ()) -> dict[str, Any]:
    """Return the provenance of an artefact of one of these steps, with these settings.

    Raises SwclError where it is something else's, or its parts are not what ours are.
    """
    work: Any = read_provenance(path)
    if not isinstance(work, dict) or work.get("step") not in steps:
        made = work.get("step") if isinstance(work, dict) else None
        raise SwclError(f"it was made by {made or 'something else'}, not by swcl {' or '.join(steps)}")
    for part in ("settings", "inputs", "versions"):
        work.setdefault(part, {})
    if lacking := [name for name in required if work["settings"].get(name) is None]:
        raise SwclError(f"it does not say its {', '.join(lacking)}: it is of another version")
    return work


def is_ours(path: Path) -> bool:
    """Tell whether a safetensors file says what made it; other people's weights may lie in a workspace, too."""
    with safe_open(path, "np") as handle:
        return METADATA_KEY in (handle.metadata() or {})
