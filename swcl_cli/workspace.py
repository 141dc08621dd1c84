"""The workspace: the names of all artefacts, how they are written whole or not at all, and what they remember."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swcl_cli import __version__
from swcl_cli.errors import SwclError

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import Tensor

METADATA_KEY = "swcl"
JOURNAL = ".journal.jsonl"  # of `prep`, in data/DATASET: a cache
LOCK = ".lock"
LOG, RESUME = "log.jsonl", "resume.safetensors"  # of a long step, in runs/STEP-NAME
MODEL = "model.safetensors"  # of a run of `finetune`
DRAWING = "drawing.json"  # in the folder of phantom downloads: what was drawn


@dataclass(frozen=True)
class Workspace:
    """Where each artefact lies. Nothing else in the program spells these names."""

    root: Path

    def data(self, dataset: str) -> Path:
        return self.root / "data" / dataset

    def manifest(self, dataset: str) -> Path:
        return self.data(dataset) / "manifest.parquet"

    def images(self, dataset: str) -> Path:
        return self.data(dataset) / "images"

    def masks(self, dataset: str) -> Path:
        return self.data(dataset) / "masks"

    def quarantine(self, dataset: str) -> Path:
        return self.data(dataset) / "quarantine.csv"

    def prepared(self) -> list[str]:
        """Names of the data sets that have a manifest, sorted."""
        return sorted(path.parent.name for path in self.root.glob("data/*/manifest.parquet"))

    @property
    def phantom(self) -> Path:
        return self.root / "phantom"

    @property
    def labeler(self) -> Path:
        return self.root / "labeler.safetensors"

    @property
    def labeler_scores(self) -> Path:
        """What the labeler says of its validation photographs."""
        return self.run("train-labeler") / "validation.parquet"

    @property
    def swap(self) -> Path:
        return self.root / "swap.parquet"

    def encoder(self, name: str) -> Path:
        return self.root / f"{name}.safetensors"

    def run(self, name: str) -> Path:
        return self.root / "runs" / name

    def finetune(self, task: str, name: str) -> Path:
        return self.root / "finetune" / task / name

    @property
    def report(self) -> Path:
        return self.root / "report"

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def changed_since(self, artefact: Path) -> list[str]:
        """Names of the artefact's inputs that are no longer what it was made from.

        Those that it lists as `outside` came from outside the workspace: nothing here can be compared with them.
        """
        places = {"labeler": self.labeler, "swap": self.swap}
        recorded = read_provenance(artefact)
        inputs = {name: (places.get(name, self.manifest(name)), made) for name, made in recorded["inputs"].items()}
        changed = [name for name, (path, made) in inputs.items() if path.exists() and fingerprint(path) != made]
        return [name for name in changed if name not in recorded.get("outside", [])]

    def require(self, path: Path, command: str) -> Path:
        """The path itself. Raises SwclError naming it and the command that makes it, where it is missing."""
        if not path.exists():
            raise SwclError(f"{path} is missing. Make it with: {command}")
        return path


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; it takes the final name only once it is complete and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with open(partial, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise SwclError(f"{path} could not be written: {error.strerror or error}.") from error
        raise


def remove_tree(path: Path) -> None:
    """Removes a folder of ours, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)


def fingerprint(path: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def provenance(step: str, settings: Mapping[str, Any], inputs: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """What an artefact remembers: step, settings that define it, versions, fingerprints of its inputs, and `more`."""
    return {"step": step, "settings": dict(settings), "versions": versions(), "inputs": dict(inputs), **more}


def versions() -> dict[str, str]:
    """Versions of the packages that the bytes of a result can depend on."""
    from importlib.metadata import version

    names = ("torch", "timm", "numpy", "opencv-python-headless", "pillow", "scikit-learn")
    return {"swcl": __version__, **{name: version(name) for name in names}}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What would make a result differ: one `name: old -> new` each, of step, settings and inputs."""
    found = [f"step: {old.get('step')} -> {new.get('step')}"] if old.get("step") != new.get("step") else []
    for part in ("settings", "inputs"):
        before, after = old.get(part, {}), new.get(part, {})
        keys = sorted(set(before) | set(after))
        found += [f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys if before.get(key) != after.get(key)]
    return found


def is_done(path: Path, provenance: Mapping[str, Any], fresh: bool) -> bool:
    """Whether `path` is the finished result of just this work. Raises SwclError where it is that of other work."""
    if fresh or not path.exists():
        return False
    changed = differences(read_provenance(path), provenance)
    if changed:
        named = "" if provenance["step"] == "train-labeler" else ", or take another --name"
        raise SwclError(f"{path} was made differently ({'; '.join(changed)}). Start over with --fresh{named}.")
    return True


def require_own(path: Path, step: str) -> None:
    """Raises SwclError where something lies at `path` that `step` did not make: it is neither replaced nor removed."""
    if not os.path.lexists(path):
        return
    maker = _maker(path, step)
    if maker != step:
        made = f"was made by swcl {maker}" if maker else "was not made by swcl"
        named = ", or take another --name" if step in ("pretrain", "finetune") else ""
        raise SwclError(f"{path} {made}: swcl {step} does not replace it. Move it away{named}.")


def _maker(path: Path, step: str) -> str | None:
    """The step that made the file, or None; `step` where it is empty, or a parquet file that can't be read any more."""
    if not path.is_file():
        return None
    try:
        made: Any = read_provenance(path)
    except SwclError as error:
        with open(path, "rb") as handle:
            start = handle.read(8)
            if not start or (path.suffix == ".parquet" and start[:4] == b"PAR1" and error.__cause__):
                return step
            made = _in_header(handle.read(min(int.from_bytes(start, "little"), path.stat().st_size)))
    maker = made.get("step") if isinstance(made, dict) else None
    return maker if isinstance(maker, str) else None


def _in_header(header: bytes) -> Any:
    """The provenance in the header of a safetensors file, which stands at its start: the end may be cut off."""
    try:
        return json.loads(json.loads(header)["__metadata__"][METADATA_KEY])
    except (ValueError, TypeError, KeyError):
        return None


def write_parquet(path: Path, table: pa.Table, provenance: Mapping[str, Any]) -> None:
    """Writes `table` with its provenance under the metadata key `swcl`. Equal tables give equal bytes."""
    import pyarrow.parquet as pq

    with atomic(path) as partial:
        pq.write_table(table.replace_schema_metadata(_metadata(provenance)), partial, compression="zstd")


def write_row_groups(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], provenance: Mapping[str, Any]) -> None:
    """`write_parquet` of a table that comes in parts, each a row group, so that it is never in memory as a whole.

    Without dictionaries: in small parts they make the file larger and its reading slower.
    """
    import pyarrow.parquet as pq

    described = schema.with_metadata(_metadata(provenance))
    with (
        atomic(path) as partial,
        pq.ParquetWriter(partial, described, compression="zstd", use_dictionary=False) as writer,
    ):
        for table in tables:
            writer.write_table(table)


def _metadata(provenance: Mapping[str, Any]) -> dict[str, str]:
    return {METADATA_KEY: json.dumps(provenance, sort_keys=True)}


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], provenance: Mapping[str, Any]) -> None:
    """Writes contiguous CPU copies of `tensors`; all metadata under one key, since safetensors does not order keys."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as partial:
        try:
            save_file(contiguous, partial, metadata=_metadata(provenance))
        except SafetensorError as error:  # of a full disk too
            raise SwclError(f"{path} could not be written: {error}.") from error


def write_text(path: Path, text: str) -> None:
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_provenance(path: Path) -> dict[str, Any]:
    """The provenance of one of our artefacts. Raises SwclError where the file is damaged or not ours."""
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
