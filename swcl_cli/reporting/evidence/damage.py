"""Say what is wrong with a file that can't be used, and what to do, in one line that is the same each time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from swcl_cli.errors import SwclError
from swcl_cli.settings import prep_command

UNUSABLE = " can't be used: "
KINDS = {".parquet": "parquet file", ".safetensors": "safetensors file", ".csv": "table", ".jsonl": "text"}
IMAGES = (".png", ".jpg", ".jpeg")
MOST = 3  # images of a folder that are named each
REMEDIES = {  # by the file's path in the workspace; {0}, {1} are what its groups hold
    r"labeler\.safetensors|runs/train-labeler/validation\.parquet": "Make it again with: swcl train-labeler --fresh",
    r"swap\.parquet|runs/make-swap/cams\.safetensors": "Make it again with: swcl make-swap --fresh",
    r"[^/]+\.safetensors": "Make it again with: swcl pretrain --fresh",
    r"finetune/([^/]+)/[^/]+/\w+\.parquet": "The same swcl finetune {0} puts it together again from its runs.",
    r"finetune/([^/]+)/.*": "Make it again with: swcl finetune {0} --fresh",
    r"runs/.*/resume\.safetensors": "The same command with --fresh starts over.",
    r"runs/.*/log\.jsonl": "Curves lack what it held; no table does.",
}


def unusable(name: str, error: Exception, root: Path) -> str:
    """Say what is wrong with a file. `name` is its path in the workspace, `root`."""
    return f"{name}{UNUSABLE}{_reason(name, error, root)}. {remedy(name)}".rstrip()


def failed(error: Exception, root: Path) -> str:
    """Say what went wrong elsewhere. Where a reader's error names a file, the line is that of `unusable`."""
    name, named, _ = str(error).partition(" can't be read: ")
    if isinstance(error, SwclError) and named:
        return unusable(name.replace(f"{root}/", ""), error, root)
    text = _first_line(error, root)
    return text if isinstance(error, SwclError) else f"{type(error).__name__}: {text}"


def remedy(name: str) -> str:
    """Say what to do about a damaged file; empty where nothing is known."""
    if found := re.fullmatch(r"data/([^/]+)/.*", name):
        return f"Make it again with: {prep_command(found[1])}"
    for pattern, words in REMEDIES.items():
        if match := re.fullmatch(pattern, name):
            return words.format(*match.groups())
    return ""


def _reason(name: str, error: Exception, root: Path) -> str:
    cause = error.__cause__ if isinstance(error, SwclError) and error.__cause__ else error
    if isinstance(cause, FileNotFoundError):
        return "it is missing"
    if isinstance(cause, PermissionError):
        return "it may not be read by this user"
    if isinstance(cause, IsADirectoryError):
        return "it is a folder"
    if isinstance(cause, SwclError):
        said = _first_line(cause, root).removeprefix(f"{name} ").rstrip(".")
        return f"it {said}" if said.startswith(("was ", "is ", "has ")) else said
    suffix = Path(name).suffix.lower()
    kind = "picture" if suffix in IMAGES else KINDS.get(suffix, "file of ours")
    return f"it is damaged, or no {kind} ({type(cause).__name__})"


def _first_line(error: Exception, root: Path) -> str:
    lines = str(error).replace(f"{root}/", "").splitlines()
    return lines[0] if lines else type(error).__name__


def grouped(lines: Sequence[str]) -> list[str]:
    """Return the lines, but of many images in one folder the first alone, with the number of the others."""
    folders: dict[str, list[str]] = {}
    for line in lines:
        name, _, reason = line.partition(UNUSABLE)
        is_image = reason and Path(name).suffix.lower() in IMAGES
        folders.setdefault(name.rpartition("/")[0] if is_image else line, []).append(line)
    shown = []
    for folder, of_folder in folders.items():
        more = f" The same holds for {len(of_folder) - 1:,} more in {folder}." if len(of_folder) > MOST else ""
        shown += [f"{of_folder[0]}{more}"] if more else of_folder
    return shown
