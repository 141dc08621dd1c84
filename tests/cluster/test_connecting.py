"""A scheduler that can't be used is a line that says why, within seconds."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from swcl_cli.cluster.connecting import address_of, connected
from swcl_cli.errors import SwclError, UsageError
from tests.cluster.dask_processes import dask, free_port
from tests.commands import environment, swcl


def test_nobody_answers(tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    started = time.monotonic()
    done = swcl("prep", "odir", tmp_path / "source", "--scheduler", address, "--workspace", tmp_path / "work")
    assert time.monotonic() - started < 7
    assert done.code == 1 and done.out == ""
    assert done.err == f"error: No Dask scheduler answers at {address}. Start one with: dask scheduler --host HOST\n"


def test_something_else_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(SwclError, match=f"No Dask scheduler answers at {address}"), connected(address):
            pass
        assert time.monotonic() - started < 7


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SwclError, match=r"pip install 'swcl\[cluster\]'"), connected("tcp://127.0.0.1:1"):
        pass


def test_addresses(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"type": "Scheduler", "address": "tls://10.0.0.7:8786", "workers": {}}))
    assert address_of(str(file)) == "tls://10.0.0.7:8786"
    assert address_of("tcp://node-7:8786") == "tcp://node-7:8786"
    for wrong in (
        "node-7:8786",
        "tcp://node-7",
        "tcp://node-7:port",
        "http://node-7:8786",
        str(tmp_path / "none.json"),
    ):
        with pytest.raises(UsageError, match="neither a scheduler file nor an address"):
            address_of(wrong)
    file.write_text("{}")
    with pytest.raises(UsageError, match="names no address"):
        address_of(str(file))


def test_a_scheduler_of_another_version(tmp_path: Path) -> None:
    """The description of a package that stands before the installed one tells the scheduler its version."""
    version = metadata.version("distributed")
    [installed] = [path for path in sys.path if (Path(path) / f"distributed-{version}.dist-info").is_dir()]
    described = tmp_path / "distributed-2020.1.0.dist-info"
    shutil.copytree(Path(installed) / f"distributed-{version}.dist-info", described)
    told = (described / "METADATA").read_text()
    (described / "METADATA").write_text(told.replace(f"Version: {version}", "Version: 2020.1.0", 1))
    before = {"PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}"}
    with (
        dask(tmp_path, workers=0, variables=before) as started,
        pytest.raises(SwclError, match=r"has Dask 2020\.1\.0, this command 20\d\d\.\S+: install equal ones"),
        connected(started.address),
    ):
        pass
