"""Pretrain the supervised baselines: an encoder and a linear unit, on photographs labelled by hand (FACTS D2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from swcl_cli.catalogue.labels import ABNORMAL, DR_GRADE
from swcl_cli.catalogue.methods import RELEASED
from swcl_cli.errors import SwclError
from swcl_cli.evaluation.embeddings import spread
from swcl_cli.methods.embedding import Encoding
from swcl_cli.methods.method import Method, initial_encoder
from swcl_cli.methods.on_images import image_method, images_to_learn
from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.settings import PretrainSettings
from swcl_cli.workspace import Workspace


class BinaryClassification(nn.Module):
    """Compute the mean over the views of -log p(label), p = sigmoid(w f + b) of a view's pooled features f.

    It is the cross-entropy of a softmax of two logits, as the released code has it: w f + b is their difference.
    """

    def __init__(self, encoding: Encoding, head: nn.Linear) -> None:
        super().__init__()
        self.encoding, self.head = encoding, head

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return loss and metrics. batch: views uint8 (n, V, S, S, 3), label (n,) 0 or 1."""
        features = self.encoding(batch["views"].flatten(0, 1))  # (V n, C)
        logit = self.head(features).squeeze(1).float()
        label = batch["label"].repeat_interleave(batch["views"].shape[1])
        loss = binary_cross_entropy_with_logits(logit, label.float())
        return loss, {
            "accuracy": ((logit > 0) == (label > 0)).float().mean(),
            "embedding_spread": spread(normalize(features.detach().float(), dim=1)),
        }


def prepare_odir(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build a classifier of normal or abnormal, by the keywords of OIA-ODIR."""
    return _prepare(settings, workspace, "odir", ABNORMAL)


def prepare_eyepacs(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build a classifier of diabetic retinopathy (level > 0), on Kaggle EyePACS."""
    return _prepare(settings, workspace, "eyepacs", DR_GRADE)


def _prepare(settings: PretrainSettings, workspace: Workspace, dataset: str, label: str) -> Method:
    """Build a binary classifier. Raises SwclError where data are not prepared, or lack labels or a class.

    The variant `released` sees all labelled photographs of the data set, one view of each at the prepared size, cropped
    and flipped alone; the variant `ours` those of the train split, in two contrastive views at half the size.
    """
    released = settings.variant == RELEASED
    images = images_to_learn(settings, workspace, [dataset], label, None if released else "train")
    positive = int(images.positive.sum()) if images.positive is not None else 0
    if positive in (0, len(images)):
        split = f" in the {images.split} split" if images.split else ""
        raise SwclError(
            f"{positive:,} of the {len(images):,} labelled photographs{split} of {dataset} have {label} above 0: there "
            f"is nothing to tell apart. Prepare more of {dataset}."
        )
    initial = initial_encoder(settings, workspace)
    with keyed_weights(settings.seed, "head weights"):
        head = nn.Linear(channels_of(initial.encoder), 1)
    encoding = Encoding(initial.encoder, initial.mean, initial.std)
    return image_method(settings, images, initial, BinaryClassification(encoding, head), whole=released)
