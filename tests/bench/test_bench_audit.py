"""Candidates among 100,000 made-up photographs; and copies of real ones, beside imagehash and cleanvision."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import time
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from swcl_cli.audit.descriptor import LENGTH
from swcl_cli.audit.search import nearest
from swcl_cli.audit.turns import turned_numbers
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.stored import read_columns
from swcl_cli.settings import AuditSettings, PrepSettings
from swcl_cli.steps import audit, prep
from swcl_cli.workspace import Workspace
from tests.audit.eyes import COPIES
from tests.bench.conftest import Row

pytestmark = pytest.mark.bench
PHOTOGRAPHS, PLANTED = 100_000, 400
SECONDS, CORES, GIGABYTES = 120, 2, 2.0

ODIR = Path(__file__).parents[3] / "shared/data/ODIR-5K"
COPIED, OTHERS = 20, 100  # photographs that are copied in each way of COPIES, and others
DISTANCES = (4, 10)  # bits of a perceptual hash within which two photographs are called copies
Pairs = set[frozenset[str]]


def test_candidates_among_many() -> None:
    """All planted pairs are found, however they lie, in two minutes of two cores, and two gigabytes."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(PHOTOGRAPHS, LENGTH)).astype(np.float32) + rng.normal(size=LENGTH).astype(np.float32)
    for place in range(PLANTED):
        noise = 0.3 * np.linalg.norm(numbers[place]) / LENGTH**0.5 * rng.normal(size=(1, LENGTH)).astype(np.float32)
        numbers[-1 - place] = turned_numbers(numbers[place : place + 1] + noise, place % 8)[0]
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    before, begun = time.process_time(), time.perf_counter()
    found = nearest(numbers)
    seconds, elapsed = time.process_time() - before, time.perf_counter() - begun
    pairs = set(zip(found.one.tolist(), found.other.tolist(), strict=True))
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{PHOTOGRAPHS:,} photographs: {elapsed:.0f} s, {seconds:.0f} s of a core, {len(pairs):,} candidates, "
        f"{gigabytes:.2f} GB"
    )
    assert all((place, PHOTOGRAPHS - 1 - place) in pairs for place in range(PLANTED))
    assert seconds < CORES * SECONDS and gigabytes < GIGABYTES


def prepare(root: Path) -> Path:
    """Photographs of ODIR, of some of them copies, `ID_KIND`, as `prep` writes them at 192 px."""
    source = root / "source"
    source.mkdir()
    for item, path in enumerate(sorted(ODIR.glob("**/*_left.jpg"))[: COPIED + OTHERS]):
        with Image.open(path) as image:
            whole = image.convert("RGB")
        whole.save(source / f"{item:03d}.png")
        for number, copy in enumerate(COPIES.values() if item < COPIED else ()):
            copy(whole).save(source / f"{item:03d}_{number}.png")
    prep.run(PrepSettings(workspace=root, dataset="folder", source=source, name="eyes", size=192, workers=1))
    return Workspace(root).images("eyes")


def by_audit(root: Path) -> Pairs:
    path = audit.run(AuditSettings(workspace=root, workers=1))
    rows = read_columns(path, AUDIT.only(["kind", "image_id", "other_image_id"])).to_pylist()
    return {frozenset((row["image_id"], row["other_image_id"])) for row in rows if row["kind"] == "copy"}


def by_hash(folder: Path, distance: int) -> Pairs:
    """Perceptual hashes of 64 bits, compared with each other in all ways."""
    imagehash = pytest.importorskip("imagehash")
    paths = sorted(folder.iterdir())
    hashes = np.array([imagehash.phash(Image.open(path)).hash.ravel() for path in paths])
    apart = (hashes[:, None] != hashes[None]).sum(axis=2)
    near = np.argwhere(np.triu(apart <= distance, 1))
    return {frozenset((paths[one].stem, paths[other].stem)) for one, other in near.tolist()}


def by_cleanvision(folder: Path) -> Pairs:
    imagelab: Any = pytest.importorskip("cleanvision").Imagelab
    with contextlib.redirect_stdout(io.StringIO()):
        lab = imagelab(data_path=str(folder))
        lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=1, verbose=False)
    sets = [each for kind in ("exact_duplicates", "near_duplicates") for each in lab.info[kind]["sets"]]
    return {frozenset((Path(one).stem, Path(other).stem)) for group in sets for one, other in combinations(group, 2)}


def core_seconds() -> float:
    """Of this process and those that it has started."""
    return sum(os.times()[:4])


def eye(name: str) -> str:
    return name.split("_")[0]


@pytest.mark.skipif(not ODIR.is_dir(), reason="real photographs are not here (../shared/data)")
def test_real_copies_beside_others(tmp_path: Path, row: Row) -> None:
    """Recall: copies that are found beside their original. False: pairs of two photographs."""
    folder = prepare(tmp_path)
    copies = {frozenset((path.stem, eye(path.stem))) for path in folder.iterdir() if "_" in path.stem}
    ways: dict[str, Callable[[], Pairs]] = {"swcl audit": partial(by_audit, tmp_path)}
    ways |= {f"imagehash, phash within {bits} bits": partial(by_hash, folder, bits) for bits in DISTANCES}
    ways["cleanvision, near and exact duplicates"] = partial(by_cleanvision, folder)
    recalls = {}
    for name, find in ways.items():
        begun = core_seconds()
        found = find()
        seconds = core_seconds() - begun
        false = [pair for pair in found if len({eye(each) for each in pair}) > 1]
        recalls[name] = len(found & copies) / len(copies)
        row(name, recall=recalls[name], false=str(len(false)), core_seconds=seconds)
    assert recalls["swcl audit"] >= 0.97
    assert recalls["swcl audit"] > max(recall for name, recall in recalls.items() if name != "swcl audit")
