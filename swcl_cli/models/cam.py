"""Compute class activation maps, and the map of lesion probability from them (paper III-B)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def class_activation_maps(features: Tensor, weight: Tensor) -> Tensor:
    """Return M_c(i, j) = sum over k of w_ck f_k(i, j), without the classifier's bias (paper III-B; FACTS A7).

    features: (N, C, h, w) of the last convolution; weight: (K, C) of the linear classifier -> (N, K, h, w).
    """
    return torch.einsum("nchw,kc->nkhw", features, weight)


def abnormal_probability_map(features: Tensor, weight: Tensor, size: int) -> Tensor:
    """Return the softmax over the two class maps, upsampled first (bilinear, align_corners) to `size` px (FACTS A7).

    A softmax of two is a sigmoid of their difference, so that a single channel is upsampled; in fp32.
    features: (N, C, h, w); weight: (2, C), row 1 = abnormal -> (N, size, size), 0 to 1.
    """
    with torch.autocast(features.device.type, enabled=False):
        difference = class_activation_maps(features.float(), (weight[1:] - weight[:1]).float())  # (N, 1, h, w)
        return interpolate(difference, (size, size), mode="bilinear", align_corners=True).sigmoid().squeeze(1)
