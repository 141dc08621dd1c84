"""Learn semi-weakly supervised contrastive representations of retinal photographs (Yap and Ng, arXiv 2108.02122).

From Python: `load_model` to ask a fine-tuned model about photographs, `load_encoder` to embed them, `read_manifest` for
the table of a prepared data set. Nothing heavy is imported before one of them is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swcl_cli.data.manifest import read as read_manifest
    from swcl_cli.models.encoders import load_encoder
    from swcl_cli.tasks.predictor import load_model

__version__ = "0.1.0"
__all__ = ["load_encoder", "load_model", "read_manifest"]

PLACES = {
    "load_encoder": ("swcl_cli.models.encoders", "load_encoder"),
    "load_model": ("swcl_cli.tasks.predictor", "load_model"),
    "read_manifest": ("swcl_cli.data.manifest", "read"),
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'swcl_cli' has no attribute '{name}'")
    module, function = PLACES[name]
    return getattr(import_module(module), function)


def __dir__() -> list[str]:
    return sorted([*globals(), *PLACES])
