"""Seconds of training until a quality is reached, beside plain recipes of others on the same photographs.

Of real photographs where they are here, else of phantom eyes, whose scores say nothing about real ones. Validations are
not timed, on either side. A training that has not reached a quality at its end is told as such.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from swcl_cli.data import manifest
from swcl_cli.models.initialisation import initialise
from swcl_cli.workspace import Workspace
from tests.bench.conftest import Row
from tests.commands import swcl

pytestmark = pytest.mark.bench
SHARED = Path(__file__).parents[3] / "shared/data"
DOWNLOADS = {"drive": "DRIVE", "odir": "ODIR-5K-more", "eyepacs": "EyePACS", "idrid": "IDRiD"}
LITE0 = "tf_efficientnet_lite0"
Course = list[tuple[float, float]]  # seconds of training so far, and the score then


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with DRIVE, ODIR-5K, EyePACS and IDRiD."""
    folder = tmp_path_factory.mktemp("quality")
    if SHARED.is_dir():
        for name, download in DOWNLOADS.items():
            _run("prep", name, SHARED / download, "--preset", "small", "--workspace", folder)
    else:
        _run("prep", "phantom", "--patients", 120, "--size", 192, "--workspace", folder)
    return folder


def test_vessels_beside_monai(root: Path, row: Row) -> None:
    """F1 on DRIVE's four validation photographs, which are harder: 0.76 there are 0.81 on the twenty of the test.

    MONAI: its 2-D U-Net of the tutorials, Dice, Adam 1e-3, crops of 192 px.
    """
    options = ["--preset", "small", "--seeds", 1, "--validate-every", 20, "--workspace", root]
    _run("finetune", "drive", *options)
    log = root / "runs/finetune/drive/imagenet/seed0/log.jsonl"
    ours, theirs = _course(log, 8, "validation"), list(_monai_unet(Workspace(root), steps=400))
    _show(row, "DRIVE's vessels", ours, "MONAI's U-Net", theirs, (0.7, 0.75))


def test_labeler_beside_timm(root: Path, row: Row) -> None:
    """AUC on ODIR's validation photographs. timm: its views, AdamW and cosine on the same ImageNet weights."""
    _run("train-labeler", "--preset", "small", "--unlabelled", "", "--workspace", root)
    ours = _course(root / "runs/train-labeler/log.jsonl", 32, "auc")
    _show(
        row, "normal or abnormal eyes", ours, "timm", list(_timm_course(Workspace(root), epochs=5)), (0.65, 0.68, 0.72)
    )


def test_probe_beside_timm_and_scikit_learn(root: Path, row: Row) -> None:
    """AUC of retinopathy on IDRiD's test photographs, of frozen features, with all that it takes: decoding, too."""
    started = time.perf_counter()
    _run("finetune", "idrid", "--preset", "small", "--probe", "--seeds", 1, "--name", "probe", "--workspace", root)
    ours = time.perf_counter() - started
    results = pd.read_parquet(root / "finetune/idrid/probe/results.parquet")
    tested = results[(results["split"] == "test") & (results["measure"] == "dr_grade_auc")]
    auc = float(tested["value"].iloc[0])
    started = time.perf_counter()
    other = _timm_probe(Workspace(root))
    theirs = time.perf_counter() - started
    row("frozen probe of IDRiD", seconds=ours, auc=auc, timm_and_scikit_learn=theirs, auc_of_theirs=other)


def test_simclr_beside_lightly(root: Path, row: Row) -> None:
    """3,200 views of ODIR and EyePACS from the same ImageNet weights: seconds of training, and the probe after."""
    pytest.importorskip("lightly")
    views = 3200
    options = ["--views", views, "--batch-images", 32, "--warmup-epochs", 0, "--workspace", root]
    _run("pretrain", "--preset", "small", "--method", "simclr", *options)
    (ours, _), *_ = reversed(_course(root / "runs/pretrain/simclr/log.jsonl", 64, "loss"))
    encoder = initialise(str(root / "simclr.safetensors"), None, colours="rgb", seed=0).encoder
    other, theirs = _lightly_simclr(Workspace(root), views // 64)
    aucs = [_timm_probe(Workspace(root), network) for network in (encoder, other)]
    row(f"SimCLR, {views:,} views", seconds=ours, auc=aucs[0], lightly=theirs, auc_of_theirs=aucs[1])


def _run(*arguments: object) -> None:
    done = swcl(*arguments)
    assert done.code == 0, done.err


def _course(log: Path, views: int, score: str) -> Course:
    """The seconds of steps alone, from the pace that the log tells."""
    seconds, course = 0.0, []
    for line in log.read_text().splitlines():
        record = json.loads(line)
        if "views_a_second" in record:
            seconds += views / record["views_a_second"]
        if score in record:
            course.append((seconds, record[score]))
    return course


def _show(row: Row, name: str, ours: Course, other: str, theirs: Course, goals: tuple[float, ...]) -> None:
    for goal in goals:
        mine, reached = _seconds_to(ours, goal), _seconds_to(theirs, goal)
        times = {"times_as_fast": reached / mine} if np.isfinite(mine + reached) else {}
        row(f"{name}: seconds to {goal}", ours=mine, **{other.replace(" ", "_"): reached}, **times)
    for who, course in (("ours", ours), (other, theirs)):
        row(f"{name}: {who}", best=max(score for _, score in course), seconds_in_all=course[-1][0])


def _seconds_to(course: Course, goal: float) -> float:
    """Infinity where it was not reached."""
    return next((seconds for seconds, score in course if score >= goal), float("inf"))


def _trained(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    pause: int,
    score: Callable[[], float],
    after: Callable[[int], object] = lambda step: None,
) -> Iterator[tuple[float, float]]:
    """Trains as a plain loop does; after each `pause` steps the seconds so far without validations, and the score."""
    seconds, started = 0.0, time.perf_counter()
    for step, (images, targets) in enumerate(batches, 1):
        network.train()
        optimizer.zero_grad()
        loss(network(images), targets).backward()
        optimizer.step()
        after(step)
        if step % pause == 0:
            seconds += time.perf_counter() - started
            with torch.inference_mode():
                network.eval()
                yield seconds, score()
            started = time.perf_counter()


def _monai_unet(workspace: Workspace, steps: int) -> Iterator[tuple[float, float]]:
    inferers, losses, nets, transforms = (
        pytest.importorskip(f"monai.{part}") for part in ("inferers", "losses", "networks.nets", "transforms")
    )
    torch.manual_seed(0)
    table = manifest.read(workspace.manifest("drive"))

    def read(split: str) -> list[dict[str, NDArray[Any]]]:
        rows = table[table["split"] == split]
        images = [np.asarray(Image.open(workspace.root / path)).transpose(2, 0, 1) / 255 for path in rows["path"]]
        masks = [np.asarray(Image.open(workspace.root / path).convert("L")) > 0 for path in rows["mask_path"]]
        pairs = zip(images, masks, strict=True)
        return [{"image": image.astype(np.float32), "mask": mask[None].astype(np.float32)} for image, mask in pairs]

    train, val = read("train"), read("val")
    augment = transforms.Compose(
        [
            transforms.RandSpatialCropd(["image", "mask"], (192, 192), random_size=False),
            transforms.RandFlipd(["image", "mask"], prob=0.5, spatial_axis=1),
            transforms.RandRotate90d(["image", "mask"], prob=0.5),
        ]
    )
    network = nets.UNet(2, 3, 1, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng(0)
        for _ in range(steps):
            views = [augment(train[item]) for item in rng.integers(0, len(train), 8)]
            yield torch.stack([view["image"] for view in views]), torch.stack([view["mask"] for view in views])

    def score() -> float:
        found = []
        for photograph in val:
            image = torch.from_numpy(photograph["image"])[None]
            logits = inferers.sliding_window_inference(image, (192, 192), 4, network, overlap=0.25)
            found.append(f1_score(photograph["mask"].ravel() > 0, logits.numpy().ravel() > 0))
        return float(np.mean(found))

    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    return _trained(network, optimizer, batches(), losses.DiceLoss(sigmoid=True), 40, score)


def _timm_course(workspace: Workspace, epochs: int) -> Iterator[tuple[float, float]]:
    from timm.data.transforms_factory import create_transform
    from timm.optim._optim_factory import create_optimizer_v2
    from timm.scheduler.cosine_lr import CosineLRScheduler

    torch.manual_seed(0)
    table = manifest.read(workspace.manifest("odir"))
    train, val = (table[table["split"] == split] for split in ("train", "val"))
    start = initialise("imagenet", LITE0, colours="rgb", seed=0)
    network = nn.Sequential(start.encoder, nn.LazyLinear(2))
    network(torch.zeros(2, 3, 160, 160))
    augment = create_transform(160, is_training=True, mean=start.mean, std=start.std)
    tested = create_transform(160, is_training=False, mean=start.mean, std=start.std)
    views = torch.stack([tested(_opened(workspace, path)) for path in val["path"]])
    steps = len(train) // 32

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng(0)
        for _ in range(epochs):
            for items in rng.permutation(len(train))[: steps * 32].reshape(-1, 32):
                rows = train.iloc[items]
                images = [augment(_opened(workspace, path)) for path in rows["path"]]
                yield torch.stack(images), torch.from_numpy(rows["abnormal"].to_numpy(dtype=np.int64))

    def score() -> float:
        logits = torch.cat([network(part) for part in views.split(64)])
        return float(roc_auc_score(val["abnormal"].astype(int), logits.softmax(dim=1)[:, 1]))

    optimizer = create_optimizer_v2(network, opt="adamw", lr=5e-4, weight_decay=0.05)
    schedule = CosineLRScheduler(optimizer, steps * epochs, warmup_t=steps, warmup_lr_init=1e-6, t_in_epochs=False)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    return _trained(network, optimizer, batches(), loss, steps, score, schedule.step_update)


def _lightly_simclr(workspace: Workspace, steps: int) -> tuple[nn.Module, float]:
    """The encoder after so many steps of 32 photographs, and the seconds that they took."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms.simclr_transform import SimCLRTransform

    torch.manual_seed(0)
    tables = [manifest.read(workspace.manifest(name)) for name in ("odir", "eyepacs")]
    paths = pd.concat(tables)["path"].to_numpy()
    start = initialise("imagenet", LITE0, colours="rgb", seed=0)
    augment, loss = SimCLRTransform(input_size=160), NTXentLoss()
    network = nn.Sequential(start.encoder, SimCLRProjectionHead(start.encoder.num_features, 512, 128))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
    rng, started = np.random.default_rng(0), time.perf_counter()
    for _ in range(steps):
        first, second = zip(*(augment(_opened(workspace, path)) for path in rng.choice(paths, 32)), strict=True)
        optimizer.zero_grad()
        loss(*network(torch.stack([*first, *second])).chunk(2)).backward()
        optimizer.step()
    return start.encoder, time.perf_counter() - started


@torch.inference_mode()
def _timm_probe(workspace: Workspace, encoder: nn.Module | None = None) -> float:
    """scikit-learn on the features of an encoder, by default with ImageNet weights."""
    from timm.data.transforms_factory import create_transform

    table = manifest.read(workspace.manifest("idrid"))
    start = initialise("imagenet", LITE0, colours="rgb", seed=0)
    view = create_transform(160, is_training=False, mean=start.mean, std=start.std)
    encoder = (encoder or start.encoder).eval()
    parts = [table["path"].iloc[first : first + 32] for first in range(0, len(table), 32)]
    features = torch.cat([encoder(torch.stack([view(_opened(workspace, path)) for path in part])) for part in parts])
    ill, test = table["dr_grade"].to_numpy(dtype=np.int64) > 0, (table["split"] == "test").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(features.numpy()[~test], table["dr_grade"].to_numpy(dtype=np.int64)[~test])
    return float(roc_auc_score(ill[test], 1 - model.predict_proba(features.numpy()[test])[:, 0]))


def _opened(workspace: Workspace, path: str) -> Image.Image:
    return Image.open(workspace.root / path).convert("RGB")
