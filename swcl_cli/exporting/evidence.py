"""Collect what a model card says: data and their terms, protocol, scores, cautions; all from provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swcl_cli.data.columns import RESULTS
from swcl_cli.data.stored import read_columns
from swcl_cli.datasets import DATASETS
from swcl_cli.errors import SwclError
from swcl_cli.workspace import FINETUNE, PRETRAIN, Workspace, fingerprint, read_provenance

SWAP = "swap"  # among the inputs of a pretraining
TOLD = (  # settings of the protocol, in the order of the card
    "method", "variant", "labels", "task", "heads", "epochs", "views", "learning_rate", "weight_decay", "optimizer",
    "schedule", "loss", "batch", "batch_patches", "batch_images", "crop", "fit", "decoder", "freeze", "probe",
    "fraction", "folds", "seed", "precision", "eval",
)  # fmt: skip


@dataclass(frozen=True)
class DataTerms:
    """Name a data set that taught, what for, where it is had and under which terms."""

    name: str
    use: str
    origin: str
    terms: str


@dataclass(frozen=True)
class Score:
    """Hold a score of a split, with its 95 % interval in words."""

    split: str
    measure: str
    value: str
    interval: str


@dataclass(frozen=True)
class Evidence:
    """Hold what is known of a file of weights, in words."""

    data: list[DataTerms] = field(default_factory=list)
    protocol: list[tuple[str, str]] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    tested: str = ""
    cautions: list[str] = field(default_factory=list)


def evidence_of(path: Path | None, source: str, workspace: Workspace) -> Evidence:
    """Read what is known of a model or an encoder; little of other people's weights. source: how it was named."""
    made = read_provenance(path) if path is not None and _is_ours(path) else {}
    settings: Mapping[str, Any] = made.get("settings", {})
    step = str(made.get("step"))
    if step == FINETUNE and path is not None:
        dataset = next((name for name in made["inputs"] if name != "init"), str(settings.get("task")))
        data = [_terms(dataset, "fine-tuning")]
        before, cautions = _pretraining(made["inputs"].get("init"), workspace)
        scores, tested = _scores(path)
        cautions += [] if scores else ["Its scores do not lie beside the model file that was exported."]
    elif step == PRETRAIN:
        data = []
        before, cautions = _sources(made, workspace)
        scores, tested = _scores_with(str(path and fingerprint(path)), workspace)
        cautions += [] if scores else ["No fine-tuning of this encoder lies in the workspace: nothing is known of it."]
    else:
        data, before, scores, tested = [], [], [], ""
        cautions = [f"The weights are of others ({source}): their data and terms are not known here."]
    if workspace.phantom.is_dir():
        cautions.insert(0, "Phantom eyes lie in the workspace: scores on synthetic photographs mean nothing.")
    told = [(name.replace("_", " "), _text(settings[name])) for name in TOLD if settings.get(name) not in (None, False)]
    return Evidence([*data, *before], told, scores, tested, cautions)


def _is_ours(path: Path) -> bool:
    try:
        return bool(read_provenance(path))
    except SwclError:
        return False


def _terms(name: str, use: str) -> DataTerms:
    source = DATASETS.get(name)
    if source is None:
        return DataTerms(name, use, "photographs of whoever made the model", "theirs; ask them")
    return DataTerms(source.title, use, source.origin, source.terms)


def _pretraining(init: str | None, workspace: Workspace) -> tuple[list[DataTerms], list[str]]:
    """Name the data of the encoder that a fine-tuning began with, where it lies in the workspace."""
    if init is None:
        return [], []
    for path in workspace.encoder_files():
        if fingerprint(path) == init:
            return _sources(read_provenance(path) if _is_ours(path) else {}, workspace)
    return [], [f"It began with the weights {init}, whose data and terms are not known here."]


def _sources(made: Mapping[str, Any], workspace: Workspace) -> tuple[list[DataTerms], list[str]]:
    """Name the data of a pretraining, those of its patches among them; and what is not known of them."""
    inputs: dict[str, str] = made.get("inputs", {})
    names = [name for name in inputs if name not in ("init", SWAP)]
    cautions = []
    if SWAP in inputs:
        if workspace.swap.is_file() and fingerprint(workspace.swap) == inputs[SWAP]:
            names += [name for name in read_provenance(workspace.swap).get("inputs", {}) if name != "labeler"]
        else:
            cautions.append("The patches that pretrained it do not lie in the workspace: whose they are is not known.")
    if "init" in inputs:
        cautions.append(f"Its pretraining began with the weights {inputs['init']}, of which no more is known here.")
    return [_terms(name, "pretraining") for name in dict.fromkeys(names)], cautions


def _scores(model: Path) -> tuple[list[Score], str]:
    """Read the scores beside a model file, and on how many photographs they are."""
    return _read_scores(model.with_name("results.parquet"), "")


def _scores_with(mark: str, workspace: Workspace) -> tuple[list[Score], str]:
    """Read the primary scores of all fine-tunings that began with these weights."""
    scores: list[Score] = []
    for folder in workspace.finetuned():
        path = folder / "results.parquet"
        if path.is_file() and read_provenance(path).get("inputs", {}).get("init") == mark:
            scores += _read_scores(path, f"{folder.parent.name}, ", primary=True)[0]
    return scores, ""


def _read_scores(path: Path, before: str, primary: bool = False) -> tuple[list[Score], str]:
    if not path.is_file():
        return [], ""
    columns = RESULTS.only(["run", "split", "measure", "value", "primary", "low", "high"])
    rows = read_columns(path, columns).to_pandas()
    kept = rows[(rows["split"] == ("test" if (rows["split"] == "test").any() else "val")) & rows["value"].notna()]
    kept = kept[kept["primary"]] if primary else kept
    scores = [
        Score(
            row.split,
            f"{before}{row.measure}" + (f", {row.run}" if primary else ""),
            f"{row.value:.3f}",
            f"{row.low:.3f} to {row.high:.3f}" if row.low == row.low else "none",
        )
        for row in kept.itertuples()
    ]
    return scores, "" if primary else _tested(path.with_name("predictions.parquet"))


def _tested(predictions: Path) -> str:
    """Say on how many photographs and patients the scores are."""
    if not predictions.is_file():
        return ""
    import pyarrow.parquet as pq

    table = pq.read_table(predictions, columns=["path", "patient_id"])
    return f"{len(table['path'].unique()):,} photographs of {len(table['patient_id'].unique()):,} patients"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else f"{value}"
