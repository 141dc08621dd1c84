from __future__ import annotations

from dataclasses import replace

import torch

from swcl_cli.reporting.evidence.contents import Contents, DataSet
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.findings.cautions import Caution, cautions
from swcl_cli.workspace import Workspace, read_provenance, write_safetensors, write_text
from tests.reporting import golden


def _one(contents: Contents, words: str) -> Caution:
    (found,) = [caution for caution in cautions(contents) if words in caution.text]
    return found


def _none(contents: Contents, words: str) -> bool:
    return not any(words in caution.text for caution in cautions(contents))


def test_phantom_eyes_are_said_first(workspace: Workspace) -> None:
    assert _none(read_contents(workspace), "phantom")
    workspace.phantom.mkdir()
    first = cautions(read_contents(workspace))[0]
    assert "phantom eyes" in first.text and "say nothing about real eyes" in first.text


def test_leaks_come_before_all_else(contents: Contents) -> None:
    assert _none(contents, "several splits")
    idrid = contents.datasets["idrid"]
    groups = idrid.images.groupby("split").head(1).index
    leaking = idrid.images.assign(
        group_id=idrid.images["group_id"].astype(object).where(~idrid.images.index.isin(groups), "x")
    )
    datasets = {**contents.datasets, "idrid": replace(idrid, images=leaking)}
    first = cautions(replace(contents, datasets=datasets, phantom=True))[0]
    splits = sorted(idrid.images.loc[groups, "split"])
    assert "what is tested there was learnt" in first.text
    assert first.details == (f"IDRiD: {len(groups)} photographs, in {' and '.join(splits)}",)


def test_photographs_that_two_data_sets_share_are_named(contents: Contents) -> None:
    """By their ids in both: here IDRiD_09, which IDRiD tests on, and IDRiD_01, which it trains on."""
    assert _none(contents, "share photographs")
    idrid = contents.datasets["idrid"]

    def renamed(ids: list[str], splits: list[str]) -> DataSet:
        return replace(idrid, images=idrid.images.head(len(ids)).assign(image_id=ids, split=splits))

    shared = {
        "idrid": renamed(["test_IDRiD_091", "train_IDRiD_102", "train_IDRiD_001"], ["test", "val", "train"]),
        "idrid-seg": renamed(["IDRiD_09", "IDRiD_01", "IDRiD_04"], ["train", "train", "val"]),
    }
    caution = _one(replace(contents, datasets={**contents.datasets, **shared}), "share photographs")
    assert "must not be scored on these in the other" in caution.text
    assert caution.details == (
        "2 photographs of IDRiD-seg are photographs, or of eyes, of IDRiD: 1 in its val split, 1 in its test split "
        "(IDRiD_09)",
    )
    assert _none(replace(contents, datasets={"idrid-seg": shared["idrid-seg"]}), "share photographs")


def test_few_runs(contents: Contents) -> None:
    assert _one(contents, "Fewer than 3 runs").details == ("DRIVE: random (n = 1), swcl (n = 1)",)
    assert _none(replace(contents, results=contents.results[contents.results["task"] == "idrid"]), "Fewer than 3 runs")


def test_wide_intervals(contents: Contents) -> None:
    # drive 0.5 to 1; idrid: widths .4 .4 .4 | .4 .4 .2 | .2 .2 .2, mean .3111; labeler 0.61 to 0.8
    assert _one(contents, "Wide").details == ("DRIVE: ±25.0 points", "IDRiD: ±15.6 points", "labeler: ±9.5 points")
    narrow = contents.results.assign(low=contents.results["value"] - 0.01, high=contents.results["value"] + 0.01)
    assert _none(replace(contents, results=narrow, labeler=None), "Wide")


def test_quarantined_files_are_counted(contents: Contents, workspace: Workspace) -> None:
    assert _one(contents, "quarantine.csv").details == ("OIA-ODIR: truncated (2)",)
    write_text(workspace.quarantine("odir"), "source_path,problem,detail\n")
    assert _none(read_contents(workspace), "quarantine.csv")


def test_patches_that_were_judged_by_another_labeler_are_named(workspace: Workspace) -> None:
    golden.add_judged(workspace, "idrid")
    assert _none(read_contents(workspace), "changed since")
    labeler = read_provenance(workspace.labeler)
    write_safetensors(workspace.labeler, {"fc.weight": torch.ones(2, 3)}, labeler)
    details = _one(read_contents(workspace), "changed since").details
    place = "runs/make-swap/judged/idrid.parquet"
    assert f"{place} was made from another labeler.safetensors than the one that is here" in details


def test_changed_inputs_are_named(contents: Contents, workspace: Workspace) -> None:
    assert _none(contents, "changed since")
    labeler = contents.labeler
    assert labeler is not None
    stale = replace(contents, labeler=replace(labeler, fingerprint="0" * 16))
    expected = ("swap.parquet was made from another labeler.safetensors than the one that is here",)
    assert _one(stale, "changed since").details == expected
    encoders = {"swcl": replace(contents.encoders["swcl"], fingerprint="0" * 16)}
    assert _one(replace(contents, encoders=encoders), "changed since").details == (
        "finetune/drive/swcl/results.parquet was made from another swcl.safetensors than the one that is here",
        "finetune/idrid/swcl/results.parquet was made from another swcl.safetensors than the one that is here",
    )


def test_what_an_older_version_made_otherwise_is_named(contents: Contents) -> None:
    assert _none(contents, "older version")
    swap = contents.swap
    assert swap is not None
    settings = {name: value for name, value in swap.settings.items() if name != "right_eyes"}
    older = replace(contents, swap=replace(swap, provenance={**swap.provenance, "settings": settings}))
    assert _one(older, "older version").details == (
        "swap.parquet: right eyes: mirrored, then scored -> scored, then mirrored. "
        "Make it again with: swcl make-swap --fresh",
    )


def test_measures_without_a_value(contents: Contents) -> None:
    assert _none(contents, "without a value")
    results = contents.results.copy()
    results.loc[(results["name"] == "swcl") & (results["task"] == "drive"), "value"] = float("nan")
    assert _one(replace(contents, results=results), "without a value").details == ("DRIVE, F1 on test: swcl seed0",)
