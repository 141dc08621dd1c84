"""`make-swap` and `predict` on workers: the bytes of one process, although a worker is killed meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from swcl_cli.steps import make_swap
from tests import prepared, swap_runs
from tests.cluster.dask_processes import Dask, kill, until
from tests.commands import finish, process, swcl
from tests.folders import contents
from tests.planted import write_drive, write_idrid

QUICK = {"epochs": 1, "batch": 16, "architecture": "test_resnet"}


def killing_one(cluster: Dask, *words: object) -> None:
    """Runs the command, and kills a worker once it has loaded PyTorch: it is at its first photographs."""
    started = process(*words, "--scheduler", cluster.address)
    worker = cluster.workers[0]
    until(lambda: "libtorch" in Path(f"/proc/{worker.pid}/maps").read_text() or started.poll() is not None)
    assert started.poll() is None
    kill(worker)
    done = finish(started, seconds=400)
    assert done.code == 0, done.err


def test_scores_of_patches(tmp_path: Path, cluster: Dask) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    swap_runs.make(here)
    shutil.copytree(here, there)
    make_swap.run(swap_runs.options(here))
    killing_one(cluster, "make-swap", "--workspace", there, "--batch", 3, "--accelerator", "cpu")
    assert contents(there) == contents(here)


def test_predictions(tmp_path: Path, cluster: Dask) -> None:
    """Grades in batches of 32, and masks with overlays; a file that is no photograph is set aside by both."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for item in range(36):
        Image.fromarray(prepared.photograph(item, 120, 100)).save(raw / f"{item}.png")
    (raw / "broken.png").write_bytes(b"no photograph")
    write_idrid(tmp_path, 20)
    write_drive(tmp_path, 10)
    for number, task in enumerate(("idrid", "drive")):
        more = {"output_stride": 16} if task == "drive" else {}
        made = swcl("finetune", task, "--workspace", tmp_path, *words_of(QUICK | more))
        assert made.code == 0, made.err
        model = tmp_path / "finetune" / task / "random/seed0/model.safetensors"
        words = ("predict", model, raw, "--accelerator", "cpu")
        assert swcl(*words, "--workers", 0, "--out", tmp_path / f"here-{task}").code == 0
        if number == 0:
            killing_one(cluster, *words, "--out", tmp_path / f"there-{task}")
        else:
            done = swcl(*words, "--scheduler", cluster.address, "--out", tmp_path / f"there-{task}")
            assert done.code == 0, done.err
        there = contents(tmp_path / f"there-{task}")
        assert there == contents(tmp_path / f"here-{task}") and "unreadable.csv" in there
        assert task == "idrid" or sum(name.startswith("overlays/") for name in there) == 36


def words_of(values: dict[str, object]) -> list[str]:
    chosen = {"seeds": 1, "workers": 0, "accelerator": "cpu", "crop": 32, **values}
    return [word for name, value in chosen.items() for word in (f"--{name.replace('_', '-')}", str(value))]
