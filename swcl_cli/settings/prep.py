"""Define the settings of `prep`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, model_validator

from swcl_cli.datasets import DATASETS, OWN
from swcl_cli.settings.path_parts import PathPart
from swcl_cli.settings.rows import ARTEFACTS, ROWS, Dataset
from swcl_cli.settings.step import REPRODUCTION, ClusterSettings, Names, SeededSettings, setting

as_list = BeforeValidator(lambda given: given if isinstance(given, list) else [given])
Folders = Annotated[list[Path], as_list]
Repeated = Annotated[list[str], as_list]
LARGEST = 8192  # px: more than any camera has, and what a computer can still hold


class PrepSettings(ClusterSettings, SeededSettings):
    """Set how `swcl prep` turns a raw download into prepared images, masks and a manifest."""

    step: ClassVar[str] = "prep"

    dataset: Dataset = setting(..., "Which public data set SOURCE holds; `list` shows them all.", panel="Data")
    source: Path | None = setting(
        None,
        "Folder of the raw download, or a .zip or .tar of it (phantom: where to draw; by default WORKSPACE/phantom).",
        panel="Data",
        runtime=True,
    )
    follow_links: bool = setting(
        False, "Read links that lead out of SOURCE, if they stay on its volume.", panel="Data", runtime=True
    )
    name: PathPart | None = setting(
        None,
        "Name of the prepared set, for --data, --labelled, --unlabelled and --probe-data; by default folder.",
        panel="Data",
        runtime=True,
    )
    size: int = setting(
        448, "Shorter side of the prepared images in pixels; 0 keeps their own size.", panel="Data", ge=0, le=LARGEST
    )
    lesion_masks: Path | None = setting(
        None,
        "Folder of lesion masks, laid out as the photographs are, as .png: patch scores are then judged against them.",
        panel="Data",
        runtime=True,
    )
    crop_to_field: bool = setting(
        False, "Cut the dark margin around the field of view off before resizing.", panel="Data"
    )
    split_file: Path | None = setting(
        None, "Table with the columns image_id and split, which replaces the splits.", panel="Data", runtime=True
    )
    keywords: Literal["released", "clean"] = setting(
        "released",
        "Which keywords make an eye abnormal; clean: words that tell of the photograph alone don't count.",
        panel=REPRODUCTION,
    )
    chase_split: Literal["20/8", "8/20"] = setting(
        "20/8", "Images that train and that test; children stay together.", panel=REPRODUCTION
    )
    labels: Path | None = setting(
        None,
        "Table with the column image, any of patient, eye and split, and labels in all others; or folders: a folder "
        "for each class, with or without train, val and test above it.",
        panel="Data",
        runtime=True,
    )
    image_column: str | None = setting(
        None, "Column of --labels that names the photographs; by default image.", panel="Data", runtime=True
    )
    label: Repeated = setting(
        [],
        "NAME=KIND: what the column NAME is, where the guess is wrong. KIND: classes, grades (ordered classes), "
        "several (at once, as DR;AMD in a cell), number, or none (no label). NAME=classes:A,B names the classes in "
        "their order, NAME=several:A,B joins columns A and B of 0 and 1. NAME=KIND/patient: it is of a patient, and "
        "scored once a patient.",
        panel="Data",
        runtime=True,
        repeated=True,
    )
    masks: Folders = setting(
        [],
        "Folder of masks, laid out and called as the photographs are, or PHOTOGRAPH_mask; or NAME=DIR for each "
        "structure, which may overlap, with two-valued masks; fov=DIR: fields of view.",
        panel="Data",
        runtime=True,
    )
    mask_classes: Path | None = setting(
        None,
        "Table of what is in the masks: the columns name and value (grey or index) or colour (#rrggbb, or r,g,b); the "
        "names background and ignore are no structures. By default the masks' values are listed.",
        panel="Data",
        runtime=True,
    )
    mask_edges: Literal["exact", "nearest"] = setting(
        "exact",
        "Pixels of a value that no structure has: they set the photograph aside, or take the nearest value (without "
        "--mask-classes black or white).",
        panel="Data",
        runtime=True,
    )
    without_mask: Literal["unknown", "empty"] = setting(
        "unknown",
        "Photographs without a file of a structure: they are not learnt, or (empty) nothing of it is there.",
        panel="Data",
        runtime=True,
    )
    drop_copies: bool = setting(
        False,
        "Keep one of each group of photographs that are copies, as `swcl audit` finds them: the tested one, else the "
        "one of most pixels, else the first by name. The others are listed in quarantine.csv.",
        panel="Data",
        runtime=True,
    )
    least_quality: float = setting(
        0.0,
        "Quality, in [0, 1] as `swcl audit` measures it, below which a photograph is set aside and listed in "
        "quarantine.csv with its parts; 0: all are used. Below 0.3 they are to be looked at.",
        panel="Data",
        runtime=True,
        ge=0,
        le=1,
    )
    allow_leaks: bool = setting(
        False,
        "Accept splits of your own that divide a patient, or equal photographs: what is tested was learnt.",
        panel="Data",
        runtime=True,
    )
    name_pattern: str | None = setting(
        None,
        "Regular expression with the groups patient and eye, for the names: '(?P<patient>.+)_(?P<eye>[LR])'.",
        panel="Data",
    )
    patients: int = setting(60, "Patients to draw a phantom data set.", panel="Phantom eyes", ge=8)
    drawn_size: int = setting(
        512, "Shorter side of the drawn photographs in pixels.", panel="Phantom eyes", ge=96, le=LARGEST
    )
    drawn: Names = setting(
        ["odir", "eyepacs", "idrid", "drive"], "Data sets to draw, joined by commas.", panel="Phantom eyes"
    )

    fresh: bool = setting(
        False,
        "Replace what prep made of other photographs under this name; files that it did not make stop it.",
        panel="Machine",
        runtime=True,
    )

    @property
    def prepared(self) -> str:
        """Return the name of the prepared set: the folder below `data`, and the manifest's column `dataset`."""
        return self.name or self.dataset

    @model_validator(mode="after")
    def _name_of_its_own(self) -> Self:
        if self.name and self.name != OWN and self.name.casefold() in {*ROWS["prep"], *ARTEFACTS}:
            raise ValueError(f"name: {self.name} is the name of a public data set or another artefact; take another")
        return self

    @model_validator(mode="after")
    def _known_data_sets(self) -> Self:
        unknown = sorted(set(self.drawn) - set(DATASETS))
        if unknown:
            raise ValueError(f"drawn: there is no data set {', '.join(unknown)}")
        return self
