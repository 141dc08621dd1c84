"""Who is best, and whether anything tells it apart: cases that need no interval to be judged by eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.glance import Fact, facts
from swcl_cli.reporting.findings.noise import noise_floor
from swcl_cli.reporting.findings.scores import Score
from swcl_cli.reporting.findings.standings import Standing, measured, sentence, standing
from swcl_cli.reporting.tables.results import results_table
from tests.reporting.predictions import classified, contents_of, results

PATIENTS = 120
CLEAR, LEVEL = {"best": 120, "middle": 60, "last": 58}, {"best": 120, "close": 119, "last": 58}  # how many are right


def _contents(root: Path, right: dict[str, int], measure: str = "accuracy", seeds: Sequence[int] = (0, 1)) -> Contents:
    """Runs of `folder` of which the first so many of 120 patients are right; both seeds alike."""
    truth = [place % 2 for place in range(PATIENTS)]
    predictions, measures = [], []
    for name, count in right.items():
        said = [value if place < count else 1 - value for place, value in enumerate(truth)]
        for seed in seeds:
            run = f"seed{seed}"
            predictions.append(classified("folder", name, run, truth, [0.1 + 0.8 * value for value in said]))
            measures.append(results("folder", name, run, measure, count / PATIENTS))
    return contents_of(root, predictions, measures)


def _standing(contents: Contents) -> Standing:
    return standing(contents, measured(contents))


def _names(several: Sequence[Score]) -> list[str]:
    return [str(each.name) for each in several]


def test_twice_as_many_right_are_told_apart_and_one_of_120_is_not(tmp_path: Path) -> None:
    clear, level = (_standing(_contents(tmp_path, right)) for right in (CLEAR, LEVEL))
    assert clear.is_clear and clear.seeds and _names(clear.below) == ["middle", "last"]
    assert sentence(clear) == "folder: best (100.0) is told apart from 2 others."
    assert not level.is_clear and (_names(level.level), _names(level.below)) == (["close"], ["last"])
    assert sentence(level) == "folder: not told apart: best (100.0) and close (99.2)."


def test_bold_and_tiles_speak_only_where_rows_are_told_apart(tmp_path: Path) -> None:
    for right, bold in ((CLEAR, ["best"]), (LEVEL, [])):
        contents = _contents(tmp_path, right)
        table = results_table(contents)
        assert table is not None
        assert [row[0].text for row in table.rows if row[1].best] == bold
        assert table.conclusions == (sentence(_standing(contents)),)
    assert facts(_contents(tmp_path, CLEAR)) == [
        Fact("100.0", "percent accuracy on folder: best, n = 2, told apart from 2 others")
    ]
    assert facts(_contents(tmp_path, LEVEL)) == [
        Fact("not told apart", "accuracy on folder: best (100.0) and close (99.2), percent")
    ]
    assert facts(_contents(tmp_path, {"best": 120})) == [Fact("100.0", "percent accuracy on folder: best, n = 2")]


def test_underlined_is_told_apart_from_those_of_the_retina_alone(tmp_path: Path) -> None:
    """The best of all is random; of the two of the retina, one is told apart from the other."""
    contents = _contents(tmp_path, {"random": 120, "swcl": 119, "simclr": 30})
    encoder = {
        name: Artefact(f"{name}.safetensors", {"settings": {"method": name}}, name) for name in ("swcl", "simclr")
    }
    made = {name: Artefact(name, {"inputs": {"init": name}}, name) for name in encoder}
    contents = replace(contents, encoders=encoder, finetuned={("folder", name): each for name, each in made.items()})
    table = results_table(contents)
    assert table is not None
    assert {row[0].text: (row[1].best, row[1].best_in_domain) for row in table.rows} == {
        "random": (False, False), "simclr": (False, False), "swcl": (False, True),
    }  # fmt: skip
    alone = replace(contents, results=contents.results[contents.results["name"] != "simclr"])
    table = results_table(alone)
    assert table is not None and not any(row[1].best_in_domain for row in table.rows)


def test_what_cannot_be_compared_is_not_told_apart(tmp_path: Path) -> None:
    """Other photographs, predictions that are missing, or one seed: no verdict is made up."""
    contents = _contents(tmp_path, CLEAR)
    lacking = replace(contents, classified=contents.classified[contents.classified["name"] != "last"])
    assert _names(_standing(lacking).level) == ["last"]
    others = contents.classified["name"] == "last"
    moved = contents.classified.assign(
        image_id=contents.classified["image_id"].where(~others, "other" + contents.classified["image_id"])
    )
    assert _names(_standing(replace(contents, classified=moved)).level) == ["last"]
    single = _standing(_contents(tmp_path, CLEAR, seeds=(0,)))
    assert single.is_clear and not single.seeds
    (fact,) = facts(_contents(tmp_path, CLEAR, seeds=(0,)))
    assert fact.words.endswith("n = 1, told apart from 2 others, over patients alone")
    assert sentence(single).endswith("told apart from 2 others. Where either has one seed, over patients alone.")


def test_of_many_the_first_are_named(tmp_path: Path) -> None:
    level = _standing(_contents(tmp_path, {f"i{place}": 120 for place in range(6)}))
    assert sentence(level) == "folder: not told apart: i0 (100.0), i1 (100.0), i2 (100.0) and 3 others."
    assert sentence(_standing(_contents(tmp_path, {"best": 120}))) == ""


def test_the_noise_floor_is_that_of_the_photographs_here(tmp_path: Path) -> None:
    """Half of 120 right: the interval of a share p over n patients is about 1.96 sqrt(p (1 - p) / n) to each side."""
    contents = _contents(tmp_path, {"half": 60, "other": 60})
    words = noise_floor(contents)
    assert words.startswith("The noise floor, by the patients tested here: accuracy on folder is good to about ±")
    points = float(words.split("±")[1].split(" ")[0])
    assert points == pytest.approx(100 * 1.96 * (0.25 / PATIENTS) ** 0.5, abs=0.6)
    assert "points (120 photographs)." in words
    assert noise_floor(replace(contents, results=contents.results[:0])) == ""


def test_the_noise_floor_counts_patients_and_positives(tmp_path: Path) -> None:
    contents = _contents(tmp_path, {"half": 60}, measure="auc", seeds=(0,))
    patients = contents.classified["image_id"].astype(int).floordiv(2).astype(str)
    words = noise_floor(replace(contents, classified=contents.classified.assign(patient_id=patients)))
    assert "(120 photographs, 60 patients, 60 positives)" in words
    assert "AUC on folder is good to about ±10.0 points" in words  # a tenth to each side, as it is stored
    assert noise_floor(contents_of(tmp_path, [], [pd.DataFrame(contents.results)])).endswith("are finer.")
