"""Artefacts: whole or not there, equal bytes for equal contents, and what they remember."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from swcl_cli import __version__
from swcl_cli.errors import SwclError
from swcl_cli.workspace import (
    Workspace,
    atomic,
    differences,
    fingerprint,
    is_done,
    provenance,
    read_provenance,
    remove_tree,
    versions,
    write_parquet,
    write_safetensors,
    write_text,
)

WORK: dict[str, Any] = {
    "step": "pretrain",
    "settings": {"seed": 0, "labels": ["position", "patient"], "threshold": None, "name": "Zürich"},
    "versions": {"swcl": "0"},
    "inputs": {"swap": "0123456789abcdef"},
}
TABLE = pa.table({"path": ["a", "b"], "score": pa.array([0.25, None], pa.float32())})


def write_tensors(path: Path, work: dict[str, Any]) -> None:
    rng = np.random.Generator(np.random.Philox(1))
    write_safetensors(path, {name: torch.from_numpy(rng.random((3, 4))) for name in "abcdefgh"}, work)


def write_table(path: Path, work: dict[str, Any]) -> None:
    write_parquet(path, TABLE, work)


WRITERS = [
    pytest.param("x.safetensors", write_tensors, id="safetensors"),
    pytest.param("x.parquet", write_table, id="parquet"),
]
Write = Callable[[Path, dict[str, Any]], None]


@pytest.mark.parametrize("umask", [0o027, 0o002])
@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_the_umask_decides_who_may_read(tmp_path: Path, name: str, write: Write, umask: int) -> None:
    """Also a file that replaces one of other rights."""
    before = os.umask(umask)
    try:
        for _ in range(2):
            write(tmp_path / "sub" / name, WORK)
            assert (tmp_path / "sub" / name).stat().st_mode & 0o777 == 0o666 & ~umask
            (tmp_path / "sub" / name).chmod(0o600)
        assert (tmp_path / "sub").stat().st_mode & 0o777 == 0o777 & ~umask
    finally:
        os.umask(before)


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a few bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_names(tmp_path: Path) -> None:
    work = Workspace(tmp_path)
    paths = {
        work.manifest("odir"): "data/odir/manifest.parquet",
        work.images("odir"): "data/odir/images",
        work.masks("odir"): "data/odir/masks",
        work.quarantine("odir"): "data/odir/quarantine.csv",
        work.labeler: "labeler.safetensors",
        work.swap: "swap.parquet",
        work.encoder("mine"): "mine.safetensors",
        work.labeler_run.folder: "runs/train-labeler",
        work.labeler_scores: "runs/train-labeler/validation.parquet",
        work.swap_run.folder: "runs/make-swap",
        work.maps: "runs/make-swap/cams.safetensors",
        work.pretraining("mine").log: "runs/pretrain/mine/log.jsonl",
        work.finetuning("drive", "mine", "seed0").resume: "runs/finetune/drive/mine/seed0/resume.safetensors",
        work.finetune("drive", "mine"): "finetune/drive/mine",
        work.report: "report",
        work.phantom: "phantom",
    }
    assert {work.relative(path): name for path, name in paths.items()} == {name: name for name in paths.values()}


def test_prepared_data_sets_are_those_with_a_manifest(tmp_path: Path) -> None:
    work = Workspace(tmp_path)
    assert work.prepared() == []
    for dataset in ("odir", "drive"):
        write_text(work.manifest(dataset), "")
    work.images("idrid").mkdir(parents=True)
    assert work.prepared() == ["drive", "odir"]


def test_require_names_the_file_and_the_command(tmp_path: Path) -> None:
    work = Workspace(tmp_path)
    with pytest.raises(SwclError, match="swap.parquet is missing. Make it with: swcl make-swap"):
        work.require(work.swap, "swcl make-swap")
    write_text(work.swap, "")
    assert work.require(work.swap, "swcl make-swap") == work.swap


def test_atomic_takes_the_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/file.txt"
    with atomic(path) as partial:
        partial.write_text("new")
        assert partial.parent == path.parent and partial.name.startswith(".") and not path.exists()
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_all_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    for before in ([], ["old"]):
        for text in before:
            (tmp_path / "file.txt").write_text(text)
        with pytest.raises(error), atomic(tmp_path / "file.txt") as partial:
            partial.write_text("half")
            raise error
        assert [path.read_text() for path in tmp_path.iterdir()] == before


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_a_full_disk_is_told_and_leaves_all_as_it_was(tmp_path: Path, name: str, write: Write) -> None:
    write(tmp_path / name, WORK)
    before = (tmp_path / name).read_bytes()
    with full_disk(), pytest.raises(SwclError, match=rf"{name} could not be written: .*[Ff]ile too large"):
        write(tmp_path / name, {**WORK, "step": "other"})
    assert list(tmp_path.iterdir()) == [tmp_path / name] and (tmp_path / name).read_bytes() == before


def test_a_disk_error_of_text_is_told(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(SwclError, match="page.html could not be written: File too large."):
        write_text(tmp_path / "page.html", "x" * 100)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_equal_contents_are_equal_bytes(tmp_path: Path, name: str, write: Write) -> None:
    turned = {key: WORK[key] for key in reversed(WORK)}
    for folder, work in (("a", WORK), ("b", WORK), ("c", turned)):
        write(tmp_path / folder / name, work)
    assert len({(tmp_path / folder / name).read_bytes() for folder in "abc"}) == 1
    write(tmp_path / "d" / name, {**WORK, "step": "other"})
    assert fingerprint(tmp_path / "d" / name) != fingerprint(tmp_path / "a" / name)


def test_the_order_of_tensors_does_not_matter(tmp_path: Path) -> None:
    tensors = {"b": torch.ones(2), "a": torch.zeros(3, dtype=torch.int64), "c": torch.ones(2, 2)}
    write_safetensors(tmp_path / "a", tensors, WORK)
    write_safetensors(tmp_path / "b", {name: tensors[name] for name in "abc"}, WORK)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_provenance_comes_back(tmp_path: Path, name: str, write: Write) -> None:
    write(tmp_path / name, WORK)
    rows = {"rows": TABLE.num_rows} if name.endswith(".parquet") else {}
    assert read_provenance(tmp_path / name) == {**WORK, **rows}


def test_contents_come_back(tmp_path: Path) -> None:
    weight = torch.arange(24.0).reshape(2, 3, 2, 2).to(memory_format=torch.channels_last).requires_grad_()
    write_safetensors(
        tmp_path / "x.safetensors", {"weight": weight, "part": weight[:, 1], "count": torch.tensor(3)}, WORK
    )
    back = load_file(tmp_path / "x.safetensors")
    assert torch.equal(back["weight"], weight) and torch.equal(back["part"], weight[:, 1]) and back["count"] == 3
    write_parquet(tmp_path / "x.parquet", TABLE.replace_schema_metadata({"pandas": "index"}), WORK)
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.equals(TABLE) and list(table.schema.metadata) == [b"swcl"]


@pytest.mark.parametrize(("name", "write"), WRITERS)
@pytest.mark.parametrize("damage", ["empty", "cut", "other", "text"])
def test_a_damaged_file_is_told(tmp_path: Path, name: str, write: Write, damage: str) -> None:
    path = tmp_path / name
    write(path, WORK)
    data = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "cut": data[: len(data) // 2], "other": b"\xff\xd8\xff" * 40, "text": b"{}"}[damage]
    )
    with pytest.raises(SwclError, match=f"{name} can't be read: "):
        read_provenance(path)


def test_what_is_not_ours_is_told(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "x.safetensors")
    pq.write_table(TABLE, tmp_path / "x.parquet")
    for name in ("x.safetensors", "x.parquet"):
        with pytest.raises(SwclError, match=f"{name} was not written by swcl"):
            read_provenance(tmp_path / name)
        with pytest.raises(SwclError, match=f"no-{name} does not exist"):
            read_provenance(tmp_path / f"no-{name}")
    save_file({"a": torch.ones(1)}, tmp_path / "y.safetensors", metadata={"swcl": "no json"})
    with pytest.raises(SwclError, match="y.safetensors can't be read"):
        read_provenance(tmp_path / "y.safetensors")


def test_fingerprint_is_the_start_of_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert fingerprint(tmp_path / "abc") == "ba7816bf8f01cfea"


def test_provenance_holds_versions() -> None:
    made = provenance("report", {"seed": 1}, {"swap": "0"}, counts={"all": 3})
    assert made == {"step": "report", "settings": {"seed": 1}, "inputs": {"swap": "0"}, "counts": {"all": 3},
                    "versions": versions()}  # fmt: skip
    assert versions()["swcl"] == __version__ and versions()["torch"] == torch.__version__.split("+")[0]


def test_differences_name_what_changed() -> None:
    changed = {
        **WORK,
        "step": "finetune",
        "versions": {},
        "inputs": {"swap": "f"},
        "settings": {"seed": 1, "labels": ["position"], "name": "Zürich", "batch": 3},
    }
    assert differences(WORK, WORK) == []
    assert differences(WORK, changed) == [
        "step: pretrain -> finetune",
        "batch: None -> 3",
        "labels: ['position', 'patient'] -> ['position']",
        "seed: 0 -> 1",
        "swap: 0123456789abcdef -> f",
    ]
    assert differences({}, WORK)[0] == "step: None -> pretrain"


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_is_done(tmp_path: Path, name: str, write: Write) -> None:
    path = tmp_path / name
    assert not is_done(path, WORK, fresh=False)
    write(path, WORK)
    assert is_done(path, {**WORK, "versions": {"swcl": "later"}, "more": 1}, fresh=False)
    assert not is_done(path, WORK, fresh=True)
    other = {**WORK, "settings": {**WORK["settings"], "seed": 1}, "inputs": {"swap": "f"}}
    with pytest.raises(SwclError) as caught:
        is_done(path, other, fresh=False)
    assert str(caught.value).startswith(f"{path} was made differently (seed: 0 -> 1; swap: 0123456789abcdef -> f).")
    assert str(caught.value).endswith(" Start over with --fresh, or take another --name.")
    with pytest.raises(SwclError, match="Start over with --fresh.$"):
        is_done(path, {**WORK, "step": "train-labeler"}, fresh=False)


def test_remove_tree(tmp_path: Path) -> None:
    write_text(tmp_path / "report/tables/a.md", "")
    for _ in range(2):
        remove_tree(tmp_path / "report")
        assert not (tmp_path / "report").exists()
