"""Views a second on one core: ours beside torchvision's same operations, and beside lightly's SimCLR transform."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator

import cv2
import pytest
import torch
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import v2

from swcl_cli import chance
from swcl_cli.data import pixels
from swcl_cli.data.augment import contrastive_view
from swcl_cli.data.colour import MEAN, STD
from tests import prepared
from tests.bench.conftest import Row

pytestmark = pytest.mark.bench
SIZE, ROUNDS = 224, 5
PATCHES = [prepared.photograph(item, SIZE, SIZE) for item in range(16)]
PICTURES = [Image.fromarray(patch) for patch in PATCHES]
View = Callable[[int], object]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def ours(item: int) -> object:
    return contrastive_view(PATCHES[item % len(PATCHES)], SIZE, chance.generator(0, "bench view", item=item))


def torchvision_v2(blur: bool) -> View:
    """On uint8 tensors."""
    view = v2.Compose(
        [
            v2.ToImage(), v2.RandomResizedCrop(SIZE, scale=(0.8, 1.0), antialias=True), v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8), v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(23, (0.1, 2.0))], 0.5 if blur else 0.0), v2.RandomSolarize(128, 0.1),
            v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD),
        ]
    )  # fmt: skip
    return lambda item: view(PATCHES[item % len(PATCHES)])


def torchvision_v1(blur: bool) -> View:
    """On Pillow's images."""
    view = v1.Compose(
        [
            v1.RandomResizedCrop(SIZE, scale=(0.8, 1.0)),
            v1.RandomHorizontalFlip(),
            v1.RandomApply([v1.ColorJitter(0.4, 0.4, 0.4, 0.1)], 0.8),
            v1.RandomGrayscale(0.2),
            v1.RandomApply([v1.GaussianBlur(23, (0.1, 2.0))], 0.5 if blur else 0.0),
            v1.RandomSolarize(128, 0.1),
            v1.ToTensor(),
            v1.Normalize(MEAN, STD),
        ]
    )
    return lambda item: view(PICTURES[item % len(PICTURES)])


def lightly(**given: object) -> View:
    """One of the two views that SimCLRTransform makes of each image."""
    transforms = pytest.importorskip("lightly.transforms")
    both = transforms.SimCLRTransform(input_size=SIZE, **given)
    return lambda item: item % 2 or both(PICTURES[item // 2 % len(PICTURES)])


def milliseconds(views: dict[str, View], count: int = 60) -> dict[str, float]:
    """Median over interleaved rounds of the processor time of a view."""
    torch.manual_seed(0)
    items = itertools.count()
    taken: dict[str, list[float]] = {name: [] for name in views}
    for _ in range(ROUNDS):
        for name, view in views.items():
            started = time.process_time()
            for _ in range(count):
                view(next(items))
            taken[name].append((time.process_time() - started) / count * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}


def compare(row: Row, title: str, others: dict[str, View]) -> list[float]:
    """How many times as long as ours each of the others takes."""
    took = milliseconds({"ours": ours, **others})
    row(f"{title}, {SIZE} px: ours", ms=took["ours"], views_a_second=1e3 / took["ours"])
    for name in others:
        row(f"    {name}", ms=took[name], times_ours=took[name] / took["ours"])
    return [took[name] / took["ours"] for name in others]


def test_view_beside_torchvision(row: Row) -> None:
    others = {"torchvision v2, uint8": torchvision_v2(blur=True), "torchvision v1, Pillow": torchvision_v1(blur=True)}
    assert min(compare(row, "a view of the paper's augmentation", others)) >= 6


def test_view_beside_torchvision_where_nobody_blurs(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's blur with 23 x 23 taps is most of its time, and that time differs between its versions."""
    monkeypatch.setattr(pixels, "gaussian_blur", lambda image, _: image)
    others = {"torchvision v2, uint8": torchvision_v2(blur=False), "torchvision v1, Pillow": torchvision_v1(blur=False)}
    compare(row, "a view without blur", others)


def test_view_beside_lightly(row: Row) -> None:
    others = {
        "lightly's SimCLRTransform, its defaults": lightly(),
        "lightly's, with the paper's crops and jitter": lightly(
            min_scale=0.8, cj_bright=0.4, cj_contrast=0.4, cj_sat=0.4, cj_hue=0.1
        ),
    }
    assert min(compare(row, "a view beside SimCLR's", others)) >= 4
