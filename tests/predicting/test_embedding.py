"""`predict` by an encoder: each photograph has one vector, in its own row, with its own labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from swcl_cli.catalogue.labels import Label
from swcl_cli.data.augment import center_view
from swcl_cli.data.colour import constants
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import load_encoder
from swcl_cli.reporting.evidence.reading import read_contents
from swcl_cli.reporting.page.sections import sections
from swcl_cli.settings import PredictSettings
from swcl_cli.steps import predict
from swcl_cli.workspace import Workspace, fingerprint, read_provenance
from tests import prepared
from tests.commands import swcl
from tests.readme import README

SIDE = 32
STAGE = Label("stage", "grades", "stage", names=("none", "mild", "severe"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny encoder, and a data set of PNGs whose rows are in another order than their files."""
    root = tmp_path_factory.mktemp("embedding")
    prepared.encoder(root / "swcl.safetensors")
    rows = [
        {
            "image_id": f"e{(7 * number) % 40:02}",
            "split": ("train", "val", "test")[number % 3],
            "image": prepared.photograph(number, 100 + number % 3, 90),
            "dr_grade": None if number == 4 else number % 5,
            "stage": STAGE.names[number % 3],
        }
        for number in range(40)
    ]
    prepared.write(root, "clinic", rows, size=0, own=[STAGE])
    return root


def embed(root: Path, out: Path, *images: Path, **values: Any) -> pa.Table:
    settings = {"workspace": root, "model": "swcl.safetensors", "crop": SIDE, "workers": 0, "accelerator": "cpu"}
    predict.run(PredictSettings(**{**settings, "images": list(images), "out": out, **values}))
    return pq.read_table(out / "embeddings.parquet")


def vectors(table: pa.Table) -> dict[str, np.ndarray]:
    """Vectors by the name of the photograph's file."""
    names = [Path(path).name for path in table["path"].to_pylist()]
    return dict(zip(names, np.stack(table["vector"].to_pylist()).astype(np.float32), strict=True))


def files(root: Path) -> list[Path]:
    return sorted(Workspace(root).images("clinic").iterdir())


def test_prepared_photographs_have_their_own_labels_beside_them(root: Path, tmp_path: Path) -> None:
    table = embed(root, tmp_path / "out", data=["clinic"])
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 512)
    rows = table.to_pandas()
    manifest = pd.read_parquet(Workspace(root).manifest("clinic"))
    assert len(rows) == len(manifest) == 40 and set(rows["dataset"]) == {"clinic"}
    joined = rows.merge(manifest, on="path", suffixes=("", "_true"))
    assert len(joined) == 40
    for name in ("image_id", "patient_id", "split", "eye", "stage", "dr_grade"):
        pd.testing.assert_series_equal(joined[name], joined[f"{name}_true"], check_names=False, check_dtype=False)
    encoder = load_encoder(root / "swcl.safetensors")
    views = [
        center_view(np.asarray(Image.open(root / path)), round(SIDE * 256 / 224), SIDE, *constants("rgb"))
        for path in rows["path"]
    ]
    with torch.inference_mode():
        alone = torch.cat([encoder(torch.from_numpy(view)[None]) for view in views]).numpy()
    np.testing.assert_allclose(np.stack(rows["vector"].to_list()), alone, rtol=1e-4, atol=1e-5)


def test_a_vector_does_not_depend_on_the_photographs_beside_it(root: Path, tmp_path: Path) -> None:
    """Alone, among others, after files that are none, in processes, or of a prepared data set: the same bits."""
    (tmp_path / "with").mkdir()
    paths = files(root)
    for number, path in enumerate(paths[:35]):
        (tmp_path / "with" / path.name).write_bytes(path.read_bytes())
        if number % 5 == 0:
            (tmp_path / "with" / f"{path.stem}-none.png").write_text("no image")
    whole = vectors(embed(root, tmp_path / "prepared", data=["clinic"]))
    for name, given in {"mixed": [tmp_path / "with"], "three": paths[:3], "one": paths[20:21]}.items():
        some = vectors(embed(root, tmp_path / name, *given))
        assert len(some) == {"mixed": 35, "three": 3, "one": 1}[name]
        for file, vector in some.items():
            np.testing.assert_array_equal(vector, whole[file])
    loaded = vectors(embed(root, tmp_path / "loaded", tmp_path / "with", workers=1))
    assert all((loaded[file] == whole[file]).all() for file in loaded)
    unreadable = pd.read_csv(tmp_path / "mixed/unreadable.csv")
    assert unreadable["problem"].tolist() == ["not an image"] * 7


def test_what_made_them_is_told(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = embed(root, tmp_path / "out", *files(root)[:3], fit="pad")
    assert "squares of 32 px (pad)" in capsys.readouterr().out
    made = read_provenance(tmp_path / "out/embeddings.parquet")
    assert made["settings"]["fit"] == "pad" and made["encoder"]["architecture"] == "resnet18"
    assert made["inputs"]["model"] == fingerprint(root / "swcl.safetensors")
    assert made["rows"] == 3 and made["versions"]["timm"]
    assert table["dr_grade" if "dr_grade" in table.column_names else "dataset"].null_count == 3
    with pytest.raises(SwclError, match="holds other predictions .fit: pad -> crop"):
        embed(root, tmp_path / "out", *files(root)[:3])


def test_sixteen_bit_photographs_are_embedded_and_told(root: Path, tmp_path: Path) -> None:
    """Levels of 16 bits are scaled to 8, and `remarks.csv` says so."""
    grey = np.linspace(0, 65535, 80 * 80).reshape(80, 80).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    table = embed(root, tmp_path / "out", tmp_path / "deep.png")
    assert np.isfinite(table["vector"].to_pylist()[0]).all()
    if (tmp_path / "out/remarks.csv").exists():
        assert pd.read_csv(tmp_path / "out/remarks.csv")["image"].tolist() == ["deep"]


@pytest.mark.parametrize("name", ["vector", "pca_1"])
def test_a_label_with_the_name_of_a_column_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    prepared.encoder(tmp_path / "swcl.safetensors")
    own = Label(name, "classes", name, names=("a", "b"))
    prepared.write(tmp_path, "odd", [{"image": prepared.photograph(0), name: "a"}], own=[own])
    with pytest.raises(SwclError, match=f"the label {name} has the name of a column of embeddings.parquet"):
        embed(tmp_path, tmp_path / "out", data=["odd"])


def test_an_encoder_that_gives_no_numbers_is_refused(root: Path, tmp_path: Path) -> None:
    tensors = load_file(root / "swcl.safetensors")
    huge = {key: value * 1e30 if value.ndim == 4 else value for key, value in tensors.items()}
    save_file(huge, tmp_path / "w.safetensors")
    with pytest.raises(SwclError, match="not a number"):
        embed(root, tmp_path / "out", *files(root)[:2], model=tmp_path / "w.safetensors")


def test_the_report_shows_those_in_the_workspace(root: Path) -> None:
    embed(root, root / "embeddings/clinic-swcl", data=["clinic"])
    out = root / "embeddings/clinic-swcl"
    assert {path.name for path in out.iterdir()} >= {"embeddings.parquet", "pca.png", "pca.svg", "predict.json"}
    contents = read_contents(Workspace(root))
    (section,) = (section for section in sections(contents) if section.name == "embeddings")
    figure = section.figures[0]
    assert figure.title == "clinic-swcl: embeddings of 40 photographs (PCA)"
    assert "Coloured by DR grade and stage" in figure.sentence and not contents.damaged
    (out / "embeddings.parquet").write_bytes(b"PAR1 no more")
    (line,) = read_contents(Workspace(root)).damaged
    assert "embeddings/clinic-swcl/embeddings.parquet" in line and "The same swcl predict makes it again." in line


def test_the_commands_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = README.read_text(encoding="utf-8").split("\n## Embeddings\n")[1]
    commands = section.split("```")[1].split("\n")[1:-1]
    assert len(commands) == 2
    prepared.encoder(tmp_path / "swcl.safetensors")
    for name in ("odir", "idrid"):
        prepared.labelled_eyes(tmp_path, name, 2)
    prepared.write(tmp_path / "elsewhere", "folder", [{"image": prepared.photograph(1, 100, 90)}])
    photographs = str(Workspace(tmp_path / "elsewhere").images("folder"))
    monkeypatch.chdir(tmp_path)
    for command in commands:
        done = swcl(*command.replace("PHOTOGRAPHS", photographs).split()[1:], "--crop", SIDE, "--workers", 0)
        assert done.code == 0, done.err
    assert (tmp_path / "vectors/embeddings.parquet").is_file() and (tmp_path / "embeddings/eyes/pca.svg").is_file()
