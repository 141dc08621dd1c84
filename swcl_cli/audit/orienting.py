"""Tell how the photographs of data sets lie; what is seen in each is looked at once, and stays beside the set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from swcl_cli import console
from swcl_cli.audit.describing import Place, is_current, recipe
from swcl_cli.audit.landmarks import POSES, RECIPE, Point, Seen, look
from swcl_cli.audit.lying import SIDES, judged
from swcl_cli.data import manifest
from swcl_cli.data.columns import ORIENTATION
from swcl_cli.data.images import read_image
from swcl_cli.data.orientation import SURE
from swcl_cli.data.stored import read_columns
from swcl_cli.workers import Each
from swcl_cli.workspace import Damaged, Workspace, fingerprint, read_provenance, write_parquet

NAMES = ["split", "image_id", "patient_id", "eye", "path", "checksum"]
LANDMARKS = ("disc", "fovea")


def oriented(workspace: Workspace, dataset: str, each: Each, fresh: bool) -> pd.DataFrame:
    """Write how the photographs of a data set lie, and return the rows; all of them have to be there.

    What an earlier audit saw in a photograph is taken from its table, unless `fresh`; names are judged anew.
    """
    source, path = workspace.manifest(dataset), workspace.orientation(dataset)
    rows = manifest.read(source, NAMES)
    seen = {} if fresh else _kept(path)
    files = list(zip(rows["path"].tolist(), rows["checksum"].tolist(), strict=True))
    missing = [file for file in files if file not in seen]
    places = [Place(workspace.root / name, checksum) for name, checksum in missing]
    with console.progress(f"looking at {dataset}", len(missing)) as bar:
        for file, found in zip(missing, each(_look, places), strict=True):
            seen[file] = found
            bar.advance()
    frame = _judged(rows, [seen[file] for file in files])
    write_parquet(path, ORIENTATION.table(frame), {**recipe(RECIPE), "inputs": {dataset: fingerprint(source)}})
    return frame


def _look(places: list[Place]) -> list[Seen]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # in any process, so that the number of workers changes no digit
    try:
        return [look(read_image(place.path, place.checksum)) for place in places]
    finally:
        torch.set_num_threads(threads)


def _kept(path: Path) -> dict[tuple[str, int], Seen]:
    """Read what an earlier audit saw, by path and checksum, if it looked in the same way."""
    if not path.exists() or not is_current(path, {**recipe(RECIPE), "inputs": read_provenance(path).get("inputs", {})}):
        return {}
    rows = read_columns(path, ORIENTATION).to_pandas()
    poses = rows["poses"].tolist()
    if any(len(each) != len(POSES) or not np.isfinite(each).all() for each in poses):
        raise Damaged(path, "its poses are not four numbers")
    points = {
        part: map(Point, *(rows[f"{part}_{name}"].tolist() for name in ("x", "y", "confidence"))) for part in LANDMARKS
    }
    seen = map(Seen, points["disc"], points["fovea"], (np.asarray(each, np.float32) for each in poses))
    return dict(zip(zip(rows["path"].tolist(), rows["checksum"].tolist(), strict=True), seen, strict=True))


def _judged(rows: pd.DataFrame, seen: list[Seen]) -> pd.DataFrame:
    """Judge what was seen; a row each, with the columns of ORIENTATION."""
    lying = judged(np.stack([each.poses for each in seen]), rows["patient_id"].tolist(), rows["eye"].tolist())
    inverted, right = lying.inverted > 0.5, lying.right > 0.5
    side = pd.Series(np.where(right, *reversed(SIDES)), index=rows.index)
    side_confidence = np.maximum(lying.right, 1 - lying.right)
    columns = {
        "inverted": inverted,
        "inverted_confidence": np.maximum(lying.inverted, 1 - lying.inverted),
        "side": side,
        "side_confidence": side_confidence,
        "misnamed": rows["eye"].isin(SIDES) & (side != rows["eye"]) & (side_confidence >= SURE),
        "poses": [each.poses for each in seen],
    }
    for part in LANDMARKS:
        points = [getattr(each, part) for each in seen]
        columns |= {f"{part}_{name}": [point[place] for point in points] for place, name in enumerate(("x", "y"))}
        columns[f"{part}_confidence"] = [point.sure for point in points]
    return rows.assign(**columns)[ORIENTATION.names]
