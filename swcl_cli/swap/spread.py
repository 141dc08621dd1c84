"""Score photographs on the workers of a cluster, in the batches of one process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from swcl_cli import console
from swcl_cli.cluster.mapping import cluster
from swcl_cli.data.photographs import Photographs, Squares
from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation import Labeler, read_labeler
from swcl_cli.settings import MakeSwapSettings
from swcl_cli.swap.maps import Scorer, scored
from swcl_cli.swap.rows import Lying
from swcl_cli.training.processes import device_name, make_fabric
from swcl_cli.workspace import fingerprint

Part = tuple[Tensor, dict[int, Tensor]]  # scores (N, 5) of the next photographs, and maps (S, S) of some, by item


class Source(NamedTuple):
    """Name the labeler: its file, which of several networks in it, and the file's fingerprint."""

    path: Path
    key: str | None
    fingerprint: str


class Piece(NamedTuple):
    """Name a photograph by its path in the workspace; rotated: it lies upside down; mirrored: it is of a right eye;
    shown: its map is wanted, too.
    """

    path: str
    checksum: int | None
    rotated: bool
    mirrored: bool
    shown: bool


class Scored(NamedTuple):
    """Hold the scores (5,) of a photograph's patches, and its map (S, S) if that is wanted."""

    scores: NDArray[np.float32]
    map: NDArray[np.float32] | None


@dataclass(frozen=True)
class Scoring:
    """Score a batch of photographs, on a worker, by the labeler that it has loaded before."""

    root: Path
    source: Source
    accelerator: str
    precision: str
    background: Literal["released", "none"]
    threads: int

    def __call__(self, chunk: Sequence[Piece]) -> list[Scored]:
        torch.set_num_threads(self.threads)
        labeler, scorer = _loaded(self.source, self.accelerator, self.precision, self.background)
        checksums = None if chunk[0].checksum is None else np.array([piece.checksum for piece in chunk], np.int64)
        photographs = Photographs(self.root, pa.array([piece.path for piece in chunk], pa.string()), checksums)
        squares = Squares(photographs, labeler.mean, labeler.std)
        lying = Lying(
            *(np.array(flags) for flags in zip(*((piece.rotated, piece.mirrored) for piece in chunk), strict=True))
        )
        [(maps, scores)] = scored(scorer, squares, lying, len(chunk), workers=0)
        return [
            Scored(scores[item].cpu().numpy(), maps[item].cpu().numpy() if piece.shown else None)
            for item, piece in enumerate(chunk)
        ]


@lru_cache(maxsize=1)
def _loaded(
    source: Source, accelerator: str, precision: str, background: Literal["released", "none"]
) -> tuple[Labeler, Scorer]:
    if fingerprint(source.path) != source.fingerprint:
        raise SwclError(f"{source.path} is another file on a worker: all machines have to share one folder.")
    labeler = read_labeler(source.path, source.key)
    fabric = make_fabric(accelerator, precision)
    return labeler, Scorer(fabric, labeler.network, labeler.mean, labeler.std, background)


def score_here(
    settings: MakeSwapSettings,
    labeler: Labeler,
    photographs: Photographs,
    lying: Lying,
    shown: set[int],
    first: int,
) -> Iterator[Part]:
    """Score photographs from `first` on, batch after batch. shown: whose maps are given."""
    fabric = make_fabric(settings.accelerator, settings.precision)
    scorer = Scorer(fabric, labeler.network, labeler.mean, labeler.std, settings.background)
    squares = Squares(photographs, labeler.mean, labeler.std)
    count = len(photographs)
    console.say(f"{count:,} photographs to score, {5 * count:,} patches, on {device_name(fabric)}.")
    for maps, scores in scored(scorer, squares, lying, settings.batch, settings.workers, first):
        items = range(first, first + len(scores))
        yield scores, {item: maps[item - first] for item in shown & set(items)}
        first = items.stop


def score_on_workers(
    settings: MakeSwapSettings,
    source: Source,
    photographs: Photographs,
    lying: Lying,
    shown: set[int],
    first: int,
) -> Iterator[Part]:
    """Score photographs as `score_here` does.

    Raises SwclError where the cluster can't be used, a worker doesn't see the workspace or the labeler, or each worker
    dies on a photograph.
    """
    root, away = photographs.root.absolute(), source._replace(path=source.path.absolute())
    threads = torch.get_num_threads()
    scoring = Scoring(root, away, settings.accelerator, settings.precision, settings.background, threads)
    checksums = photographs.checksum
    work = (
        Piece(
            photographs.path[item].as_py(),
            None if checksums is None else int(checksums[item]),
            bool(lying.rotated[item]),
            bool(lying.mirrored[item]),
            item in shown,
        )
        for item in range(first, len(photographs))
    )
    with cluster(str(settings.scheduler), root, "make-swap") as workers:
        workers.require([source.path])
        each = workers.each(scoring, work, chunk=settings.batch)
        while batch := list(islice(each, settings.batch)):
            maps = {first + item: torch.from_numpy(done.map) for item, done in enumerate(batch) if done.map is not None}
            yield torch.from_numpy(np.stack([done.scores for done in batch])), maps
            first += len(batch)
