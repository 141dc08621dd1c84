"""A pretraining that dies as by SIGKILL: nothing gets to save or to tidy up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from swcl_cli.training.run import Run


class Killed(BaseException):
    """Not an Exception, so that nothing in between takes it for one."""


@contextmanager
def once_logged(steps: int) -> Iterator[None]:
    """What is run inside must die, right after its log counts so many steps."""
    write = Run.log

    def dying(self: Run, **record: Any) -> None:
        write(self, **record)
        if self.state.step == steps:
            raise Killed

    with mock.patch.object(Run, "log", dying), pytest.raises(Killed):
        yield
