"""Choose the data sets that retinal-SWAP is made of, and read their photographs, normal ones told from others."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from swcl_cli import console
from swcl_cli.catalogue.labels import ABNORMAL
from swcl_cli.data import manifest
from swcl_cli.data.left_out import LeftOut
from swcl_cli.data.manifest import prepared_size
from swcl_cli.data.normality import read_normality
from swcl_cli.errors import SwclError
from swcl_cli.models.initialisation import Labeler
from swcl_cli.settings import MakeSwapSettings, TrainLabelerSettings, is_own, prep_command
from swcl_cli.settings.labelled_sets import data_set
from swcl_cli.workspace import Workspace

COLUMNS = ["dataset", "patient_id", "image_id", "eye", "path", "width", "height", "checksum"]


def data_sets(settings: MakeSwapSettings, labeler: Labeler) -> tuple[list[str], list[str], list[str]]:
    """Choose the labelled and unlabelled data sets, and the normal classes: those of the settings, else the labeler's,
    else the paper's.

    Raises SwclError where a data set is named twice, or none is named.
    """
    paper = TrainLabelerSettings()
    labelled, unlabelled, normal = (
        next(sets for sets in (getattr(origin, name) for origin in (settings, labeler, paper)) if sets is not None)
        for name in ("labelled", "unlabelled", "normal")
    )
    names = [*map(data_set, labelled), *unlabelled]
    if len({*names}) != len(names):
        raise SwclError(f"A data set is named twice: --labelled {labelled}, --unlabelled {unlabelled}.")
    if not names:
        raise SwclError("No data set is left to score: name some with --labelled and --unlabelled.")
    return labelled, unlabelled, normal if any(name != data_set(name) for name in labelled) else []


def photographs_to_score(
    workspace: Workspace,
    labelled: list[str],
    unlabelled: list[str],
    normal: list[str],
    image_size: int,
    left_out: LeftOut,
) -> pd.DataFrame:
    """Read the photographs of all splits (FACTS A1) of the data sets; image_abnormal only of the labelled ones.

    Raises SwclError where a data set is prepared at another size than the labeler's, or lacks the label that is named,
    or all photographs are left out.
    """
    for name in [*map(data_set, labelled), *unlabelled]:
        size = prepared_size(workspace.manifest(name))
        if size != image_size:
            raise SwclError(
                f"{name} is prepared at {size} px, the labeler was trained at {image_size} px. "
                f"Prepare it again: {prep_command(name)} --size {image_size}"
            )
    told = read_normality(workspace, labelled, normal, COLUMNS, required=False)
    for name, part in told.items():
        for sentence in part.cautions(name):
            console.warn(sentence)
    tables = [part.table.rename(columns={ABNORMAL: "image_abnormal"}) for part in told.values()]
    for name in unlabelled:
        table = manifest.read(workspace.manifest(name), columns=COLUMNS)
        unknown = pd.array([None] * len(table), dtype=pd.ArrowDtype(pa.bool_()))
        tables.append(table.assign(image_abnormal=unknown))
    table = left_out.without(pd.concat(tables, ignore_index=True)).reset_index(drop=True)
    if not len(table):
        raise SwclError(f"--without-tests {','.join(left_out.tested)} leaves no photograph to score.")
    return table


def tell_of_sides(table: pd.DataFrame, aligned: bool) -> None:
    """Warn of photographs of which nobody knows whether they are of a left or a right eye, and say what tells it.

    aligned: whether the sides that `audit` sees are taken already.
    """
    unknown = table[table["eye"] == "unknown"].groupby("dataset", sort=False).size()
    for name, count in unknown.items():
        ways = [] if aligned else ["swcl audit sees it, then give --align."]
        ways += ["The column eye of --labels, or --name-pattern, tells it."] if is_own(str(name)) else []
        console.warn(
            f"{name}: of {count:,} of {int((table['dataset'] == name).sum()):,} photographs the side is not known. "
            "They are taken as they lie, so that of right eyes left and right of the positions are exchanged, and "
            f"{' '.join(['their patches have no partner of the other eye.', *ways])}"
        )
