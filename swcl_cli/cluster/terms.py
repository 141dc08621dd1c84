"""Check on each worker that it sees the files of a command, and has the versions that its bytes depend on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from swcl_cli.errors import SwclError
from swcl_cli.workspace import versions

Seen = tuple[int, int]  # bytes, modification time in ns

_met: set[str] = set()  # tokens of the commands whose terms this process meets


@dataclass(frozen=True)
class Terms:
    """Hold what a worker must find: the token in the folder of results, the files that the command reads, and versions.

    files: those that the command has looked at, with size and time. Those of a copy elsewhere have another time.
    """

    token: Path
    secret: str
    files: dict[str, Seen] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)


@contextmanager
def terms_of(folder: Path) -> Iterator[Terms]:
    """Write a token into the folder of results, for as long as the block runs. Raises SwclError where that fails."""
    secret = secrets.token_hex(16)
    token = folder.absolute() / f".cluster-{secret[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        token.write_text(secret, encoding="utf-8")
    except OSError as error:
        raise SwclError(f"{token} can't be written: {error.strerror or error}.") from error
    try:
        yield Terms(token, secret)
    finally:
        token.unlink(missing_ok=True)


def look_at(paths: Iterable[Path]) -> dict[str, Seen]:
    """Return size and time of each file, by its absolute path; a file that is not there is left out."""
    seen = {}
    for path in paths:
        with suppress(OSError):
            status = Path(path.absolute()).stat()
            seen[str(path.absolute())] = (status.st_size, status.st_mtime_ns)
    return seen


def unmet(terms: Terms) -> str:
    """Say, on a worker, which of the terms it does not meet, and on which host; empty where it meets them all."""
    if terms.secret in _met:
        return ""
    reason = _lack(terms)
    if reason:
        return f"The worker on {os.uname().nodename} {reason}"
    _met.add(terms.secret)
    return ""


def _lack(terms: Terms) -> str:
    workspace = terms.token.parent
    with suppress(OSError):
        if terms.token.read_text(encoding="utf-8") == terms.secret:
            return _unlike(terms) or _lack_of_files(terms) or _lack_of_right(terms, workspace)
    return f"does not see {workspace}: it has to lie in a folder that all machines share."


def _unlike(terms: Terms) -> str:
    own = versions()
    wanted = terms.versions.items()
    unlike = [f"{name} {own.get(name)} in place of {version}" for name, version in wanted if own.get(name) != version]
    return f"has {', '.join(unlike)}: install equal versions." if unlike else ""


def _lack_of_files(terms: Terms) -> str:
    for path, seen in terms.files.items():
        found = look_at([Path(path)]).get(path)
        if found is None:
            return f"does not see {path}: it has to lie in a folder that all machines share."
        if found != seen:
            return f"sees another {path}, of other size or time: all machines have to share one folder, not copies."
    return ""


def _lack_of_right(terms: Terms, workspace: Path) -> str:
    mine = terms.token.with_name(f"{terms.token.name}-{os.uname().nodename}-{os.getpid()}")
    try:
        mine.touch()
        mine.unlink()
    except OSError as error:
        return f"can't write to {workspace}: {error.strerror or error}."
    return ""
