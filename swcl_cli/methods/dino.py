"""Pretrain by DINO on whole photographs: predict a teacher's distribution over learnt classes (arXiv 2104.14294)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from swcl_cli import console
from swcl_cli.catalogue.methods import RELEASED
from swcl_cli.evaluation.embeddings import spread, teacher_fault
from swcl_cli.losses.distillation import mean_entropy, of_other_view, sharpened, soft_cross_entropy
from swcl_cli.methods.embedding import Embedding
from swcl_cli.methods.method import Method, initial_encoder
from swcl_cli.methods.on_images import image_method, images_to_learn
from swcl_cli.methods.teacher import MOMENTUM, Teacher
from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.self_distillation_heads import Bottleneck, Prototypes
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.processes import mean_of_processes
from swcl_cli.training.schedules import cosine_momentum, count_steps, linear
from swcl_cli.workspace import Workspace

STUDENT_TEMPERATURE = 0.1
TEACHER_TEMPERATURE = (0.04, 0.07)  # from, to
SHARP_EPOCHS = 30  # in which this temperature rises
CENTRE_MOMENTUM = 0.9
FROZEN_EPOCHS = 1  # in which the student's last layer stays as it is


class SelfDistillation(nn.Module):
    """Compute the cross-entropy of the student on a view and the teacher on the other (eq. 3, two views, no crops).

    Both views pass each network in one batch. `centre`, the running mean of the teacher's outputs over all processes,
    is a buffer, at first 0 or as given; temperature and frozen are set for each step, and gradients of a frozen last
    layer are dropped.
    """

    centre: Tensor

    def __init__(self, embedding: Embedding, prototypes: Prototypes, centre: Tensor | None = None) -> None:
        super().__init__()
        self.student = nn.Sequential(embedding, prototypes)
        self.teacher = Teacher(self.student)
        self.register_buffer("centre", torch.zeros(prototypes.out_features) if centre is None else centre)
        self.temperature, self.frozen = TEACHER_TEMPERATURE[0], False
        self.teacher_entropy = torch.tensor(torch.nan)  # of the last step

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return loss and metrics. batch: views uint8 (n, 2, S, S, 3), this process's part; means over photographs."""
        views = batch["views"].flatten(0, 1)
        embedding, prototypes = self.student
        z = embedding(views)  # (2n, 256)
        outputs = self.teacher(views)  # (2n, 4096)
        targets = sharpened(outputs, self.centre, self.temperature)
        loss = soft_cross_entropy(prototypes(z), of_other_view(targets), STUDENT_TEMPERATURE)
        self.centre.lerp_(mean_of_processes(outputs.mean(dim=0)), 1 - CENTRE_MOMENTUM)
        self.teacher_entropy = mean_entropy(targets)
        return loss, {"embedding_spread": spread(z.detach()), "teacher_entropy": self.teacher_entropy}

    def drop_frozen_gradients(self) -> None:
        """Drop the frozen layer's gradient: without it the optimiser changes neither weights nor moments."""
        if self.frozen:
            self.student[1].weight.grad = None


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build DINO, which keeps the teacher's encoder: head, temperatures and momenta as FACTS D1, optimiser as FACTS D0.

    The variant `released` keeps the student's, has the smaller head, trains its last layer from the start, and draws
    the first centre.
    Reads all splits of the data sets, and none of their labels. Raises SwclError where a data set is not prepared, or
    there are fewer photographs than a batch has.
    """
    released = settings.variant == RELEASED
    images = images_to_learn(settings, workspace, settings.data)
    initial = initial_encoder(settings, workspace)
    with keyed_weights(settings.seed, "projector weights"):
        bottleneck = Bottleneck(channels_of(initial.encoder), released=released)
        prototypes = Prototypes()
    with keyed_weights(settings.seed, "centre"):
        centre = torch.rand(prototypes.out_features) if released else None
    embedding = Embedding(initial.encoder, bottleneck, initial.mean, initial.std, chunk=0)
    objective = SelfDistillation(embedding, prototypes, centre)
    encoder = initial.encoder if released else objective.teacher.network.get_submodule("0.encoder")
    method = image_method(settings, images, initial, objective, encoder=encoder)
    epoch = method.steps_per_epoch
    total = count_steps(settings.epochs, epoch, settings.views, method.views_a_step)

    def before_step(step: int) -> None:
        objective.temperature = linear(step, SHARP_EPOCHS * epoch, *TEACHER_TEMPERATURE)
        objective.frozen = not released and step < FROZEN_EPOCHS * epoch

    def after_step(step: int) -> None:
        objective.teacher.update(objective.student, cosine_momentum(step, total, MOMENTUM))
        if (step + 1) % epoch == 0:
            _warn_of_collapse(float(objective.teacher_entropy), (step + 1) // epoch)

    return replace(
        method, before_step=before_step, before_update=objective.drop_frozen_gradients, after_step=after_step
    )


def _warn_of_collapse(entropy: float, epoch: int) -> None:
    if fault := teacher_fault(entropy):
        console.warn(f"Epoch {epoch}: the teacher {fault} (entropy {entropy:.4f} of 1). Lower --learning-rate.")
