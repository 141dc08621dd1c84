"""Build the methods that train on whole photographs, in batches of photographs (paper IV-B; FACTS D1, D2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from swcl_cli.audit.without_tests import without_tests
from swcl_cli.data.image_views import ImageSet, ImageViews, read_images
from swcl_cli.data.loaders import epoch_plan
from swcl_cli.errors import SwclError
from swcl_cli.methods.method import Method, nothing
from swcl_cli.models.initialisation import Initial
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace


def images_to_learn(
    settings: PretrainSettings, workspace: Workspace, names: Sequence[str], label: str | None = None,
    split: str | None = None,
) -> ImageSet:  # fmt: skip
    """Read the photographs of these data sets but for those that --without-tests leaves out, as `read_images` does."""
    left_out = without_tests(workspace, settings.without_tests, names)
    return read_images(workspace, names, label, split, left_out)


def image_method(
    settings: PretrainSettings,
    images: ImageSet,
    initial: Initial,
    objective: nn.Module,
    *,
    encoder: nn.Module | None = None,
    whole: bool = False,
    before_step: Callable[[int], None] = nothing,
    after_step: Callable[[int], None] = nothing,
) -> Method:
    """Build a method on views of each photograph. An epoch's order is padded from its start to full batches.

    objective: takes views uint8 (n, V, S, S, 3) and label (n,), the photograph's number where it has no label.
    encoder: the part of the objective that is kept, by default the encoder that training began with. whole: as
    `ImageViews` takes it.
    Raises SwclError where there are fewer photographs than a batch has.
    """
    batch = settings.batch_images
    if len(images) < batch:
        raise SwclError(
            f"{_summary(images)}: fewer than a batch of {batch:,}; lower --batch-images to at most {len(images):,}."
        )
    dataset = ImageViews(images, settings.seed, settings.flip == "keep", settings.smallest_crop, whole)
    plan, steps = epoch_plan(settings.seed, "image order", len(images), batch, padded=True)
    return Method(
        objective=objective,
        encoder=encoder or initial.encoder,
        architecture=initial.architecture,
        dataset=dataset,
        collate=None,
        plan=plan,
        items_a_step=batch,
        steps_per_epoch=steps,
        views=dataset.views,
        views_a_step=dataset.views * batch,
        inputs={**images.inputs, **initial.inputs},
        image_size=dataset.size,
        mean=initial.mean,
        std=initial.std,
        batch_option="--batch-images",
        before_step=before_step,
        after_step=after_step,
        left_out=images.left_out,
        learning=tuple(images.inputs),
        summary=f"{_summary(images)}; a batch of {batch:,} = {dataset.views * batch:,} views",
    )


def _summary(images: ImageSet) -> str:
    split = f"{images.split} " if images.split else ""
    photographs = f"{len(images):,} {split}photographs of {', '.join(images.inputs)}"
    if images.positive is None:
        return f"{photographs}, without labels"
    aside = f"; {images.unlabelled:,} without a label are left out" if images.unlabelled else ""
    return f"{photographs}, {int(images.positive.sum()):,} of them positive{aside}"
