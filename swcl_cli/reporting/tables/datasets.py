"""Make Table I: prepared photographs of each split beside the published numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from swcl_cli.catalogue.paper import PATCHES
from swcl_cli.data.manifest import SPLITS
from swcl_cli.datasets import DATASETS, chase_db1, eyepacs, odir
from swcl_cli.preparation.photograph import CUT_OFF, EMPTY
from swcl_cli.reporting.evidence.contents import Contents, DataSet
from swcl_cli.reporting.findings.names import title
from swcl_cli.reporting.findings.published import is_as_in_paper
from swcl_cli.reporting.tables.table import Cell, Table, count
from swcl_cli.swap.crops import POSITIONS

DRAWN = " of these"
OF_THESE = f"Where no validation photographs are published, a fifth of the training patients became them:{DRAWN}. "
QUARANTINE = "quarantine.csv lists files that can't be used, labels without a file, and duplicates."


def datasets_table(contents: Contents) -> Table | None:
    """Make a row for each data set that was prepared."""
    if not contents.datasets:
        return None
    rows, records = [], []
    for name, dataset in contents.datasets.items():
        prepared = {split: int((dataset.images["split"] == split).sum()) for split in SPLITS}
        published = {} if contents.phantom else _published(dataset)
        patients, problems = dataset.images["patient_id"].nunique(), dataset.problems.total()
        counts = [_beside(split, prepared, published) for split in SPLITS]
        rows.append((Cell(title(name)), *counts, count(patients), count(problems)))
        records.append((name, *prepared.values(), *(published.get(split) for split in SPLITS), patients, problems))
    header = ("dataset", *SPLITS, *(f"{split}_published" for split in SPLITS), "patients", "listed_problems")
    return Table(
        name="datasets",
        title="Data sets",
        sentence="Photographs that were prepared, by split"
        f"{'' if contents.phantom else ', and how many the publication of each data set counts'}.",
        columns=("data set", "training", "validation", "test", "patients", "in quarantine.csv"),
        rows=tuple(rows),
        notes=(
            f"{OF_THESE if any(cell.text.endswith(DRAWN) for row in rows for cell in row) else ''}{QUARANTINE}",
            *_patches_to_be_had(contents),
        ),
        records=(header, *records),
    )


def _patches_to_be_had(contents: Contents) -> tuple[str, ...]:
    """Say why the paper's number of patches can't be met exactly, and by how many (FACTS A1)."""
    cut = [contents.datasets[name] for name in ("odir", "eyepacs") if name in contents.datasets]
    if not cut or not all(is_as_in_paper(contents, dataset.artefact) for dataset in cut):
        return ()
    here = sum(dataset.problems[problem] for dataset in cut for problem in (EMPTY, CUT_OFF))
    each, lost = len(POSITIONS), len(eyepacs.NEARLY_EMPTY)
    return (
        f"The paper's {PATCHES:,} patches are {each} of each of {PATCHES // each:,} photographs of Kaggle EyePACS and "
        f"OIA-ODIR. Frames that are nearly empty go to quarantine.csv and give none: {lost} of the whole Kaggle "
        f"EyePACS, so that {PATCHES - each * lost:,} patches, {each * lost} fewer, can be met at most. Of the "
        f"photographs that were read here {here:,} {'was' if here == 1 else 'were'} nearly empty.",
    )


def _published(dataset: DataSet) -> Mapping[str, int]:
    """Return the published counts by split, of the packaging that was prepared."""
    name, made = dataset.name, dataset.artefact
    published = DATASETS[name].published if name in DATASETS else {}
    files = {PurePosixPath(path).name for path in made.inputs}
    if name == "odir" and (kept := {split for split, (_, labels) in odir.PARTS.items() if labels in files}):
        return {split: published[split] for split in kept}
    if name == "odir" and files & set(odir.KAGGLE_LABELS):
        return {"train": published["train"]}
    if name == "chase-db1":
        train = chase_db1.SPLITS.get(str(made.settings.get("chase_split")), published["train"])
        return {"train": train, "test": sum(published.values()) - train}
    return published


def _beside(split: str, prepared: dict[str, int], published: Mapping[str, int]) -> Cell:
    """Prepared of published; photographs that validate, where none are published for it, were published to train."""
    drawn = prepared["val"] if "train" in published and "val" not in published else 0
    if split == "val" and drawn:
        return Cell(f"{drawn:,}{DRAWN}", drawn)
    number = prepared[split] + (drawn if split == "train" else 0)
    return Cell(f"{number:,} of {published[split]:,}", prepared[split]) if split in published else count(number)
