"""Say that an artefact is damaged, and which command makes it again."""

from __future__ import annotations

import re
from pathlib import Path

from swcl_cli.errors import SwclError

REMEDIES = {  # by the end of the file's path; {0} is what its first group holds
    r"labeler\.safetensors|runs/train-labeler/validation\.parquet": "Make it again with: swcl train-labeler --fresh",
    r"swap\.parquet|runs/make-swap/(?:\w+\.safetensors|judged/.+)": "Make it again with: swcl make-swap --fresh",
    r"finetune/([^/]+)/[^/]+/\w+\.parquet": "The same swcl finetune {0} puts it together again from its runs.",
    r"finetune/([^/]+)/[^/]+/.*": "Make it again with: swcl finetune {0} --fresh",
    r"tested/.*": "The same swcl predict --data makes it again.",
    r"embeddings/.*\.parquet": "The same swcl predict makes it again.",
    r"audit\.parquet": "Make it again with: swcl audit",
    r"data/[^/]+/orientation\.parquet": "Make it again with: swcl audit --fresh",
    r"data/(?:[^/]+/(?:\.descriptions|quality)|\.compared)\.parquet": "Remove it: what it held is computed again.",
    r"features/.*\.parquet": "Remove it: what it held is computed again.",
    r"runs/.*/resume\.safetensors": "The same command with --fresh starts over.",
    r"runs/.*/log\.jsonl": "Curves lack what it held; no table does.",
    r"\.swcl\.json": "Write its folder again with: swcl make-swap --materialize FOLDER",
    r"model\.safetensors": "Make it again with: swcl finetune TASK --fresh",
    r"[^/]+\.safetensors": "Make it again with: swcl pretrain --fresh",
}


class Damaged(SwclError):
    """Report an artefact that does not hold what it has to. reason: what is wrong, without the file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged, or of another version: {reason}. {remedy(path.as_posix())}".rstrip())
        self.path, self.reason = path, reason


def remedy(name: str) -> str:
    """Say what to do about a damaged file at this path; empty where nothing is known."""
    from swcl_cli.settings import prep_command

    if found := re.search(r"([^/]+)/(?:manifest\.parquet|quarantine\.csv|(?:images|masks)/.+)$", name):
        return f"Make it again with: {prep_command(found[1])}"
    for pattern, words in REMEDIES.items():
        if match := re.search(rf"(?:^|/)(?:{pattern})$", name):
            return words.format(*match.groups())
    return ""
