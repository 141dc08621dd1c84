"""Every kind of damage to every artefact: the reader tells the same as before, or one line names file and command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from swcl_cli.catalogue.labels import LABELS
from swcl_cli.data import columns, manifest
from swcl_cli.data.columns import Columns
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import load_encoder
from swcl_cli.models.initialisation import labelers, origins
from swcl_cli.steps import finetune
from swcl_cli.swap.weak_labels import read_patches
from swcl_cli.tasks.predictor import load_model
from swcl_cli.training.checkpoints import TrainState, load_state, save_state
from swcl_cli.workspace import METADATA_KEY, read_provenance, write_parquet
from tests.frozen.archive import unpack
from tests.messages.places import UNUSED

WORK: dict[str, Any] = {"step": "pretrain", "settings": {"seed": 0}, "inputs": {}}
IDRID = "finetune/idrid/grid/seed0"


def table(described: Columns, path: Path) -> pa.Table:
    return read_columns(path, described)


def manifest_of(path: Path) -> object:
    return manifest.read(path), manifest.prepared_size(path), manifest.read_labels(path)


def patches(path: Path) -> object:
    read = read_patches(path, ["position", "abnormality", "patient"])
    return [read.path.to_pylist(), *(getattr(read, name).tolist() for name in ("x", "y", "label", "abnormal", "pairs"))]


TABLES: dict[str, Callable[[Path], object]] = {
    "data/odir/manifest.parquet": manifest_of,
    "swap.parquet": patches,
    "runs/train-labeler/validation.parquet": partial(table, columns.LABELER_SCORES),
    f"{IDRID}/results.parquet": partial(finetune._read, "results"),
    f"{IDRID}/predictions.parquet": partial(finetune._read, "predictions"),
    f"{IDRID}/grid.parquet": partial(finetune._read, "grid"),
}
WEIGHTS: dict[str, Callable[[Path], object]] = {
    "labeler.safetensors": lambda path: state_of(labelers.read_labeler(path).network),
    "swcl.safetensors": lambda path: (state_of(load_encoder(path)), origins.of_file(path, None, None).colours),
    f"{IDRID}/model.safetensors": lambda path: state_of(load_model(path, "cpu").network),
    "runs/pretrain/begun/resume.safetensors": lambda path: state_of(resumed(path)),
}


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return module.state_dict()


def resumed(path: Path) -> nn.Module:
    state = fresh()
    load_state(path, state, WORK)
    return state.module


def fresh() -> TrainState:
    network = nn.Linear(2, 2)
    return TrainState(network, torch.optim.AdamW(network.parameters()))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace, small, of which each table tells its rows as this version writes them."""
    place = tmp_path_factory.mktemp("damaged")
    unpack(place, besides=UNUSED)
    workspace = place / "workspace"
    for name in TABLES:
        if not name.startswith(("data/", "swap")):
            path = workspace / name
            write_parquet(path, pq.read_table(path).replace_schema_metadata(None), read_provenance(path))
    path = workspace / "data/odir/manifest.parquet"
    made = {**read_provenance(path), "labels": [{"name": name} for name in LABELS]}
    pq.write_table(pq.read_table(path).replace_schema_metadata({METADATA_KEY: json.dumps(made)}), path)
    (workspace / "runs/pretrain/begun").mkdir(parents=True)
    state = fresh()
    state.module(torch.ones(1, 2)).sum().backward()
    state.optimizer.step()
    save_state(workspace / "runs/pretrain/begun/resume.safetensors", state, WORK)
    return workspace


def damaged_tables(whole: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The table with each kind of damage, of which the metadata remain."""
    yield "no row", whole.slice(0, 0)
    yield "a row less", whole.slice(1)
    yield "a row twice", pa.concat_tables([whole, whole.slice(0, 1)])
    yield "a row in place of another", pa.concat_tables([whole.slice(1), whole.slice(1, 1)])
    for place, field in enumerate(whole.schema):
        yield f"{field.name} gone", whole.drop_columns([field.name])
        for words, values in _values(whole[field.name], field.type):
            try:
                spoilt = pa.array(values.tolist(), None if words == "of text" else field.type)
            except (pa.ArrowException, OverflowError):
                spoilt = pa.array(values.tolist())
            yield f"{field.name} {words}", whole.set_column(place, field.name, spoilt)


def _values(column: pa.ChunkedArray, kind: pa.DataType) -> Iterator[tuple[str, Any]]:
    values = np.array(column.to_pylist(), dtype=object) if not pa.types.is_list(kind) else None
    if values is None:
        return
    for words, value in (("with a gap", None), ("negative", -3), ("huge", 2**62), ("NaN", float("nan"))):
        number = pa.types.is_floating(kind) or (pa.types.is_integer(kind) and words != "NaN")
        if words == "with a gap" or number:
            changed = values.copy()
            changed[0] = float(value) if value is not None and pa.types.is_floating(kind) else value
            yield words, changed
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        yield "of text", np.array(["high"] * len(values), dtype=object)
    elif column.to_pylist()[0] in ("train", "val", "test", "left", "right", "tl"):
        changed = values.copy()
        changed[0] = "elsewhere"
        yield "with a foreign word", changed


RECORDS = ("[]", "3", "null", "{", '{"settings": 3}', '{"settings": {}, "inputs": []}', '{"step": 1}', "{}")


def spoilt_files(data: bytes) -> dict[str, bytes]:
    return {"empty": b"", "half": data[: len(data) // 2], "cut": data[:-1], "text": b"torn", "start": data[:8]}


def outcome(read: Callable[[Path], object], path: Path) -> object:
    """What is read, or the line that is told instead."""
    try:
        return read(path)
    except SwclError as error:
        return str(error)


def alike(one: object, other: object) -> bool:
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, pd.DataFrame | pa.Table):
        return isinstance(other, type(one)) and bool(one.equals(other))
    return bool(one == other)


def told(said: object, path: Path) -> bool:
    return isinstance(said, str) and "\n" not in said.strip() and str(path) in said


@pytest.mark.parametrize("name", TABLES)
def test_tables(root: Path, tmp_path: Path, name: str) -> None:
    path, read = tmp_path / name, TABLES[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / name, path)
    before, whole = read(path), pq.read_table(path)
    kinds = 0
    for words, spoilt in damaged_tables(whole):
        pq.write_table(spoilt.replace_schema_metadata(whole.schema.metadata), path)
        said, kinds = outcome(read, path), kinds + 1
        unread = words.split()[0] not in ("no", "a") and not _is_read(name, words.split()[0])
        may_be = words.partition(" ")[2] in ("with a gap", "NaN", "negative") and _may_have_gaps(name, words)
        assert alike(said, before) or may_be or unread or (told(said, path) and "swcl " in str(said)), (words, said)
    for record in RECORDS:
        pq.write_table(whole.replace_schema_metadata({METADATA_KEY: record}), path)
        said = outcome(read, path)
        assert alike(said, before) or told(said, path), (record, said)
    pq.write_table(whole.replace_schema_metadata({}), path)
    assert told(outcome(read, path), path)
    for words, data in spoilt_files((root / name).read_bytes()).items():
        path.write_bytes(data)
        said = outcome(read, path)
        assert told(said, path) and "swcl " in str(said), (words, said)
    assert kinds > 15


def _is_read(name: str, column: str) -> bool:
    """`read_patches` reads what it needs; other readers of swap.parquet read the rest."""
    return name != "swap.parquet" or column not in ("image_id", "image_abnormal", "single")


def _may_have_gaps(name: str, words: str) -> bool:
    """A label that isn't known, and a measure that has no value, are no damage; a kappa may be negative, to -1."""
    column, _, kind = words.partition(" ")
    described = {"data": columns.MANIFEST, "swap": columns.SWAP}.get(name[:4], columns.RESULTS + columns.GRID)
    return kind in ("with a gap", "NaN") and (column in described.gaps or column in columns.SEGMENTED.gaps)


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(root: Path, tmp_path: Path, name: str) -> None:
    path, read = tmp_path / name, WEIGHTS[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / name, path)
    before, tensors, made = read(path), load_file(path), read_provenance(path)

    def write(changed: dict[str, Tensor], record: object = made) -> object:
        text = record if isinstance(record, str) else json.dumps(record)
        save_file(changed, path, {METADATA_KEY: text})
        return outcome(read, path)

    floats = [key for key, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel() > 1]
    for key in (floats[0], floats[-1]):
        for value in (float("nan"), float("inf")):
            spoilt = tensors[key].clone()
            spoilt.view(-1)[-1] = value
            said = write({**tensors, key: spoilt})
            assert told(said, path) and key in str(said) and "NaN or an infinite number" in str(said), said
        for less in ({**tensors}, {**tensors, key: tensors[key].flatten()[:1].clone()}):
            if less[key] is tensors[key]:
                del less[key]
            assert told(write(less), path)
    for record in RECORDS[::3]:
        said = write(tensors, record)
        assert alike(said, before) or told(said, path), (record, said)
    part = next(kind for kind in ("labeler", "encoder", "model", "resume") if kind in made)
    wrong: Any
    other: Any
    for wrong in (3, [], None, {}, "text", {**made[part], **dict.fromkeys(made[part], "wrong")}):
        said = write(tensors, {**made, part: wrong})
        assert told(said, path), (wrong, said)
    for key in made[part]:
        for other in ([], -1) if part == "resume" else ([],):
            said = write(tensors, {**made, part: {**made[part], key: other}})
            assert told(said, path) or isinstance(said, dict | tuple), (key, other, said)
    for words, data in spoilt_files((root / name).read_bytes()).items():
        path.write_bytes(data)
        assert told(outcome(read, path), path), words
