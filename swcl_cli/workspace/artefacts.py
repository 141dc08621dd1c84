"""Write artefacts whole or not at all, each with its provenance, and read the provenance back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swcl_cli.errors import SwclError

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

METADATA_KEY = "swcl"

Alike = Callable[[Path, Path], bool]


@contextlib.contextmanager
def atomic(path: Path, alike: Alike | None = None) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it takes the final name only once it is complete and on the disk.

    Who may read it is up to the umask, whatever the library that writes it has in mind: safetensors lets nobody else.

    alike(path, new): whether an existing file holds the same as the new one; then it stays as it is.
    Raises SwclError where the file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
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
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def write_parquet(path: Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Write `table` with its provenance under the metadata key `swcl`. Equal tables give equal bytes."""
    import pyarrow.parquet as pq

    with atomic(path) as partial:
        pq.write_table(table.replace_schema_metadata(_metadata(provenance)), partial, compression="zstd")


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
    try:
        text = _parquet_metadata(path) if path.suffix == ".parquet" else _safetensors_metadata(path)
        loaded: dict[str, Any] = json.loads(text or "{}")
    except FileNotFoundError:
        raise SwclError(f"{path} does not exist.") from None
    except Exception as error:
        raise SwclError(f"{path} can't be read: {error}") from error
    if text is None:
        raise SwclError(f"{path} was not written by swcl: it carries no '{METADATA_KEY}' metadata.")
    return loaded


def _parquet_metadata(path: Path) -> bytes | None:
    import pyarrow.parquet as pq

    return (pq.read_schema(path).metadata or {}).get(METADATA_KEY.encode())


def _safetensors_metadata(path: Path) -> str | None:
    from safetensors import safe_open

    with safe_open(path, "np") as handle:
        return (handle.metadata() or {}).get(METADATA_KEY)
