"""A batch in chunks: what lies in each, that both passes see the same, and whose statistics are kept."""

from __future__ import annotations

import copy
import itertools
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from swcl_cli.settings import TrainLabelerSettings
from swcl_cli.training.chunks import encode_in_chunks, mixed_chunks
from swcl_cli.training.processes import make_fabric


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.BatchNorm2d(6), nn.ReLU())
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def images(count: int = 9) -> Tensor:
    return torch.randn(count, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 3


def numbers(chunks: list[Tensor]) -> list[list[int]]:
    return [chunk.tolist() for chunk in chunks]


def test_chunks_by_hand() -> None:
    """Two labelled and two unlabelled images of two views each; the views of an image are in different chunks."""
    assert numbers(mixed_chunks(torch.tensor([1, 1, 0, 0]), 2, 4)) == [[0, 4, 2, 6], [1, 5, 3, 7]]
    assert numbers(mixed_chunks(torch.tensor([1, 0, 1, 0]), 2, 4)) == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert numbers(mixed_chunks(torch.tensor([0, 0, 0]), 1, 2)) == [[0], [1, 2]]
    assert numbers(mixed_chunks(torch.tensor([0, 1]), 1, 5)) == [[0, 1]]


@pytest.mark.parametrize("views", [1, 2, 4])
def test_chunks_hold_both_kinds_as_the_batch_does(views: int) -> None:
    """All views once, none in a small chunk, and no chunk of one kind where the settings permit its size."""
    for labelled, unlabelled in itertools.product(range(1, 10), range(1, 10)):
        settings = TrainLabelerSettings(batch_labelled=labelled, batch_unlabelled=unlabelled)
        kinds = torch.tensor([1] * labelled + [0] * unlabelled)
        total = views * len(kinds)
        for size in range(2, total + 2):
            chunks = mixed_chunks(kinds, views, size)
            assert sorted(itertools.chain(*numbers(chunks))) == list(range(total))
            sizes = [len(chunk) for chunk in chunks]
            assert len(chunks) == -(-total // size) and max(sizes) <= size and max(sizes) - min(sizes) <= 1
            for chunk in chunks:
                found = int(kinds[chunk // views].sum())
                assert abs(found - len(chunk) * labelled / len(kinds)) < 1
                assert 0 < found < len(chunk) or size < settings.least_chunk


@pytest.mark.parametrize("chunk", [32, 64])
def test_a_chunk_of_the_papers_batch(chunk: int) -> None:
    """Half of it labelled, and each view of another photograph."""
    kinds = torch.tensor([1] * 64 + [0] * 64)
    chunks = mixed_chunks(kinds, 4, chunk)
    assert len(chunks) == 512 // chunk
    for part in chunks:
        assert len(part) == chunk == len(set((part // 4).tolist())) and int(kinds[part // 4].sum()) == chunk // 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_passes_see_the_same_bits(precision: Literal["fp32", "bf16"]) -> None:
    """Else the gradient would be that of another batch: under autocast, and in the memory format of training."""
    module = network().to(memory_format=torch.channels_last)
    outputs: list[Tensor] = []
    module[4].register_forward_hook(lambda *values: outputs.append(values[2].detach().clone()))
    with make_fabric("cpu", precision).autocast():
        joined = encode_in_chunks(module, images().split(4), module)
    joined.float().square().sum().backward()
    first, second = outputs[:3], outputs[3:][::-1]  # the last chunk's gradient comes first
    assert len(second) == 3 and first[0].dtype == (torch.float32 if precision == "fp32" else torch.bfloat16)
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_running_statistics_see_each_chunk_once() -> None:
    """By hand: a tenth of the way to each chunk's mean and unbiased variance, in the first pass alone."""
    module = network()
    expected, chunks = copy.deepcopy(module), images().split(4)
    mean, variance = torch.zeros(8), torch.ones(8)
    for chunk in chunks:
        values = expected[0](chunk).transpose(0, 1).flatten(1)
        mean, variance = 0.9 * mean + 0.1 * values.mean(dim=1), 0.9 * variance + 0.1 * values.var(dim=1)
    joined = encode_in_chunks(module, chunks, module)
    between = copy.deepcopy(module[1].state_dict())
    joined.sum().backward()
    state = module[1].state_dict()
    torch.testing.assert_close(state["running_mean"], mean)
    torch.testing.assert_close(state["running_var"], variance)
    assert all(torch.equal(state[key], between[key]) for key in state) and int(state["num_batches_tracked"]) == 3
