"""Search a grid for learning rate and weight decay of a pretraining, by the k-NN probe (paper IV-B; FACTS D0)."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import Tensor

from swcl_cli import console, methods
from swcl_cli.data.photographs import manifest_of
from swcl_cli.errors import Diverged
from swcl_cli.methods.method import Method
from swcl_cli.models.encoders import encoder_state
from swcl_cli.pretraining.fitting import fit
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.grid import Rates, best, show
from swcl_cli.training.probe import Probe
from swcl_cli.training.schedules import count_steps
from swcl_cli.workspace import (
    LOG,
    RESUME,
    RunFolder,
    Workspace,
    fingerprint,
    is_done,
    provenance,
    read_provenance,
    require_own,
    write_safetensors,
)

GRID = tuple(Rates(rate, decay) for rate in (0.001, 0.003, 0.0003) for decay in (1e-4, 1e-2))  # ours (FACTS D0)
MEASURE = "knn_auc"


def work_of(settings: PretrainSettings, method: Method, workspace: Workspace) -> dict[str, Any]:
    """Return the provenance of a pretraining with these rates; with --grid the photographs of the probe are an input.

    Raises SwclError where those are not prepared.
    """
    told = {**settings.defining(), "architecture": method.architecture, **method.left_out.setting}
    facts = method.left_out.facts
    if not settings.grid:
        return provenance("pretrain", told, method.inputs, **facts)
    probed = {settings.probe_data: fingerprint(manifest_of(workspace, settings.probe_data))}
    return provenance("pretrain", told, probed | method.inputs, **facts)


@dataclass(frozen=True)
class Search:
    """Train each point of the grid as a pretraining of its own, for its share of the steps, and choose by the probe.

    Points are kept in `folder`, a folder each, until the encoder is written. One that is done is not trained again.
    """

    settings: PretrainSettings
    workspace: Workspace
    folder: RunFolder
    probe: Probe
    fabric: Fabric

    def best(self) -> Rates:
        """Train what is not done, show the points, and return the rates of the one with the largest AUC.

        Raises SwclError where training diverged at every point.
        """
        for rates in GRID:
            self._train(rates)
        points = self.points()
        chosen = best(GRID, [_number(point[MEASURE]) for point in points])
        show(self.folder.name, "k-NN AUC", GRID, [_words(point) for point in points], chosen)
        return GRID[chosen]

    def points(self) -> list[dict[str, Any]]:
        """Return the rates of each point with what the probe measured at its end; null where training diverged."""
        return [
            {"learning_rate": rates.learning_rate, "weight_decay": rates.weight_decay}
            | read_provenance(self.folder.point(rates.name))["probe"]
            for rates in GRID
        ]

    def take(self, settings: PretrainSettings) -> dict[str, Tensor]:
        """Return the weights of the point with these rates; its log becomes the run's, since it is the training."""
        point = self.folder.point(Rates(settings.learning_rate, settings.weight_decay).name)
        shutil.copyfile(point.with_name(LOG), self.folder.log)
        return load_file(point)

    def clear(self) -> None:
        """Remove the weights of the points, once all processes have read them; their logs stay."""
        self.fabric.barrier()
        if self.fabric.is_global_zero:
            for rates in GRID:
                self.folder.point(rates.name).unlink(missing_ok=True)
        self.fabric.barrier()

    def _train(self, rates: Rates) -> None:
        settings = with_rates(self.settings, rates)
        method = methods.prepare(settings, self.workspace)
        if settings.grid_share < 1:
            total = count_steps(settings.epochs, method.steps_per_epoch, settings.views, method.views_a_step)
            views = max(1, round(settings.grid_share * total)) * method.views_a_step
            settings = settings.model_copy(update={"views": views})
            method = methods.prepare(settings, self.workspace)  # schedules know the length
        work, path = work_of(settings, method, self.workspace), self.folder.point(rates.name)
        require_own(path, "pretrain")
        if is_done(path, work, settings.fresh):
            return
        console.say(f"{self.folder.name}: {_title(rates)}")
        job = None
        try:
            job, measured = fit(settings, method, self.probe, self.fabric, path.parent, work)
        except Diverged as error:
            console.warn(f"{error} This point of the grid is out.")
            measured = dict.fromkeys((MEASURE, "knn_low", "knn_high"), math.nan)
        if self.fabric.is_global_zero:
            probed = {name: None if math.isnan(value) else value for name, value in measured.items()}
            write_safetensors(path, encoder_state(method.encoder) if job else {}, {**work, "probe": probed})
            path.with_name(RESUME).unlink(missing_ok=True)
        if job:
            job.finish()
        self.fabric.barrier()


def with_rates(settings: PretrainSettings, rates: Rates) -> PretrainSettings:
    """Return the settings with these rates."""
    given = {"learning_rate": rates.learning_rate, "weight_decay": rates.weight_decay}
    return settings.model_copy(update=given)


def is_searching(folder: RunFolder) -> bool:
    """Check whether the folder holds points, done or begun, of a search that has not come to its end."""
    states = (folder.point(rates.name).with_name(RESUME) for rates in GRID)
    return any(path.exists() for path in (*(folder.point(rates.name) for rates in GRID), *states))


def _title(rates: Rates) -> str:
    return f"learning rate {rates.learning_rate:g}, weight decay {rates.weight_decay:g}"


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _words(point: Mapping[str, Any]) -> str:
    if point[MEASURE] is None:
        return "diverged"
    return f"{point[MEASURE]:.3f} ({point['knn_low']:.3f} to {point['knn_high']:.3f})"
