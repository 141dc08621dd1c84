"""Put a study into an order in which it can be cut anywhere: ordinary commands, the most telling ones first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.data.columns import RESULTS
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.settings import PretrainSettings, TrainLabelerSettings
from swcl_cli.settings.resolve import resolve
from swcl_cli.study.costs import Costs, views_a_step
from swcl_cli.study.initialisations import Initialisation, Sources
from swcl_cli.study.subjects import Subject
from swcl_cli.tasks.runs import row_name
from swcl_cli.workspace import MODEL, Workspace, run_name

FEW = (0.25, 0.1)  # shares of the labels
PRETRAINING = 0.5  # share of the hours that may go to pretraining
RATE_OF_RANDOM = PretrainSettings.model_fields["learning_rate"].default  # a preset's own may be one for good weights
LADDER: tuple[int, ...] = tuple(round(3200 * step * 2**power) for power in range(16) for step in (1, 1.5))
WEAK, PRETRAINED, PROBED, FROZEN, LITTLE, WHOLE = (
    "weak labels", "pretraining", "linear probes", "frozen encoders under a decoder", "few labels", "all labels",
)  # fmt: skip
TAUGHT = "its pretraining learns of this set's labels, of photographs that test too"


@dataclass(frozen=True)
class Command:
    """Hold what follows `swcl`, the stage of the study, the seconds that it may still take, and whether it is done."""

    stage: str
    words: tuple[str, ...]
    seconds: float
    done: bool = False


@dataclass(frozen=True)
class Way:
    """Say how encoders are fine-tuned: under a probe or decoder alone, and on which share of the labels."""

    probe: bool = False
    freeze: bool = False
    fraction: float = 1.0

    @property
    def given(self) -> dict[str, Any]:
        """Return the settings that differ from the default."""
        plain = Way()
        return {name: value for name, value in vars(self).items() if value != getattr(plain, name)}

    @property
    def words(self) -> tuple[str, ...]:
        options = [
            (f"--{name}",) if value is True else (f"--{name}", f"{value:g}") for name, value in self.given.items()
        ]
        return tuple(chain.from_iterable(options))

    def fits(self, subject: Subject) -> bool:
        """Tell whether the kind of task has it: a probe learns labels, and a decoder masks."""
        return subject.is_classification if self.probe else not (self.freeze and subject.is_classification)


@dataclass(frozen=True)
class Round:
    """Hold what is done with all initialisations before anything else is; seeds: of each fine-tuning, by its end."""

    stage: str
    seeds: int
    ways: Sequence[Way]


@dataclass(frozen=True)
class Study:
    """Hold what is compared on what. size: of prepared photographs, in pixels; seeds: first and number."""

    workspace: Workspace
    preset: str
    architecture: str
    subjects: Sequence[Subject]
    initialisations: Sequence[Initialisation]
    available: Sources
    size: int
    seeds: tuple[int, int]

    def pretraining(self, each: Initialisation, views: int) -> PretrainSettings:
        given = {"method": each.method, "views": views, "init": each.start}
        given |= {"variant": each.variant} if each.variant else {}
        given |= {"learning_rate": RATE_OF_RANDOM} if each.start == UNTRAINED else {}
        return resolve(PretrainSettings, given, self.preset).settings

    @property
    def labeler(self) -> TrainLabelerSettings:
        return resolve(TrainLabelerSettings, {}, self.preset).settings

    @property
    def pretrained(self) -> list[Initialisation]:
        return [each for each in self.initialisations if each.method]

    def weak_labels(self, costs: Costs) -> list[Command]:
        """List the commands that make retinal-SWAP, where something is trained on it and it was not there before."""
        if self.available.made or not any(each.on_patches for each in self.initialisations):
            return []
        unlabelled = ("--unlabelled", ",".join(self.available.unlabelled))
        train, make = ("train-labeler", "--preset", self.preset, *unlabelled), ("make-swap", "--preset", self.preset)
        return [
            Command(WEAK, train, costs.labeler(self.labeler, self.available), self.workspace.labeler.exists()),
            Command(WEAK, make, costs.swap(self.labeler, self.available), self.workspace.swap.exists()),
        ]

    def fitting_views(self, seconds: float, costs: Costs) -> int:
        """Return how many views of each pretraining fit into so many seconds, the same for all: one of LADDER."""
        a_view = self.pretraining_seconds(1, costs)
        return max((views for views in LADDER if views * a_view <= seconds), default=LADDER[0])

    def pretraining_seconds(self, views: int, costs: Costs) -> float:
        """Return what all pretrainings take, each of so many views."""
        return sum(views * costs.view(self.pretraining(each, views), self.size) for each in self.pretrained)

    def left_out(self) -> list[str]:
        """Say which pairs of task and initialisation are no comparison."""
        pairs = [
            (subject.name, [each.name for each in self.initialisations if self._teaches(each, subject)])
            for subject in self.subjects
        ]
        return [f"{subject} from {', '.join(names)}: {TAUGHT}" for subject, names in pairs if names]

    def _teaches(self, each: Initialisation, subject: Subject) -> bool:
        return each.on_patches and subject.dataset in self.available.labelled

    def commands(self, views: int, costs: Costs) -> list[Command]:
        """List all commands in their order, the done ones among them."""
        listed = [*self.weak_labels(costs), *(self._pretrain(each, views, costs) for each in self.pretrained)]
        for each_round in self._rounds():
            for each in self.initialisations:
                for subject in self.subjects:
                    ways = [way for way in each_round.ways if way.fits(subject) and not self._teaches(each, subject)]
                    listed += [self._finetune(each_round, way, subject, each, views, costs) for way in ways]
        return listed

    def _rounds(self) -> Iterator[Round]:
        """Yield the rounds in their order: what takes seconds first, then one seed of everything, then the next."""
        probes = [Way(probe=True), *(Way(probe=True, fraction=share) for share in FEW)]
        yield Round(PROBED, self.seeds[1], probes)
        for seeds in range(1, self.seeds[1] + 1):
            yield Round(FROZEN, seeds, [Way(freeze=True)])
            yield Round(LITTLE, seeds, [Way(fraction=share) for share in FEW])
            yield Round(WHOLE, seeds, [Way()])

    def _pretrain(self, each: Initialisation, views: int, costs: Costs) -> Command:
        settings = self.pretraining(each, views)
        images = (*self.available.labelled, *self.available.unlabelled)
        words: tuple[str, ...] = (
            "pretrain",
            "--preset",
            self.preset,
            "--method",
            each.method,
            "--architecture",
            self.architecture,
        )
        words += ("--init", each.start, "--views", str(views), "--name", each.encoder(views), "--probe-every", "0")
        words += ("--learning-rate", f"{RATE_OF_RANDOM:g}") if each.start == UNTRAINED else ()
        words += ("--variant", each.variant) if each.variant else ()
        words += ("--data", ",".join(images)) if "data" not in settings.foreign() else ()
        a_step = views_a_step(settings)
        seconds = -(-views // a_step) * a_step * costs.view(settings, self.size)
        return Command(PRETRAINED, words, seconds, self.workspace.encoder(each.encoder(views)).exists())

    def _finetune(
        self, of: Round, way: Way, subject: Subject, each: Initialisation, views: int, costs: Costs
    ) -> Command:
        settings = subject.settings(self.preset, **way.given)
        drawn = not settings.probe or settings.fraction < 1 or each.name == UNTRAINED  # else all seeds are the same
        first, seeds = self.seeds[0], of.seeds if drawn else 1
        runs = [
            run_name(seed, fold)
            for seed in range(first, first + seeds)
            for fold in (range(settings.folds) if settings.folds else (None,))
        ]
        name = row_name(each.encoder(views) if each.method else each.name, settings)
        folder = self.workspace.finetune(subject.name, name)
        waiting = [run for run in runs if not (folder / run / MODEL).exists()]
        words = ("finetune", *subject.words, "--preset", self.preset, "--init", each.weights(views))
        words += ("--architecture", self.architecture, *way.words, "--seeds", str(seeds))
        words += ("--seed", str(first)) if first else ()
        done = not waiting and set(runs) <= _gathered(folder / "results.parquet")
        return Command(of.stage, words, len(waiting) * costs.finetuning(subject, settings), done)


def _gathered(results: Path) -> set[str]:
    """List the runs in a table of results; none where it is missing or damaged, so that its command comes again."""
    try:
        return set(read_columns(results, RESULTS.only(["run"]))["run"].to_pylist())
    except SwclError:
        return set()
