"""Draw phantom downloads into a folder, in the public layouts; an interrupted drawing resumes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from swcl_cli import __version__, console
from swcl_cli.errors import SwclError, UsageError
from swcl_cli.phantom.layouts.chase_db1 import lay_out_chase_db1
from swcl_cli.phantom.layouts.drive import lay_out_drive
from swcl_cli.phantom.layouts.eyepacs import lay_out_eyepacs
from swcl_cli.phantom.layouts.folder import TABLE, lay_out_folder
from swcl_cli.phantom.layouts.idrid import lay_out_idrid
from swcl_cli.phantom.layouts.idrid_seg import lay_out_idrid_seg
from swcl_cli.phantom.layouts.messidor import lay_out_messidor
from swcl_cli.phantom.layouts.odir import lay_out_odir
from swcl_cli.phantom.layouts.refuge import lay_out_refuge
from swcl_cli.phantom.layouts.stare import lay_out_stare
from swcl_cli.phantom.layouts.studio import LESION_MASKS
from swcl_cli.settings import PrepSettings
from swcl_cli.workspace import DRAWING, Workspace, write_text

Drawing = tuple[int, Iterator[int]]  # how many eyes or patients, and a count of them as they are drawn


def draw(settings: PrepSettings, folder: Path) -> None:
    """Draw the data sets of `settings.drawn` that are not complete yet in this folder.

    Raises SwclError where the folder holds anything but this drawing.
    """
    defining = settings.model_dump(include={"seed", "patients", "drawn_size"})
    description = {**defining, "swcl": __version__}
    done = _drawn_already(folder, description)
    for name in dict.fromkeys(map(download_of, settings.drawn)):
        if name in done:
            continue
        if name not in LAYOUTS:
            raise UsageError(f"drawn: there are no phantom eyes of {name}; there are those of {', '.join(LAYOUTS)}.")
        total, drawing = LAYOUTS[name](settings, folder)
        with console.progress(f"drawing {name} eyes", total) as bar:
            for _ in drawing:
                bar.advance()
        done.append(name)
        _note(folder, description, done)


def source_of(dataset: str, folder: Path) -> dict[str, Path]:
    """Return the settings that tell `prep` where this data set's drawn download is."""
    source = folder / download_of(dataset)
    table = {"labels": source / TABLE} if dataset == "folder" else {}
    return {"source": source, "lesion_masks": folder / LESION_MASKS, **table}


def is_drawn_elsewhere(source: Path, workspace: Workspace) -> bool:
    """Tell whether a download is one of a drawing that does not lie in the workspace, where its folder tells of it."""
    folders = {source.resolve(), source.resolve().parent}
    return workspace.phantom.resolve() not in folders and any((folder / DRAWING).is_file() for folder in folders)


def download_of(dataset: str) -> str:
    """Return the name of this data set's download: `refuge-cls` and `refuge-seg` share `refuge`."""
    return "refuge" if dataset in ("refuge-cls", "refuge-seg") else dataset


def _drawn_already(folder: Path, description: dict[str, Any]) -> list[str]:
    """Return the data sets that are complete. In an empty folder, write down first which drawing it will hold."""
    path = folder / DRAWING
    stored = {}
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
    elif not any(not entry.name.startswith(".") for entry in folder.iterdir()):
        _note(folder, description, [])
        return []
    done: list[str] = stored.pop("drawn", [])
    if stored != description:
        text = json.dumps(description, sort_keys=True)
        raise SwclError(f"{folder} holds something else than this drawing ({text}): remove it, or name another SOURCE.")
    return done


def _note(folder: Path, description: dict[str, Any], done: list[str]) -> None:
    write_text(folder / DRAWING, json.dumps({**description, "drawn": done}, sort_keys=True))


def _odir(settings: PrepSettings, folder: Path) -> Drawing:
    seed, patients, size = settings.seed, settings.patients, settings.drawn_size
    return patients, lay_out_odir(folder / "odir", folder, seed, patients, size, settings.workers)


def _eyepacs(settings: PrepSettings, folder: Path) -> Drawing:
    seed, patients, size = settings.seed, 2 * settings.patients, settings.drawn_size
    return patients, lay_out_eyepacs(folder / "eyepacs", folder, seed, patients, size, settings.workers)


def _idrid(settings: PrepSettings, folder: Path) -> Drawing:
    train, test = settings.patients, settings.patients // 4
    drawing = lay_out_idrid(folder / "idrid", folder, settings.seed, train, test, settings.drawn_size, settings.workers)
    return train + test, drawing


def _messidor(settings: PrepSettings, folder: Path) -> Drawing:
    seed, eyes, size = settings.seed, max(12, settings.patients // 2), settings.drawn_size
    return eyes, lay_out_messidor(folder / "messidor", folder, seed, eyes, size, settings.workers)


def _refuge(settings: PrepSettings, folder: Path) -> Drawing:
    eyes = max(6, settings.patients // 3)
    drawing = lay_out_refuge(folder / "refuge", settings.seed, eyes, settings.drawn_size, settings.workers)
    return 3 * eyes, drawing


def _folder(settings: PrepSettings, folder: Path) -> Drawing:
    seed, patients, size = settings.seed, max(5, settings.patients // 4), settings.drawn_size
    return patients, lay_out_folder(folder / "folder", folder, seed, patients, size, settings.workers)


def _idrid_seg(settings: PrepSettings, folder: Path) -> Drawing:
    train, test = max(8, settings.patients // 4), max(4, settings.patients // 8)
    seed, size = settings.seed, settings.drawn_size
    return train + test, lay_out_idrid_seg(folder / "idrid-seg", seed, train, test, size, settings.workers)


def _drive(settings: PrepSettings, folder: Path) -> Drawing:
    part = max(5, settings.patients // 6)
    return 2 * part, lay_out_drive(folder / "drive", settings.seed, part, part, settings.workers)


def _stare(settings: PrepSettings, folder: Path) -> Drawing:
    part = min(10, max(5, settings.patients // 6))
    return 2 * part, lay_out_stare(folder / "stare", settings.seed, part, part, settings.workers)


def _chase_db1(settings: PrepSettings, folder: Path) -> Drawing:
    train, test = 5, 2
    return train + test, lay_out_chase_db1(folder / "chase-db1", settings.seed, train, test, settings.workers)


LAYOUTS: dict[str, Callable[[PrepSettings, Path], Drawing]] = {
    "odir": _odir,
    "eyepacs": _eyepacs,
    "messidor": _messidor,
    "idrid": _idrid,
    "refuge": _refuge,
    "drive": _drive,
    "stare": _stare,
    "chase-db1": _chase_db1,
    "idrid-seg": _idrid_seg,
    "folder": _folder,
}
