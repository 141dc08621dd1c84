"""Record what an artefact was made from, and compare it with other work."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swcl_cli import __version__
from swcl_cli.errors import SwclError
from swcl_cli.workspace.artefacts import METADATA_KEY, read_provenance


def provenance(step: str, settings: Mapping[str, Any], inputs: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Return the record that an artefact carries: step, settings, versions, fingerprints of its inputs, and `more`."""
    return {"step": step, "settings": dict(settings), "versions": versions(), "inputs": dict(inputs), **more}


def versions() -> dict[str, str]:
    """Return the versions of the packages that the bytes of a result can depend on."""
    from importlib.metadata import version

    names = ("torch", "timm", "numpy", "opencv-python-headless", "pillow", "scikit-learn")
    return {"swcl": __version__, **{name: version(name) for name in names}}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """List the differences that can change results: `name: old -> new` of step, settings and inputs.

    A setting or rule that `old` or `new` lacks counts as its declared neutral value. One that this version does not
    know is a difference, whatever its value.
    """
    from swcl_cli.settings import neutral_values

    step = new.get("step")
    changed = [] if old.get("step") == step else [f"step: {old.get('step')} -> {step}"]
    neutral = neutral_values(str(step))
    before, after = neutral | old.get("settings", {}), neutral | new.get("settings", {})
    if idle := _idle(str(step), before) & _idle(str(step), after):
        before, after = ({name: told[name] for name in told.keys() - idle} for told in (before, after))
    changed += _unlike(before, after, [] if changed else _unknown(str(step), before))
    return changed + _unlike(old.get("inputs", {}), new.get("inputs", {}))


def as_before(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Name the options by which work is done as `old` was, where all that differs are settings that came later.

    Empty where more differs, such as a rule, or an option has no such value.
    """
    from swcl_cli.settings import STEPS, neutral_values

    step, told = str(new.get("step")), old.get("settings", {}).keys()
    fixed = told | STEPS[step].rules.keys() if step in STEPS else told
    later = {name: value for name, value in neutral_values(step).items() if name not in fixed}
    added = {name: value for name, value in later.items() if new.get("settings", {}).get(name, value) != value}
    if len(added) < len(differences(old, new)) or not all(type(value) in (int, float, str) for value in added.values()):
        return ""
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in added.items())
    return f" It was made before there was this setting: {options} takes it as it is."


def outgrown(record: Mapping[str, Any]) -> list[str]:
    """List in which rules the step works otherwise now than when it made the artefact: `name: then -> now`."""
    from swcl_cli.settings import STEPS

    step, settings = STEPS.get(str(record.get("step"))), record.get("settings", {})
    rules = step.rules if step else {}
    then = {name: settings.get(name, rule.untold) for name, rule in rules.items()}
    return _unlike(then, {name: rule.now for name, rule in rules.items()})


def _unlike(before: Mapping[str, Any], after: Mapping[str, Any], unknown: Sequence[str] = ()) -> list[str]:
    """List the values that differ, and the unknown ones, in words."""
    return [
        f"{name}: {before[name]}, made by a newer version of swcl"
        if name in unknown
        else f"{name}: {before.get(name)} -> {after.get(name)}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name) or name in unknown
    ]


def _unknown(step: str, settings: Mapping[str, Any]) -> list[str]:
    """List the settings that the step does not have in this version; nothing for a step that it does not have."""
    from swcl_cli.settings import STEPS

    return sorted(settings.keys() - STEPS[step].stored()) if step in STEPS else []


def _idle(step: str, settings: Mapping[str, Any]) -> frozenset[str]:
    """List the settings that do nothing beside the others: older artefacts tell them."""
    from swcl_cli.settings import STEPS

    return STEPS[step].idle(settings) if step in STEPS else frozenset()


def is_done(path: Path, provenance: Mapping[str, Any], fresh: bool) -> bool:
    """Check whether `path` is the finished result of this work. Raises SwclError where it is that of other work."""
    if fresh or not path.exists():
        return False
    made = read_provenance(path)
    changed = differences(made, provenance)
    if changed:
        named = "" if provenance["step"] == "train-labeler" else ", or take another --name"
        raise SwclError(
            f"{path} was made differently ({'; '.join(changed)}). Start over with --fresh{named}."
            f"{as_before(made, provenance)}"
        )
    return True


def require_own(path: Path, step: str) -> None:
    """Raise SwclError where `step` did not make the file at `path`, so that it is neither replaced nor removed."""
    if not os.path.lexists(path):
        return
    maker = _maker(path, step)
    if maker != step:
        made = f"was made by swcl {maker}" if maker else "was not made by swcl"
        named = ", or take another --name" if step in ("pretrain", "finetune") else ""
        raise SwclError(f"{path} {made}: swcl {step} does not replace it. Move it away{named}.")


def _maker(path: Path, step: str) -> str | None:
    """Return the step that made the file, or None; `step` itself for an empty file or a damaged parquet file."""
    if not path.is_file():
        return None
    try:
        record: Any = read_provenance(path)
    except SwclError as error:
        with open(path, "rb") as handle:
            start = handle.read(8)
            if not start or (path.suffix == ".parquet" and start[:4] == b"PAR1" and error.__cause__):
                return step
            record = _in_header(handle.read(min(int.from_bytes(start, "little"), path.stat().st_size)))
    maker = record.get("step") if isinstance(record, dict) else None
    return maker if isinstance(maker, str) else None


def _in_header(header: bytes) -> Any:
    """Read the provenance in the header of a safetensors file, which comes first: the file's end may be missing."""
    try:
        return json.loads(json.loads(header)["__metadata__"][METADATA_KEY])
    except (ValueError, TypeError, KeyError):
        return None
