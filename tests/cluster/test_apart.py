"""Work in a process of its own: what comes back of it, and what ends it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from swcl_cli import console
from swcl_cli.cluster.apart import do_apart
from swcl_cli.errors import Diverged, SwclError


def threads(name: str) -> dict[str, str | None]:
    print("This goes to the log of the worker.")
    console.warn(f"Eyes of {name}.")
    return {key: os.environ.get(key) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def diverging(_: object) -> None:
    raise Diverged("The loss is not finite.")


def dying(tries: Path) -> None:
    with tries.open("a") as handle:
        handle.write("tried\n")
    os.kill(os.getpid(), signal.SIGKILL)


def saving(place: Path) -> None:
    def save(*_: object) -> None:
        (place / "saved").touch()
        os._exit(0)

    signal.signal(signal.SIGTERM, save)
    (place / "begun").touch()
    time.sleep(60)


def wanted() -> bool:
    return False


def test_results_and_warnings_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    done = do_apart(threads, "Ann [x]", 3, wanted)
    assert done is not None and done.result == {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": None}
    assert done.warnings == ["Eyes of Ann [x]."] and done.host == os.uname().nodename


def test_an_error_keeps_its_kind() -> None:
    with pytest.raises(Diverged, match=r"^The loss is not finite\.$"):
        do_apart(diverging, None, 1, wanted)


def test_a_killed_process_is_begun_three_times(tmp_path: Path) -> None:
    with pytest.raises(SwclError, match=r"its process was killed by signal 9 3 times, perhaps for want of memory"):
        do_apart(dying, tmp_path / "tries", 1, wanted)
    assert (tmp_path / "tries").read_text().count("tried") == 3


def test_what_is_not_wanted_any_more_may_save_its_state(tmp_path: Path) -> None:
    assert do_apart(saving, tmp_path, 1, (tmp_path / "begun").exists) is None
    assert (tmp_path / "saved").exists()
