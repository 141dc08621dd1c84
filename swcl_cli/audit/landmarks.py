"""See in a photograph where disc and fovea lie, and which way the eye lies, by two small networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate

from swcl_cli.audit.descriptor import FLAT, brought, disc
from swcl_cli.audit.field import Field, find_field

RECIPE = 1  # raise it when the same photograph is seen otherwise
WEIGHTS = Path(__file__).with_name("landmarks.safetensors")  # made by tests/audit/learn_landmarks.py (FACTS 10)
SIDE = 96  # pixels of the side of a photograph that is brought to its field of view
INPUT = 64  # of what the networks see
REACH = 1.25  # radii of the field of view, from the disc to the border of what the second one sees
# What it sees: angles and reaches, of which the mean is taken.
COPIES = [(angle, REACH * scale) for angle in (-np.pi / 18, 0.0, np.pi / 18) for scale in (0.87, 1.0, 1.15)]
GRID = INPUT // 4  # places along each side at which the first one looks for disc and fovea
AROUND = 0.25  # radii: how far places count as one, where their mean is taken
BROAD, MIDDLE, FINE, LOCAL = 16.0, 5.0, 1.0, 10.0  # pixels: of illumination, of the disc and of vessels; of contrast
MOST = 4.0  # standard deviations; what differs more is cut off

# How the eye may lie, in the order of the second network's answers: as it is, its picture mirrored left to right, its
# picture mirrored top to bottom, and turned by 180 degrees.
POSES = (("left", False), ("right", False), ("right", True), ("left", True))  # side of the body; upside down


class Point(NamedTuple):
    """Hold a place in pixels of the photograph, and how sure it is, in [0, 1]."""

    x: float
    y: float
    sure: float


@dataclass(frozen=True)
class Seen:
    """Hold what is seen in a photograph: disc, fovea, and log p of the POSES (4,), none being likelier beforehand."""

    disc: Point
    fovea: Point
    poses: NDArray[np.float32]


class Finder(nn.Module):
    """Find disc and fovea: pictures (N, 3, INPUT, INPUT) -> log odds (N, 2, GRID, GRID) up to a constant."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, kept, stride, dilation in (
            (3, 12, 2, 1),
            (12, 24, 2, 1),
            (24, 24, 1, 1),
            (24, 24, 1, 2),
            (24, 24, 1, 4),
        ):
            layers += [nn.Conv2d(channels, kept, 3, stride, dilation, dilation), nn.BatchNorm2d(kept), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Conv2d(24, 2, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        maps: Tensor = self.body(pictures)
        return maps


class Poser(nn.Module):
    """Tell how well pictures around the disc (N, 3, INPUT, INPUT) look like upright left eyes: (N,)."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, kept in ((3, 16), (16, 32), (32, 48)):
            layers += [nn.Conv2d(channels, kept, 3, 2, 1), nn.BatchNorm2d(kept), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout))
        self.head = nn.Linear(48 * (INPUT // 8) ** 2, 1, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        likeness: Tensor = self.head(self.body(pictures))[:, 0]
        return likeness


class Networks(nn.Module):
    """Hold both networks, as one file of weights does."""

    def __init__(self) -> None:
        super().__init__()
        self.finder, self.poser = Finder(), Poser()


@cache
def networks() -> Networks:
    """Load the networks that come with the package."""
    made = Networks()
    made.load_state_dict({name: weight.float() for name, weight in load_file(WEIGHTS).items()})
    return made.eval()


def look(image: NDArray[np.uint8]) -> Seen:
    """See disc, fovea and pose in an RGB photograph (H, W, 3)."""
    field, made = find_field(image), networks()
    picture = torch.from_numpy(picture_of(image, field))[None]
    with torch.inference_mode():
        places = places_of(made.finder, reduced(picture))
        poses = poses_of(made.poser, around(picture, places[:, 0, :2])[None])[0]
    found, fovea = (_point(place.tolist(), field) for place in places[0])
    return Seen(found, fovea, poses.numpy())


def picture_of(image: NDArray[np.uint8], field: Field) -> NDArray[np.float32]:
    """Make of an RGB photograph (H, W, 3) what the networks see, (3, SIDE, SIDE): red and green without illumination,
    and green at unit local contrast; 0 outside the field of view.
    """
    levels, covered = brought(np.asarray(image[..., :2], np.float32), field, SIDE)
    weight = (covered & disc(SIDE)).astype(np.float32)
    seen = max(float(weight.sum()), 1.0)
    channels = []
    for channel in (levels[..., 0], levels[..., 1]):
        detail = (channel - _mean(channel, weight, BROAD)) * weight
        channels.append(detail / (np.sqrt(float((detail**2).sum()) / seen) + FLAT))
    green = levels[..., 1]
    detail = (_mean(green, weight, FINE) - _mean(green, weight, MIDDLE)) * weight
    channels.append(detail / (np.sqrt(_mean(detail * detail, weight, LOCAL)) + FLAT))
    return np.asarray(np.clip(np.stack(channels), -MOST, MOST) * weight, np.float32)


def _mean(values: NDArray[np.float32], weight: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    border = cv2.BORDER_CONSTANT
    above, below = (cv2.GaussianBlur(part, (0, 0), sigma, borderType=border) for part in (values * weight, weight))
    return np.asarray(above / (below + 1e-3), np.float32)


def reduced(pictures: Tensor) -> Tensor:
    """Reduce pictures (N, 3, SIDE, SIDE) to what the finder sees."""
    return interpolate(pictures, size=INPUT, mode="bilinear", antialias=True, align_corners=False)


def around(picture: Tensor, centre: Tensor) -> Tensor:
    """Cut out what lies around a place (1, 2), x and y in radii, in each of COPIES: (1, 3, SIDE, SIDE) -> (C, 3, INPUT,
    INPUT).
    """
    angle, reach = (torch.tensor(values) for values in zip(*COPIES, strict=True))
    cosine, sine = angle.cos() * reach, angle.sin() * reach
    to_picture = torch.stack(
        [cosine, -sine, centre[:, 0].expand(len(COPIES)), sine, cosine, centre[:, 1].expand(len(COPIES))], 1
    )
    grid = affine_grid(to_picture.view(-1, 2, 3), [len(COPIES), 3, INPUT, INPUT], align_corners=False)
    return grid_sample(picture.expand(len(COPIES), -1, -1, -1), grid, align_corners=False)


def laid(pictures: Tensor) -> Tensor:
    """Lay pictures (N, C, H, W) in the four ways of POSES: (N, 4, C, H, W)."""
    return torch.stack([pictures, pictures.flip(-1), pictures.flip(-2), pictures.flip(-1, -2)], 1)


def poses_of(poser: nn.Module, pictures: Tensor) -> Tensor:
    """Return log p (N, 4) of the POSES: each is as likely as the picture, laid so, looks like an upright left eye.

    pictures: (N, C, 3, INPUT, INPUT), copies of each, over which the likeness is averaged.
    """
    likeness: Tensor = poser(laid(pictures.flatten(0, 1)).flatten(0, 1))
    return likeness.view(len(pictures), -1, 4).mean(dim=1).log_softmax(dim=1)


def places_of(finder: nn.Module, pictures: Tensor) -> Tensor:
    """Return x, y and sureness (N, 2, 3) of disc and fovea, in radii from the centre of the field of view.

    Maps are the mean over the four ways that a picture may lie, so that a mirrored one has the mirrored place.
    """
    maps = finder(laid(pictures).flatten(0, 1)).view(-1, 4, 2, GRID, GRID)
    same = torch.stack([maps[:, 0], maps[:, 1].flip(-1), maps[:, 2].flip(-2), maps[:, 3].flip(-1, -2)]).mean(dim=0)
    shares = same.flatten(2).softmax(dim=2)  # (N, 2, GRID * GRID)
    x, y = grid_places()
    peak = shares.argmax(dim=2, keepdim=True)
    near = shares * ((x - x[peak]) ** 2 + (y - y[peak]) ** 2 < AROUND**2)
    sure = near.sum(dim=2)
    return torch.stack([(near * x).sum(dim=2) / sure, (near * y).sum(dim=2) / sure, sure], dim=2)


def grid_places() -> tuple[Tensor, Tensor]:
    """Return x and y of the places (GRID * GRID,) of the finder's maps, in radii."""
    line = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x.flatten(), y.flatten()


def _point(place: list[float], field: Field) -> Point:
    x, y, sure = place
    return Point(float(field.x + x * field.radius), float(field.y + y * field.radius), min(sure, 1.0))
