"""Name, write and read the artefacts of a workspace, and record what each was made from."""

from __future__ import annotations

from swcl_cli.workspace.artefacts import (
    METADATA_KEY,
    atomic,
    fingerprint,
    read_provenance,
    remove_tree,
    write_parquet,
    write_row_groups,
    write_safetensors,
    write_text,
)
from swcl_cli.workspace.locks import LOCK, Lock, locked
from swcl_cli.workspace.places import DRAWING, FORMER, JOURNAL, MODEL, Workspace
from swcl_cli.workspace.provenance import as_before, differences, is_done, outgrown, provenance, require_own, versions
from swcl_cli.workspace.run_folders import (
    FINETUNE,
    LABELER,
    LOG,
    PRETRAIN,
    RESUME,
    RUN,
    RunFolder,
    RunName,
    grid_points,
    run_name,
)

__all__ = [
    "DRAWING",
    "FINETUNE",
    "FORMER",
    "JOURNAL",
    "LABELER",
    "LOCK",
    "LOG",
    "METADATA_KEY",
    "MODEL",
    "PRETRAIN",
    "RESUME",
    "RUN",
    "Lock",
    "RunFolder",
    "RunName",
    "Workspace",
    "as_before",
    "atomic",
    "differences",
    "fingerprint",
    "grid_points",
    "is_done",
    "locked",
    "outgrown",
    "provenance",
    "read_provenance",
    "remove_tree",
    "require_own",
    "run_name",
    "versions",
    "write_parquet",
    "write_row_groups",
    "write_safetensors",
    "write_text",
]
