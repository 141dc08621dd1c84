"""What holds for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that starts the tests in the background has them, and all that they start, ignore SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_workspace_outside() -> Iterator[None]:
    """Whoever runs the tests may have set a workspace, or a scheduler, of their own."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("SWCL_WORKSPACE", "SWCL_SCHEDULER"):
            patched.delenv(name, raising=False)
        yield
