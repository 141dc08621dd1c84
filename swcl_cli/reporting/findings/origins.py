"""Name the command, settings, versions and fingerprints behind each artefact."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from swcl_cli.catalogue.encoders import UNTRAINED
from swcl_cli.reporting.evidence.contents import Artefact, Contents
from swcl_cli.reporting.findings.initialisations import weights_of
from swcl_cli.settings import ROW_KEY, ROWS, STEPS

Value = str | int
POSITIONAL = {"prep": "dataset", "finetune": "task"}


@dataclass(frozen=True)
class Origin:
    """Describe how an artefact came to be. `settings` are all that define it, as text."""

    path: str
    fingerprint: str
    command: str
    settings: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


def origins(contents: Contents) -> list[Origin]:
    """List one origin for each artefact, in the order of the steps."""
    commands = _commands(contents)
    return [
        Origin(
            artefact.path,
            artefact.fingerprint,
            commands[artefact.path],
            tuple((key, _text(value)) for key, value in sorted(artefact.settings.items())),
            _pairs(artefact, "inputs"),
            _pairs(artefact, "versions"),
        )
        for artefact in contents.artefacts()
    ]


def _pairs(artefact: Artefact, key: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((str(name), str(value)) for name, value in artefact.provenance.get(key, {}).items()))


def _commands(contents: Contents) -> dict[str, str]:
    commands = {artefact.path: command_of(artefact) for artefact in contents.artefacts()}
    for name, dataset in contents.datasets.items():
        if name not in ROWS["prep"]:
            commands[dataset.artefact.path] = command_of(dataset.artefact, name=name)
    if contents.labeler is not None:
        commands[contents.labeler.path] = command_of(contents.labeler, **_init(contents, contents.labeler))
    for name, encoder in contents.encoders.items():
        commands[encoder.path] = command_of(encoder, **_init(contents, encoder), name=name)
    for (_, name), artefact in contents.finetuned.items():
        commands[artefact.path] = command_of(artefact, init=weights_of(contents, artefact), name=name)
    return commands


def _init(contents: Contents, artefact: Artefact) -> dict[str, Value]:
    """Return the setting `init` where it is not the default, random weights."""
    weights = weights_of(contents, artefact)
    return {} if weights == UNTRAINED else {"init": weights}


def command_of(artefact: Artefact, **given: Value) -> str:
    """Write the command as it could be typed, with every setting that is not the default or the row's. SOURCE stands
    for the download. given: settings in place of the artefact's, or beside them.
    """
    step = str(artefact.provenance.get("step"))
    if step not in STEPS:
        return step
    settings = artefact.settings
    row = ROWS.get(step, {}).get(str(settings.get(ROW_KEY.get(step, ""))), {})
    usual = {name: field.default for name, field in STEPS[step].model_fields.items()} | row
    words = ["swcl", step]
    if step in POSITIONAL:
        words.append(str(settings.get(POSITIONAL[step])))
    words += ["SOURCE"] if step == "prep" else []
    unusual = {name: value for name, value in sorted(settings.items()) if value not in (None, usual.get(name))}
    for name in (POSITIONAL.get(step, ""), *STEPS[step].rules):
        unusual.pop(name, None)
    for name, value in {**given, **unusual, **{name: given[name] for name in unusual if name in given}}.items():
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [_text(value)])]
    return shlex.join(words)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(part) for part in value)
    return value if isinstance(value, str) else json.dumps(value)
