"""Keep a second process away from a folder while one works on it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from swcl_cli.errors import SwclError

LOCK = ".lock"


class Busy(SwclError):
    """Report that another process works on a folder."""


class Lock:
    """Hold a folder for this process until `release`, or until the process ends, even when it is killed.

    A record lock, since worker processes don't inherit those. Where the file system has no locks, nobody is held up.
    """

    def __init__(self, folder: Path, step: str) -> None:
        """Take the folder, which is made if need be.

        Raises Busy where another process holds it, and SwclError where it can't be written to.
        """
        self.path = folder / LOCK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.handle = self._opened()
        except BlockingIOError as error:
            raise Busy(f"Another `swcl {step}` is at work on {folder}{self._holder()}. Wait until it ends.") from error
        except OSError as error:
            raise SwclError(f"{error.filename or folder} can't be written to: {error.strerror}.") from error

    def _opened(self) -> IO[str]:
        """Open and lock the file. Raises BlockingIOError where another process holds it."""
        while True:
            handle = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115, it is held
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EACCES):
                    handle.close()
                    raise BlockingIOError from error
            if self._is_in_place(handle):
                handle.truncate(0)
                handle.write(f"process {os.getpid()} on {os.uname().nodename}")
                handle.flush()
                return handle
            handle.close()  # whoever held it has removed the file meanwhile

    def _is_in_place(self, handle: IO[str]) -> bool:
        """Tell whether this is still the file at the path; opening it once more would end the lock."""
        try:
            return os.path.samestat(os.fstat(handle.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        try:
            return f" ({self.path.read_text(encoding='utf-8', errors='replace')})"
        except OSError:
            return ""

    def release(self) -> None:
        """Let others work on the folder, and remove the file."""
        with suppress(OSError):
            if not self.handle.closed and self._is_in_place(self.handle):
                self.path.unlink()
        self.handle.close()


@contextmanager
def locked(folder: Path, step: str) -> Iterator[None]:
    """Hold a folder while the block runs; see `Lock`."""
    lock = Lock(folder, step)
    try:
        yield
    finally:
        lock.release()
