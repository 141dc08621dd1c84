"""Name, write and read the artefacts of a workspace, and record what each was made from."""

from __future__ import annotations

from swcl_cli.workspace.artefacts import (
    METADATA_KEY,
    ROWS,
    atomic,
    fingerprint,
    not_finite,
    part_of,
    read_provenance,
    read_safetensors,
    remove_tree,
    require_file,
    require_record,
    write_parquet,
    write_row_groups,
    write_safetensors,
    write_text,
)
from swcl_cli.workspace.claims import claim
from swcl_cli.workspace.locks import LOCK, Lock, locked
from swcl_cli.workspace.logs import log_lines, read_lines
from swcl_cli.workspace.places import DRAWING, EMBEDDINGS, FORMER, JOURNAL, MODEL, Workspace
from swcl_cli.workspace.provenance import as_before, differences, is_done, outgrown, provenance, require_own, versions
from swcl_cli.workspace.renewal import Damaged, remedy
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
    "EMBEDDINGS",
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
    "ROWS",
    "RUN",
    "Damaged",
    "Lock",
    "RunFolder",
    "RunName",
    "Workspace",
    "as_before",
    "atomic",
    "claim",
    "differences",
    "fingerprint",
    "grid_points",
    "is_done",
    "locked",
    "log_lines",
    "not_finite",
    "outgrown",
    "part_of",
    "provenance",
    "read_lines",
    "read_provenance",
    "read_safetensors",
    "remedy",
    "remove_tree",
    "require_file",
    "require_own",
    "require_record",
    "run_name",
    "versions",
    "write_parquet",
    "write_row_groups",
    "write_safetensors",
    "write_text",
]
