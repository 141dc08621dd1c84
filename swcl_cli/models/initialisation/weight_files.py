"""Read the tensors of weight files of any origin. No code in them is ever run."""

from __future__ import annotations

import pickle
import re
from argparse import Namespace
from pathlib import Path, PosixPath
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation.checkpoints import state_dict_in
from swcl_cli.workspace import METADATA_KEY, read_provenance

KINDS = (".safetensors", ".npz", ".bin", ".pth", ".pt", ".ckpt", ".pth.tar")
# What training scripts save beside weights, and what does nothing when it is made: settings, paths, numbers of numpy.
HARMLESS: list[Any] = [
    Namespace,
    SimpleNamespace,
    PosixPath,
    np.dtype,
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"},
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
FORBIDDEN = re.compile(r"GLOBAL (\S+)")  # how torch names what it refuses to make


def read_tensors(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """Read the named tensors of a file; of a training script's, those of the one state dict inside, or that of `key`.

    Raises SwclError where the file is missing, empty, a folder, damaged, of another kind, or a pickle that holds
    objects which could run code, and where it holds no state dict or several.
    """
    _check(path)
    try:
        loaded = _load(path)
    except pickle.UnpicklingError as error:
        if "global" not in str(error).lower():
            raise SwclError(f"{path} can't be read: it is damaged, or was not written by torch.save.") from error
        named = f" ({name[1]})" if (name := FORBIDDEN.search(str(error))) else ""
        raise SwclError(
            f"{path} holds Python objects beside its weights{named}, which could run code: it was not read. Save the "
            "state_dict() alone, as .safetensors."
        ) from error
    except SwclError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SwclError(f"{path} can't be read ({reason}). Download or copy it again.") from error
    return state_dict_in(loaded, path, key)


def our_provenance(path: Path) -> dict[str, Any] | None:
    """Read the provenance of a file of ours; None for others' files. Raises SwclError as `read_tensors` does."""
    _check(path)
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "np") as handle:
            ours = METADATA_KEY in (handle.metadata() or {})
    except Exception as error:
        raise SwclError(f"{path} can't be read ({error}). Download or copy it again.") from error
    return read_provenance(path) if ours else None


def _check(path: Path) -> None:
    if path.is_dir():
        raise SwclError(f"{path} is a folder; name the file of weights in it.")
    if not path.exists():
        raise SwclError(f"{path} does not exist.")
    if not path.is_file():
        raise SwclError(f"{path} is no regular file: it was not opened.")
    if not path.name.endswith(KINDS):
        raise SwclError(f"{path} is no file of weights that can be read here: those end in {', '.join(KINDS)}.")
    if not path.stat().st_size:
        raise SwclError(f"{path} is empty (0 bytes). Download or copy it again.")


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".npz":
        return _load_npz(path)
    if _is_program(path):
        raise SwclError(
            f"{path} is a program of TorchScript, as `swcl export --to torchscript` writes it: take the file of "
            "weights that it was made from, or save its state_dict() alone, as .safetensors."
        )
    with torch.serialization.safe_globals(HARMLESS):
        return torch.load(path, map_location="cpu", weights_only=True)


def _is_program(path: Path) -> bool:
    """Tell whether an archive holds TorchScript's code beside weights."""
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _load_npz(path: Path) -> dict[str, Tensor]:
    """Read an .npz file; kernels are turned from TensorFlow's (height, width, in, out) to torch's (out, in, ...)."""
    with np.load(path, allow_pickle=False) as arrays:
        loaded = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return {name: array.permute(3, 2, 0, 1) if array.ndim == 4 else array for name, array in loaded.items()}
