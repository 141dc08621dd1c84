"""Class activation maps: by hand, against pooled logits, the order of softmax and upsampling; scores of known maps."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from swcl_cli.data.colour import constants
from swcl_cli.data.pixels import normalise
from swcl_cli.models.cam import abnormal_probability_map, class_activation_maps
from swcl_cli.swap.maps import Scorer
from swcl_cli.training.processes import make_fabric


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


class Redness(nn.Module):
    """Two maps of 2 x 2 cells: the mean red of a cell, and its opposite. Abnormal is what is red."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        with torch.no_grad():
            self.fc.weight.copy_(torch.tensor([[-1.0, 1.0], [0.5, -0.5]]))
            self.fc.bias.copy_(torch.tensor([40.0, -40.0]))  # which must not matter

    def forward_features(self, images: Tensor) -> Tensor:
        red = avg_pool2d(images[:, :1], images.shape[-1] // 2)
        return torch.cat([red, -red], dim=1)


SIDE = 64
RED = 0.5  # above the mean in the left half, below it in the right half: class maps differ by 3 * RED, either way
COLUMNS = 1 / (1 + np.exp(-3 * RED * np.linspace(1, -1, SIDE)))  # of the map: from corner to corner


def red_left() -> Tensor:
    """(1, 3, S, S), normalised with mean 0 and deviation 1; green and blue are far above any background."""
    image = torch.full((1, 3, SIDE, SIDE), 5.0)
    image[:, 0, :, : SIDE // 2], image[:, 0, :, SIDE // 2 :] = RED, -RED
    return image


class LeftSighted(Redness):
    """It sees the left half of a photograph alone, so that a mirrored one is another one to it."""

    def forward_features(self, images: Tensor) -> Tensor:
        return super().forward_features(images) * torch.tensor([1.0, 0.0])


LEFT, UPRIGHT = torch.tensor([False]), torch.tensor([False])


def scorer(background: Literal["released", "none"], network: nn.Module | None = None) -> Scorer:
    return Scorer(make_fabric("cpu", "fp32"), network or Redness(), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), background)


@pytest.mark.parametrize("background", ["released", "none"])
def test_a_network_whose_map_is_known(background: Literal["released", "none"]) -> None:
    maps, scores = scorer(background)(red_left(), UPRIGHT, LEFT)
    np.testing.assert_allclose(maps[0], np.broadcast_to(COLUMNS, (SIDE, SIDE)), atol=1e-6)
    left, right, middle = COLUMNS[:32].mean(), COLUMNS[32:].mean(), COLUMNS[16:48].mean()
    np.testing.assert_allclose(scores, [[left, right, middle, left, right]], atol=1e-6)


def test_background_counts_as_zero_and_is_counted() -> None:
    """The sum of the channels decides: the upper ten rows lie just below that of grey 15/255, then just above."""
    image = red_left()
    image[:, 1, :10], image[:, 2, :10] = 3 * 15 / 255 - image[:, 0, :10] - 1e-4, 0.0
    maps, scores = scorer("released")(image, UPRIGHT, LEFT)
    tl, bl = COLUMNS[:32].mean() * 22 / 32, COLUMNS[:32].mean()
    np.testing.assert_allclose(scores[0, [0, 3]], [tl, bl], atol=1e-6)
    np.testing.assert_allclose(
        maps, scorer("none")(image, UPRIGHT, LEFT)[0], atol=1e-6
    )  # what is shown is the whole map
    image[:, 1, :10] += 2e-4
    np.testing.assert_allclose(scorer("released")(image, UPRIGHT, LEFT)[1][0, 0], bl, atol=1e-6)


@pytest.mark.parametrize("inverted", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("eyes", [(False, True), (True, False), (True, True)])
@pytest.mark.parametrize("background", ["released", "none"])
def test_a_photograph_is_scored_as_it_is_then_turned_then_mirrored(
    background: Literal["released", "none"], eyes: tuple[bool, bool], inverted: tuple[bool, bool]
) -> None:
    """Map and background together (FACTS A8): a network that sees the left alone, columns that are dark on one side,
    and rows that are dark above. Eyes of either side in a batch, upright and upside down.
    """
    image = red_left()
    image[:, 1:, :, :5] = image[:, 1:, :, 40:44] = image[:, 1:, :9] = -5.0
    flags = torch.tensor(inverted), torch.tensor(eyes)
    maps, scores = scorer(background, LeftSighted())(image.repeat(2, 1, 1, 1), *flags)
    seen = np.broadcast_to(1 / (1 + np.exp(-3 * RED * np.linspace(1, 0, SIDE))), (SIDE, SIDE))
    kept = seen.copy()
    if background == "released":
        kept[:, :5] = kept[:, 40:44] = kept[:9] = 0
    for turn, right, found, score in zip(inverted, eyes, maps, scores, strict=True):
        shown, placed = (np.rot90(part, 2) if turn else part for part in (seen, kept))
        shown, placed = (np.fliplr(part) if right else part for part in (shown, placed))
        np.testing.assert_allclose(found, shown, atol=1e-6)
        crops = placed[:32, :32], placed[:32, 32:], placed[16:48, 16:48], placed[32:, :32], placed[32:, 32:]
        np.testing.assert_allclose(score, [crop.mean() for crop in crops], atol=1e-6)


@pytest.mark.parametrize("order", ["rgb", "released"])
def test_grey_15_itself_is_background(order: Literal["rgb", "released"]) -> None:
    """As released (FACTS A6): of pixels as they are stored, grey 15 counts as zero, grey 16 does not."""
    mean, std = constants(order)
    image = np.full((SIDE, SIDE, 3), 15, np.uint8)
    image[:8, :8] = 16
    image[40:, 40:] = 14
    views = torch.from_numpy(normalise(image, mean, std))[None]
    maps, scores = Scorer(make_fabric("cpu", "fp32"), Redness(), mean, std, "released")(views, UPRIGHT, LEFT)
    tl = float(maps[0, :8, :8].sum()) / 32**2
    np.testing.assert_allclose(scores, [[tl, 0, 0, 0, 0]], atol=1e-7)
    assert tl > 1e-3
