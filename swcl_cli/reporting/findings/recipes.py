"""Compare the settings that define results, with each other and with a preset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from swcl_cli.catalogue import encoders
from swcl_cli.errors import UsageError
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.settings import OPTIONS, ROW_KEY, ROWS, STEPS, FinetuneSettings
from swcl_cli.settings.resolve import resolve

SEEDS = frozenset({"seed", "seeds", "grid_seed", "fold"})  # what tells runs of one kind apart
RATES = ("learning_rate", "weight_decay")
IMPLIED = {"grid": RATES, **FinetuneSettings.idle_with}  # by a setting: those that differ with it
ABSENT = "nothing"
FILLED_IN = ("labelled", "unlabelled", "normal")  # by the step, where the preset leaves them open

Recipe = dict[str, Any]


def recipe(provenance: Mapping[str, Any]) -> Recipe:
    """Return the settings that define a result, but for seeds, for rates that a grid search chose, and for what the
    data have led to.

    A setting or rule that an older version did not tell is at its neutral value, or else its default.
    """
    settings = dict(provenance.get("settings", {}))
    step = STEPS.get(str(provenance.get("step")))
    if step is not None:
        fields = {name: field for name, field in step.model_fields.items() if name not in step.runtime_fields()}
        usual = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
        options, chosen = OPTIONS.get(step.step, {}), str(settings.get(ROW_KEY.get(step.step, "")))
        foreign = {name for names in options.values() for name in names} - set(options.get(chosen, ()))
        usual |= ROWS.get(step.step, {}).get(chosen, {}) | step.neutral_values()
        known = fields.keys() | step.rules.keys()
        settings = {name: value for name, value in usual.items() if name in known and name not in foreign} | settings
    if settings.get("grid"):
        settings |= dict.fromkeys(RATES)
    others = SEEDS if step is None else SEEDS | step.derived | step.idle(settings)
    return {name: value for name, value in sorted(settings.items()) if name not in others}


def differing(recipes: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the settings in which they are not all alike. Where one searched a grid, or is a probe, and another
    did or is not, that is the difference, not the rates, or what a probe does without.
    """
    recipes = list(recipes)
    names = sorted({name for recipe in recipes for name in recipe})
    unlike = [name for name in names if len({text(recipe.get(name)) for recipe in recipes}) > 1]
    implied = {name for switch, names in IMPLIED.items() if switch in unlike for name in names}
    return [name for name in unlike if name not in implied]


def unlike_preset(
    contents: Contents, artefact: Artefact, preset: str, asked: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """`step: setting` of whatever is not as the preset says, with `asked` of a step put on top, in the artefact and, as
    far as they are here, in all that it was made from.
    """
    reasons: list[str] = []
    for source in _made_from(contents, artefact):
        step = str(source.provenance.get("step"))
        try:
            chosen = str(source.settings.get(ROW_KEY.get(step, ""), ""))
            wanted = preset_recipe(preset, step, chosen, **asked.get(step, {}))
        except UsageError:  # a data set or task of the user's own
            reasons.append(f"{step}: {ROW_KEY.get(step, step)}")
            continue
        unlike = differing([recipe(source.provenance), wanted])
        filled_in = {name for name in FILLED_IN if wanted.get(name) is None}
        reasons += [f"{step}: {in_words(name)}" for name in unlike if name not in filled_in]
    return tuple(sorted(set(reasons)))


def preset_recipe(preset: str, step: str, chosen: str, **asked: Any) -> Recipe:
    """Return what the step would store. Raises UsageError where the preset, or what is chosen, does not exist."""
    return dict(_preset_recipe(preset, step, chosen, json.dumps(asked, sort_keys=True)))


@lru_cache
def _preset_recipe(preset: str, step: str, chosen: str, asked: str) -> Recipe:
    if step not in STEPS:
        raise UsageError(f"no step is called {step}")
    key = ROW_KEY.get(step)
    settings = resolve(STEPS[step], {**({key: chosen} if key else {}), **json.loads(asked)}, preset).settings.defining()
    if "architecture" in settings and settings["architecture"] is None:
        settings["architecture"] = encoders.DEFAULT  # no weights tell it
    return recipe({"step": step, "settings": settings})


def in_words(setting: str) -> str:
    return setting.replace("_", " ")


def text(value: Any) -> str:
    """Write a setting's value as on the command line."""
    if value is None:
        return ABSENT
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ",".join(map(str, value)) or ABSENT
    return json.dumps(value)


def _made_from(contents: Contents, artefact: Artefact) -> Iterator[Artefact]:
    """Yield the artefact, and all in the workspace that it was made from."""
    here = {each.fingerprint: each for each in contents.artefacts()}
    waiting, visited = [artefact], set()
    while waiting:
        source = waiting.pop()
        if source.fingerprint not in visited:
            visited.add(source.fingerprint)
            yield source
            waiting += [here[mark] for mark in source.inputs.values() if mark in here]
