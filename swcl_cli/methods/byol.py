"""Pretrain by BYOL on whole photographs: predict a teacher's projection of the other view (arXiv 2006.07733)."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.nn.functional import normalize

from swcl_cli.catalogue.methods import RELEASED
from swcl_cli.evaluation.embeddings import spread
from swcl_cli.losses.distillation import of_other_view, regression
from swcl_cli.methods.embedding import Encoding
from swcl_cli.methods.method import Method, initial_encoder
from swcl_cli.methods.on_images import image_method, images_to_learn
from swcl_cli.methods.teacher import MOMENTUM, Teacher
from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.self_distillation_heads import EMBEDDING, BatchFreeMLP
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.schedules import cosine_momentum, count_steps
from swcl_cli.workspace import Workspace


class Bootstrap(nn.Module):
    """Compute the sum over both directions of |q - z'|^2, 0 to 8: q predicted from a view, z' the other view's target.

    Both views pass each network in one batch, so that BatchNorm sees them together; the target takes no gradient.
    """

    def __init__(self, encoding: Encoding, projector: nn.Module, predictor: nn.Module) -> None:
        super().__init__()
        self.online, self.predictor = nn.Sequential(encoding, projector), predictor
        self.target = Teacher(self.online)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return loss and metrics. batch: views uint8 (n, 2, S, S, 3), this process's part; means over photographs."""
        views = batch["views"].flatten(0, 1)
        projections = self.online(views)  # (2n, 256)
        loss = 2 * regression(self.predictor(projections), of_other_view(self.target(views)))
        return loss, {"embedding_spread": spread(normalize(projections.detach().float(), dim=1))}


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build BYOL, which keeps the online encoder: heads and momentum as FACTS D1, optimiser SWCL's (FACTS D0).

    Reads all splits of the data sets, and none of their labels. Raises SwclError where a data set is not prepared, or
    there are fewer photographs than a batch has.
    """
    released = settings.variant == RELEASED
    images = images_to_learn(settings, workspace, settings.data)
    initial = initial_encoder(settings, workspace)
    with keyed_weights(settings.seed, "projector weights"):
        projector = BatchFreeMLP(channels_of(initial.encoder), bias=released)
        predictor = BatchFreeMLP(EMBEDDING, bias=released)
    objective = Bootstrap(Encoding(initial.encoder, initial.mean, initial.std), projector, predictor)
    method = image_method(settings, images, initial, objective)
    total = count_steps(settings.epochs, method.steps_per_epoch, settings.views, method.views_a_step)

    def after_step(step: int) -> None:
        objective.target.update(objective.online, cosine_momentum(step, total, MOMENTUM))

    return replace(method, after_step=after_step)
