"""Build the methods that train on retinal-SWAP, in batches of left/right pairs of patches (paper III-C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from torch import nn

from swcl_cli import console
from swcl_cli.audit.without_tests import without_tests
from swcl_cli.data.columns import SWAP
from swcl_cli.data.left_out import NOTHING, LeftOut
from swcl_cli.data.loaders import epoch_plan
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.methods.method import Method
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import PretrainSettings, WeakLabel
from swcl_cli.swap.released import read_mark, read_released, table_fingerprint
from swcl_cli.swap.views import PairViews, join_pairs
from swcl_cli.swap.weak_labels import Patches, read_patches
from swcl_cli.workspace import Workspace, fingerprint, outgrown, read_provenance


@dataclass(frozen=True)
class Swap:
    """Hold patches, the file or folder that lists them, the root of their paths, and fingerprints of the inputs.

    left_out: the photographs that --without-tests leaves out of the data sets `learning`.
    """

    patches: Patches
    source: Path
    root: Path
    inputs: dict[str, str]
    left_out: LeftOut = NOTHING
    learning: tuple[str, ...] = ()


def read_swap(settings: PretrainSettings, workspace: Workspace, labels: Sequence[WeakLabel]) -> Swap:
    """Read the workspace's swap.parquet, or the folder that --swap names; `labels` make up a patch's label id."""
    if settings.swap:
        if settings.without_tests:
            raise SwclError(
                f"--without-tests: which photographs the patches in {settings.swap} are of is not known. Leave them "
                "out of swap.parquet instead: swcl make-swap --without-tests, then pretrain without --swap."
            )
        patches = read_released(settings.swap, labels, settings.threshold)
        if told := read_mark(settings.swap):
            again = f"swcl make-swap --fresh --materialize {settings.swap}"
            _warn_of_older(settings.swap, {"step": "make-swap", "settings": told}, again)
        return Swap(patches, settings.swap, settings.swap, {"swap": table_fingerprint(settings.swap)})
    path = find_swap(workspace)
    learning, left_out = left_out_of(settings, workspace, path)
    patches = read_patches(path, labels, settings.threshold, without=left_out.reasons)
    return Swap(patches, path, workspace.root, {"swap": fingerprint(path)}, left_out, learning)


def left_out_of(settings: PretrainSettings, workspace: Workspace, swap: Path) -> tuple[tuple[str, ...], LeftOut]:
    """Find the data sets that swap.parquet has patches of, and what --without-tests leaves out of them."""
    if not settings.without_tests:
        return (), NOTHING
    learning = tuple(sorted(pc.unique(read_columns(swap, SWAP.only(["dataset"]))["dataset"]).to_pylist()))
    return learning, without_tests(workspace, settings.without_tests, learning)


def find_swap(workspace: Workspace) -> Path:
    """Return the path of swap.parquet; warn where its inputs changed since, or it would be made by other rules now.

    Raises SwclError where it is missing.
    """
    path = workspace.require(workspace.swap, "swcl make-swap")
    if changed := workspace.changed_since(path):
        console.warn(f"{', '.join(changed)} changed since {path.name} was made; swcl make-swap --fresh renews it.")
    _warn_of_older(Path(path.name), read_provenance(path), "swcl make-swap --fresh")
    return path


def _warn_of_older(path: Path, made: Mapping[str, Any], remedy: str) -> None:
    """Warn where an older version made the patches by other rules than this one would."""
    if changed := outgrown(made):
        console.warn(f"An older version made {path} ({'; '.join(changed)}); {remedy} renews it.")


def warn_of_one_kind(patches: Patches, where: str) -> None:
    """Warn where all patches, or none, are abnormal."""
    abnormal = int(patches.abnormal.sum())
    if abnormal in (0, len(patches)):
        console.warn(f"{abnormal:,} of {len(patches):,} patches are abnormal {where}: the label separates nothing.")


def pair_method(
    settings: PretrainSettings, swap: Swap, initial: Initial, objective: nn.Module, *, weak: bool = False
) -> Method:
    """Build a method on views of each patch. Raises SwclError where there are fewer pairs than a batch has.

    objective: takes views uint8 (n, V, S, S, 3) and label (n,). weak: as `PairViews` takes it.
    """
    patches, batch = swap.patches, settings.batch_patches // 2
    if len(patches.pairs) < batch:
        raise SwclError(
            f"{swap.source} has {len(patches.pairs):,} pairs, fewer than a batch of {batch:,}: "
            f"lower --batch-patches to at most {2 * len(patches.pairs):,}."
        )
    dataset = PairViews(swap.root, patches, settings.seed, settings.flip == "keep", settings.smallest_crop, weak)
    views = dataset.views * settings.batch_patches
    plan, steps = epoch_plan(settings.seed, "pair order", len(patches.pairs), batch, padded=True)
    return Method(
        objective=objective,
        encoder=initial.encoder,
        architecture=initial.architecture,
        dataset=dataset,
        collate=join_pairs,
        plan=plan,
        items_a_step=batch,
        steps_per_epoch=steps,
        views=dataset.views,
        views_a_step=views,
        inputs={**swap.inputs, **initial.inputs},
        image_size=patches.size,
        mean=initial.mean,
        std=initial.std,
        batch_option="--batch-patches",
        left_out=swap.left_out,
        learning=swap.learning,
        summary=f"{len(patches):,} patches in {len(patches.pairs):,} pairs; "
        f"a batch of {settings.batch_patches:,} patches = {batch:,} pairs = {views:,} views",
    )
