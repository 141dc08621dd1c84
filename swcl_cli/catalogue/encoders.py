"""List the networks that can be encoders or labelers, by timm's names. To add one: its name in ENCODERS."""

from __future__ import annotations

ENCODERS = ("resnet18", "resnet34", "resnet50", "resnetv2_50x1_bit")
LABELERS = ("resnet18", "resnet34")  # networks whose last stage can keep its input's size
DEFAULT = "resnetv2_50x1_bit"  # of random weights (paper IV-A)
# Weights that timm downloads, by the paper's names: the tag of each network that has them, the first is the default.
# `imagenet` is torchvision's first recipe on ILSVRC-2012, the plain supervised training that the paper compares with;
# timm's own tags (a1_in1k, ...) come of longer recipes with other losses. BiT-M was trained on ImageNet-21k, and is
# taken before any fine-tuning (`goog_in21k_ft_in1k`). timm has no BiT-S.
TAGS = {
    "imagenet": {"resnet50": "tv_in1k", "resnet34": "tv_in1k", "resnet18": "tv_in1k"},
    "bit-m": {"resnetv2_50x1_bit": "goog_in21k"},
}
UNTRAINED = "random"
NATURAL = ("imagenet", "bit-s", "bit-m")  # names of weights pretrained on natural images
