"""Class activation maps: by hand, against pooled logits, and the order of softmax and upsampling."""

import torch
from torch.nn.functional import interpolate

from swcl_cli.models.cam import abnormal_probability_map, class_activation_maps


def test_maps_by_hand() -> None:
    # channel 0 sees the left half, channel 1 the top half
    features = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]]])
    weight = torch.tensor([[1.0, 0.0], [2.0, -3.0]])
    expected = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]], [[-1.0, -3.0], [2.0, 0.0]]]])
    torch.testing.assert_close(class_activation_maps(features, weight), expected)


def test_the_mean_of_a_map_is_the_logit_without_bias() -> None:
    torch.manual_seed(0)
    features, classifier = torch.randn(3, 8, 5, 7), torch.nn.Linear(8, 4)
    maps = class_activation_maps(features, classifier.weight)
    assert maps.shape == (3, 4, 5, 7)
    torch.testing.assert_close(maps.mean(dim=(2, 3)) + classifier.bias, classifier(features.mean(dim=(2, 3))))


def test_probability_is_the_softmax_of_both_upsampled_maps() -> None:
    torch.manual_seed(0)
    features, weight = 3 * torch.randn(2, 8, 7, 7), torch.randn(2, 8)
    maps = class_activation_maps(features, weight)
    upsampled = interpolate(maps, (56, 56), mode="bilinear", align_corners=True)
    found = abnormal_probability_map(features, weight, 56)
    torch.testing.assert_close(found, upsampled.softmax(dim=1)[:, 1])
    late = interpolate(maps.softmax(dim=1), (56, 56), mode="bilinear", align_corners=True)[:, 1]
    assert (found - late).abs().max() > 0.02


def test_probability_by_hand() -> None:
    features = torch.tensor([[[[0.0, 4.0]]]])
    found = abnormal_probability_map(features, torch.tensor([[-0.5], [0.5]]), 3)
    torch.testing.assert_close(found, torch.sigmoid(torch.tensor([0.0, 2.0, 4.0])).expand(1, 3, 3))


def test_probability_stays_in_fp32_under_bf16_autocast() -> None:
    torch.manual_seed(0)
    features, weight = torch.randn(1, 8, 7, 7), torch.randn(2, 8)
    with torch.autocast("cpu", torch.bfloat16):
        cast = abnormal_probability_map(features, weight, 28)
    assert torch.equal(cast, abnormal_probability_map(features, weight, 28))
