"""The supervised contrastive loss of the paper (section III-C)."""

import torch
from torch import Tensor


def supervised_contrastive(z: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean over anchors of the mean over positives of -log p (SupCon "L_out", eq. 2 of arXiv 2004.11362; paper III-C).

    z: (N, D), rows of unit length; labels: (N,) int64, equal = positive pair. An anchor without a positive adds 0.
    Computed in fp32 also under autocast, since exp(1 / temperature) leaves bf16 two digits.
    """
    with torch.autocast(z.device.type, enabled=False):
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
        positive = (labels[:, None] == labels) & ~itself  # (N, N)
        log_p = (z @ z.T / temperature).masked_fill(itself, -torch.inf).log_softmax(dim=1)  # (N, N)
        per_anchor = log_p.masked_fill(~positive, 0.0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
        return -per_anchor.mean()
