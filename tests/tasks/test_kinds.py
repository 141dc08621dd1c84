"""A third kind of task is one class: here the age of a person, from the photograph to `predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.utils.data import Dataset

import swcl_cli
from swcl_cli.catalogue.tasks import TASKS, Task
from swcl_cli.data.augment import View, center_view
from swcl_cli.data.columns import OF_RUN
from swcl_cli.data.loaders import Key
from swcl_cli.data.photographs import Photographs
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.intervals import intervals
from swcl_cli.evaluation.resampling import Measure, evaluate, share
from swcl_cli.models.asking import channels_of
from swcl_cli.settings import FinetuneSettings, PredictSettings
from swcl_cli.steps import finetune, predict
from swcl_cli.tasks import KINDS
from swcl_cli.tasks.answer import Answer, Record
from swcl_cli.tasks.kind import Judgement, Kind
from swcl_cli.tasks.saved import Description, Study
from swcl_cli.workspace import Workspace, read_provenance
from tests import prepared

PREDICTED_AGES = OF_RUN.after(
    image_id=pa.string(), patient_id=pa.string(), path=pa.string(), age=pa.int16(), prediction=pa.float64()
)
TASK = Task("idrid", "idrid", "number", {"age": 1}, "within_10", "Age", {})


class Numbers(nn.Module):
    """One number a head, in units of 100."""

    def __init__(self, encoder: nn.Module, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder, self.linear = encoder, nn.Linear(channels_of(encoder), len(heads))

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        return l1_loss(self.numbers(batch["image"])[:, 0], batch["number"].float()), {}

    def numbers(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.linear(self.encoder(images))
        return outputs.float()


class NumberViews(Dataset[dict[str, Any]]):
    def __init__(self, study: Study, model: Description) -> None:
        rows = study.rows["train"]
        self.photographs, self.model = Photographs.of(study.workspace, rows), model
        self.numbers = rows["age"].to_numpy(dtype=np.float32) / 100

    def __getitem__(self, key: Key) -> dict[str, Any]:
        view = Number().view(self.photographs.read(key[1]), self.model)
        return {"image": view, "number": self.numbers[key[1]]}


class Number(Kind):
    batch = 3
    saves = ("unit",)

    def columns(self, task: Task) -> list[str]:
        return list(task.heads)

    def require(self, study: Study) -> None:
        for split, rows in study.rows.items():
            if rows["age"].isna().any():
                raise SwclError(f"ages of {split} are missing")

    def cautions(self, study: Study) -> list[str]:
        return [f"{len(study.rows['train'])} ages are few."]

    def facts(self, task: Task, settings: FinetuneSettings) -> dict[str, Any]:
        return {"unit": "years"}

    def network(self, encoder: nn.Module, heads: Mapping[str, int], facts: Mapping[str, Any]) -> nn.Module:
        return Numbers(encoder, heads)

    def objective(self, network: nn.Module, study: Study) -> nn.Module:
        return network

    def training_views(self, study: Study, model: Description, seed: int) -> NumberViews:
        return NumberViews(study, model)

    def view(self, photograph: NDArray[np.uint8], model: Description) -> View:
        return center_view(photograph, model.crop, model.crop, model.mean, model.std)

    def scores(self, fabric: Fabric, network: nn.Module, views: Tensor, model: Description) -> list[float]:
        numbers: list[float] = network.numbers(views)[:, 0].mul(100).tolist()  # type: ignore[operator]
        return numbers

    def judge(
        self, study: Study, split: str, scores_of: Callable[[str], Iterable[float]], folder: Path | None
    ) -> Judgement:
        rows, predicted = study.rows[split], np.array(list(scores_of(split)))
        error = np.abs(predicted - rows["age"].to_numpy(dtype=np.float64))
        measures = {"within_10": Measure(partial(share, error < 10)), "error": Measure(partial(share, error))}
        values, reasons = evaluate(measures, len(rows))
        if folder is None:
            return Judgement(values, reasons=reasons)
        ranges = intervals(measures, rows["group_id"].to_numpy(dtype=str))
        predictions = rows[["image_id", "patient_id", "path", "age"]].assign(prediction=predicted)
        return Judgement(values, ranges, predictions, reasons, PREDICTED_AGES)

    def answer(self, scores: float, size: tuple[int, int], model: Description) -> Answer:
        return Answer(*size, numbers=dict.fromkeys(model.heads, scores))

    def legend(self, model: Description) -> list[str]:
        return [f"Ages are {model.facts['unit']}."]

    def record(self, answer: Answer, name: str, model: Description) -> Record:
        return Record({head: f"{number:.4f}" for head, number in answer.numbers.items()})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seven persons; the task bears the name of one that settings know."""
    monkeypatch.setitem(KINDS, "number", Number())
    monkeypatch.setitem(TASKS, "idrid", TASK)
    rows = [
        {
            "split": ("train", "train", "train", "val", "test", "test", "test")[item],
            "age": 40 + item,
            "image": prepared.photograph(item),
        }
        for item in range(7)
    ]
    prepared.write(tmp_path, "idrid", rows, size=0)
    return tmp_path


def settings(root: Path) -> FinetuneSettings:
    return FinetuneSettings(
        workspace=root, task="idrid", architecture="resnet18", epochs=2, seeds=1, workers=0, batch=2, crop=64
    )


def test_from_finetune_to_predict(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = pd.read_parquet(finetune.run(settings(workspace)))
    assert "3 ages are few." in capsys.readouterr().err
    assert set(results["measure"]) == {"within_10", "error"}
    assert set(results.loc[results["primary"], "measure"]) == {"within_10"}
    assert results["value"].notna().all() and (results.loc[results["split"] == "test", "low"].notna()).all()

    run = Workspace(workspace).finetune("idrid", "random") / "seed0"
    model = run / "model.safetensors"
    said = read_provenance(model)["model"]
    assert (said["kind"], said["heads"], said["unit"], said["sizes"]) == ("number", {"age": 1}, "years", [64, 64])
    rows = pd.read_parquet(run / "predictions.parquet")
    assert rows["age"].tolist() == [44, 45, 46]

    photographs = [workspace / path for path in rows["path"]]
    answers = list(swcl_cli.load_model(model, "cpu").each(photographs))
    assert [answer.numbers["age"] for answer in answers if isinstance(answer, Answer)] == rows["prediction"].tolist()

    out = workspace / "out"
    predict.run(PredictSettings(model=model, images=photographs, out=out, workers=0, accelerator="cpu"))
    assert "Ages are years." in capsys.readouterr().out
    table = pd.read_csv(out / "predictions.csv")
    assert list(table) == ["image", "width", "height", "age"] and not (out / "overlays").exists()
    np.testing.assert_allclose(table["age"], rows["prediction"], atol=1e-4)


def test_what_it_requires_is_asked_before_anything_is_trained(workspace: Path) -> None:
    prepared.change(workspace, "idrid", age=None)
    with pytest.raises(SwclError, match="ages of train are missing"):
        finetune.run(settings(workspace))
    assert not (workspace / "finetune").exists()
