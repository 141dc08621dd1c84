"""Generate Typer's options from a settings model, so that `--help`, presets and validation can't disagree."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from swcl_cli.settings import ROW_KEY, ROWS, StepSettings
from swcl_cli.settings.completion import complete_init, complete_preset
from swcl_cli.settings.resolve import preset_names
from swcl_cli.settings.rows import owners
from swcl_cli.settings.step import REPRODUCTION

NO = "no-"
PANELS = ("Data", "Phantom eyes", "Model", "Labels", "Training", "Chance", "Probe", "Machine", REPRODUCTION, "Settings")


def command_for(model: type[StepSettings], arguments: tuple[str, ...], act: Callable[..., None]) -> Callable[..., None]:
    """Make a function with the signature that Typer turns into the options of `model`.

    `arguments` names the fields that are positional. `act(model, given, environment, preset, dry_run)` receives only
    the options that were typed or set in the environment, so that presets and rows can fill in the rest. The context's
    object holds the options before the command, by their source.
    """
    parameters = [
        _parameter(model, name, model.model_fields[name], name in arguments) for name in _order(model, arguments)
    ]
    parameters += [_keyword(name, *declared) for name, declared in SHARED.items() if name not in model.model_fields]

    def command(ctx: typer.Context, **values: Any) -> None:
        typed = {name: value for name, value in values.items() if _was_typed(ctx, name)}
        given = {
            **ctx.obj.get("COMMANDLINE", {}),
            **{name: value for name, value in typed.items() if name not in SHARED},
        }
        act(model, given, ctx.obj.get("ENVIRONMENT", {}), typed.get("preset"), typed.get("dry_run", False))

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    command.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in [context, *parameters]}
    return command


def _order(model: type[StepSettings], arguments: tuple[str, ...]) -> list[str]:
    options = [name for name in model.model_fields if name not in arguments]
    return [*arguments, *sorted(options, key=lambda name: PANELS.index(_panel(model.model_fields[name])))]


def _panel(field: FieldInfo) -> str:
    return str(field.json_schema_extra["panel"]) if isinstance(field.json_schema_extra, dict) else PANELS[0]


def _was_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _parameter(model: type[StepSettings], name: str, field: FieldInfo, positional: bool) -> inspect.Parameter:
    kind, extra = _typer_type(field)
    help_text = _help(model, name, field)
    declared: Any
    if positional:
        if choices := get_args(field.annotation) if get_origin(field.annotation) is Literal else ():
            help_text = f"{help_text} {', '.join(choices)}"
        declared = typer.Argument(help=help_text, show_default=False, show_choices=False)
    else:
        shown = _shown_default(model, name, field)
        extras = field.json_schema_extra
        short = extras["short"] if isinstance(extras, dict) else None
        flags = [_flag(name, field), *([str(short)] if short else [])]
        extra |= {"autocompletion": complete_init} if name == "init" else {}
        declared = typer.Option(*flags, help=help_text, rich_help_panel=_panel(field), show_default=shown, **extra)
    if field.is_required():
        return _keyword(name, kind, inspect.Parameter.empty, declared)
    several = isinstance(field.default, list) and kind is str
    return _keyword(name, kind, ",".join(map(str, field.default)) if several else field.default, declared)


def _flag(name: str, field: FieldInfo) -> str:
    """Return an option's name; that of a switch has its opposite too, which undoes what a preset says."""
    plain = name.replace("_", "-")
    return f"--{plain}/--{NO}{plain}".replace(f"{NO}{NO}", "") if field.annotation is bool else f"--{plain}"


def _help(model: type[StepSettings], name: str, field: FieldInfo) -> str:
    """Return the setting's description, after the names of the choices that it belongs to, if not to all."""
    text = str(field.description)
    chosen = owners(model.step, name)
    text = text if text[:2].isupper() or not chosen else f"{text[0].lower()}{text[1:]}"  # NAME stays NAME
    return f"{', '.join(chosen)}: {text}" if chosen else text


def _keyword(name: str, kind: Any, default: Any, declared: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared]
    )


def _typer_type(field: FieldInfo) -> tuple[Any, dict[str, Any]]:
    """Return annotation and metavar for Typer: a list is comma-separated text, unless its option is repeated; pydantic
    checks ranges.
    """
    annotation = field.annotation
    optional = get_origin(annotation) in (Union, UnionType)
    if optional:
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
    extra: dict[str, Any] = {}
    extras = field.json_schema_extra
    repeated = isinstance(extras, dict) and extras["repeated"]
    if get_origin(annotation) is list and get_args(annotation) != (Path,) and not repeated:
        annotation = str
        extra["metavar"] = "A,B,..."
    elif get_origin(annotation) is Literal:
        values = get_args(annotation)
        extra["metavar"] = " | ".join(map(str, values))  # with blanks, so that a narrow terminal breaks no word
        annotation = annotation if isinstance(values[0], str) else type(values[0])
    elif annotation in (int, float):
        extra["metavar"] = f"{annotation.__name__.upper()}{_range(field)}"
    kind: Any = annotation
    return (kind | None if optional else kind), extra


def _range(field: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    limits = [
        f"{sign}{getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in signs.items()
        if hasattr(limit, name)
    ]
    return f" {', '.join(limits)}" if limits else ""


def _shown_default(model: type[StepSettings], name: str, field: FieldInfo) -> bool | str:
    rows = ROWS.get(model.step, {})
    varying = {key: str(row[name]) for key, row in rows.items() if name in row}
    if varying and len({*varying.values(), str(field.default)}) > 1:
        rest = {} if len(varying) == len(rows) else {"else": str(field.default)}
        return f"by {ROW_KEY[model.step]}: " + ", ".join(f"{key} {value}" for key, value in {**varying, **rest}.items())
    return field.default is not None and field.default is not False and field.default != []


_PRESET = typer.Option(
    help=f"Settings from a shipped preset ({', '.join(preset_names())}) or a TOML file.",
    rich_help_panel="Settings",
    autocompletion=complete_preset,
)
_DRY_RUN = typer.Option("--dry-run", help="Print the settings and where each came from.", rich_help_panel="Settings")
_DEBUG = typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel="Settings")
SHARED: dict[str, tuple[Any, Any, Any]] = {
    "preset": (str | None, None, _PRESET),
    "dry_run": (bool, False, _DRY_RUN),
    "debug": (bool, False, _DEBUG),
}
