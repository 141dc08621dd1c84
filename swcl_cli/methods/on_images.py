"""What the methods on whole photographs share: their batches (paper IV-B; FACTS D1, D2)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from swcl_cli.data.image_views import VIEWS, ImageSet, ImageViews
from swcl_cli.data.loaders import epoch_plan
from swcl_cli.errors import SwclError
from swcl_cli.methods.method import Method, nothing
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import PretrainSettings


def image_method(
    settings: PretrainSettings,
    images: ImageSet,
    initial: Initial,
    objective: nn.Module,
    *,
    encoder: nn.Module | None = None,
    before_step: Callable[[int], None] = nothing,
    after_step: Callable[[int], None] = nothing,
) -> Method:
    """Two views of each photograph; an epoch's order is padded from its own head to full batches, as SWCL's is.

    objective: takes views uint8 (n, 2, S, S, 3) and label (n,), the photograph's number where it has no label.
    encoder: the part of the objective that is kept, by default the one that training began with.
    Raises SwclError where there are fewer photographs than a batch has.
    """
    batch = settings.batch_images
    if len(images) < batch:
        raise SwclError(
            f"{_told(images)}: fewer than a batch of {batch:,}; lower --batch-images to at most {len(images):,}."
        )
    plan, steps = epoch_plan(settings.seed, "image order", len(images), batch, padded=True)
    return Method(
        objective=objective,
        encoder=encoder or initial.encoder,
        architecture=initial.architecture,
        dataset=ImageViews(images, settings.seed, settings.flip == "keep", settings.smallest_crop),
        collate=None,
        plan=plan,
        items_a_step=batch,
        steps_per_epoch=steps,
        views_a_step=VIEWS * batch,
        inputs={**images.inputs, **initial.inputs},
        image_size=images.view_size,
        mean=initial.mean,
        std=initial.std,
        batch_option="--batch-images",
        before_step=before_step,
        after_step=after_step,
        summary=f"{_told(images)}; a batch of {batch:,} = {VIEWS * batch:,} views",
    )


def _told(images: ImageSet) -> str:
    split = f"{images.split} " if images.split else ""
    counted = f"{len(images):,} {split}photographs of {', '.join(images.inputs)}"
    if images.positive is None:
        return f"{counted}, without labels"
    aside = f"; {images.unlabelled:,} without a label are left out" if images.unlabelled else ""
    return f"{counted}, {int(images.positive.sum()):,} of them positive{aside}"
