"""Features of a frozen encoder: computed once, kept in the workspace, the same however they were computed."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from swcl_cli.data import loaders
from swcl_cli.errors import SwclError
from swcl_cli.settings import FinetuneSettings
from swcl_cli.steps import finetune
from swcl_cli.tasks import predictor
from swcl_cli.workspace import write_parquet
from tests import prepared
from tests.folders import contents
from tests.light import light
from tests.planted import IDRID, options, write_idrid

__all__ = ["light"]
COUNT = 80


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the photographs that are read to be encoded, in their order."""
    paths: list[str] = []
    original = predictor.PreparedViews.__getitem__

    def counted(self: Any, key: Any) -> Any:
        paths.append(self.photographs.path[key[1]].as_py())
        return original(self, key)

    monkeypatch.setattr(predictor.PreparedViews, "__getitem__", counted)
    return paths


def probe(root: Path, **values: Any) -> FinetuneSettings:
    return options(root, IDRID, probe=True, **values)


def stored(root: Path) -> dict[str, np.ndarray]:
    """Features by the path of the photograph, of the one folder that there is."""
    (folder,) = (root / "features/idrid").iterdir()
    tables = [pq.read_table(path).to_pandas() for path in sorted(folder.glob("*.parquet"))]
    table = pd.concat(tables)
    assert list(table.columns) == ["path", "checksum", "features"] and table["path"].is_unique
    return dict(zip(table["path"], table["features"], strict=True))


@pytest.mark.usefixtures("light")
def test_other_commands_find_them_again(tmp_path: Path, read: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write_idrid(tmp_path, COUNT)
    finetune.run(probe(tmp_path, fraction=0.5))
    before = len(read)
    assert before == len(set(read)) < COUNT
    finetune.run(probe(tmp_path, name="whole"))
    assert len(read) == len(set(read)) == COUNT
    said = capsys.readouterr().out
    assert f"Features of {before} photographs (0.1 MB) are taken from {tmp_path}/features/idrid/" in said
    assert "Features of 80 photographs (0.2 MB) are kept in" in said
    finetune.run(probe(tmp_path, name="folds", folds=2))
    finetune.run(probe(tmp_path, name="part", fraction=0.25, eval="val"))
    assert len(read) == COUNT and len(stored(tmp_path)) == COUNT
    assert "are kept in" not in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"fit": "pad"}, {"crop": 40}, {"precision": "bf16"}, {"seed": 1}])
@pytest.mark.usefixtures("light")
def test_other_views_weights_or_arithmetic_have_their_own(
    other: dict[str, Any], tmp_path: Path, read: list[str]
) -> None:
    """A seed is other random weights of the encoder here."""
    write_idrid(tmp_path, 40)
    finetune.run(probe(tmp_path))
    finetune.run(probe(tmp_path, name="other", **other))
    assert len(read) == 80 and len(list((tmp_path / "features/idrid").iterdir())) == 2


@pytest.mark.usefixtures("light")
def test_a_photograph_that_is_another_one_now_is_encoded_again(tmp_path: Path, read: list[str]) -> None:
    table = write_idrid(tmp_path, 40)
    finetune.run(probe(tmp_path))
    path = tmp_path / table["path"][7]
    Image.fromarray(np.asarray(Image.open(path)) // 2).save(path)
    prepared.change(tmp_path, "idrid", checksum=[zlib.crc32((tmp_path / each).read_bytes()) for each in table["path"]])
    finetune.run(probe(tmp_path, name="again"))
    assert read[40:] == [table["path"][7]]


def test_an_interrupted_command_is_gone_on_with(
    tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for root in (tmp_path / "whole", tmp_path / "stopped"):
        write_idrid(root, COUNT)
    given = {"architecture": "resnet18", "save_seconds": 0}
    finetune.run(probe(tmp_path / "whole", **given))
    del read[:]
    original = predictor.Predictor._features
    calls: list[int] = []

    def stopping(self: Any, views: Any) -> Any:
        calls.append(len(views))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, views)

    monkeypatch.setattr(predictor.Predictor, "_features", stopping)
    with pytest.raises(KeyboardInterrupt):
        finetune.run(probe(tmp_path / "stopped", **given))
    finetune.run(probe(tmp_path / "stopped", **given))
    assert calls == [32, 32, 16, 16] and len(read) == COUNT + 16
    assert contents(tmp_path / "stopped/features") == contents(tmp_path / "whole/features")
    assert contents(tmp_path / "stopped/finetune") == contents(tmp_path / "whole/finetune")


def test_they_do_not_depend_on_what_is_encoded_with_them(tmp_path: Path) -> None:
    """Bit for bit, so that results don't either."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    given = {"architecture": "tf_efficientnet_lite0"}
    for root in (whole, parts):
        write_idrid(root, COUNT)
    finetune.run(probe(whole, **given))
    for number, fraction in enumerate((0.25, 0.5, 1.0)):
        finetune.run(probe(parts, fraction=fraction, name=f"{number}", **given))
    assert len(list(next((parts / "features/idrid").iterdir()).iterdir())) == 3
    first, second = stored(whole), stored(parts)
    assert first.keys() == second.keys() and all((first[path] == second[path]).all() for path in first)
    results = [pd.read_parquet(root / f"finetune/idrid/{name}/results.parquet") for root, name in
               ((whole, "random-probe"), (parts, "2"))]  # fmt: skip
    assert results[0]["value"].equals(results[1]["value"])


@pytest.mark.usefixtures("light")
def test_workers_start_once_and_only_for_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def counted(dataset: Any, batches: Any, workers: int, **given: Any) -> Any:
        started.append(workers)
        return loaders.make_loader(dataset, batches, workers, **given)

    monkeypatch.setattr(f"{predictor.__name__}.make_loader", counted)
    for root in (tmp_path / "few", tmp_path / "many"):
        write_idrid(root, 40)
    finetune.run(probe(tmp_path / "few", workers=1))
    assert not started
    monkeypatch.setattr(loaders, "FEW", 40)
    finetune.run(probe(tmp_path / "many", workers=1))
    assert started == [1]
    assert contents(tmp_path / "few/features") == contents(tmp_path / "many/features")


@pytest.mark.parametrize("damage", ["cut", "not a number", "widths", "rows"])
@pytest.mark.usefixtures("light")
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    write_idrid(tmp_path, 40)
    finetune.run(probe(tmp_path))
    (path,) = tmp_path.glob("features/idrid/*/*.parquet")
    table = pq.read_table(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "rows":
        pq.write_table(table.slice(1), path)
    else:
        frame = table.to_pandas()
        frame["features"] = [
            np.full(
                511 if damage == "widths" and not row else 512, np.nan if damage == "not a number" else 1, np.float32
            )
            for row in range(40)
        ]
        write_parquet(path, table.from_pandas(frame, table.schema, preserve_index=False), {"step": "finetune"})
    with pytest.raises(SwclError, match=f"{path}.*Remove it: what it held is computed again"):
        finetune.run(probe(tmp_path, name="again"))
    path.unlink()
    finetune.run(probe(tmp_path, name="again"))


@pytest.mark.usefixtures("light")
def test_the_folder_may_be_removed(tmp_path: Path) -> None:
    write_idrid(tmp_path, 40)
    finetune.run(probe(tmp_path))
    before = contents(tmp_path / "finetune")
    shutil.rmtree(tmp_path / "features")
    finetune.run(probe(tmp_path))
    assert contents(tmp_path / "finetune") == before and not (tmp_path / "features").exists()
    finetune.run(probe(tmp_path, fresh=True))
    assert contents(tmp_path / "finetune") == before and (tmp_path / "features").exists()
