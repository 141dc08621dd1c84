"""Complete what is typed on the command line, for shells that were told to by `swcl --install-completion`."""

from __future__ import annotations

from collections.abc import Iterable
from glob import escape, glob
from pathlib import Path

from swcl_cli.catalogue.encoders import TAGS, UNTRAINED
from swcl_cli.settings.resolve import preset_names


def complete_init(incomplete: str) -> list[str]:
    """Complete --init: by the names of weights, by files and by folders."""
    return [*_beginning((UNTRAINED, *TAGS), incomplete), *_files(incomplete)]


def complete_preset(incomplete: str) -> list[str]:
    """Complete --preset: by the names of shipped presets, by TOML files and by folders."""
    return [*_beginning(preset_names(), incomplete), *_files(incomplete, (".toml",))]


def _beginning(choices: Iterable[str], incomplete: str) -> list[str]:
    return [choice for choice in choices if choice.startswith(incomplete)]


def _files(incomplete: str, suffixes: tuple[str, ...] = ()) -> list[str]:
    """List files, of these suffixes if there are any, and folders, with a slash since more may follow."""
    paths = sorted(glob(f"{escape(incomplete)}*"))
    return [
        f"{path}/" if Path(path).is_dir() else path
        for path in paths
        if Path(path).is_dir() or not suffixes or path.endswith(suffixes)
    ]
