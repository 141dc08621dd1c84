"""Worker processes end with their parent, and where they can't work one line says what is scarce."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from multiprocessing import active_children
from pathlib import Path

import pytest

from swcl_cli.errors import SwclError, Unwritten
from swcl_cli.workers import in_want, lack
from tests.commands import environment

LOADER = """
import os, time
from swcl_cli.data.loaders import make_loader
from torch.utils.data import Dataset

class Slow(Dataset):
    def __getitem__(self, key):
        os.write(1, f"{os.getpid()}\\n".encode())
        time.sleep(60)

if __name__ == "__main__":
    next(make_loader(Slow(), [[(0, item)] for item in range(8)], workers=2))
"""
DRAWING = """
import os, time
from swcl_cli.phantom.layouts.studio import draw_each

def slow(job):
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(60)

if __name__ == "__main__":
    list(draw_each(slow, range(64), workers=2))
"""


PREPARING = """
import os, time
from swcl_cli.preparation import jobs, pool

def slow(job, earlier=None):
    os.write(1, f"{os.getpid()}\\n".encode())  # one write: two processes' lines must not mix
    time.sleep(60)

pool.prepare = slow
with pool.preparing(2) as prepare:
    list(prepare([(jobs.Job(str(item), 0, {}, {}), None) for item in range(16)]))
"""


@pytest.mark.parametrize("program", [LOADER, DRAWING, PREPARING], ids=["loader", "drawing", "preparing"])
def test_workers_end_with_a_killed_parent(tmp_path: Path, program: str) -> None:
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, str(tmp_path / "program.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as parent:
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    deadline = time.monotonic() + 5
    while any(runs(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


FEW_FILES = """
import resource, sys
from swcl_cli.data.loaders import make_loader
from swcl_cli.errors import SwclError
from torch.utils.data import Dataset

class Numbers(Dataset):
    def __getitem__(self, key):
        return key[1]

resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
try:
    next(make_loader(Numbers(), [[(0, 0)]], workers=16))
except SwclError as error:
    sys.exit(str(error))
"""


def test_too_few_files_for_the_workers_is_a_line_and_leaves_none_behind() -> None:
    """Those that were started are ended: else the program would wait for them forever."""
    done = subprocess.run([sys.executable, "-c", FEW_FILES], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        "The 16 worker processes can't work here: too few file descriptors (ulimit -n). Use --workers 0."
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "too little memory"),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "too few processes (ulimit -u)"),
        (MemoryError(), "too little memory"),
        (
            RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"),
            "too little space in /dev/shm",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's"),
            "too little space in /dev/shm",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
            "a worker process was killed, perhaps for want of memory",
        ),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "too little memory"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ""),
        (FileNotFoundError(errno.ENOENT, "No such file"), ""),
    ],
    ids=str,
)
def test_what_is_scarce(error: Exception, words: str) -> None:
    assert lack(error) == words


def test_an_error_of_another_kind_or_without_workers_stays_what_it_is() -> None:
    before = active_children()
    for workers, error in ((2, RuntimeError("shapes")), (0, MemoryError())):
        with pytest.raises(type(error)) as caught, in_want(workers):
            raise error
        assert caught.value is error
    with (
        pytest.raises(SwclError, match=r"^The 2 worker processes can't work here: too little memory\. Use --workers 0"),
        in_want(2),
    ):
        raise MemoryError
    assert active_children() == before


def under_limit(kilobytes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command of which the addresses are limited."""
    command = f'ulimit -v {kilobytes}; exec "$0" -c "from swcl_cli.cli import app; app()" "$@"'
    return subprocess.run(
        ["bash", "-c", command, sys.executable, *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("kilobytes", [500_000, 1_000_000])
def test_too_few_addresses_to_load_pytorch_stop_in_one_line(kilobytes: int, tmp_path: Path) -> None:
    """Loading it would end in a traceback, an abort or a hang, by what could not be mapped."""
    done = under_limit(kilobytes, "make-swap", "--workspace", tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        f"error: ulimit -v leaves {kilobytes * 1024 / 1e9:.1f} GB of addresses, too few to load PyTorch and to work: "
        "raise it (ulimit -v unlimited).\n"
    )


@pytest.mark.parametrize(("kilobytes", "told"), [(4_800_000, True), (8_000_000, False)])
def test_few_addresses_are_told_before_anything_maps_them(kilobytes: int, told: bool, tmp_path: Path) -> None:
    done = under_limit(kilobytes, "make-swap", "--workspace", tmp_path)
    assert ("warning: ulimit -v leaves 4.9 GB of addresses" in done.stderr) == told
    assert done.returncode == 1 and "labeler.safetensors is missing" in done.stderr


def test_a_full_output_is_no_want_of_the_workers() -> None:
    with pytest.raises(Unwritten), in_want(2):
        raise Unwritten(errno.ENOSPC, "No space left on device")
    with pytest.raises(SwclError, match="no space left in /dev/shm. Use --workers 0"), in_want(2):
        raise OSError(errno.ENOSPC, "No space left on device")
