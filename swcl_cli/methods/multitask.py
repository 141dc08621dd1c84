"""Pretrain by CE-multitask: classify position and abnormality of patches (paper IV-B, FACTS C12)."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from swcl_cli.catalogue.methods import RELEASED
from swcl_cli.evaluation.embeddings import spread
from swcl_cli.methods.embedding import Encoding
from swcl_cli.methods.method import Method, initial_encoder
from swcl_cli.methods.on_pairs import pair_method, read_swap, warn_of_one_kind
from swcl_cli.models.asking import channels_of
from swcl_cli.models.encoders import keyed_weights
from swcl_cli.models.heads import JointHeads
from swcl_cli.settings import PretrainSettings
from swcl_cli.training.processes import count_processes, gather_rows
from swcl_cli.workspace import Workspace

POSITION_WEIGHT = 0.1


class Multitask(nn.Module):
    """Compute the mean over the views of CE(abnormality) + 0.1 CE(position).

    CE(y) = -log softmax(W f + b)_y of features f.
    """

    def __init__(self, encoding: Encoding, heads: JointHeads) -> None:
        super().__init__()
        self.encoding, self.heads = encoding, heads

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return loss and metrics. batch: views uint8 (n, V, S, S, 3), label (n,) = 2 * position + abnormal.

        This process's part of the batch. Parts hold unequal numbers of patches, since some eyes have no partner: each
        counts by its share of the batch.
        """
        features = self.encoding(batch["views"].flatten(0, 1))  # (V n, C)
        label = batch["label"].repeat_interleave(batch["views"].shape[1])
        share = len(label) * count_processes() / len(gather_rows(label)[0])
        truth = {"abnormality": label % 2, "position": label // 2}
        logits = {name: values.float() for name, values in self.heads(features).items()}
        losses = {name: cross_entropy(logits[name], truth[name]) for name in truth}
        right = {name: (logits[name].argmax(dim=1) == truth[name]).float().mean() for name in truth}
        return share * (losses["abnormality"] + POSITION_WEIGHT * losses["position"]), {
            "accuracy": share * right["abnormality"],
            "position_accuracy": share * right["position"],
            "embedding_spread": spread(normalize(features.detach().float(), dim=1)),
        }


def prepare(settings: PretrainSettings, workspace: Workspace) -> Method:
    """Build CE-multitask, whose variant `released` sees one weak view of a patch (FACTS C12).

    Raises SwclError where there is no retinal-SWAP, or it has fewer pairs than a batch has.
    """
    swap = read_swap(settings, workspace, ["position"])
    warn_of_one_kind(swap.patches, "at this threshold")
    position = swap.patches.label
    swap = replace(swap, patches=replace(swap.patches, label=2 * position + swap.patches.abnormal))
    initial = initial_encoder(settings, workspace)
    classes = {"abnormality": 2, "position": int(position.max()) + 1}
    with keyed_weights(settings.seed, "head weights"):
        heads = JointHeads(channels_of(initial.encoder), classes)
    encoding = Encoding(initial.encoder, initial.mean, initial.std)
    weak = settings.variant == RELEASED
    return pair_method(settings, swap, initial, Multitask(encoding, heads), weak=weak)
