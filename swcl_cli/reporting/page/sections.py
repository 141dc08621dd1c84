"""List the sections of the page, and what each of them shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.figures.classification import classification_figures
from swcl_cli.reporting.figures.confusions import confusion_matrices
from swcl_cli.reporting.figures.copies import copies_figures
from swcl_cli.reporting.figures.embeddings import embeddings_figure
from swcl_cli.reporting.figures.finetuning import finetuning_learning
from swcl_cli.reporting.figures.hard_and_easy import worst_and_best
from swcl_cli.reporting.figures.hits_and_misses import hits_and_misses
from swcl_cli.reporting.figures.labeler import labeler_figures
from swcl_cli.reporting.figures.learning import labeler_learning, pretraining_learning
from swcl_cli.reporting.figures.lesion_scores import lesion_scores
from swcl_cli.reporting.figures.lying import lying_figures
from swcl_cli.reporting.figures.numbers import number_figures
from swcl_cli.reporting.figures.patches import cam_overlays, patch_construction, read_examples
from swcl_cli.reporting.figures.planes import embedding_planes
from swcl_cli.reporting.figures.probe import probe_figure
from swcl_cli.reporting.figures.quality import quality_figure
from swcl_cli.reporting.figures.results import results_figures
from swcl_cli.reporting.figures.segmentations import segmentations
from swcl_cli.reporting.figures.style import Figure
from swcl_cli.reporting.tables.ablation import ablation_table
from swcl_cli.reporting.tables.calibration import calibration_table
from swcl_cli.reporting.tables.copies import copies_table, leaks_table
from swcl_cli.reporting.tables.datasets import datasets_table
from swcl_cli.reporting.tables.differences import differences_table
from swcl_cli.reporting.tables.elsewhere import elsewhere_table
from swcl_cli.reporting.tables.labeler import labeler_outcomes_table, labeler_table
from swcl_cli.reporting.tables.lying import lying_table
from swcl_cli.reporting.tables.numbers import numbers_table
from swcl_cli.reporting.tables.patches import (
    judged_thresholds_table,
    judgement_parts_table,
    judgement_table,
    swap_table,
)
from swcl_cli.reporting.tables.protocols import protocols_table
from swcl_cli.reporting.tables.quality import quality_table
from swcl_cli.reporting.tables.results import results_table, runs_table
from swcl_cli.reporting.tables.structures import structures_table
from swcl_cli.reporting.tables.table import Table

LEFT_OUT = "A table or figure is left out: "
Tabulate = Callable[[Contents], Table | None]
Depict = Callable[[Contents], Figure | Sequence[Figure] | None]


@dataclass(frozen=True)
class Section:
    """Hold a heading with its tables and figures. Folded tables stay closed until they are opened."""

    name: str
    title: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    folded: Sequence[Table] = ()

    @property
    def empty(self) -> bool:
        return not (self.tables or self.figures or self.folded)

    def only(self, drawn: Collection[str]) -> Section:
        """Drop the figures whose names are not among these."""
        return replace(self, figures=[figure for figure in self.figures if figure.name in drawn])


def sections(contents: Contents, photographs: bool = True) -> list[Section]:
    """List all that the page shows; nothing is drawn yet. What can't be made is named among the damaged.

    Without photographs none is opened either.
    """
    tables, figures = partial(_tables, contents), partial(_figures, contents)
    examples = read_examples(contents) if photographs else []
    patches = [partial(patch_construction, examples=examples), partial(cam_overlays, examples=examples)]
    return [
        Section(
            "results",
            "Results",
            tables=tables(
                results_table,
                structures_table,
                numbers_table,
                elsewhere_table,
                differences_table,
                protocols_table,
                ablation_table,
            ),
            figures=figures(results_figures),
            folded=tables(calibration_table, runs_table),
        ),
        Section(
            "data",
            "Data",
            tables=tables(datasets_table, copies_table, leaks_table, lying_table, quality_table),
            figures=figures(*([copies_figures, lying_figures, quality_figure] if photographs else [])),
        ),
        Section(
            "labeler",
            "The labeler",
            tables=tables(labeler_table, labeler_outcomes_table),
            figures=figures(labeler_figures, labeler_learning),
        ),
        Section(
            "swap",
            "The patches (retinal-SWAP)",
            tables=tables(swap_table, judgement_table, judged_thresholds_table),
            folded=tables(judgement_parts_table),
            figures=figures(*patches, lesion_scores, *([hits_and_misses] if photographs else [])),
        ),
        Section("pretraining", "Pretraining", figures=figures(probe_figure, pretraining_learning, embeddings_figure)),
        Section("embeddings", "Embeddings", figures=figures(embedding_planes)),
        Section(
            "finetuning",
            "Fine-tuning",
            figures=figures(
                *([segmentations, worst_and_best] if photographs else []),
                *(classification_figures, confusion_matrices, number_figures, finetuning_learning),
            ),
        ),
    ]


def _tables(contents: Contents, *makers: Tabulate) -> tuple[Table, ...]:
    tables = [contents.attempt(partial(make, contents), LEFT_OUT) for make in makers]
    return tuple(table for table in tables if table is not None)


def _figures(contents: Contents, *makers: Depict) -> tuple[Figure, ...]:
    figures: list[Figure] = []
    for make in makers:
        made = contents.attempt(partial(make, contents), LEFT_OUT) or []
        figures += [made] if isinstance(made, Figure) else made
    return tuple(figures)
