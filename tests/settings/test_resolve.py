"""Layers of settings: which wins, where a value came from, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swcl_cli.catalogue.methods import METHODS
from swcl_cli.data.loaders import epoch_plan
from swcl_cli.errors import UsageError
from swcl_cli.settings import (
    ROW_KEY,
    ROWS,
    STEPS,
    FinetuneSettings,
    MakeSwapSettings,
    PretrainSettings,
    TrainLabelerSettings,
)
from swcl_cli.settings.resolve import nearest, preset_folder, preset_names, read_preset, resolve

CHOICES: dict[str, tuple[str, ...]] = {step: tuple(rows) for step, rows in ROWS.items()}


@pytest.fixture
def preset(tmp_path: Path) -> Any:
    def written(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


def test_each_layer_wins_over_those_before(preset: Any) -> None:
    name = preset("""
[finetune]
epochs = 7
batch = 6
crop = 48
seeds = 2
[finetune.drive]
batch = 5
crop = 64
[finetune.idrid]
batch = 4
""")
    resolved = resolve(FinetuneSettings, {"task": "drive", "crop": 96}, name)
    got, origin = resolved.settings, resolved.origins
    table, sub_table = f"preset {name}", f"preset {name} [finetune.drive]"
    assert (got.learning_rate, origin["learning_rate"]) == (0.1, "default")
    assert (got.epochs, origin["epochs"]) == (7, table)
    assert (got.seeds, origin["seeds"]) == (2, table)
    assert (got.batch, origin["batch"]) == (5, sub_table)
    assert (got.crop, origin["crop"]) == (96, "command line")
    assert (got.task, origin["task"]) == ("drive", "command line")
    assert resolve(FinetuneSettings, {"task": "idrid"}, name).settings.batch == 4
    alone = resolve(FinetuneSettings, {"task": "drive"})
    assert (alone.settings.crop, alone.origins["crop"]) == (384, "task drive")
    assert origin.keys() == FinetuneSettings.model_fields.keys()


def test_the_environment_loses_against_the_command_line_alone(preset: Any) -> None:
    name = preset('[report]\nworkspace = "in-preset"\n')
    model = STEPS["report"]
    outside = {"workspace": Path("outside")}
    for given, outer, place, origin in (
        ({"workspace": Path("typed")}, outside, "typed", "command line"),
        ({}, outside, "outside", "SWCL_WORKSPACE"),
        ({}, {}, "in-preset", f"preset {name}"),
    ):
        resolved = resolve(model, given, name, outer)
        assert (resolved.settings.workspace, resolved.origins["workspace"]) == (Path(place), origin)


def test_a_method_named_in_a_preset_brings_its_sub_table(preset: Any) -> None:
    name = preset('[pretrain]\nmethod = "swcl"\n[pretrain.swcl]\nprojection = 16\n')
    assert resolve(PretrainSettings, {}, name).settings.projection == 16
    by_default = preset("[pretrain.swcl]\nprojection = 17\n")
    assert resolve(PretrainSettings, {}, by_default).settings.projection == 17


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pretain]\nepochs = 1", "no step is called [pretain]; did you mean 'pretrain'?"),
        ("[pretrain]\nepoch = 1", "[pretrain] has no setting 'epoch'; did you mean 'epochs'?"),
        ("[pretrain.swlc]\nepochs = 1", "no method is called [pretrain.swlc]; did you mean 'swcl'?"),
        ("[finetune.driv]\nepochs = 1", "no task is called [finetune.driv]; did you mean 'drive'?"),
        ("[finetune.drive]\ncrops = 1", "[finetune.drive] has no setting 'crops'; did you mean 'crop'?"),
        ("[prep.oidr]\nsize = 1", "no dataset is called [prep.oidr]; did you mean 'odir'?"),
        ("[make-swap.x]\nbatch = 1", "no sub-table is called [make-swap.x]"),
        ("[make-swap]\nqqqq = 1", "[make-swap] has no setting 'qqqq'; valid: accelerator, align, background,"),
        ("[pretrain]\nlearning-rate = 1", "[pretrain] has no setting 'learning-rate'; did you mean 'learning_rate'?"),
        ("pretrain = 3", "'pretrain' must be a table: [pretrain]"),
        ("[pretrain]\nepochs = = 1", "not TOML"),
        ("[pretrain]\nepochs = 1\nepochs = 2", "not TOML"),
    ],
)
@pytest.mark.parametrize("step", ["report", "pretrain"])
def test_a_wrong_preset_names_file_and_nearest_key_whatever_the_step(
    preset: Any, text: str, message: str, step: str
) -> None:
    name = preset(text)
    with pytest.raises(UsageError) as caught:
        resolve(STEPS[step], {}, name)
    assert str(caught.value).startswith(f"{name}: ") and message in str(caught.value)


def test_the_mark_of_an_editor_before_the_text_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf[pretrain]\r\nepochs = 7\r\n")
    assert read_preset(str(tmp_path / "own.toml")) == {"pretrain": {"epochs": 7}}


def test_what_is_no_text_is_no_preset(tmp_path: Path) -> None:
    (tmp_path / "image.toml").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(UsageError, match="image.toml: not TOML"):
        read_preset(str(tmp_path / "image.toml"))
    with pytest.raises(UsageError, match="Preset 'papr' is neither a shipped one nor a file; did you mean 'paper'?"):
        read_preset("papr")
    with pytest.raises(UsageError, match="is neither a shipped one nor a file"):
        read_preset(str(tmp_path))


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (PretrainSettings, {"epochs": 0}, "epochs = 0 (command line): input should be greater than or equal to 1."),
        (PretrainSettings, {"temperature": 0}, "temperature = 0 (command line): input should be greater than 0."),
        (
            PretrainSettings,
            {"batch_patches": 7},
            "batch_patches = 7 (command line): input should be a multiple of 2.",
        ),
        (
            PretrainSettings,
            {"labels": "patient,severity"},
            "labels = 'severity' (command line): input should be 'position', 'abnormality' or 'patient'.",
        ),
        (
            MakeSwapSettings,
            {"threshold": 1.5},
            "threshold = 1.5 (command line): input should be less than or equal to 1.",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_range(model: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(model, given)
    assert str(caught.value) == message


def test_wrong_values_of_a_preset_are_all_named_with_their_origin(preset: Any) -> None:
    name = preset(
        '[train-labeler]\nepochs = "many"\nmining = "hard"\nviews = 1\n[finetune.drive]\noutput_stride = 12\n'
    )
    with pytest.raises(UsageError) as caught:
        resolve(TrainLabelerSettings, {"seed": -1}, name)
    assert sorted(str(caught.value).splitlines()) == [
        f"epochs = 'many' (preset {name}): input should be a valid integer, unable to parse string as an integer.",
        f"mining = 'hard' (preset {name}): input should be 'semi-hard' or 'batch-hard'.",
        "seed = -1 (command line): input should be greater than or equal to 0.",
        f"views = 1 (preset {name}): input should be greater than or equal to 2.",
    ]
    with pytest.raises(UsageError) as caught:
        resolve(FinetuneSettings, {"task": "drive"}, name)
    assert f"output_stride = 12 (preset {name} [finetune.drive]): input should be 8 or 16." == str(caught.value)


def test_nearest() -> None:
    assert nearest("epoch", ["epochs", "seed"]) == "did you mean 'epochs'?"
    assert nearest("zzz", ["seed", "epochs"]) == "valid: epochs, seed."


SHIPPED = [(name, step, choice) for name in preset_names() for step in STEPS for choice in CHOICES.get(step, (None,))]


@pytest.mark.parametrize(("name", "step", "choice"), SHIPPED)
def test_every_shipped_preset_resolves(name: str, step: str, choice: str | None) -> None:
    weights: dict[str, object] = {"model": "m", "out": "o"}
    needed = {"predict": {**weights, "images": ["i"]}, "export": weights}.get(step, {})
    resolve(STEPS[step], {**needed, **({ROW_KEY[step]: choice} if choice else {})}, name)


@pytest.mark.parametrize("name", preset_names())
def test_presets_open_with_command_cost_and_expectation(name: str) -> None:
    head = (preset_folder() / f"{name}.toml").read_text(encoding="utf-8").split("\n[")[0]
    assert "# Cost " in head and "# Expect " in head and ("#   swcl " in head or "#   make " in head)


@pytest.mark.parametrize("name", preset_names())
def test_presets_state_only_what_differs_from_the_defaults(name: str) -> None:
    for step, table in read_preset(name).items():
        choices = CHOICES.get(step, (None,))
        plain = {
            choice: resolve(STEPS[step], {ROW_KEY[step]: choice} if choice else {}).settings.model_dump()
            for choice in choices
        }
        for key, value in table.items():
            if isinstance(value, dict):
                idle = [sub_key for sub_key in value if sub_key not in table and plain[key][sub_key] == value[sub_key]]
            else:
                idle = [key] if all(settings[key] == value for settings in plain.values()) else []
            assert not idle, f"[{step}] {key}: the default is stated"


@pytest.mark.parametrize("method", ["simclr", "byol", "dino"])
def test_baselines_of_the_preset_paper_take_as_many_steps_as_swcl(method: str) -> None:
    """FACTS D0b: "similar", of the paper's counts of photographs and patches."""

    def steps(method: str, items: int, batch: str, pairs: int = 1) -> int:
        settings = resolve(PretrainSettings, {"method": method}, "paper").settings
        held = settings.model_dump()
        _, per_epoch = epoch_plan(0, "order", items, held[batch] // pairs, padded=True)
        return settings.epochs * per_epoch

    photographs, patches = 88_702 + 9_992, 493_470
    ours = steps("swcl", patches // 2, "batch_patches", pairs=2)
    assert (ours, patches) == (39_800, 5 * photographs)
    assert steps(method, photographs, "batch_images") == pytest.approx(ours, rel=0.01)


@pytest.mark.parametrize("method", CHOICES["pretrain"])
def test_the_preset_released_has_the_released_form_of_every_method_that_has_two(method: str) -> None:
    """FACTS C12, D1, D2: none is forgotten that is added."""
    settings = resolve(PretrainSettings, {"method": method}, "released").settings
    assert "variant" in settings.foreign() or settings.variant == "released"
    by_default = resolve(PretrainSettings, {"method": method}).settings
    assert by_default.variant == ("released" if method.startswith("supervised") else "ours")


@pytest.mark.parametrize("method", CHOICES["pretrain"])
def test_the_preset_paper_tunes_the_rates_of_every_baseline(method: str) -> None:
    """IV-B: SWCL's are given, those of the baselines were tuned one by one. The rows hold SWCL's (FACTS D0)."""
    held, row = (resolve(PretrainSettings, {"method": method}, preset).settings for preset in ("paper", None))
    assert (held.grid, held.grid_share) == ((False, 1.0) if method == "swcl" else (True, 0.1))
    assert METHODS[method].tuned == (method == "swcl") and not row.grid
    assert (row.learning_rate, row.weight_decay) == (0.001, 1e-4)
    assert {"learning_rate", "weight_decay"} <= METHODS[method].defaults.keys()


def test_a_preset_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.toml").open("wb") as handle:
        handle.truncate(2**40)
    with pytest.raises(UsageError, match=r"huge.toml: 1,099,511,627,776 bytes are too many for a preset"):
        read_preset(str(tmp_path / "huge.toml"))


@pytest.mark.parametrize("model", [FinetuneSettings, PretrainSettings])
@pytest.mark.parametrize("name", ["learning_rate", "weight_decay"])
def test_a_typed_rate_that_a_grid_overrules_is_told(model: Any, name: str, preset: Any) -> None:
    row = {"task": "idrid", "init": "random"} if model is FinetuneSettings else {}
    typed = f"{name} (command line): no say, since grid"
    (told,) = resolve(model, {**row, "grid": True, name: 0.1}).overruled()
    assert told == f"{typed} (command line) chooses among its own; without it they have."
    path = preset(f"[{model.step}]\ngrid = true\n{name} = 0.2\n")
    assert not resolve(model, row, path).overruled()  # nothing was typed
    (told,) = resolve(model, {**row, name: 0.1}, path).overruled()
    assert told == f"{typed} (preset {path}) chooses among its own; with --no-grid they have."
    resolved = resolve(model, {**row, name: 0.1, "grid": False}, path)
    assert not resolved.overruled() and not resolved.settings.grid and getattr(resolved.settings, name) == 0.1
