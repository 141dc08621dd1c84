"""What defines a result: its settings, and how they differ between results, or from a preset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from swcl_cli.errors import UsageError
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.settings import OPTIONS, ROW_KEY, ROWS, STEPS
from swcl_cli.settings.resolve import resolve

SEEDS = frozenset({"seed", "seeds", "grid_seed", "fold"})  # what tells runs of one kind apart
RATES = ("learning_rate", "weight_decay")
ARCHITECTURE = "resnetv2_50x1_bit"  # where `architecture` is left open and no weights tell (the paper's)
ABSENT = "nothing"
FILLED_IN = ("labelled", "unlabelled")  # by the step, where the preset leaves them open

Recipe = dict[str, Any]


def recipe(provenance: Mapping[str, Any]) -> Recipe:
    """The settings that define the result, but for seeds, and for rates that a grid search chose.

    What an older version did not know is at its default.
    """
    settings = dict(provenance.get("settings", {}))
    step = STEPS.get(str(provenance.get("step")))
    if step is not None:
        known = {name: field for name, field in step.model_fields.items() if name not in step.runtime_fields()}
        usual = {name: field.get_default(call_default_factory=True) for name, field in known.items()}
        options, chosen = OPTIONS.get(step.step, {}), str(settings.get(ROW_KEY.get(step.step, "")))
        foreign = {name for names in options.values() for name in names} - set(options.get(chosen, ()))
        usual |= ROWS.get(step.step, {}).get(chosen, {})
        settings = {name: value for name, value in usual.items() if name in known and name not in foreign} | settings
    if settings.get("grid"):
        settings |= dict.fromkeys(RATES)
    return {name: value for name, value in sorted(settings.items()) if name not in SEEDS}


def differing(recipes: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the settings in which they are not all alike. Where one searched a grid and another did not, that
    is the difference, not the rates.
    """
    several = list(recipes)
    fields = sorted({name for one in several for name in one})
    found = [name for name in fields if len({text(one.get(name)) for one in several}) > 1]
    return [name for name in found if "grid" not in found or name not in RATES]


def unlike_preset(
    contents: Contents, artefact: Artefact, preset: str, asked: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """`step: setting` of whatever is not as the preset says, `asked` of a step put on top, in the artefact and, as far
    as they are here, in all that it was made from.
    """
    found: list[str] = []
    for one in _made_from(contents, artefact):
        step = str(one.provenance.get("step"))
        try:
            wanted = preset_recipe(
                preset, step, str(one.settings.get(ROW_KEY.get(step, ""), "")), **asked.get(step, {})
            )
        except UsageError:  # a data set or task of the user's own
            found.append(f"{step}: {ROW_KEY.get(step, step)}")
            continue
        unlike = differing([recipe(one.provenance), wanted])
        open_ones = {name for name in FILLED_IN if wanted.get(name) is None}
        found += [f"{step}: {name.replace('_', ' ')}" for name in unlike if name not in open_ones]
    return tuple(sorted(set(found)))


def preset_recipe(preset: str, step: str, chosen: str, **asked: Any) -> Recipe:
    """What the step would store. Raises UsageError where the preset, or what is chosen, does not exist."""
    return dict(_preset_recipe(preset, step, chosen, json.dumps(asked, sort_keys=True)))


@lru_cache
def _preset_recipe(preset: str, step: str, chosen: str, asked: str) -> Recipe:
    if step not in STEPS:
        raise UsageError(f"no step is called {step}")
    key = ROW_KEY.get(step)
    settings = resolve(STEPS[step], {**({key: chosen} if key else {}), **json.loads(asked)}, preset).settings.defining()
    if "architecture" in settings and settings["architecture"] is None:
        settings["architecture"] = ARCHITECTURE
    return recipe({"step": step, "settings": settings})


def text(value: Any) -> str:
    """As it is written on the command line."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ",".join(map(str, value)) or ABSENT
    return json.dumps(value)


def _made_from(contents: Contents, artefact: Artefact) -> Iterator[Artefact]:
    """The artefact, and all that it goes back to, of what is in the workspace."""
    here = {one.fingerprint: one for one in contents.artefacts()}
    left, met = [artefact], set()
    while left:
        one = left.pop()
        if one.fingerprint not in met:
            met.add(one.fingerprint)
            yield one
            left += [here[mark] for mark in one.provenance.get("inputs", {}).values() if mark in here]
