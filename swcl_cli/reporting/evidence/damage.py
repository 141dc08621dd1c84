"""Say what is wrong with a file that can't be used, and what to do, in one line that is the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from swcl_cli.errors import SwclError
from swcl_cli.workspace import Damaged, remedy

UNUSABLE = " can't be used: "
KINDS = {".parquet": "parquet file", ".safetensors": "safetensors file", ".csv": "table", ".jsonl": "text"}
IMAGES = (".png", ".jpg", ".jpeg")
MOST = 3  # images of a folder that are named each


def unusable(name: str, error: Exception, root: Path) -> str:
    """Say what is wrong with a file. `name` is its path in the workspace, `root`."""
    return f"{name}{UNUSABLE}{_reason(name, error, root)}. {remedy(name)}".rstrip()


def failed(error: Exception, root: Path) -> str:
    """Say what went wrong elsewhere. Where a reader's error names a file, the line is that of `unusable`."""
    if isinstance(error, Damaged):
        return unusable(error.path.as_posix().replace(f"{root}/", ""), error, root)
    name, named, _ = str(error).partition(" can't be read: ")
    if isinstance(error, SwclError) and named:
        return unusable(name.replace(f"{root}/", ""), error, root)
    text = _first_line(error, root)
    return text if isinstance(error, SwclError) else f"{type(error).__name__}: {text}"


def _reason(name: str, error: Exception, root: Path) -> str:
    if isinstance(error, Damaged):
        return error.reason
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
