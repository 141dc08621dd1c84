"""The generator of large workspaces, at a small size: the report finds nothing amiss in what it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.consistency import straightened
from swcl_cli.reporting.findings.scores import scores
from tests.reporting import large
from tests.reporting.large_logs import SMALL


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return straightened(read_contents(large.build(tmp_path_factory.mktemp("large"), SMALL)))


def test_all_is_there_and_whole(made: Contents) -> None:
    assert not made.damaged and not made.unfinished
    assert list(made.encoders) == ["swcl"] and len(made.finetuned) == 3 * 7
    counts = {(score.task, score.name): score.runs for score in scores(made.results)}
    assert counts == {
        (task, name): 2
        for task in large.PUBLIC
        for name in SMALL.initialisations  # seeds, of messidor in two folds
    }


def test_only_what_is_small_is_warned_of(made: Contents) -> None:
    assert {caution.text.split(":")[0] for caution in cautions(made)} == {"Fewer than 3 runs", "Wide intervals"}


def test_every_picture_that_a_table_names_is_there(made: Contents) -> None:
    root: Path = made.root
    named = {*made.classified["path"], *made.cams}
    named |= {path for column in ("path", "mask_path", "map_path") for path in made.segmented[column]}
    assert len(named) > 100
    assert [path for path in named if not (root / path).is_file()] == []


def test_patches_of_all_photographs(made: Contents) -> None:
    photographs = sum(sum(SMALL.splits[name]) for name in large.WITH_LABELS)
    assert made.patches is not None and len(made.patches) == 5 * photographs
