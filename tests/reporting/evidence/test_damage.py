"""Whatever is broken in a workspace, all else is reported, and what is broken is named in one line each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.damage import failed, grouped
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.figures.patches import read_examples
from swcl_cli.reporting.figures.segmentations import segmentations
from swcl_cli.reporting.findings.cautions import cautions
from swcl_cli.reporting.findings.consistency import straightened
from swcl_cli.reporting.findings.glance import facts
from swcl_cli.reporting.findings.origins import origins
from swcl_cli.reporting.findings.scores import scores
from swcl_cli.workspace import Workspace, provenance, read_provenance, write_parquet, write_safetensors

RESULTS = "finetune/idrid/random/results.parquet"
PREDICTIONS = "finetune/idrid/random/predictions.parquet"
PIXELS = "finetune/drive/swcl/predictions.parquet"
MANIFEST, SWAP, VALIDATION = "data/odir/manifest.parquet", "swap.parquet", "runs/train-labeler/validation.parquet"
TABLES = (RESULTS, PREDICTIONS, PIXELS, MANIFEST, SWAP, VALIDATION)
TUNED_AGAIN = " The same swcl finetune {} puts it together again from its runs."
REMEDY = {
    RESULTS: TUNED_AGAIN.format("idrid"),
    PREDICTIONS: TUNED_AGAIN.format("idrid"),
    PIXELS: TUNED_AGAIN.format("drive"),
    MANIFEST: " Make it again with: swcl prep odir SOURCE",
    SWAP: " Make it again with: swcl make-swap --fresh",
    VALIDATION: " Make it again with: swcl train-labeler --fresh",
}


def reported(workspace: Workspace) -> tuple[Contents, str]:
    """The contents, with what was found to be damaged, and the warnings that the page begins with."""
    contents = straightened(read_contents(workspace))
    origins(contents), facts(contents)
    return contents, "\n".join("\n".join((caution.text, *caution.details)) for caution in cautions(contents))


def rewritten(workspace: Workspace, path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    whole = workspace.root / path
    made = read_provenance(whole)
    write_parquet(whole, change(pq.read_table(whole)), made)


# --- any file, any damage ---


def spoilt(data: bytes) -> dict[str, bytes | None]:
    return {"gone": None, "half": data[: len(data) // 2], "noise": np.random.default_rng(0).bytes(len(data))}


def test_any_file_may_be_gone_cut_or_noise(workspace: Workspace) -> None:
    """Unless it is just not there it is named, in one line without a path of the machine; all else is read."""
    files = [path for path in sorted(workspace.root.rglob("*")) if path.suffix in (".parquet", ".safetensors", ".csv")]
    assert len(files) > 18
    for path in [*files, *workspace.root.glob("runs/**/log.jsonl")]:
        name, data = workspace.relative(path), path.read_bytes()
        for kind, content in spoilt(data).items():
            path.unlink() if content is None else path.write_bytes(content)
            contents, said = reported(workspace)
            named = [line for line in contents.damaged if line.startswith(name)]
            missed = kind == "gone" and name.endswith("predictions.parquet")  # results without them lack something
            may_be_whole = kind == "half" and path.suffix in (".jsonl", ".csv")
            assert len(named) == (kind != "gone" or missed) or (may_be_whole and not named), (name, kind)
            assert str(workspace.root) not in said and all(line in said for line in named)
        path.write_bytes(data)
    assert not reported(workspace)[0].damaged


def test_any_picture_behind_a_figure_may_be_gone_cut_or_noise(workspace: Workspace) -> None:
    shown = pd.read_parquet(workspace.root / PIXELS, columns=["path", "mask_path", "map_path"]).iloc[0].to_list()
    shown.append(sorted(read_contents(workspace).cams)[0])
    for name in shown:
        path = workspace.root / name
        data = path.read_bytes()
        for kind, content in spoilt(data).items():
            path.unlink() if content is None else path.write_bytes(content)
            contents = read_contents(workspace)
            for _ in range(2):  # each is named once, the same way: no address of an object
                segmentations(contents)
                read_examples(contents)
            (line,) = contents.damaged
            reason = "it is missing" if kind == "gone" else r"it is damaged, or no picture \(\w+\)"
            assert re.match(rf"{re.escape(name)} can't be used: {reason}\. Make it again with: swcl ", line), line
        path.write_bytes(data)


# --- tables of another kind ---


@pytest.mark.parametrize("path", TABLES)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.slice(0, 0), "it has no rows"),
        (lambda table: table.drop_columns(_one_of(table)), "it has no column "),
        (lambda table: pa.table({"a": [1]}), "it has no column "),
        (lambda table: _nulls(table), "its column "),
    ],
    ids=["no rows", "a column less", "something else's", "gaps"],
)
def test_tables_that_are_not_what_they_should_be(
    workspace: Workspace, path: str, change: Callable[[pa.Table], pa.Table], reason: str
) -> None:
    rewritten(workspace, path, change)
    contents, said = reported(workspace)
    (line,) = [line for line in contents.damaged if path in line]
    assert line.startswith(f"{path} can't be used: {reason}") and line.endswith(REMEDY[path])
    assert len(contents.damaged) == 1
    assert ("idrid", "swcl") in {(score.task, score.name) for score in scores(contents.results)}
    assert "Files that could not be used; all else is reported." in said


def _one_of(table: pa.Table) -> str:
    """A column that is always there, and says what a row is of."""
    return next(name for name in ("split", "dataset") if name in table.column_names)


def _nulls(table: pa.Table) -> pa.Table:
    name = _one_of(table)
    return table.set_column(table.column_names.index(name), name, pa.nulls(len(table), pa.string()))


def test_a_column_of_another_type(workspace: Workspace) -> None:
    words = pa.array(["high"] * 9)
    rewritten(workspace, RESULTS, lambda table: table.set_column(table.column_names.index("value"), "value", words))
    assert reported(workspace)[0].damaged == [
        f"{RESULTS} can't be used: its column value holds string, not double.{REMEDY[RESULTS]}"
    ]


@pytest.mark.parametrize(
    ("path", "column", "value", "words"),
    [
        (RESULTS, "split", "tests", "its column split holds 'tests', which is none of train, val, test."),
        (SWAP, "position", "left", "its column position holds 'left', which is none of tl, tr, c, bl, br."),
        (SWAP, "score", float("nan"), "its column score holds other numbers than those from 0 to 1."),
        (VALIDATION, "score", 1.5, "its column score holds other numbers than those from 0 to 1."),
        (PIXELS, "f1", -0.5, "its column f1 holds other numbers than those from 0 to 1."),
        (PREDICTIONS, "truth", 7, "a row has not the probabilities of its classes."),
        (PREDICTIONS, "prediction", 7, "a row has not the probabilities of its classes."),
        (PREDICTIONS, "probabilities", [0.5, float("nan")], "a row has not the probabilities of its classes."),
        (RESULTS, "primary", None, "its column primary has gaps."),
    ],
)
def test_values_that_can_not_be(workspace: Workspace, path: str, column: str, value: object, words: str) -> None:
    rewritten(workspace, path, lambda table: _all(table, column, value))
    assert reported(workspace)[0].damaged == [f"{path} can't be used: {words}{REMEDY[path]}"]


def _all(table: pa.Table, column: str, value: object) -> pa.Table:
    place = table.column_names.index(column)
    kind = table.schema.field(column).type
    return table.set_column(place, column, pa.array([value] * len(table), kind))


@pytest.mark.parametrize("path", TABLES)
def test_a_foreign_file_of_that_name(workspace: Workspace, path: str) -> None:
    pq.write_table(pq.read_table(workspace.root / path).replace_schema_metadata(None), workspace.root / path)
    contents, _ = reported(workspace)
    (line,) = contents.damaged
    assert line.startswith(f"{path} can't be used: it was not written by swcl")


def test_the_artefact_of_another_step(workspace: Workspace) -> None:
    table = pq.read_table(workspace.swap)
    write_parquet(workspace.swap, table, provenance("predict", {}, {}))
    assert reported(workspace)[0].damaged == [
        f"{SWAP} can't be used: it was made by predict, not by swcl make-swap.{REMEDY[SWAP]}"
    ]


def test_results_of_another_task(workspace: Workspace) -> None:
    source, target = workspace.finetune("idrid", "random"), workspace.finetune("drive", "random")
    (target / "results.parquet").write_bytes((source / "results.parquet").read_bytes())
    contents, _ = reported(workspace)
    (line,) = contents.damaged
    assert line.startswith("finetune/drive/random/results.parquet can't be used: it is of the task idrid.")
    assert ("drive", "random") not in contents.finetuned


def test_a_missing_file_of_predictions(workspace: Workspace) -> None:
    (workspace.root / PREDICTIONS).unlink()
    contents, _ = reported(workspace)
    assert contents.damaged == [f"{PREDICTIONS} can't be used: it is missing.{REMEDY[PREDICTIONS]}"]
    assert ("idrid", "random") in {(score.task, score.name) for score in scores(contents.results)}


# --- artefacts of other versions ---


def test_an_older_labeler(workspace: Workspace) -> None:
    made = read_provenance(workspace.labeler)
    del made["validation"]["best_epoch"]
    _describe(workspace.labeler, made)
    contents, _ = reported(workspace)
    first = "labeler.safetensors can't be used: it does not say its best_epoch: it is of another version."
    assert contents.damaged[0].startswith(first)
    del made["validation"]
    _describe(workspace.labeler, made)
    assert not reported(workspace)[0].damaged  # a labeler that was never validated


def test_patches_that_do_not_say_their_threshold(workspace: Workspace) -> None:
    write_parquet(workspace.swap, pq.read_table(workspace.swap), provenance("make-swap", {}, {}))
    (line,) = reported(workspace)[0].damaged
    assert line.startswith("swap.parquet can't be used: it does not say its threshold: it is of another version.")


@pytest.mark.parametrize("part", ["settings", "inputs", "versions"])
def test_a_description_that_is_none(workspace: Workspace, part: str) -> None:
    path = workspace.root / RESULTS
    write_parquet(path, pq.read_table(path), {**read_provenance(path), part: [1]})
    (line,) = reported(workspace)[0].damaged
    assert line.startswith(f"{RESULTS} can't be used: its {part} are no table of names and values.")


def _describe(path: Path, made: dict[str, Any]) -> None:
    write_safetensors(path, load_file(path), made)


# --- quarantine lists ---


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"file,reason\nx,y\n", "it has no column problem"),
        (b"\xff\xfe\x00", "it is damaged, or no"),
    ],
)
def test_a_damaged_quarantine_list_costs_no_data_set(workspace: Workspace, content: bytes, reason: str) -> None:
    workspace.quarantine("odir").write_bytes(content)
    contents, _ = reported(workspace)
    assert "odir" in contents.datasets and not contents.datasets["odir"].problems
    (line,) = contents.damaged
    assert line.startswith(f"data/odir/quarantine.csv can't be used: {reason}")
    assert line.endswith("Make it again with: swcl prep odir SOURCE")


def test_a_quarantine_list_whose_rows_are_too_short(workspace: Workspace) -> None:
    workspace.quarantine("odir").write_text("source_path,problem,detail\nx.jpg\ny.jpg,truncated\n")
    contents, _ = reported(workspace)
    assert contents.datasets["odir"].problems == {"no problem named": 1, "truncated": 1}


# --- what the messages say ---


def test_many_pictures_of_a_folder_are_counted() -> None:
    lines = [f"data/idrid/images/{n}.png can't be used: it is missing. Make it again" for n in range(5)]
    other = "swap.parquet can't be used: it is empty."
    assert grouped([*lines[:3], other]) == [*lines[:3], other]
    assert grouped([*lines, other]) == [f"{lines[0]} The same holds for 4 more in data/idrid/images.", other]


def test_failures_of_another_kind_tell_their_kind() -> None:
    assert failed(KeyError("threshold"), Path("/w")) == "KeyError: 'threshold'"
    assert failed(ValueError(), Path("/w")) == "ValueError: ValueError"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(workspace: Workspace) -> None:
    (workspace.root / RESULTS).chmod(0)
    (line,) = reported(workspace)[0].damaged
    assert line.startswith(f"{RESULTS} can't be used: it may not be read by this user.")
