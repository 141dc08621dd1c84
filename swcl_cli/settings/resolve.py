"""Merge the layers of settings, remember where each value came from, and validate once.

Order: defaults < the data set's, method's or task's own row < preset table < preset sub-table < environment < command
line.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from swcl_cli.catalogue.tasks import ALL
from swcl_cli.errors import UsageError
from swcl_cli.settings import OPTIONS, ROW_KEY, ROWS, STEPS, StepSettings

S = TypeVar("S", bound=StepSettings)
LARGEST_PRESET = 1_000_000  # bytes
TYPED = "command line"  # an origin
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Resolved(Generic[S]):
    """Hold the settings of a run, and for each setting where its value came from."""

    settings: S
    origins: dict[str, str]

    def overruled(self) -> list[str]:
        """Say of values that were typed, but have no say, since another setting decides on them."""
        sentences = []
        for switch, names in self.settings.decides.items():
            typed = [name for name in names if self.origins[name] == TYPED]
            if getattr(self.settings, switch) and typed:
                origin = self.origins[switch]
                instead = "without it" if origin == TYPED else f"with --no-{switch}"
                sentences.append(
                    f"{' and '.join(typed)} ({TYPED}): no say, since {switch} ({origin}) chooses among its own; "
                    f"{instead} they have."
                )
        return sentences


def preset_folder() -> Path:
    """Return the folder `presets/`: beside the package in a checkout, inside it in a wheel."""
    shipped = PACKAGE / "presets"
    return shipped if shipped.is_dir() else PACKAGE.parent / "presets"


def preset_names() -> list[str]:
    """List the shipped presets."""
    return sorted(path.stem for path in preset_folder().glob("*.toml"))


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of a message about a wrong name: `did you mean 'x'?`, or all valid names if none is similar."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"valid: {', '.join(names)}."


def read_preset(preset: str) -> dict[str, Any]:
    """Read a shipped preset, or a TOML file. Raises UsageError that names file, key and nearest key."""
    path = preset_folder() / f"{preset}.toml" if preset in preset_names() else Path(preset)
    if not path.is_file():
        raise UsageError(f"Preset '{preset}' is neither a shipped one nor a file; {nearest(preset, preset_names())}")
    if (size := path.stat().st_size) > LARGEST_PRESET:
        raise UsageError(f"{path}: {size:,} bytes are too many for a preset; at most {LARGEST_PRESET:,} are read.")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not TOML: {error}") from None
    for step, table in tables.items():
        _check_table(path, step, table)
    return tables


def _check_table(path: Path, step: str, table: object) -> None:
    if step not in STEPS:
        raise UsageError(f"{path}: no step is called [{step}]; {nearest(step, STEPS)}")
    if not isinstance(table, dict):
        raise UsageError(f"{path}: '{step}' must be a table: [{step}]")
    fields = STEPS[step].model_fields
    rows = ROWS.get(step, {})
    for key, value in table.items():
        if isinstance(value, dict):
            if key not in rows:
                raise UsageError(
                    f"{path}: no {ROW_KEY.get(step, 'sub-table')} is called [{step}.{key}]; {nearest(key, rows)}"
                )
            for sub_key in value:
                if sub_key not in fields:
                    raise UsageError(f"{path}: [{step}.{key}] has no setting '{sub_key}'; {nearest(sub_key, fields)}")
        elif key not in fields:
            raise UsageError(f"{path}: [{step}] has no setting '{key}'; {nearest(key, fields)}")


def resolve(
    model: type[S], given: Mapping[str, Any], preset: str | None = None, environment: Mapping[str, Any] | None = None
) -> Resolved[S]:
    """Merge the settings of a run. given: values from the command line; environment: from SWCL_WORKSPACE and others.

    Raises UsageError, with a line for each wrong value.
    """
    if "preset" in model.model_fields:  # the step passes it on to other commands
        given = {**given, **({"preset": preset} if preset else {})}
        preset = str(given.get("preset", model.model_fields["preset"].default))
    table = read_preset(preset).get(model.step, {}) if preset else {}
    layers = [("preset " + str(preset), {key: value for key, value in table.items() if not isinstance(value, dict)})]
    key = ROW_KEY.get(model.step)
    if key:
        chosen = given.get(key) or layers[0][1].get(key) or model.model_fields[key].default
        if isinstance(chosen, str) and chosen in ROWS[model.step]:
            layers.insert(0, (f"{key} {chosen}", ROWS[model.step][chosen]))
            layers.append((f"preset {preset} [{model.step}.{chosen}]", table.get(chosen, {})))
    layers += [(f"SWCL_{name.upper()}", {name: value}) for name, value in (environment or {}).items()]
    layers.append((TYPED, dict(given)))

    merged: dict[str, Any] = {}
    origins = dict.fromkeys(model.model_fields, "default")
    for origin, values in layers:
        merged |= values
        origins |= dict.fromkeys(values, origin)
    try:
        settings = model.model_validate(merged)
    except ValidationError as error:
        raise UsageError("\n".join(_explain(problem, origins) for problem in error.errors())) from None
    if idle := sorted(model.idle(dict(settings)) & given.keys()):
        switches = [switch for switch, names in model.idle_with.items() if names & set(idle)]
        raise UsageError(f"{' and '.join(idle)}: no part of --{switches[0]}, which does without; leave it out.")
    return Resolved(settings, origins)


def resolve_each(
    model: type[S], given: Mapping[str, Any], preset: str | None = None, environment: Mapping[str, Any] | None = None
) -> list[Resolved[S]]:
    """Resolve the settings of each run: a single run, or, for the task `all`, a run of each public task."""
    key = ROW_KEY.get(model.step, "")
    if given.get(key) != ALL:
        return [resolve(model, given, preset, environment)]
    names = [name for name in ROWS[model.step] if name not in OPTIONS[model.step]]
    return [resolve(model, {**given, key: name}, preset, environment) for name in names]


def _explain(problem: Any, origins: Mapping[str, str]) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return f"{message}."
    name = str(problem["loc"][0])
    return f"{name} = {problem['input']!r} ({origins.get(name, 'given')}): {message[0].lower()}{message[1:]}."
