"""S4L as it is run: its steps against loops, its data sets, its validation, and which epoch is kept."""

from __future__ import annotations

import json
import math
import signal
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.utils.data import default_collate

from swcl_cli.data import labeler_views
from swcl_cli.data.images import read_image
from swcl_cli.data.labeler_views import LabelerViews, labeler_plan, read_photographs
from swcl_cli.data.manifest import read as read_manifest
from swcl_cli.errors import Interrupted, SwclError
from swcl_cli.losses.triplet import triplet
from swcl_cli.models.encoders import create_labeler
from swcl_cli.reporting.findings.recipes import recipe
from swcl_cli.settings import PrepSettings
from swcl_cli.steps import prep, train_labeler
from swcl_cli.steps.train_labeler import S4L, judge, pool_and_classify, validate
from swcl_cli.training.loop import Step, training_steps
from swcl_cli.training.processes import make_fabric
from swcl_cli.workspace import Workspace, fingerprint, read_provenance, write_parquet, write_safetensors
from tests import downloads, prepared
from tests.labeler_runs import options, records

FABRIC = make_fabric("cpu", "fp32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("labeler")
    prepared.labelled_eyes(root, "odir", 8)
    prepared.labelled_eyes(root, "eyepacs", 4, dr_grade=3)
    train_labeler.run(options(root))
    return Workspace(root)


def test_artefact(trained: Workspace) -> None:
    tensors, provenance = load_file(trained.labeler), read_provenance(trained.labeler)
    assert tensors.keys() == create_labeler("resnet18").state_dict().keys()
    described = {"architecture": "resnet18", "image_size": 64, "classes": ["normal", "abnormal"]}
    assert provenance["labeler"] == {**described, **prepared.COLOURS}
    assert provenance["inputs"].keys() == {"odir", "eyepacs"} and provenance["step"] == "train-labeler"
    assert provenance["validation"].keys() == {"auc", "auc_low", "auc_high", "best_auc", "best_epoch"}
    assert "workers" not in provenance["settings"] and str(trained.root) not in json.dumps(provenance)


def test_log(trained: Workspace) -> None:
    lines = records(trained)
    steps, epochs = [line for line in lines if "loss" in line], [line for line in lines if "epoch" in line]
    assert [line["step"] for line in steps] == list(range(4))  # 8 labelled, 3 a pass, 2 passes a step, 2 epochs
    assert [line["learning_rate"] for line in steps] == pytest.approx([0.03, 0.03, 0.003, 0.003])
    for line in steps:
        assert line["loss"] == pytest.approx(line["cross_entropy"] + line["triplet"], rel=1e-5)
    assert [(line["step"], line["epoch"]) for line in epochs] == [(1, 0), (3, 1)]
    assert epochs[-1]["auc"] == read_provenance(trained.labeler)["validation"]["auc"]


def test_each_epoch_s_validation_is_judged_in_the_log(trained: Workspace) -> None:
    """By counting: the last epoch's scores are those that are kept."""
    rows = pq.read_table(trained.labeler_scores).to_pylist()
    last = [line for line in records(trained) if "epoch" in line][-1]
    outcomes = [(row["truth"], row["score"] > 0.5) for row in rows]
    names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    counts = [outcomes.count(pair) for pair in ((True, True), (False, True), (True, False), (False, False))]
    assert [last[name] for name in names] == counts and sum(counts) == len(rows) == 4
    assert last["sensitivity"] == counts[0] / (counts[0] + counts[2])
    assert last["specificity"] == counts[3] / (counts[1] + counts[3])
    error = 0.0
    for low in range(10):
        inside = [row for row in rows if low / 10 < row["score"] <= (low + 1) / 10]
        error += abs(sum(row["truth"] - row["score"] for row in inside)) / len(rows)
    assert last["expected_calibration_error"] == pytest.approx(error, rel=1e-6) and error > 0


def test_scores_of_the_validation_photographs_are_kept(trained: Workspace) -> None:
    table = pq.read_table(trained.labeler_scores)
    assert table.column_names == ["dataset", "image_id", "patient_id", "truth", "score"]
    known = read_manifest(trained.manifest("odir")).query("split == 'val'")
    for column, name in zip(("dataset", "image_id", "patient_id", "abnormal"), table.column_names, strict=False):
        assert table[name].to_pylist() == known[column].to_list()
    settings = options(trained.root)
    objective = S4L(create_labeler("resnet18"), settings)
    objective.network.load_state_dict(load_file(trained.labeler))
    score = validate(FABRIC, objective, read_photographs(trained, settings), settings)
    assert table["score"].to_numpy() == pytest.approx(score, rel=1e-5)
    assert read_provenance(trained.labeler_scores)["inputs"] == read_provenance(trained.labeler)["inputs"]


def test_training_by_loops(tmp_path: Path) -> None:
    """Nesterov's momentum, a tenth of the rate after the milestone, decay of weights alone, and the left-over
    micro-batch of each epoch as a step of its own, written out.
    """
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4)
    settings = options(tmp_path, weight_decay=0.5, learning_rate=0.02)
    made = load_file(train_labeler.run(settings))

    data = read_photographs(Workspace(tmp_path), settings)
    network, views = create_labeler("resnet18", settings.seed), LabelerViews(data, settings)
    objective = S4L(network, settings).train()
    plan, steps = labeler_plan(settings, len(data.labelled), len(data.unlabelled))
    velocity = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    sizes = []
    for step in range(2 * steps):
        rate = 0.02 if step < steps else 0.002
        sizes.append([len(micro) for micro in plan(step)])
        losses = [objective(default_collate([views[key] for key in micro]))[0] for micro in plan(step)]
        names, weights = zip(*network.named_parameters(), strict=True)
        gradients = torch.autograd.grad(torch.stack(losses).mean(), weights)
        with torch.no_grad():
            for name, weight, gradient in zip(names, weights, gradients, strict=True):
                decay = 0.0 if "bn" in name or "downsample.1" in name or "bias" in name else 0.5
                pull = gradient + decay * weight
                velocity[name] = 0.9 * velocity[name] + pull
                weight -= rate * (pull + 0.9 * velocity[name])
    assert sizes == [[5, 5], [4]] * 2
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(made[name], weight, rtol=2e-3, atol=2e-4)


def test_training_by_loops_of_adamw(tmp_path: Path) -> None:
    """An epoch of warm-up, a cosine to 0 over the other two, the clipped gradient, decay beside the moments."""
    prepared.labelled_eyes(tmp_path, "odir", 8)
    limit = 2.0
    settings = options(
        tmp_path, unlabelled="", epochs=3, milestones=[], optimizer="adamw", schedule="cosine", warmup_epochs=1,
        clip=limit, weight_decay=0.3, learning_rate=0.01,
    )  # fmt: skip
    made = load_file(train_labeler.run(settings))

    data = read_photographs(Workspace(tmp_path), settings)
    network, views = create_labeler("resnet18", settings.seed), LabelerViews(data, settings)
    objective = S4L(network, settings).to(memory_format=torch.channels_last).train()
    start = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    plan, steps = labeler_plan(settings, len(data.labelled), 0)
    assert steps == 2
    mean = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    square = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    norms = []
    for step, share in enumerate(
        (0.5, 1.0, 1.0, 0.8535534, 0.5, 0.1464466)
    ):  # halves of 1 + cos 0, 45, 90, 135 degrees
        losses = [objective(default_collate([views[key] for key in micro]))[0] for micro in plan(step)]
        names, weights = zip(*network.named_parameters(), strict=True)
        gradients = torch.autograd.grad(torch.stack(losses).mean(), weights)
        norms.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))
        with torch.no_grad():
            for name, weight, gradient in zip(names, weights, gradients, strict=True):
                decay = 0.0 if "bn" in name or "downsample.1" in name or "bias" in name else 0.3
                pull = gradient * min(limit / norms[-1], 1)
                mean[name] = 0.9 * mean[name] + 0.1 * pull
                square[name] = 0.999 * square[name] + 0.001 * pull**2
                spread = (square[name] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
                weight -= share * 0.01 * (decay * weight + mean[name] / (1 - 0.9 ** (step + 1)) / spread)
    assert max(norms) > limit
    for name, weight in network.named_parameters():  # Adam scales the rounding of a tiny gradient up to a whole step
        moved = float((weight - start[name]).detach().norm())
        assert moved > 0 and float((made[name] - weight).detach().norm()) < 0.02 * moved, name


def test_plain_supervised_training(tmp_path: Path) -> None:
    """The unlabelled set need not be there, and neither mining nor weight of the triplet loss matters."""
    prepared.labelled_eyes(tmp_path, "odir", 8)
    first = load_file(train_labeler.run(options(tmp_path, unlabelled="")))
    assert all(
        line["loss"] == line["cross_entropy"] and "triplet" not in line
        for line in records(Workspace(tmp_path))
        if "loss" in line
    )
    changed = options(tmp_path, unlabelled="", mining="batch-hard", triplet_weight=3.0, margin=0.1, fresh=True)
    second = load_file(train_labeler.run(changed))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_folder_of_one_s_own(tmp_path: Path) -> None:
    """As labelled set, by its `abnormal` column, beside it and alone as the unlabelled one."""
    rows: list[tuple[object, ...]] = [("image", "patient", "eye", "split", "abnormal", "dr_grade")]
    for item in range(12):
        downloads.write_photograph(tmp_path / f"source/{item}.png", item)
        rows.append((item, item // 2, ("left", "right")[item % 2], ("train", "val")[item // 8], item % 2, 4))
    downloads.write_csv(tmp_path / "labels.csv", rows)
    prep.run(
        PrepSettings(
            workspace=tmp_path,
            dataset="folder",
            source=tmp_path / "source",
            labels=tmp_path / "labels.csv",
            size=64,
            workers=0,
        )
    )
    workspace, brief = Workspace(tmp_path), {"epochs": 1, "fresh": True}
    train_labeler.run(options(tmp_path, labelled=["folder"], unlabelled="", **brief))
    truths = {row["image_id"]: row["truth"] for row in pq.read_table(workspace.labeler_scores).to_pylist()}
    assert truths == {"8": False, "9": True, "10": False, "11": True}
    prepared.labelled_eyes(tmp_path, "odir", 8)
    train_labeler.run(options(tmp_path, unlabelled=["folder"], **brief))
    assert set(pq.read_table(workspace.labeler_scores)["dataset"].to_pylist()) == {"odir"}
    assert "triplet" in records(workspace)[0]
    data = read_photographs(workspace, options(tmp_path, unlabelled=["folder"]))
    assert len(data.unlabelled) == 12


def test_validation_is_the_auc_of_central_squares(trained: Workspace) -> None:
    settings = options(trained.root)
    data = read_photographs(trained, settings)
    network = create_labeler("resnet18", seed=3)
    found = validate(FABRIC, S4L(network, settings), data, settings)
    measured = judge(found, data.validated)
    network.eval()
    scores = []
    for path in data.validation.path.to_pylist():
        image = np.asarray(Image.open(trained.root / path).convert("RGB")) / 255
        height, width = image.shape[:2]
        left = round((width - height) / 2)
        square = (image[:, left : left + height] - np.array(data.mean)) / np.array(data.std)
        with torch.inference_mode():
            _, logits = pool_and_classify(network, torch.tensor(square.transpose(2, 0, 1)[None], dtype=torch.float32))
        scores.append(float(logits.softmax(dim=1)[0, 1]))
    assert found == pytest.approx(scores, rel=1e-4)
    assert measured["auc"] == roc_auc_score(data.validated["abnormal"].to_numpy(dtype=bool), scores)
    assert measured["auc_low"] <= measured["auc"] <= measured["auc_high"]


def test_the_interval_of_the_auc_is_over_patients() -> None:
    """Photographs of one patient are drawn together, those of another data set's patient of the same name are not."""
    truth, score = [False, True] * 12, np.linspace(0.3, 0.7, 24, dtype=np.float32)
    score[::4] = 0.5
    frame = pd.DataFrame({"dataset": "odir", "group_id": [str(n // 4) for n in range(24)], "abnormal": truth})
    apart = frame.assign(dataset=["odir", "folder"] * 12)
    alone = frame.assign(group_id=[str(n) for n in range(24)])
    intervals = {
        (found["auc_low"], found["auc_high"]) for found in (judge(score, rows) for rows in (frame, apart, alone))
    }
    assert len(intervals) == 3


def test_scores_that_are_not_finite_stop_the_training(trained: Workspace) -> None:
    settings = options(trained.root)
    objective = S4L(create_labeler("resnet18"), settings)
    torch.nn.init.constant_(objective.network.get_parameter("fc.bias"), math.nan)
    with pytest.raises(SwclError, match="scores of the validation photographs are not finite.*--learning-rate"):
        validate(FABRIC, objective, read_photographs(trained, settings), settings)


def test_a_loss_that_is_not_finite_stops_with_the_last_finite_state(
    trained: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Says step and learning rate; from the kept state the same command comes to the same end as without the stop."""
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4, dr_grade=3)
    workspace, calls = Workspace(tmp_path), iter(range(100))

    def breaking(*arguments: Any) -> Tensor:
        return triplet(*arguments) * (math.nan if next(calls) == 4 else 1)  # micro-batches of steps: 01, 2, 34, 5

    with monkeypatch.context() as patched:
        patched.setattr(train_labeler, "triplet", breaking)
        with pytest.raises(SwclError, match=r"not finite at step 2 \(learning rate 0.003\).*saved"):
            train_labeler.run(options(tmp_path, save_seconds=0))
    state = workspace.labeler_run.resume
    assert read_provenance(state)["resume"]["step"] == 2
    assert all(tensor.isfinite().all() for tensor in load_file(state).values())
    assert not workspace.labeler.exists() and not workspace.labeler_scores.exists()
    train_labeler.run(options(tmp_path))
    for made, same in ((trained.labeler, workspace.labeler), (trained.labeler_scores, workspace.labeler_scores)):
        assert made.read_bytes() == same.read_bytes()


def test_grades_of_the_unlabelled_set_change_nothing(trained: Workspace, tmp_path: Path) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4)
    path = Workspace(tmp_path).manifest("eyepacs")
    write_parquet(path, pq.read_table(path).drop_columns(["abnormal", "dr_grade"]), read_provenance(path))
    train_labeler.run(options(tmp_path))
    first, second = load_file(trained.labeler), load_file(Workspace(tmp_path).labeler)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_done_work_is_kept_and_other_work_is_refused(trained: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = trained.labeler.read_bytes()
    monkeypatch.setattr(train_labeler, "training_steps", None)
    assert train_labeler.run(options(trained.root, workers=2)) == trained.labeler
    assert trained.labeler.read_bytes() == before
    with pytest.raises(SwclError, match=r"made differently \(epochs: 2 -> 3\).*--fresh"):
        train_labeler.run(options(trained.root, epochs=3))


@pytest.mark.parametrize(("keep", "epoch"), [("last", 3), ("best", 1)])
def test_last_or_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, epoch: int) -> None:
    """The fabricated AUC rises, falls, and comes back to its best, which is no new best; broken off after each step."""
    curve, weights = iter([0.6, 0.8, 0.7, 0.8]), []

    def scores(fabric: Any, objective: S4L, *_: Any) -> Any:
        weights.append({key: tensor.clone() for key, tensor in objective.network.state_dict().items()})
        return np.full(4, len(weights), np.float32)

    def measured(*_: Any) -> dict[str, float]:
        signal.raise_signal(signal.SIGTERM)
        return {"auc": next(curve), "auc_low": 0.5, "auc_high": 0.9}

    monkeypatch.setattr(train_labeler, "validate", scores)
    monkeypatch.setattr(train_labeler, "judge", measured)
    prepared.labelled_eyes(tmp_path, "odir", 8)
    settings = options(tmp_path, unlabelled=[], epochs=4, keep=keep, batch_labelled=8, accumulate=1)
    for _ in range(4):
        with pytest.raises(Interrupted):
            train_labeler.run(settings)
    kept = load_file(train_labeler.run(settings))
    assert pq.read_table(Workspace(tmp_path).labeler_scores)["score"].to_pylist() == [epoch + 1.0] * 4
    matching = [all(torch.equal(kept[key], one[key]) for key in kept) for one in weights]
    assert matching == [number == epoch for number in range(4)]
    noted = read_provenance(Workspace(tmp_path).labeler)["validation"]
    assert (noted["auc"], noted["best_auc"], noted["best_epoch"]) == (0.8, 0.8, 1)


def test_training_sees_the_validation_split_nowhere(trained: Workspace, tmp_path: Path) -> None:
    """Validation and test photographs of noise, under the same names, give the same weights."""
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4)
    table = read_manifest(Workspace(tmp_path).manifest("odir"))
    for path in table["path"][table["split"] != "train"]:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / path)
    prepared.change(tmp_path, "odir", checksum=[zlib.crc32((tmp_path / path).read_bytes()) for path in table["path"]])
    train_labeler.run(options(tmp_path))
    first, second = load_file(trained.labeler), load_file(Workspace(tmp_path).labeler)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_chunks(trained: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stopped after each step it ends with the same bytes; a chunk of the batch's size changes no weight."""
    made = []
    for folder, chunk, stops in (("once", 6, 0), ("stopped", 6, 4), ("whole", 10, 0)):
        root = tmp_path / folder
        prepared.labelled_eyes(root, "odir", 8)
        prepared.labelled_eyes(root, "eyepacs", 4, dr_grade=3)
        for _ in range(stops):
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(train_labeler, "training_steps", _stopping(training_steps))
                with pytest.raises(Interrupted):
                    train_labeler.run(options(root, chunk=chunk))
        train_labeler.run(options(root, chunk=chunk))
        said = " ".join(capsys.readouterr().out.split())
        assert ("6 encoded at a time" in said) == (chunk == 6)
        made.append(Workspace(root).labeler)
    once, stopped, whole = (load_file(path) for path in made)
    before = load_file(trained.labeler)
    assert made[0].read_bytes() == made[1].read_bytes() and all(torch.equal(once[key], stopped[key]) for key in once)
    assert all(torch.equal(whole[key], before[key]) for key in before)
    assert not torch.equal(once["conv1.weight"], before["conv1.weight"])
    assert int(once["bn1.num_batches_tracked"]) == 2 * int(before["bn1.num_batches_tracked"]) == 12


def _stopping(steps: Callable[..., Iterator[Step]]) -> Callable[..., Iterator[Step]]:
    def stopping(*arguments: Any) -> Iterator[Step]:
        for step in steps(*arguments):
            signal.raise_signal(signal.SIGTERM)
            yield step

    return stopping


def test_too_little_memory_names_a_smaller_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4)

    def out_of_memory(*_: Any) -> Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(train_labeler, "pool", out_of_memory)
    for chunk, smaller in ((0, 10), (16, 8), (6, 6)):
        batch = {"batch_labelled": 6, "batch_unlabelled": 4, "chunk": chunk, "fresh": True}
        with pytest.raises(SwclError, match=f"Memory ran out at step 0. Use --chunk {smaller}. "):
            train_labeler.run(options(tmp_path, **batch))


def test_copies_of_validation_photographs_are_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Training goes without them, as if they were not there; the labeler tells how many there were."""
    tables = {}
    for folder in ("without", "with"):
        tables[folder] = prepared.labelled_eyes(tmp_path / folder, "odir", 8)
        prepared.labelled_eyes(tmp_path / folder, "eyepacs", 4)
    shown = prepared.photograph(4002, 65)  # the left eye of odir's patient 1
    root = tmp_path / "with"
    path = root / "data/odir/images/1_left.png"
    assert np.array_equal(np.asarray(Image.open(path)), shown)
    for dataset, name in (("eyepacs", "2_right"), ("odir", "4_left")):
        Image.fromarray(shown).save(root / f"data/{dataset}/images/{name}.png")
        table = read_manifest(Workspace(root).manifest(dataset))
        checksums = [zlib.crc32((root / photograph).read_bytes()) for photograph in table["path"]]
        prepared.change(root, dataset, checksum=checksums)
    settings = options(root)
    data = read_photographs(Workspace(root), settings)
    assert data.copies == 2 and len(data.labelled) == 7 and len(data.unlabelled) == 7 and len(data.validation) == 4
    trained_on = data.labelled.path.to_pylist() + data.unlabelled.path.to_pylist()
    assert {"data/eyepacs/images/2_right.png", "data/odir/images/4_left.png"} & set(trained_on) == set()
    assert len(data.abnormal) == 7
    train_labeler.run(settings)
    said = " ".join(capsys.readouterr().out.split())
    assert "copies of validation photographs: 2." in said
    assert read_provenance(Workspace(root).labeler)["settings"]["copies_left_out"] == 2
    assert len(pq.read_table(Workspace(root).labeler_scores)) == 4
    assert recipe(read_provenance(Workspace(root).labeler)) == recipe({"step": "train-labeler",
        "settings": settings.defining()})  # fmt: skip


def test_photographs_of_one_checksum_are_told_apart_by_their_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    prepared.labelled_eyes(tmp_path, "eyepacs", 4)
    monkeypatch.setattr(labeler_views, "read_image", lambda path, _: read_image(path))
    for dataset in ("odir", "eyepacs"):
        prepared.change(tmp_path, dataset, checksum=7)
    data = read_photographs(Workspace(tmp_path), options(tmp_path))
    assert (data.copies, len(data.labelled), len(data.unlabelled)) == (0, 8, 8)


def test_an_older_labeler_that_was_trained_on_copies_is_told(tmp_path: Path) -> None:
    """Its provenance has the same settings and data; where nothing is a copy, it stays finished."""
    prepared.labelled_eyes(tmp_path, "odir", 8)
    train_labeler.run(options(tmp_path, unlabelled=""))
    workspace = Workspace(tmp_path)
    assert "copies_left_out" not in read_provenance(workspace.labeler)["settings"]
    twin = (tmp_path / "data/odir/images/1_left.png").read_bytes()
    (tmp_path / "data/odir/images/0_left.png").write_bytes(twin)
    table = read_manifest(workspace.manifest("odir"))
    checksums = [zlib.crc32((tmp_path / path).read_bytes()) for path in table["path"]]
    prepared.change(tmp_path, "odir", checksum=checksums)
    made = read_provenance(workspace.labeler)
    made["inputs"]["odir"] = fingerprint(workspace.manifest("odir"))
    write_safetensors(workspace.labeler, load_file(workspace.labeler), made)
    with pytest.raises(SwclError, match=r"made differently \(copies_left_out: None -> 1\). Start over with --fresh"):
        train_labeler.run(options(tmp_path, unlabelled=""))


def test_initial_weights_of_the_last_norms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared.labelled_eyes(tmp_path, "odir", 8)
    begun: list[float] = []

    def noting(_: Any, objective: S4L, *__: Any) -> Iterator[Step]:
        begun.append(float(objective.get_submodule("network.layer1.0.bn2").get_parameter("weight").detach().mean()))
        raise Interrupted("seen")

    monkeypatch.setattr(train_labeler, "training_steps", noting)
    for values in ({}, {"last_norm": "zero"}, {"last_norm": "one"}):
        with pytest.raises(Interrupted):
            train_labeler.run(options(tmp_path, unlabelled="", **values))
    assert begun == [0, 0, 1]
