"""Names that become a part of a path: one rule for every setting that holds one, from everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swcl_cli.errors import UsageError
from swcl_cli.settings import ARTEFACTS, ROWS, STEPS, plain_part
from swcl_cli.settings.path_parts import LONGEST
from swcl_cli.settings.resolve import resolve

PLAIN = ["swcl", "bit-s", "clinic-a", "Klinik Süd", "v1.2_b", "網膜", "a..b", "é" * (LONGEST // 2)]
OTHER = [
    "", ".", "..", "...", ".hidden", "a/b", "/a", "a/", "../a", "a\\b", "a,b", " a", "a ", "a\nb", "a\tb", "a\0b",
    "a\x7fb", "a\u202eb", "a\udc80b", "é" * (LONGEST // 2) + "a",
]  # fmt: skip
SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("prep", "name", {"dataset": "folder"}),
    ("train-labeler", "labelled", {}),
    ("train-labeler", "unlabelled", {}),
    ("make-swap", "labelled", {}),
    ("make-swap", "unlabelled", {}),
    ("pretrain", "name", {}),
    ("pretrain", "data", {"method": "byol"}),
    ("pretrain", "probe_data", {}),
    ("finetune", "name", {"task": "idrid"}),
    ("finetune", "data", {"task": "folder"}),
]


@pytest.mark.parametrize("name", PLAIN)
def test_plain_names(name: str) -> None:
    assert plain_part(name) == name


@pytest.mark.parametrize("name", OTHER)
def test_other_names(name: str) -> None:
    with pytest.raises(ValueError, match="a name is one part of a path: at most 100 bytes, no slash"):
        plain_part(name)


@pytest.mark.parametrize(("step", "name", "needed"), SETTINGS)
def test_each_setting_refuses_them_from_the_command_line_and_from_presets(
    step: str, name: str, needed: dict[str, Any], tmp_path: Path
) -> None:
    several = "labelled" in name or (step, name) == ("pretrain", "data")
    resolve(STEPS[step], {**needed, name: "clinic-a"})
    with pytest.raises(UsageError, match=rf"^{name} = '\.\./x' \(command line\): a name is one part of a path"):
        resolve(STEPS[step], {**needed, name: "odir,../x" if several else "../x"})
    preset, given = tmp_path / "mine.toml", ["odir", "/x"] if several else "/x"
    preset.write_text(f"[{step}]\n{name} = {given!r}\n")
    with pytest.raises(UsageError, match=rf"^{name} = '/x' \(preset .*mine.toml\): a name is one part of a path"):
        resolve(STEPS[step], needed, str(preset))


@pytest.mark.parametrize("name", [*(name for name in ROWS["prep"] if name != "folder"), "ODIR", *ARTEFACTS])
def test_no_own_set_takes_the_name_of_another(name: str) -> None:
    with pytest.raises(UsageError, match=f"^name: {name} is the name of a public data set or another artefact"):
        resolve(STEPS["prep"], {"dataset": "folder", "name": name})


@pytest.mark.parametrize("name", ["labeler", "swap", "Labeler"])
def test_no_encoder_takes_the_name_of_another_artefact(name: str) -> None:
    with pytest.raises(UsageError, match=f"^name: {name} is what the workspace calls another artefact"):
        resolve(STEPS["pretrain"], {"name": name})


def test_only_own_sets_have_names() -> None:
    with pytest.raises(UsageError, match="name belongs to folder, not to odir"):
        resolve(STEPS["prep"], {"dataset": "odir", "name": "mine"})
