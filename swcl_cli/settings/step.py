"""Define the settings that steps share, and how a setting is declared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from swcl_cli.settings.rows import OPTIONS, ROW_KEY, Precision, WeakLabel, owners


def split_at_commas(value: object) -> object:
    """Split a text at its commas, as the command line gives a list; a list from a preset stays as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(split_at_commas)]
Integers = Annotated[list[int], BeforeValidator(split_at_commas)]
WeakLabels = Annotated[
    list[WeakLabel],
    BeforeValidator(split_at_commas),
    AfterValidator(lambda given: [label for label in get_args(WeakLabel) if label in given]),
    Field(min_length=1),
]


REPRODUCTION = "As in the paper or its released code"  # a panel of the help, for what few people change


def setting(
    default: Any,
    help: str,
    *,
    panel: str,
    runtime: bool = False,
    short: str | None = None,
    neutral: Any = ...,
    repeated: bool = False,
    **limits: Any,
) -> Any:
    """Declare a setting, whose description is its `--help` text.

    runtime: it can't change a byte of the result. short: a second, short name of its option. neutral: the value, as
    JSON has it, that does what was done before there was this setting; every new one that defines a result declares it,
    so that finished work stays finished. repeated: the option is given once for each text of the list, which may hold
    commas.
    """
    extra: dict[str, Any] = {"panel": panel, "runtime": runtime, "short": short, "repeated": repeated}
    if neutral is not ...:
        extra["neutral"] = neutral
    return Field(default, description=help, json_schema_extra=extra, **limits)


def unseen_tests() -> Any:
    """Declare --without-tests of a step that learns from photographs, or makes what is learnt from."""
    return setting(
        [],
        "Prepared data sets whose tests shall stay unseen, joined by commas: their test photographs (all, "
        "where there is no test split) and copies of these, by `swcl audit`, are left out.",
        panel="Data",
        neutral=[],
    )


def untold_architecture() -> Any:
    """Declare --architecture of a step that reads networks of any origin."""
    return setting(
        None, "Network of an encoder, by its timm name, where the file does not tell it.", panel="Model", neutral=None
    )


def encoders_square() -> Any:
    """Declare --crop of a step that shows photographs to an encoder."""
    return setting(
        None,
        "Side in pixels of the square that an encoder gets; by default that of its training, else 224.",
        panel="Data",
        neutral=None,
        ge=8,
    )


def require_time_to_rise(warmup_epochs: int, epochs: int) -> None:
    """Raise ValueError where the rate would still rise at the end of the training."""
    if 0 < warmup_epochs >= epochs:
        raise ValueError(
            f"warmup_epochs: the rate would rise for {warmup_epochs} of {epochs} epochs; take fewer --warmup-epochs, "
            "or more --epochs"
        )


class Rule(NamedTuple):
    """Say in words how a step does what no setting chooses, and how it was done by versions that did not tell it.

    An artefact tells the rule among its settings, so that one that was made by another rule is recognised.
    """

    now: str
    untold: str


class StepSettings(BaseModel):
    """Hold the settings that all steps share."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
    step: ClassVar[str]
    derived: ClassVar[frozenset[str]] = frozenset()  # what artefacts tell among the settings, and is none
    decides: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # by a switch: the settings of which it chooses the values
    rules: ClassVar[Mapping[str, Rule]] = {}  # by the name under which artefacts tell them among the settings
    idle_with: ClassVar[Mapping[str, frozenset[str]]] = {}  # by a setting: those that do nothing where it is on

    workspace: Path = setting(Path("."), "Folder that holds all artefacts.", panel="Machine", runtime=True)

    @classmethod
    def runtime_fields(cls) -> frozenset[str]:
        """Return the settings that can't change the result, and hence are stored in no artefact."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return frozenset(name for name, extra in extras.items() if isinstance(extra, dict) and extra["runtime"])

    @classmethod
    def neutral_values(cls) -> dict[str, Any]:
        """Tell what its absence means in an artefact, of rules, and of the settings that declare it."""
        extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        declared = {
            name: extra["neutral"] for name, extra in extras.items() if isinstance(extra, dict) and "neutral" in extra
        }
        return declared | {name: rule.untold for name, rule in cls.rules.items()}

    @classmethod
    def stored(cls) -> frozenset[str]:
        """List the names that can stand among the settings of an artefact of this version."""
        return frozenset(cls.model_fields) | cls.derived | cls.rules.keys()

    @classmethod
    def idle(cls, settings: Mapping[str, Any]) -> frozenset[str]:
        """List the settings that do nothing beside these others: no artefact tells them."""
        return frozenset().union(*(names for switch, names in cls.idle_with.items() if settings.get(switch)))

    def foreign(self) -> dict[str, list[str]]:
        """Return the settings that the chosen data set, method or task does not have, each with the choices that do."""
        options = OPTIONS.get(self.step, {})
        own = options.get(getattr(self, ROW_KEY[self.step]), ()) if options else ()
        shared_out = dict.fromkeys(name for names in options.values() for name in names if name not in own)
        return {name: owners(self.step, name) for name in shared_out}

    @model_validator(mode="after")
    def _own_options_only(self) -> Self:
        given: dict[str, list[str]] = {}
        for name, choices in sorted(self.foreign().items()):
            if name in self.model_fields_set:
                given.setdefault(", ".join(choices), []).append(name)
        for owners_of, names in given.items():
            verb = "belongs" if len(names) == 1 else "belong"
            chosen = getattr(self, ROW_KEY[self.step])
            raise ValueError(f"{' and '.join(names)} {verb} to {owners_of}, not to {chosen}")
        return self

    def defining(self) -> dict[str, Any]:
        """Return the settings that define the result, as JSON values, and the rules."""
        without_say = {*self.runtime_fields(), *self.foreign(), *self.idle(dict(self))}
        chosen = self.model_dump(mode="json", exclude=without_say)
        return chosen | {name: rule.now for name, rule in self.rules.items()}


class ClusterSettings(StepSettings):
    """Hold the setting of steps of which a Dask cluster can do the work."""

    scheduler: str | None = setting(
        None,
        "Address of a Dask scheduler (tcp://host:8786, tls://host:8786), or its scheduler file: its workers do the "
        "work. By default that in SWCL_SCHEDULER.",
        panel="Machine",
        runtime=True,
    )


class SeededSettings(StepSettings):
    """Hold the settings of steps that draw at random."""

    seed: int = setting(
        0, "Key of every random draw; the same seed gives the same bytes.", panel="Chance", ge=0, le=1_000_000_000
    )
    workers: int = setting(1, "Processes that decode and augment images.", panel="Machine", runtime=True, ge=0, le=256)


class TrainingSettings(SeededSettings):
    """Hold the settings of steps that train a network."""

    epochs: int = setting(1, "Passes over the training images.", panel="Training", ge=1)
    learning_rate: float = setting(0.1, "Base learning rate.", panel="Training", gt=0)
    weight_decay: float = setting(0.0, "Weight decay; norms and biases have none.", panel="Training", ge=0)
    precision: Precision = setting("fp32", "Arithmetic of the network; losses stay in fp32.", panel="Training")
    colours: Literal["rgb", "released"] = setting(
        "rgb", "Order of the EyePACS colour constants; released: as the released code has them.", panel=REPRODUCTION
    )
    accelerator: Literal["auto", "cpu", "gpu"] = setting("auto", "Where to compute.", panel="Machine", runtime=True)
    processes: int = setting(
        1,
        "Processes of this machine that train as one, each with a GPU of its own or with its share of the cores; over "
        "several machines: torchrun.",
        panel="Machine",
        runtime=True,
        ge=1,
        le=1024,
    )
    save_seconds: float = setting(
        120, "Seconds between two saves of the resume state; 0 saves each step.", panel="Machine", runtime=True, ge=0
    )
    tensorboard: bool = setting(
        False,
        "Write what log.jsonl tells, and a picture of views, for `tensorboard --logdir runs`, too.",
        panel="Machine",
        runtime=True,
    )
    fresh: bool = setting(False, "Start over, even if there is work to resume.", panel="Machine", runtime=True)
