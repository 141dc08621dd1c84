"""Define settings that name prepared data sets, each with the label that tells its normal photographs from others."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from swcl_cli.catalogue.labels import ABNORMAL
from swcl_cli.settings.path_parts import plain_part
from swcl_cli.settings.step import split_at_commas

MARK = ":"


def parted(named: str) -> tuple[str, str]:
    """Part NAME:LABEL into the data set's and the label's name; the label of NAME alone is `abnormal`."""
    dataset, _, label = named.partition(MARK)
    return dataset, label or ABNORMAL


def data_set(named: str) -> str:
    """Return the name of the data set in NAME:LABEL, or NAME."""
    return parted(named)[0]


def _plain(named: str) -> str:
    dataset, mark, label = (part.strip() for part in named.partition(MARK))
    if mark and not label:
        raise ValueError(f"'{named}' names no label behind its colon: it is NAME, or NAME:LABEL")
    plain_part(dataset)
    return dataset if label in ("", ABNORMAL) else f"{dataset}{MARK}{label}"


LabelledSets = Annotated[list[Annotated[str, AfterValidator(_plain)]], BeforeValidator(split_at_commas)]


def unasked_normal(labelled: list[str] | None, normal: list[str] | None) -> str:
    """Say why `--normal` can't be meant where no data set is named with a label; '' where it can."""
    if normal and not any(MARK in named for named in labelled or ()):
        return "normal: it says which classes of a label are normal: name one, --labelled NAME:LABEL"
    return ""
