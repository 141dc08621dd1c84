"""Write artefacts whole or not at all, each with its provenance, and read the provenance back."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import operator
import os
import shutil
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swcl_cli.errors import SwclError
from swcl_cli.workspace.renewal import Damaged, remedy

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

METADATA_KEY = "swcl"
ROWS = "rows"  # in the provenance of tables, so that one that lost some is noticed

Alike = Callable[[Path, Path], bool]


@contextlib.contextmanager
def atomic(path: Path, alike: Alike | None = None) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it takes the final name only once it is complete and on the disk.

    Who may read it is up to the umask, whatever the library that writes it has in mind: safetensors lets nobody else.

    alike(path, new): whether an existing file holds the same as the new one; then it stays as it is.
    Raises SwclError where the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    host = f"{zlib.crc32(os.uname().nodename.encode()):08x}"  # several machines may write to one folder
    partial = path.with_name(f".{path.name}.{host}-{os.getpid()}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        with open(partial, "rb") as handle:
            os.fchmod(handle.fileno(), mode)
            os.fsync(handle.fileno())
        if alike and path.exists() and alike(path, partial):
            partial.unlink()
        else:
            os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise SwclError(f"{path} could not be written: {error.strerror or error}.") from error
        raise


def remove_tree(path: Path) -> None:
    """Remove a folder of ours, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)


def fingerprint(path: Path) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the file's bytes."""
    require_file(path)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def write_parquet(path: Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Write `table` with its provenance and number of rows under the key `swcl`. Equal tables give equal bytes."""
    import pyarrow.parquet as pq

    with atomic(path) as partial:
        pq.write_table(
            table.replace_schema_metadata(_metadata({**provenance, ROWS: table.num_rows})), partial, compression="zstd"
        )


def write_row_groups(
    path: Path,
    schema: pa.Schema,
    tables: Iterable[pa.Table],
    provenance: Mapping[str, Any],
    alike: Alike | None = None,
) -> None:
    """Write a table that comes in parts, each a row group, so that it is never in memory as a whole.

    Without dictionaries: in small parts they make the file larger and its reading slower. alike: see `atomic`.
    """
    import pyarrow.parquet as pq

    described = schema.with_metadata(_metadata(provenance))
    with (
        atomic(path, alike) as partial,
        pq.ParquetWriter(partial, described, compression="zstd", use_dictionary=False) as writer,
    ):
        for table in tables:
            writer.write_table(table)


def _metadata(provenance: Mapping[str, Any]) -> dict[str, str]:
    return {METADATA_KEY: json.dumps(provenance, sort_keys=True)}


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> None:
    """Write contiguous CPU copies of `tensors`; all metadata under one key, since safetensors does not order keys."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as partial:
        try:
            save_file(contiguous, partial, metadata=_metadata(provenance))
        except SafetensorError as error:  # of a full disk too
            raise SwclError(f"{path} could not be written: {error}.") from error


def write_text(path: Path, text: str) -> None:
    """Write text to a file in UTF-8."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_provenance(path: Path) -> dict[str, Any]:
    """Read the provenance of one of our artefacts. Raises SwclError where the file is damaged or not ours."""
    require_file(path)
    try:
        text = _parquet_metadata(path) if path.suffix == ".parquet" else _safetensors_metadata(path)
        loaded = json.loads(text or "{}")
    except Exception as error:
        raise SwclError(f"{path} can't be read: {error}. {remedy(path.as_posix())}".rstrip()) from error
    if text is None:
        raise SwclError(f"{path} was not written by swcl: it carries no '{METADATA_KEY}' metadata.")
    try:
        return require_record(loaded)
    except ValueError as error:
        raise Damaged(path, str(error)) from error


def require_file(path: Path) -> None:
    """Raise SwclError where there is no regular file: a pipe or device would hold whoever opens it up."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise SwclError(f"{path} does not exist.") from error
    except OSError as error:
        raise SwclError(f"{path} can't be read: {error.strerror}.") from error
    if not stat.S_ISREG(mode):
        kind, cause = ("folder", IsADirectoryError()) if stat.S_ISDIR(mode) else ("pipe or device", OSError())
        raise SwclError(f"{path} can't be read: it is a {kind}.") from cause


def require_record(record: object) -> dict[str, Any]:
    """Return a provenance. Raises ValueError, with the reason, where its parts are not what ours are."""
    if not isinstance(record, dict) or not isinstance(record.get("step", ""), str):
        raise ValueError("what it says of its making is no table of names and values")
    for part in ("settings", "inputs", "versions"):
        if not isinstance(record.get(part, {}), dict):
            raise ValueError(f"its {part} are no table of names and values")
    if not isinstance(record.get(ROWS, 0), int):
        raise ValueError("its rows are no number")
    return record


def part_of(path: Path, record: Mapping[str, Any], keys: Sequence[str], shape: Any) -> Any:
    """Return a part of the provenance of the file at `path`, below these keys. shape: a type, as pydantic takes it.

    Raises SwclError where it is missing, or of another shape.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        part = functools.reduce(operator.getitem, keys, record)
        return TypeAdapter(shape).validate_python(part)
    except (KeyError, TypeError):
        raise Damaged(path, f"it does not say its {keys[-1]}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, [*keys, *problem["loc"]]))
        raise Damaged(path, f"what it says of its {place} is wrong ({problem['msg'].lower()})") from error


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of one of our files. Raises SwclError where it is damaged, or a value is not a number."""
    from safetensors.torch import load_file

    require_file(path)
    try:
        tensors = load_file(path)
    except Exception as error:
        raise SwclError(f"{path} can't be read: {error}. {remedy(path.as_posix())}".rstrip()) from error
    if key := not_finite(tensors):
        raise Damaged(path, f"its {key} holds NaN or an infinite number")
    return tensors


def not_finite(tensors: Mapping[str, Tensor]) -> str:
    """Return the first key whose values are not all numbers; empty where there is none."""
    floats = (key for key, tensor in tensors.items() if tensor.is_floating_point())
    return next((key for key in floats if not bool(tensors[key].isfinite().all())), "")


def _parquet_metadata(path: Path) -> bytes | None:
    import pyarrow.parquet as pq

    return (pq.read_schema(path).metadata or {}).get(METADATA_KEY.encode())


def _safetensors_metadata(path: Path) -> str | None:
    from safetensors import safe_open

    with safe_open(path, "np") as handle:
        return (handle.metadata() or {}).get(METADATA_KEY)
