"""Compute in several processes that torchrun has started: find them, and pass tensors between them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, distributed, nn

from swcl_cli import console
from swcl_cli.data.loaders import Key, Plan
from swcl_cli.errors import SwclError
from swcl_cli.models.encoders import batch_norms
from swcl_cli.training.allocation import keep_freed_memory

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
NVIDIA = Path("/proc/driver/nvidia/gpus")  # where the driver lists its GPUs, on Linux


def make_fabric(accelerator: str, precision: str, several: bool = False) -> Fabric:
    """Start the Fabric of one process on one device, or of all processes of torchrun where a step can use `several`.

    Raises SwclError where torchrun has started several processes for a step that can't use them, and where a GPU is
    asked for that PyTorch can't use.
    """
    started = started_processes()
    if started > 1 and not several:
        raise SwclError(f"This step works in one process, but torchrun has started {started}: run it without torchrun.")
    if not torch.accelerator.is_available():
        if accelerator == "gpu":
            raise SwclError(f"--accelerator gpu: {_no_gpu()} --accelerator cpu computes without.")
        if accelerator == "auto":
            _warn_of_idle_gpus()
    on_this_node = int(os.environ["LOCAL_WORLD_SIZE"]) if started > 1 else 1
    fabric = Fabric(
        accelerator=accelerator,
        devices=on_this_node,
        num_nodes=started // on_this_node,
        strategy="ddp" if started > 1 else "auto",
        precision=PRECISIONS[precision],  # type: ignore[arg-type]
        plugins=TorchElasticEnvironment() if started > 1 else LightningEnvironment(),
    )
    fabric.launch()
    if fabric.device.type == "cpu":
        keep_freed_memory()
    return fabric


def started_processes() -> int:
    """Return how many processes torchrun has started, of which this is one; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if TorchElasticEnvironment.detect() else 1


def wait_for_all() -> None:
    """Wait until all processes are here."""
    if distributed.is_initialized():
        distributed.barrier()


def own_plan(plan: Plan, fabric: Fabric, kind: Callable[[Key], Hashable] = lambda _: None) -> Plan:
    """Return the plan of this process: a connected part of each batch, of each kind of its items.

    Parts differ by at most one item of each kind. All processes together have each item once.
    """
    if fabric.world_size == 1:
        return plan

    def own(keys: list[Key]) -> list[Key]:
        by_kind: dict[Hashable, list[Key]] = {}
        for key in keys:
            by_kind.setdefault(kind(key), []).append(key)
        rank, parts = fabric.global_rank, fabric.world_size
        return [
            key
            for alike in by_kind.values()
            for key in alike[len(alike) * rank // parts : len(alike) * (rank + 1) // parts]
        ]

    return lambda step: [own(keys) for keys in plan(step)]


def require_shares(
    keys: list[Key], fabric: Fabric, option: str, kind: Callable[[Key], Hashable] = lambda _: None
) -> None:
    """Raise SwclError where the smallest batch of an epoch has nothing for some process.

    keys: its items; option: that of the batch.
    """
    most = max(Counter(map(kind, keys)).values())
    if most < fabric.world_size:
        raise SwclError(
            f"An epoch's last batch has {len(keys):,} photograph{'s' if len(keys) > 1 else ''}, too few for "
            f"{fabric.world_size} processes: take another {option}, or fewer processes."
        )


def device_name(fabric: Fabric) -> str:
    """Name the device that computes: the CPU with its threads, or the GPU's model."""
    if fabric.device.type == "cpu":
        threads = torch.get_num_threads()
        return f"the CPU ({threads} thread{'s' if threads > 1 else ''})"
    if fabric.device.type == "cuda":
        return torch.cuda.get_device_name(fabric.device)
    return f"the GPU ({fabric.device})"


def _no_gpu() -> str:
    """Say why PyTorch can't use a GPU."""
    if not torch.backends.cuda.is_built():
        return "this PyTorch is built for CPUs alone; install one that is built for your GPU."
    return "PyTorch finds no GPU that it can use; see torch.cuda.is_available() and the version of the driver."


@cache  # each run of a step asks for a device
def _warn_of_idle_gpus() -> None:
    """Warn where this machine has a GPU that PyTorch can't use, and nobody has hidden it."""
    if NVIDIA.is_dir() and any(NVIDIA.iterdir()) and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1"):
        console.warn(f"This machine has a GPU, but {_no_gpu()} The CPU computes.")


def joined_batch_norm(module: nn.Module, fabric: Fabric) -> nn.Module:
    """Make BatchNorm take its statistics over all processes (FACTS 5); return the module.

    Raises SwclError on CPUs, where that can't be done.
    """
    if fabric.world_size == 1 or not batch_norms(module):
        return module
    if fabric.device.type != "cuda":
        raise SwclError(
            "BatchNorm can't be exact in several processes on CPUs: take a network without it, such as --architecture "
            "resnetv2_50x1_bit (decoders of masks have it too), or one process."
        )
    converted: nn.Module = convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
    return converted  # torch's own conversion loses the activation that timm keeps in some norms


def count_processes() -> int:
    """Return the number of processes that train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def mean_of_processes(values: Tensor) -> Tensor:
    """Average a tensor over all processes, in place. No gradient flows through it."""
    if distributed.is_initialized():
        distributed.all_reduce(values)
        values /= count_processes()
    return values


def gather_rows(rows: Tensor) -> tuple[Tensor, tuple[int, int]]:
    """Gather the rows (n, ...) of all processes, by rank; return them and the range [start, stop) of this process.

    n may differ. A gradient flows back to each process's own rows, summed over the processes.
    """
    if not distributed.is_initialized():
        return rows, (0, len(rows))
    counts = [torch.zeros((), dtype=torch.int64, device=rows.device) for _ in range(count_processes())]
    distributed.all_gather(counts, torch.tensor(len(rows), device=rows.device))
    lengths = [int(count) for count in counts]
    start = sum(lengths[: distributed.get_rank()])
    gathered: Tensor = _Gather.apply(rows, lengths, start)
    return gathered, (start, start + len(rows))


def of_all_processes(rows: Tensor) -> Tensor:
    """Gather the rows (n, ...) of all processes, by rank, so that each computes the loss of the whole batch."""
    return gather_rows(rows)[0]


class _Gather(torch.autograd.Function):
    """Gather rows with a gradient; rows are padded to the most that a process has, since parts must be of one shape."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, lengths: list[int], start: int) -> Tensor:
        ctx.start, ctx.stop = start, start + len(rows)
        padded = rows.new_zeros(max(lengths), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in lengths]
        distributed.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        gradient = outer[0].contiguous()
        distributed.all_reduce(gradient)
        return gradient[ctx.start : ctx.stop], None, None
