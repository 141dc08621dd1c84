"""Name the place of each artefact of a workspace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from swcl_cli.errors import SwclError
from swcl_cli.workspace.artefacts import fingerprint, read_provenance
from swcl_cli.workspace.run_folders import (
    FINETUNE,
    LABELER,
    PRETRAIN,
    SWAP,
    RunFolder,
    RunName,
    adopt,
    attributed,
    folder_of,
    nested_folders,
)

JOURNAL = ".journal.jsonl"  # of `prep`, in data/DATASET: a cache
JUDGED = "judged"  # in the folder of `make-swap`'s run
FORMER = ".former.parquet"  # of `prep`, in data/DATASET: the manifest, while photographs are prepared again
EMBEDDINGS = "embeddings.parquet"  # in the folder of a `predict` by an encoder
DESCRIPTIONS = ".descriptions.parquet"  # of `audit`, in data/DATASET: a cache
COMPARED = ".compared.parquet"  # of `audit`, in data: a cache
MODEL = "model.safetensors"  # of a run of `finetune`
TESTED = "tested"  # the folder of scores of models on data sets that are not their own
DRAWING = "drawing.json"  # in the folder of phantom downloads: what was drawn


@dataclass(frozen=True)
class Workspace:
    """Give the path of each artefact below `root`. Nothing else in the program spells these names."""

    root: Path

    def data(self, dataset: str) -> Path:
        return self.root / "data" / dataset

    def manifest(self, dataset: str) -> Path:
        return self.data(dataset) / "manifest.parquet"

    def images(self, dataset: str) -> Path:
        return self.data(dataset) / "images"

    def masks(self, dataset: str) -> Path:
        return self.data(dataset) / "masks"

    def quarantine(self, dataset: str) -> Path:
        return self.data(dataset) / "quarantine.csv"

    def descriptions(self, dataset: str) -> Path:
        """Return the file of descriptions of the data set's photographs, by which `audit` compares them: a cache."""
        return self.data(dataset) / DESCRIPTIONS

    def orientation(self, dataset: str) -> Path:
        """Return the table that tells how the data set's photographs lie, by `audit`."""
        return self.data(dataset) / "orientation.parquet"

    def quality(self, dataset: str) -> Path:
        """Return the table of the quality of the data set's photographs."""
        return self.data(dataset) / "quality.parquet"

    @property
    def compared(self) -> Path:
        """Return the file of pairs of photographs that `audit` has compared: a cache."""
        return self.root / "data" / COMPARED

    @property
    def audit(self) -> Path:
        return self.root / "audit.parquet"

    def features(self, dataset: str) -> Path:
        """Return the folder of features of the data set's photographs, by frozen encoders: a cache."""
        return self.root / "features" / dataset

    def prepared(self) -> list[str]:
        """List the names of the data sets that have a manifest, sorted."""
        return sorted(path.parent.name for path in self.root.glob("data/*/manifest.parquet"))

    @property
    def phantom(self) -> Path:
        return self.root / "phantom"

    @property
    def unpacked(self) -> Path:
        """Return the folder of downloads that came as a .tar."""
        return self.root / "unpacked"

    @property
    def labeler(self) -> Path:
        return self.root / "labeler.safetensors"

    @property
    def labeler_scores(self) -> Path:
        """Return the table of the labeler's scores of its validation photographs."""
        return self.labeler_run.folder / "validation.parquet"

    @property
    def swap(self) -> Path:
        return self.root / "swap.parquet"

    @property
    def maps(self) -> Path:
        """Return the file of class activation maps of a few photographs, for the report."""
        return self.swap_run.folder / "cams.safetensors"

    def judged(self, dataset: str) -> Path:
        """Return the table of the patches of this data set that lesion scores were judged on, and that alone."""
        return self.swap_run.folder / JUDGED / f"{dataset}.parquet"

    def judged_on(self) -> list[str]:
        """List the names of the data sets that have such a table, sorted."""
        return sorted(path.stem for path in (self.swap_run.folder / JUDGED).glob("*.parquet"))

    def encoder(self, name: str) -> Path:
        return self.root / f"{name}.safetensors"

    def finetune(self, task: str, name: str) -> Path:
        return self.root / "finetune" / task / name

    def tested(self, dataset: str, task: str, name: str, run: str) -> Path:
        """Return the folder of a model's scores on a data set that is not its own."""
        return self.root / TESTED / dataset / task / name / run

    def tests_elsewhere(self) -> list[Path]:
        """List the results.parquet of models on data sets that are not their own."""
        return sorted(self.root.glob(f"{TESTED}/*/*/*/*/results.parquet"))

    def finetuned(self) -> list[Path]:
        """List the folders finetune/TASK/NAME that exist."""
        return sorted(path for path in self.root.glob(f"{FINETUNE}/*/*") if path.is_dir())

    def encoder_files(self) -> list[Path]:
        """List the files of weights at the top of the workspace, except the labeler's; others may have made some."""
        return sorted(path for path in self.root.glob("*.safetensors") if path != self.labeler)

    def embeddings(self) -> list[Path]:
        """List the tables of embeddings that `predict` put into embeddings/NAME, for the report."""
        return sorted(self.root.glob(f"embeddings/*/{EMBEDDINGS}"))

    def tables_of_photographs(self) -> list[Path]:
        """List all parquet files that name photographs."""
        predictions = [*self.root.glob(f"{FINETUNE}/*/*/predictions.parquet")]
        single = [path for path in (self.swap, self.labeler_scores) if path.exists()]
        judged = map(self.judged, self.judged_on())
        predictions += [path.with_name("predictions.parquet") for path in self.tests_elsewhere()]
        return [*map(self.manifest, self.prepared()), *single, *judged, *sorted(predictions)]

    @property
    def report(self) -> Path:
        return self.root / "report"

    @property
    def study(self) -> Path:
        """Return the folder of a study's plan: a shell script, and what is kept so that it stays the same."""
        return self.root / "study"

    @property
    def _runs(self) -> Path:
        return self.root / "runs"

    @property
    def labeler_run(self) -> RunFolder:
        return folder_of(self._runs, RunName(LABELER))

    @property
    def swap_run(self) -> RunFolder:
        return folder_of(self._runs, RunName(SWAP))

    def pretraining(self, name: str) -> RunFolder:
        return folder_of(self._runs, RunName(PRETRAIN, name=name))

    def finetuning(self, task: str, name: str, run: str) -> RunFolder:
        return folder_of(self._runs, RunName(FINETUNE, task, name, run))

    def adopt(self, run: RunFolder) -> RunFolder:
        """Return the run's folder, after taking over the one that an older version made of this run, if any."""
        adopt(self._runs, run, self._known())
        return run

    def run_folders(self, known: Iterable[RunName] = ()) -> tuple[list[RunFolder], list[Path]]:
        """List the folders of all runs that were begun, then folders of older versions whose run can't be identified.

        known: further runs, beside those whose artefacts are in the workspace.
        """
        begun = (RunName(FINETUNE, folder.parent.name, folder.name) for folder in self.finetuned())
        belonging, strays = attributed(self._runs, {*self._known(), *begun, *known})
        return [*nested_folders(self._runs), *belonging], strays

    def _known(self) -> set[RunName]:
        """List the fine-tunings whose artefacts have a folder."""
        folders = (path for path in self.root.glob(f"{FINETUNE}/*/*/*") if path.is_dir())
        return {RunName(*path.relative_to(self.root).parts) for path in folders}

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def changed_since(self, artefact: Path) -> list[str]:
        """List the names of the inputs that have changed since the artefact was made from them.

        Inputs that it lists as `outside` came from outside the workspace, and are not compared.
        """
        places = {"labeler": self.labeler, "swap": self.swap}
        recorded = read_provenance(artefact)
        inputs = {
            name: (places.get(name, self.manifest(name)), made) for name, made in recorded.get("inputs", {}).items()
        }
        changed = [name for name, (path, made) in inputs.items() if path.exists() and fingerprint(path) != made]
        return [name for name in changed if name not in recorded.get("outside", [])]

    def require(self, path: Path, command: str) -> Path:
        """Return the path itself. Raises SwclError naming it and the command that makes it, where it is missing."""
        if not path.exists():
            raise SwclError(f"{path} is missing. Make it with: {command}")
        return path
