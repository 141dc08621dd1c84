"""Say what measures mean, for readers who do not know them."""

from __future__ import annotations

from collections.abc import Iterable

from swcl_cli.catalogue.measures import quality_of
from swcl_cli.reporting.findings.names import title


def meanings(measures: Iterable[str]) -> list[str]:
    """Write a note on these measures, each once; no note where none needs one."""
    told = dict.fromkeys(measure for measure in measures if quality_of(measure).meaning)
    sentences = [
        f"{title(measure)[:1].upper()}{title(measure)[1:]}: {quality_of(measure).meaning}." for measure in told
    ]
    return [" ".join(sentences)] if sentences else []
