"""Make swcl_cli/audit/landmarks.safetensors, in some ten minutes of a core:

    python -m tests.audit.learn_landmarks WORKSPACE OUT UPRIGHT...

WORKSPACE holds `idrid-seg` and the data sets UPRIGHT, nearly all of whose photographs lie upright, prepared. Nobody's
marks of what lies upside down are read: discs are learnt from IDRiD-seg's masks and from phantom eyes, then from what
that finder is sure of in the other photographs, where an eye's name does not tell the other side; foveae are the dark
spots where one has to be, beside the disc. How eyes lie is learnt from these upright photographs and their turned and
mirrored copies.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from swcl_cli.audit.field import Field, find_field
from swcl_cli.audit.landmarks import (
    INPUT,
    REACH,
    SIDE,
    Networks,
    grid_places,
    picture_of,
    places_of,
    poses_of,
    reduced,
)
from swcl_cli.data import manifest
from swcl_cli.data.images import read_image, read_mask
from swcl_cli.phantom.eye.disease import choose_findings
from swcl_cli.phantom.eye.patient import draw_patient
from swcl_cli.workspace import Workspace

SEED, PHANTOMS, FIRST_PHANTOM, HEIGHT = 7, 100, 50_000_000, 192
DISC_VALUE = 16  # the bit of the disc in IDRiD-seg's prepared masks
FIRST, SECOND, THIRD, BATCH = 500, 1000, 1200, 48
RATE, DECAY = 3e-3, 1e-2
BLUR = 0.1  # radii: of the truth on the finder's maps
SURE = 0.6  # of discs that are taken as truth
WRONG = 0.03  # share of names, and of upright sets, that is not as it says
FAINTER = torch.tensor([1.0, 1.0, 0.3])  # lights, in the channel of local contrast
LEFT, RIGHT, EITHER = 0, 1, 2
AWAY, BELOW, SPREAD = 0.78, 0.12, (0.15, 0.13)  # radii: from disc to fovea, and how far it varies


@dataclass
class Upright:
    """Hold N upright photographs: pictures, which eyes they are, and disc and fovea (N, 2, 2) in radii, NaN unknown."""

    pictures: Tensor
    eyes: Tensor
    places: Tensor
    weight: float

    def kept(self, some: Tensor) -> Upright:
        return Upright(self.pictures[some], self.eyes[some], self.places[some], self.weight)


def main() -> None:
    workspace, out = Workspace(Path(sys.argv[1])), Path(sys.argv[2])
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    began = time.monotonic()

    def tell(words: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {words}", flush=True)

    marked = [prepared(workspace, "idrid-seg", 1.0), phantoms(0.5)]
    plain = [prepared(workspace, name, 1.5) for name in sys.argv[3:]]
    tell(f"{sum(len(part.eyes) for part in (*marked, *plain)):,} pictures")
    nets = Networks()
    tell(f"discs: loss {learn_finder(nets.finder, marked, FIRST):.3f}")
    seen = [sure_discs(nets.finder, part) for part in plain]
    tell(f"sure discs: {[len(part.eyes) for part in seen]} of {[len(part.eyes) for part in plain]}")
    sets = [with_foveae(marked[0]), marked[1], *map(with_foveae, seen)]
    nets = Networks()
    tell(f"discs and foveae: loss {learn_finder(nets.finder, sets, SECOND):.3f}")
    tell(f"poses: loss {learn_poser(nets, [marked[1], *plain], THIRD):.3f}")
    save_file({name: weight.half().contiguous() for name, weight in nets.eval().state_dict().items()}, out)
    tell(f"{out}: {out.stat().st_size:,} bytes")


def prepared(workspace: Workspace, name: str, weight: float) -> Upright:
    rows = manifest.read(workspace.manifest(name), ["path", "eye", "mask_path"])
    pictures, places = [], []
    for path, mask_path in zip(rows["path"], rows["mask_path"], strict=True):
        image = read_image(workspace.root / path)
        field = find_field(image)
        pictures.append(picture_of(image, field))
        mask = isinstance(mask_path, str) and name == "idrid-seg"
        places.append(
            (centre((read_mask(workspace.root / mask_path) & DISC_VALUE) > 0, field) if mask else UNKNOWN, UNKNOWN)
        )
    eyes = torch.tensor([("left", "right", "unknown").index(eye) for eye in rows["eye"]])
    return Upright(torch.from_numpy(np.stack(pictures)), eyes, torch.tensor(places).float(), weight)


UNKNOWN = (float("nan"), float("nan"))


def centre(disc: NDArray[np.bool_], field: Field) -> tuple[float, float]:
    y, x = np.nonzero(disc)
    return (
        (float((x.mean() - field.x) / field.radius), float((y.mean() - field.y) / field.radius)) if len(x) else UNKNOWN
    )


def phantoms(weight: float) -> Upright:
    pictures, places = [], []
    for person in range(FIRST_PHANTOM, FIRST_PHANTOM + PHANTOMS):
        for eye in draw_patient(SEED, person, HEIGHT, choose_findings(SEED, person)):
            field = find_field(eye.image)
            pictures.append(picture_of(eye.image, field))
            fovea = ((eye.fovea[0] - field.x) / field.radius, (eye.fovea[1] - field.y) / field.radius)
            places.append((centre(eye.disc > 0, field), fovea))
    eyes = torch.tensor([LEFT, RIGHT] * PHANTOMS)
    return Upright(torch.from_numpy(np.stack(pictures)), eyes, torch.tensor(places).float(), weight)


def joined(sets: list[Upright]) -> tuple[Upright, Tensor]:
    """Join the sets, and return the weight of each photograph."""
    pictures, eyes, places = (
        torch.cat([getattr(part, name) for part in sets]) for name in ("pictures", "eyes", "places")
    )
    every = Upright(pictures, eyes, places, 1.0)
    return every, torch.cat([torch.full((len(part.eyes),), part.weight / len(part.eyes)) for part in sets])


def learn_finder(finder: nn.Module, sets: list[Upright], steps: int) -> float:
    """Learn maps by cross-entropy with a blurred point, in copies that are turned by any angle, mirrored, shifted."""
    every, weights = joined(sets)
    pictures = reduced(every.pictures)
    x, y = grid_places()
    chance, losses = torch.Generator().manual_seed(SEED), []
    for update in optimising(finder, steps):
        rows = torch.multinomial(weights, BATCH, replacement=True, generator=chance)
        copies, places = turned(pictures[rows], every.places[rows], chance)
        maps = finder(copies).flatten(2).log_softmax(dim=2)
        loss = torch.zeros(())
        for part in (0, 1):
            some = (places[:, part].abs() < 1).all(dim=1)
            apart = (x - places[some, part, :1]) ** 2 + (y - places[some, part, 1:]) ** 2
            truth = (-apart / (2 * BLUR**2)).softmax(dim=1)
            loss = loss - (truth * maps[some, part]).sum() / max(int(some.sum()), 1)
        update(loss)
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-100:]))


def optimising(network: nn.Module, steps: int) -> Iterator[Callable[[Tensor], None]]:
    """Yield for each step the function that makes it, given the loss."""
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)

    def update(loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()

    network.train()
    for _ in range(steps):
        yield update
    network.eval()


def turned(pictures: Tensor, places: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    count = len(pictures)
    angle, scale, shift = (
        draw(chance, count, np.pi), torch.exp(draw(chance, count, 0.3)), draw(chance, (count, 2, 1), 0.35)
    )  # fmt: skip
    mirrored = torch.where(torch.rand(count, generator=chance) < 0.5, -1.0, 1.0)
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    matrix = torch.stack([torch.stack([cosine * mirrored, -sine], 1), torch.stack([sine * mirrored, cosine], 1)], 1)
    copies = cut(pictures, matrix, shift)
    # a frame may cut off what lies above and below
    limit = 0.6 + 0.6 * torch.rand(count, 1, 1, 1, generator=chance)
    copies = copies * (torch.linspace(-1, 1, INPUT).abs()[None, None, :, None] < limit)
    return changed(copies, chance), torch.linalg.solve(matrix, places.transpose(1, 2) - shift).transpose(1, 2)


def cut(pictures: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    grid = affine_grid(torch.cat([matrix, shift], 2), [len(pictures), 3, INPUT, INPUT], align_corners=False)
    return grid_sample(pictures, grid, align_corners=False)


def changed(copies: Tensor, chance: torch.Generator) -> Tensor:
    """Plant lights and shadows, which are no discs, change contrast, drop channels, add noise."""
    count = len(copies)
    inside = (copies.abs().sum(dim=1, keepdim=True) > 0).float()
    line = (torch.arange(INPUT) + 0.5) / INPUT * 2 - 1
    for _ in range(2):
        x, y = (draw(chance, (count, 1, 1), 1.2) for _ in range(2))
        across, down = (torch.exp(draw(chance, (count, 1, 1), 0.9) - 1.3) for _ in range(2))
        spot = torch.exp(-(((line[None, None, :] - x) / across) ** 2 + ((line[None, :, None] - y) / down) ** 2) / 2)
        strength = 3 * torch.randn(count, 3, 1, 1, generator=chance).clamp(-1.5, 1.5) * FAINTER[:, None, None]
        planted = (torch.rand(count, 1, 1, 1, generator=chance) < 0.4).float()
        copies = (copies + planted * strength * spot[:, None] * inside).clamp(-4, 4)
    copies = copies * torch.exp(draw(chance, (count, 3, 1, 1), 0.5))
    copies = copies * (torch.rand(count, 3, 1, 1, generator=chance) > 0.1)
    noise = torch.randn(copies.shape, generator=chance)
    return copies + 0.2 * noise * torch.rand(count, 1, 1, 1, generator=chance)


def draw(chance: torch.Generator, shape: int | tuple[int, ...], most: float) -> Tensor:
    return (2 * torch.rand(shape, generator=chance) - 1) * most


def sure_discs(finder: nn.Module, part: Upright) -> Upright:
    """Take discs that the finder is sure of, and whose side is not another than the name's."""
    with torch.inference_mode():
        found = torch.cat([places_of(finder, reduced(some))[:, 0] for some in part.pictures.split(64)])
    side = torch.where(found[:, 0] < 0, LEFT, RIGHT)
    sure = (found[:, 2] > SURE) & (found[:, :2].norm(dim=1) > 0.3) & ((part.eyes == EITHER) | (part.eyes == side))
    places = part.places.clone()
    places[:, 0] = found[:, :2]
    return Upright(part.pictures, part.eyes, places, part.weight).kept(sure)


def with_foveae(part: Upright) -> Upright:
    """Put foveae at the darkest spots of green, as large as a disc, beside the disc where one has to be."""
    line = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    places = part.places.clone()
    for row, (picture, (x, y)) in enumerate(zip(part.pictures.numpy(), part.places[:, 0].tolist(), strict=True)):
        green = picture[1]
        dark = cv2.GaussianBlur(green, (0, 0), 9) - cv2.GaussianBlur(green, (0, 0), 3)
        across = (line - (x + (AWAY if x < 0 else -AWAY))) / SPREAD[0]
        down = (line - (y + BELOW)) / SPREAD[1]
        likely = np.exp(-(across[None, :] ** 2 + down[:, None] ** 2) / 2) * (np.hypot(line[:, None], line) < 0.85)
        spot = np.unravel_index(int(((dark - dark.min()) * likely).argmax()), likely.shape)
        places[row, 1] = torch.tensor([line[spot[1]], line[spot[0]]])
    return Upright(part.pictures, part.eyes, places, part.weight)


def learn_poser(nets: Networks, sets: list[Upright], steps: int) -> float:
    """Learn how upright left eyes look, by cross-entropy over the four ways to lay a copy.

    Of eyes without names it is known that they are upright. A share WRONG of all may lie otherwise.
    """
    nets.finder.eval()
    with torch.inference_mode():
        found = [
            torch.cat([places_of(nets.finder, reduced(some))[:, 0, :2] for some in part.pictures.split(64)])
            for part in sets
        ]
    every, weights = joined(sets)
    discs = torch.cat(found).clone()
    chance, losses = torch.Generator().manual_seed(SEED), []
    for update in optimising(nets.poser, steps):
        rows = torch.multinomial(weights, BATCH, replacement=True, generator=chance)
        copies, eyes = copied(every.pictures[rows], discs[rows], chance), every.eyes[rows]
        chances = poses_of(nets.poser, copies[:, None]).exp()
        own = chances.gather(1, eyes.clamp(max=RIGHT)[:, None])[:, 0]
        either, none = eyes == EITHER, torch.where(eyes == EITHER, 0.5, 0.25)
        loss = -((1 - WRONG) * torch.where(either, chances[:, :2].sum(dim=1), own) + WRONG * none).log().mean()
        update(loss)
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-100:]))


def copied(pictures: Tensor, discs: Tensor, chance: torch.Generator) -> Tensor:
    """Cut out what lies around the disc, turned by up to 12 degrees, shifted and scaled a little."""
    count = len(pictures)
    limit = 0.65 + 0.6 * torch.rand(count, 1, 1, 1, generator=chance)
    pictures = pictures * (torch.linspace(-1, 1, SIDE).abs()[None, None, :, None] < limit)
    angle, scale = draw(chance, count, np.pi / 15), REACH * torch.exp(draw(chance, count, 0.15))
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    matrix = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
    return changed(cut(pictures, matrix, discs[:, :, None] + draw(chance, (count, 2, 1), 0.08)), chance)


if __name__ == "__main__":
    main()
