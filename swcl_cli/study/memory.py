"""Keep what a plan was made with, so that the same call plans the same again, whatever the machine does meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, require_file, write_text

PLAN, KEPT = "plan.sh", "plan.json"


class Kept(BaseModel):
    """Hold the preset, the network, the views of each pretraining (0 where nothing is pretrained) and measured paces.

    seconds_a_view: by network and size, as `costs.Pace` has them.
    """

    model_config = ConfigDict(extra="forbid")

    preset: str
    architecture: str
    views: int = Field(default=0, ge=0)
    seconds_a_view: dict[str, list[float]] = Field(default_factory=dict)


def read(workspace: Workspace) -> Kept | None:
    """Read what the last plan kept; None where there is none. Raises SwclError where it is damaged."""
    path = _path(workspace)
    if not path.exists():
        return None
    require_file(path)
    try:
        return Kept.model_validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise SwclError(f"{path} is damaged: swcl study --fresh plans anew, and keeps finished work.") from error


def write(workspace: Workspace, kept: Kept) -> None:
    """Keep it for the next call."""
    write_text(_path(workspace), json.dumps(kept.model_dump(), indent=1, sort_keys=True) + "\n")


def _path(workspace: Workspace) -> Path:
    return workspace.study / KEPT
