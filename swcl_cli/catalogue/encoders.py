"""Name the networks that are told apart by their weights alone, and the weights that timm knows, by timm's names.

Any other network of timm can be an encoder or a labeler too: it is asked for by `--architecture`.
"""

from __future__ import annotations

ENCODERS = ("resnet18", "resnet34", "resnet50", "resnetv2_50x1_bit")  # files of them need no --architecture
WIDE_MAPS = ("resnet18", "resnet34")  # labelers whose last stage keeps its input's size, as the paper's (FACTS 1)
DEFAULT = "resnetv2_50x1_bit"  # of random weights (paper IV-A)
# Weights that timm downloads, by the paper's names: the tag of each network that has them, the first is the default.
# `imagenet` is torchvision's first recipe on ILSVRC-2012, the plain supervised training that the paper compares with;
# timm's own tags (a1_in1k, ...) come of longer recipes with other losses. BiT-M was trained on ImageNet-21k, and is
# taken before any fine-tuning (`goog_in21k_ft_in1k`). timm has no BiT-S. Of other networks `imagenet` is timm's default
# tag, where that ends with ImageNet.
TAGS = {
    "imagenet": {"resnet50": "tv_in1k", "resnet34": "tv_in1k", "resnet18": "tv_in1k"},
    "bit-m": {"resnetv2_50x1_bit": "goog_in21k"},
}
PACKAGED = "tf_efficientnet_lite0"  # its ImageNet weights come as a Python package, without any other download
EXTRA = "imagenet"  # the optional dependency that installs it
UNTRAINED = "random"
NATURAL = ("imagenet", "bit-s", "bit-m")  # names of weights pretrained on natural images
