"""Define the settings of `predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, model_validator

from swcl_cli.errors import UsageError
from swcl_cli.settings.path_parts import PathParts
from swcl_cli.settings.step import ClusterSettings, encoders_square, setting, untold_architecture

WEIGHTS = ".safetensors"
CHOSEN = "validation"  # the threshold that was chosen there, and is in the model's file


def share_or_chosen(text: str) -> str:
    """Check a threshold, and return it. Raises ValueError where it is neither a share nor the word."""
    try:
        if text == CHOSEN or 0 <= float(text) <= 1:
            return text
    except ValueError:
        pass
    raise ValueError(f"a threshold is a number from 0 to 1, or {CHOSEN}")


class PredictSettings(ClusterSettings):
    """Set how `swcl predict` applies a model or an encoder to photographs of any kind."""

    step: ClassVar[str] = "predict"
    of_models: ClassVar[frozenset[str]] = frozenset({"threshold", "maps", "patients"})
    of_encoders: ClassVar[frozenset[str]] = frozenset({"architecture", "crop", "fit"})
    of_photographs: ClassVar[frozenset[str]] = frozenset({"threshold", "maps", "out"})

    model: Path = setting(
        ...,
        "Model that `finetune` wrote: finetune/TASK/NAME/RUN/model.safetensors; or an encoder: a file of `pretrain`, "
        "or other weights, as --init takes them.",
        panel="Data",
        runtime=True,
    )
    images: list[Path] = setting(
        [],
        "Photographs, or folders and archives that hold some; further models of the same task (.safetensors) make an "
        "ensemble, whose answer is the mean of their probabilities.",
        panel="Data",
        runtime=True,
    )
    data: PathParts = setting(
        [],
        "Prepared data sets, in place of photographs, joined by commas. A model is scored on them, where they have its "
        "labels, in tested/DATA/TASK/NAME/RUN of the workspace; an encoder embeds them.",
        panel="Data",
        runtime=True,
    )
    patients: Literal["shared", "apart"] = setting(
        "shared",
        "With --data: whether equal ids of patients in two sets of your own are one person, who is left out where the "
        "model was trained on one; apart: they are different people.",
        panel="Data",
        neutral="shared",
    )
    out: Path | None = setting(
        None,
        "Folder for what is written; a new one, or an empty one. The report shows embeddings in embeddings/NAME of the "
        "workspace.",
        panel="Data",
        runtime=True,
    )
    embed: bool = setting(
        False, "Embed by the encoder of a fine-tuned model, in place of its predictions.", panel="Model", neutral=False
    )
    architecture: str | None = untold_architecture()
    crop: int | None = encoders_square()
    fit: Literal["crop", "pad", "squash"] = setting(
        "crop", "How a photograph becomes that square, as in `finetune`.", panel="Data", neutral="crop"
    )
    threshold: Annotated[str, AfterValidator(share_or_chosen)] | None = setting(
        None,
        f"Say also whether any class above the first is more probable than this; {CHOSEN}: than the threshold that was "
        "chosen there, above which a tenth of the negatives were.",
        panel="Labels",
        neutral=None,
    )
    maps: bool = setting(
        False, "Write the probability of each structure, too, as PNGs of 16 bits.", panel="Labels", neutral=False
    )
    workers: int = setting(1, "Processes that decode photographs.", panel="Machine", runtime=True, ge=0, le=256)
    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "Where to compute.", panel="Machine", runtime=True)

    @property
    def models(self) -> list[Path]:
        """List the model, and those that are given beside it."""
        return [self.model, *(path for path in self.images if path.suffix == WEIGHTS)]

    @property
    def folder(self) -> Path:
        """Return the folder for what is written. Raises UsageError where none is named."""
        if self.out is None:
            raise UsageError("--out is missing: it names the folder for what is written.")
        return self.out

    @property
    def photographs(self) -> list[Path]:
        """List what is given and is no model."""
        return [path for path in self.images if path.suffix != WEIGHTS]

    @model_validator(mode="after")
    def _photographs_or_data(self) -> Self:
        if not self.photographs and not self.data:
            raise ValueError("images: name photographs, or folders that hold some, or prepared data sets with --data")
        if "patients" in self.model_fields_set and not self.data:
            raise ValueError("patients: it is about --data, which scores a model on a prepared set")
        if self.photographs and self.data:
            raise ValueError("data: name photographs or prepared data sets, not both")
        if self.photographs and self.out is None:
            raise ValueError("out: name the folder for what is written, --out DIR")
        return self
