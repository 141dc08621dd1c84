"""Read how the photographs of a data set lie, by what `audit` told of them."""

from __future__ import annotations

import pandas as pd

from swcl_cli.data.columns import ORIENTATION
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, fingerprint, read_provenance

COMMAND = "swcl audit"
SURE = 0.9  # of which way a photograph lies, and which eye it shows: what is less is told as unsure


def read_orientation(workspace: Workspace, dataset: str) -> pd.DataFrame:
    """Return the rows of orientation.parquet, as ORIENTATION describes them.

    Raises SwclError, which names the command, where the data set was not looked at as it is prepared now.
    """
    path = workspace.require(workspace.orientation(dataset), COMMAND)
    if read_provenance(path).get("inputs", {}).get(dataset) != fingerprint(workspace.manifest(dataset)):
        raise SwclError(f"{path} knows nothing of {dataset} as prepared now; renew it with: {COMMAND}")
    frame: pd.DataFrame = read_columns(path, ORIENTATION).to_pandas()
    return frame
