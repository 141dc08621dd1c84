"""Views: their shapes, what they draw (against torchvision's transforms), and that image and mask stay together."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from swcl_cli import chance
from swcl_cli.data import augment, pixels
from swcl_cli.data.colour import MEAN, STD
from tests import prepared

RNG = np.random.default_rng(0)
PHOTOGRAPH = RNG.integers(0, 256, (120, 150, 3), dtype=np.uint8)
ZERO, ONE = (0.0, 0.0, 0.0), (1 / 255,) * 3  # with these a view holds grey levels
VIEWS = [augment.contrastive_view, augment.labeler_view, augment.classification_view]
PIXELS = [augment.contrastive_pixels, augment.flipped_pixels, augment.classification_pixels]
View = Callable[..., NDArray[np.float32]]


def levels(view: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.rint(view).astype(np.int64)


def test_colour_constants_are_in_rgb_order() -> None:
    assert MEAN[0] > MEAN[1] > MEAN[2] and STD[0] > STD[1] > STD[2]  # a retina is red


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", [16, 96, 224])
def test_shape_and_type(view: View, size: int) -> None:
    made = view(PHOTOGRAPH, size, chance.generator(0, "view"))
    assert made.shape == (3, size, size) and made.dtype == np.float32 and made.flags.c_contiguous
    assert np.isfinite(made).all()


@pytest.mark.parametrize("view", VIEWS)
def test_the_key_decides_the_view(view: View) -> None:
    before = PHOTOGRAPH.copy()
    first, again, other = (view(PHOTOGRAPH, 64, chance.generator(0, "view", item=item)) for item in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(PHOTOGRAPH, before)


@pytest.mark.parametrize("view", VIEWS)
def test_normalises_by_the_colours_that_it_is_given(view: View) -> None:
    given = [view(PHOTOGRAPH, 32, chance.generator(0, "view"), *colours) for colours in ((), (MEAN, STD), (ZERO, ONE))]
    np.testing.assert_array_equal(given[0], given[1])
    expected = (given[2] / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    np.testing.assert_allclose(given[0], expected, atol=1e-5)


def test_contrastive_view_applies_each_operation_as_often_as_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: dict[str, int] = {}

    def counting(name: str) -> Callable[..., NDArray[np.uint8]]:
        def operation(image: NDArray[np.uint8], *_: float) -> NDArray[np.uint8]:
            counts[name] = counts.get(name, 0) + 1
            return image

        return operation

    probabilities = {
        "flip": 0.5, "adjust_brightness": 0.8, "adjust_contrast": 0.8, "adjust_saturation": 0.8, "adjust_hue": 0.8,
        "to_grey": 0.2, "gaussian_blur": 0.5, "solarize": 0.1,
    }  # fmt: skip
    for name in probabilities:
        monkeypatch.setattr(pixels, name, counting(name))
    for item in range(2000):
        augment.contrastive_view(PHOTOGRAPH, 8, chance.generator(0, "counts", item=item))
    for name, probability in probabilities.items():
        assert counts[name] / 2000 == pytest.approx(probability, abs=0.04), name  # 3.6 standard deviations


def test_jitter_draws_what_color_jitter_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[float]] = {"brightness": [], "contrast": [], "saturation": [], "hue": []}
    orders: list[tuple[str, ...]] = []

    def recording(name: str) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
        def operation(image: NDArray[np.uint8], amount: float) -> NDArray[np.uint8]:
            drawn[name].append(amount)
            orders[-1] += (name,)
            return image

        return operation

    for name in drawn:
        monkeypatch.setattr(pixels, f"adjust_{name}", recording(name))
    for item in range(3000):
        orders.append(())
        augment.labeler_view(PHOTOGRAPH, 8, chance.generator(1, "jitter", item=item))

    torch.manual_seed(0)
    jitter = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
    theirs = [jitter.make_params([]) for _ in range(3000)]
    for name, amounts in drawn.items():
        expected = np.array([draw[f"{name}_factor"] for draw in theirs])
        assert largest_gap(np.array(amounts), expected) < 0.05, name
    assert {len(order) for order in orders} == {0, 4}
    counts = Counter(order for order in orders if order)
    assert len(counts) == 24
    mean = counts.total() / 24
    assert sum((count - mean) ** 2 / mean for count in counts.values()) < 49.7  # chi-square, p = 0.001


def largest_gap(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Kolmogorov and Smirnov's distance; 0.05 is p = 0.002 at 2,400 against 3,000 draws."""
    points = np.sort(np.concatenate([a, b]))
    return float(
        np.abs(
            np.searchsorted(np.sort(a), points, "right") / len(a)
            - np.searchsorted(np.sort(b), points, "right") / len(b)
        ).max()
    )


def drawn_values(boxes: NDArray[np.int64]) -> list[NDArray[np.floating]]:
    """boxes: (N, 4), left, top, width and height -> these, areas and aspect ratios, (N,) each."""
    return [*boxes.T.astype(float), boxes[:, 2:].prod(axis=1).astype(float), boxes[:, 2] / boxes[:, 3]]


@pytest.mark.parametrize("smallest", [0.8, 0.08])
@pytest.mark.parametrize(("height", "width"), [(224, 224), (448, 597), (300, 200)])
def test_crops_are_drawn_as_random_resized_crop_draws_them(height: int, width: int, smallest: float) -> None:
    draws = [chance.generator(0, "crop", item=item) for item in range(3000)]
    ours = np.array([augment.crop_box(height, width, draw, smallest) for draw in draws])
    torch.manual_seed(0)
    crop = v2.RandomResizedCrop(224, scale=(smallest, 1.0))
    params = [crop.make_params([torch.empty(3, height, width)]) for _ in range(3000)]
    theirs = np.array([[drawn["left"], drawn["top"], drawn["width"], drawn["height"]] for drawn in params])
    assert (ours[:, :2] >= 0).all() and (ours[:, :2] + ours[:, 2:] <= (width, height)).all()
    for mine, other in zip(drawn_values(ours), drawn_values(theirs), strict=True):
        assert largest_gap(mine, other) < 0.05
    assert ours[:, 2:].prod(axis=1).min() >= 0.97 * smallest * height * width


@pytest.mark.parametrize("view", [augment.contrastive_view, *PIXELS])
def test_the_least_share_of_a_crop_reaches_the_view(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[float, list[float]] = {0.8: [], 0.08: []}
    for smallest, shares in seen.items():
        monkeypatch.setattr(
            pixels,
            "resize",
            lambda image, width, height, shares=shares: (
                shares.append(image.shape[0] * image.shape[1] / PHOTOGRAPH[..., 0].size),
                np.zeros((height, width, 3), np.uint8),
            )[1],
        )
        for item in range(300):
            view(PHOTOGRAPH, 8, chance.generator(0, "share", item=item), smallest=smallest)
    assert 0.78 < min(seen[0.8]) < 0.85 and 0.07 < min(seen[0.08]) < 0.15


@pytest.mark.parametrize("view", PIXELS)
def test_without_the_flip_all_else_stays(view: Callable[..., NDArray[np.uint8]]) -> None:
    flipped = 0
    for item in range(60):
        with_flip, without = (
            view(PHOTOGRAPH, 32, chance.generator(0, "flip", item=item), flip) for flip in (True, False)
        )
        same = np.array_equal(with_flip, without)
        flipped += not same
        # a flip changes the last bits of the mean grey and of a blur
        assert same or np.abs(with_flip[:, ::-1].astype(int) - without).max() <= 1
    assert 20 <= flipped <= 40


def test_a_view_is_its_pixels_normalised() -> None:
    for item in range(6):
        draws = [chance.generator(0, "pixels", item=item) for _ in range(2)]
        drawn = augment.contrastive_pixels(PHOTOGRAPH, 48, draws[0])
        assert drawn.shape == (48, 48, 3) and drawn.dtype == np.uint8
        view = augment.contrastive_view(PHOTOGRAPH, 48, draws[1], ZERO, ONE)
        np.testing.assert_array_equal(levels(view), drawn.transpose(2, 0, 1))


class Scripted:
    """Stands in for a random generator whose draws from a range are given, and whose places are the last possible."""

    def __init__(self, *values: float) -> None:
        self.values = values
        self.bounds: list[int] = []

    def uniform(self, _low: float, _high: float) -> float:
        self.values = (*self.values[1:], self.values[0])
        return self.values[-1]

    def integers(self, bound: int) -> int:
        self.bounds.append(bound)
        return bound - 1


@pytest.mark.parametrize(
    ("height", "width", "share", "aspect", "box", "bounds"),
    [
        pytest.param(10, 10, 1.0, 1.0, (0, 0, 10, 10), [1, 1], id="all of it"),
        pytest.param(10, 12, 0.5, 0.6, (6, 0, 6, 10), [7, 1], id="as high as it"),
        pytest.param(12, 10, 0.5, 1 / 0.6, (0, 6, 10, 6), [1, 7], id="as wide as it"),
        pytest.param(8, 8, 1 / 64, 1.0, (7, 7, 1, 1), [8, 8], id="one pixel"),
        pytest.param(4, 4, 0.03, 0.5, (0, 0, 4, 4), [], id="no width"),
        pytest.param(4, 4, 0.03, 2.0, (0, 0, 4, 4), [], id="no height"),
        pytest.param(10, 10, 1.0, 1.22, (0, 0, 10, 10), [], id="too wide"),
        pytest.param(10, 10, 1.0, 1 / 1.22, (0, 0, 10, 10), [], id="too high"),
    ],
)
def test_boxes_that_fit_by_hand(
    height: int, width: int, share: float, aspect: float, box: tuple[int, ...], bounds: list[int]
) -> None:
    """A side is the root of area times or by aspect, rounded; where none fits, the central box stands in."""
    script = Scripted(share, math.log(aspect))
    drawn: Any = script
    assert augment.crop_box(height, width, drawn) == box and script.bounds == bounds


@pytest.mark.parametrize("view", [*VIEWS, augment.flipped_pixels])
def test_a_view_shows_the_box_that_was_drawn(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a photograph that is wider than high, of which each pixel says where it is."""
    y, x = np.mgrid[:60, :200]
    places = np.stack([x, y, y], axis=2).astype(np.uint8)
    shown: list[tuple[int, ...]] = []

    def cropped(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
        shown.append((*image[0, 0, :2].tolist(), image.shape[1], image.shape[0]))
        assert image[-1, -1, :2].tolist() == [shown[-1][0] + image.shape[1] - 1, shown[-1][1] + image.shape[0] - 1]
        return np.zeros((height, width, 3), np.uint8)

    monkeypatch.setattr(pixels, "resize", cropped)
    for item in range(20):
        view(places, 8, chance.generator(0, "box", item=item))
    assert shown == [augment.crop_box(60, 200, chance.generator(0, "box", item=item)) for item in range(20)]


class Ends:
    """Stands in for a random generator that always draws one end of a range, and of which all that may happen does."""

    def __init__(self, upper: bool) -> None:
        self.upper = upper

    def random(self) -> float:
        return 0.0

    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        end = high if self.upper else low
        return end if size is None else np.full(size, end)

    def integers(self, bound: int) -> int:
        return bound - 1 if self.upper else 0

    def permutation(self, count: int) -> NDArray[np.int64]:
        return np.arange(count)


@pytest.mark.parametrize("size", [224, 112])
@pytest.mark.parametrize(
    ("upper", "factor", "hue", "sigma"),
    [(False, 0.6, -0.1, 0.1), (True, 1.4, 0.1, 2.0)],  # FACTS C5
)
def test_the_ends_of_what_is_drawn(
    size: int, upper: bool, factor: float, hue: float, sigma: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    amounts: dict[str, float] = {}

    def noting(name: str) -> Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]:
        def operation(image: NDArray[np.uint8], amount: float) -> NDArray[np.uint8]:
            amounts[name] = amount
            return image

        return operation

    for name in ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue", "gaussian_blur"):
        monkeypatch.setattr(pixels, name, noting(name))
    ends: Any = Ends(upper)
    augment.contrastive_pixels(PHOTOGRAPH, size, ends)
    expected = dict.fromkeys(("adjust_brightness", "adjust_contrast", "adjust_saturation"), factor)
    assert amounts == pytest.approx(expected | {"adjust_hue": hue, "gaussian_blur": sigma * size / 224}, rel=1e-9)


@pytest.mark.parametrize(("height", "width"), [(400, 100), (100, 400), (101, 300)])
def test_long_images_fall_back_to_the_central_crop(height: int, width: int) -> None:
    crop = v2.RandomResizedCrop(224, scale=(0.8, 1.0)).make_params([torch.empty(3, height, width)])
    expected = (crop["left"], crop["top"], crop["width"], crop["height"])
    assert augment.crop_box(height, width, chance.generator(0, "crop")) == expected


def test_blur_scales_with_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sigmas: dict[int, list[float]] = {224: [], 56: []}
    for size, found in sigmas.items():
        monkeypatch.setattr(pixels, "gaussian_blur", lambda image, sigma, found=found: (found.append(sigma), image)[1])
        for item in range(500):
            augment.contrastive_view(PHOTOGRAPH, size, chance.generator(0, "blur", item=item))
    torch.manual_seed(0)
    blur = v2.GaussianBlur(23, (0.1, 2.0))
    theirs = np.array([blur.make_params([])["sigma"][0] for _ in range(3000)])
    assert largest_gap(np.array(sigmas[224]), theirs) < 0.1  # p = 0.01 at 250 against 3,000 draws
    assert min(sigmas[224]) >= 0.1 and max(sigmas[224]) <= 2
    np.testing.assert_allclose(np.array(sigmas[56]) * 4, sigmas[224])


TORCHVISION: dict[str, Callable[..., torch.Tensor]] = {
    "resize": lambda image, width, height: reference.resize(image, [height, width], antialias=True),
    "flip": reference.horizontal_flip,
    "adjust_brightness": reference.adjust_brightness,
    "adjust_contrast": reference.adjust_contrast,
    "adjust_saturation": reference.adjust_saturation,
    "adjust_hue": reference.adjust_hue,
    "to_grey": lambda image: reference.rgb_to_grayscale(image, 3),
    "gaussian_blur": lambda image, sigma: reference.gaussian_blur(image, [23, 23], [sigma]),
    "solarize": lambda image: reference.solarize(image, 128),
}


def test_whole_views_are_torchvisions_of_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same operations with the same amounts, one after the other: rounding adds up to less than 2 grey levels."""
    calls: list[tuple[NDArray[np.uint8], str, tuple[float, ...]]] = []

    def recording(name: str) -> Callable[..., NDArray[np.uint8]]:
        operation: Callable[..., NDArray[np.uint8]] = getattr(pixels, name)

        def recorded(image: NDArray[np.uint8], *amounts: float) -> NDArray[np.uint8]:
            calls.append((image, name, amounts))
            return operation(image, *amounts)

        return recorded

    for name in TORCHVISION:
        monkeypatch.setattr(pixels, name, recording(name))
    patch = prepared.photograph(3, 96, 96)
    gaps = []
    for item in range(40):
        calls.clear()
        ours = augment.contrastive_pixels(patch, 96, chance.generator(0, "whole", item=item))
        theirs = torch.from_numpy(calls[0][0].copy()).permute(2, 0, 1)
        for _, name, amounts in calls:
            theirs = TORCHVISION[name](theirs, *amounts)
        gaps.append(np.abs(ours.astype(int) - theirs.permute(1, 2, 0).numpy()).mean())
    assert np.mean(gaps) < 1 and max(gaps) < 2, max(gaps)


def numbered(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A mask of cell numbers, and an image that shows the number of each cell as its grey level."""
    mask = np.random.default_rng(0).integers(1, 250, (height, width), dtype=np.uint8)
    return np.repeat(mask[..., None], 3, axis=2), mask


@pytest.mark.parametrize(("height", "width"), [(60, 80), (32, 32), (20, 80), (60, 25), (9, 7)])
def test_image_and_mask_stay_together(height: int, width: int) -> None:
    image, mask = numbered(height, width)
    places = set()
    for item in range(60):
        view, labels = augment.segmentation_view(image, mask, 32, chance.generator(0, "s", item=item), ZERO, ONE)
        assert view.shape == (3, 32, 32) and labels.shape == (32, 32) and labels.dtype == np.int64
        outside = labels == augment.IGNORED
        # grey weights add up to 0.9999 and are floored, so that a grey view may be one level darker
        assert (np.abs(levels(view) - np.where(outside, 0, labels)) <= 1).all()
        np.testing.assert_allclose(view, levels(view), atol=1e-3)  # grey levels are whole
        assert (~outside).sum() == min(height, 32) * min(width, 32)
        places.add(labels.tobytes())
    assert len(places) >= (2 if (height, width) == (32, 32) else 20)


def test_segmentation_greys_a_fifth_of_the_views_and_flips_half() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, :16] = (200, 100, 50)
    made = [
        augment.segmentation_view(image, image[..., 0] // 200, 32, chance.generator(0, "g", item=i), ZERO, ONE)
        for i in range(1000)
    ]
    assert np.mean([view[0].max() == view[2].max() for view, _ in made]) == pytest.approx(0.2, abs=0.05)
    assert np.mean([labels[0, 0] == 0 for _, labels in made]) == pytest.approx(0.5, abs=0.06)


def test_center_view_is_resize_and_center_crop() -> None:
    gradient = np.add.outer(np.arange(350), np.arange(421))[..., None] // np.array([4, 5, 6])
    image = gradient.astype(np.uint8)
    theirs = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])(torch.from_numpy(image).permute(2, 0, 1))
    ours = augment.center_view(image, 256, 224, ZERO, ONE)
    assert ours.shape == (3, 224, 224)
    assert np.abs(ours - theirs.numpy()).mean() < 0.6


def test_center_view_of_the_right_size_only_crops() -> None:
    expected = PHOTOGRAPH[10:110, 25:125].transpose(2, 0, 1)
    np.testing.assert_array_equal(levels(augment.center_view(PHOTOGRAPH, 120, 100, ZERO, ONE)), expected)


@pytest.mark.parametrize(("height", "width"), [(300, 450), (450, 300), (90, 60), (224, 224)])
def test_whole_photographs_fit_into_a_square(height: int, width: int) -> None:
    gradient = np.add.outer(np.arange(height), np.arange(width))[..., None] // np.array([4, 5, 6]) + 20
    tensor = torch.from_numpy(gradient.astype(np.uint8)).permute(2, 0, 1)
    squashed = v2.Resize((224, 224), antialias=True)(tensor)
    longer = max(height, width)
    inside = [round(side * 224 / longer) for side in (height, width)]
    bars = [(224 - side) // 2 for side in inside]
    margins = [bars[1], bars[0], 224 - inside[1] - bars[1], 224 - inside[0] - bars[0]]  # left, top, right, bottom
    padded = v2.Pad(margins)(v2.Resize(inside, antialias=True)(tensor))
    for ours, theirs in (
        (augment.squashed_view(gradient.astype(np.uint8), 224, ZERO, ONE), squashed),
        (augment.padded_view(gradient.astype(np.uint8), 224, ZERO, ONE), padded),
    ):
        assert ours.shape == (3, 224, 224) and np.abs(ours - theirs.numpy()).mean() < 0.6
        np.testing.assert_array_equal(ours == 0, theirs.numpy() == 0)


def test_a_photograph_of_a_pixel_s_height_fits_too() -> None:
    view = augment.padded_view(np.full((1, 900, 3), 200, np.uint8), 64, ZERO, ONE)
    assert (view[:, 31] > 0).all() and not view[:, :31].any() and not view[:, 32:].any()
