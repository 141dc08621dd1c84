"""Tell what pretraining adds: of rows that were fine-tuned alike, each beside its start and beside SWCL from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swcl_cli.catalogue.methods import METHODS, OURS, PATCHES, RELEASED
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.differences import Comparison, dataset_of, sampled_by_task
from swcl_cli.reporting.findings.initialisations import initialisation
from swcl_cli.reporting.findings.names import SWCL, ordered_initialisations, ordered_tasks
from swcl_cli.reporting.findings.paired import Sampled, comparable, difference
from swcl_cli.reporting.findings.protocol import Protocol, protocol_of
from swcl_cli.reporting.findings.scores import Score
from swcl_cli.reporting.findings.splits import TEST
from swcl_cli.reporting.findings.standings import measured
from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.settings.labelled_sets import data_set

START, OVER_IT = "its start", "SWCL"  # kinds of comparison


@dataclass(frozen=True)
class Row:
    """Hold an initialisation that was fine-tuned by a protocol.

    start: name of the row that its encoder began with, empty where that is not here. over_start: this row minus that
    one; swcl: SWCL from the same start, with as many views, minus this row. taught: whether it learnt labels of
    photographs that are tested. tested: how many photographs.
    """

    protocol: Protocol
    score: Score
    start: str
    over_start: Comparison | None
    swcl: Comparison | None
    taught: bool
    tested: int

    @property
    def task(self) -> str:
        return self.score.task

    @property
    def name(self) -> str:
        return self.score.name


def rows_by_protocol(contents: Contents) -> list[Row]:
    """List what was tested, by task, protocol and initialisation."""
    sampled = sampled_by_task(contents)
    tested = {(each.task, each.name): each for each in measured(contents) if each.split == TEST}
    listed = []
    for task in ordered_tasks(task for task, _ in tested):
        names = [name for of, name in tested if of == task]
        for protocol in sorted({protocol_of(contents, task, name) for name in names}):
            alike = ordered_initialisations(name for name in names if protocol_of(contents, task, name) == protocol)
            listed += [
                _row(contents, protocol, tested[task, name], alike, sampled.get((task, TEST), {})) for name in alike
            ]
    return listed


def _row(
    contents: Contents, protocol: Protocol, score: Score, alike: Sequence[str], sampled: Mapping[str, Sampled]
) -> Row:
    task, name = score.task, score.name
    start, ours = start_of(contents, task, name, alike), _swcl_of(contents, task, name, alike)
    return Row(
        protocol,
        score,
        start,
        _compared(score, sampled, name, start, START),
        _compared(score, sampled, ours, name, OVER_IT),
        is_taught(contents, task, name),
        len(sampled[name].photographs) if name in sampled else 0,
    )


def _compared(score: Score, sampled: Mapping[str, Sampled], name: str, against: str, kind: str) -> Comparison | None:
    """Compare two rows; None where either is not here, or they were tested on other photographs."""
    if name not in sampled or against not in sampled or not comparable(sampled[name], sampled[against]):
        return None
    runs = (len(sampled[name].seeds), len(sampled[against].seeds))
    gap = difference(sampled[name], sampled[against])
    return Comparison(score.task, score.split, name, against, kind, gap, runs)


def start_of(contents: Contents, task: str, name: str, alike: Sequence[str]) -> str:
    """Name the row of the weights that this one's encoder was pretrained from; empty where it is none of `alike`."""
    encoder = initialisation(contents, task, name).encoder
    if encoder is None:
        return ""
    began, architecture = encoder.inputs.get("init"), _architecture(contents, task, name)
    return next(
        (
            other for other in alike
            if other != name
            and (task, other) in contents.finetuned
            and contents.finetuned[task, other].inputs.get("init") == began
            and _architecture(contents, task, other) == architecture
        ),
        "",
    )  # fmt: skip


def _architecture(contents: Contents, task: str, name: str) -> object:
    return contents.finetuned[task, name].settings.get("architecture")


def _swcl_of(contents: Contents, task: str, name: str, alike: Sequence[str]) -> str:
    """Name SWCL's row from the same start, with as many views; for weights that nobody pretrained, from these."""
    own = initialisation(contents, task, name)
    start = start_of(contents, task, name, alike) if own.encoder else name
    for other in alike if start else ():
        encoder = initialisation(contents, task, other).encoder
        if encoder is None or other == name or encoder.settings.get("method") != SWCL:
            continue
        as_many = own.encoder is None or encoder.settings.get("views") == own.encoder.settings.get("views")
        if as_many and start_of(contents, task, other, alike) == start:
            return other
    return ""


def is_taught(contents: Contents, task: str, name: str) -> bool:
    """Tell whether the encoder learnt labels of the photographs that the task tests it with.

    The scores of retinal-SWAP know those of all photographs of the labelled data sets (FACTS A1), and so do the
    supervised baselines as released (FACTS D2).
    """
    tested, encoder = dataset_of(contents, task), initialisation(contents, task, name).encoder
    here = {each.fingerprint: each for each in contents.encoders.values()}
    while encoder is not None:
        if tested in _teachers(contents, encoder):
            return True
        encoder = here.get(encoder.inputs.get("init", ""))
    return False


def _teachers(contents: Contents, encoder: Artefact) -> list[str]:
    """List the data sets of which a pretraining learns all labels."""
    method = METHODS.get(str(encoder.settings.get("method")))
    if method is None:
        return []
    if method.reads == PATCHES:
        told = contents.swap.settings.get("labelled") if contents.swap else None
        return list(map(data_set, told or TrainLabelerSettings().labelled))
    released = encoder.settings.get("variant", OURS) == RELEASED
    return [method.taught_by] if method.taught_by and released else []
