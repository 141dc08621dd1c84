"""Plans against lists of permutations, and loaders that start anywhere with any number of workers."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import chain
from multiprocessing import active_children
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset

from swcl_cli import chance
from swcl_cli.data.loaders import Key, epoch_plan, make_loader, remembered_order, step_batches, workers_for
from swcl_cli.errors import SwclError
from swcl_cli.workers import STOPPING


class Echo(Dataset[Any]):
    def __getitem__(self, key: Key) -> Any:
        if key[1] == 99:
            raise SwclError("photograph 99 can't be read. Make it again.")
        return key


class Handlers(Dataset[Any]):
    """Whether the process that loads ignores SIGINT, SIGTERM and SIGHUP, and its threads."""

    def __getitem__(self, _: Key) -> list[int]:
        ignored = [int(signal.getsignal(number) == signal.SIG_IGN) for number in STOPPING]
        return [*ignored, torch.get_num_threads()]


def keys(batches: Any) -> list[list[list[Key]]]:
    return [[list(map(tuple, micro)) for micro in step] for step in batches]


def test_an_order_is_a_function_of_the_epoch() -> None:
    order, again = remembered_order(3, "order", 50), remembered_order(3, "order", 50)
    forth = [order(epoch).tolist() for epoch in (0, 1, 2)]
    back = [again(epoch).tolist() for epoch in (2, 1, 0)]
    assert forth == back[::-1] and len({tuple(part) for part in forth}) == 3
    assert all(sorted(part) == list(range(50)) for part in forth)
    assert remembered_order(4, "order", 50)(0).tolist() != forth[0] != remembered_order(3, "other", 50)(0).tolist()


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 40), batch=st.integers(1, 12), padded=st.booleans(), epochs=st.integers(1, 3))
def test_epochs_by_lists(count: int, batch: int, padded: bool, epochs: int) -> None:
    plan, steps = epoch_plan(5, "pairs", count, batch, padded)
    expected = []
    for epoch in range(epochs):
        order = chance.generator(5, "pairs", epoch).permutation(count).tolist()
        starts = range(0, count, batch)
        assert steps == len(starts)
        line = order * (1 + batch) if padded else order
        expected += [[[(epoch, item) for item in line[start : start + batch]]] for start in starts]
    assert [plan(step) for step in range(steps * epochs)] == expected
    assert [plan(step) for step in reversed(range(steps * epochs))] == expected[::-1]


def test_an_epoch_is_padded_from_its_own_head() -> None:
    plan, steps = epoch_plan(0, "pairs", 10, 4, padded=True)
    items = [[item for _, item in plan(step)[0]] for step in range(steps, 2 * steps)]
    assert steps == 3 and [len(part) for part in items] == [4, 4, 4]
    assert items[-1][2:] == items[0][:2]
    assert set(Counter(chain(*items)).values()) == {1, 2} and set(chain(*items)) == set(range(10))


def test_a_plain_epoch_has_a_smaller_last_batch() -> None:
    plan, steps = epoch_plan(0, "images", 10, 4, padded=False)
    items = [[item for _, item in plan(step)[0]] for step in range(steps)]
    assert [len(part) for part in items] == [4, 4, 2] and sorted(chain(*items)) == list(range(10))


def test_the_papers_epoch() -> None:
    plan, steps = epoch_plan(0, "pairs", 246_735, 248, padded=True)
    assert steps == 995
    (last,), (first,) = plan(994), plan(0)
    assert len(last) == len(first) == 248
    assert last[223:] == first[:25]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_any_step_and_number_of_workers(workers: int) -> None:
    def plan(step: int) -> list[list[Key]]:
        return [[(step, 10 * micro + item) for item in range(micro + 1)] for micro in range(1 + step % 3)]

    batches = step_batches(Echo(), plan, 4, 9, workers, collate=list)
    assert keys(batches) == [plan(step) for step in range(4, 9)]


def test_steps_straddling_epochs_resume_alike() -> None:
    plan, steps = epoch_plan(0, "images", 11, 4, padded=False)
    whole = keys(step_batches(Echo(), plan, 0, 3 * steps, 0, collate=list))
    again, _ = epoch_plan(0, "images", 11, 4, padded=False)
    assert keys(step_batches(Echo(), again, 4, 3 * steps, 0, collate=list)) == whole[4:]


def test_nothing_left_to_do() -> None:
    plan, steps = epoch_plan(0, "images", 8, 4, padded=False)
    assert list(step_batches(Echo(), plan, steps, steps, 0)) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_the_words_of_a_workers_error_are_kept_and_no_worker(workers: int) -> None:
    before = active_children()
    with pytest.raises(SwclError) as caught:
        list(make_loader(Echo(), [[(0, 1)], [(0, 99)]], workers))
    assert str(caught.value) == "photograph 99 can't be read. Make it again."
    assert active_children() == before


EXIT_WITH_A_LOADER_OPEN = """
from swcl_cli.data.loaders import make_loader
from torch.utils.data import Dataset

class Numbers(Dataset):
    def __getitem__(self, key):
        return key[1]

loader = make_loader(Numbers(), [[(0, item)] for item in range(50)], workers=1)
print(next(loader))
"""


def test_few_photographs_are_worth_no_worker() -> None:
    assert [workers_for(items, 2) for items in (0, 63, 64, 65)] == [0, 0, 2, 2]
    assert workers_for(1_000, 0) == 0


def test_the_program_ends_though_a_loader_is_open() -> None:
    done = subprocess.run([sys.executable, "-c", EXIT_WITH_A_LOADER_OPEN], capture_output=True, text=True, timeout=60)
    assert done.stdout == "tensor([0])\n" and not done.stderr and done.returncode == 0


def test_arrays_become_tensors_in_order() -> None:
    class Numbers(Dataset[Any]):
        def __getitem__(self, key: Key) -> Any:
            return np.full((2, 2), key[1], np.float32)

    batches = list(make_loader(Numbers(), [[(0, 3), (0, 1)], [(0, 2)]], 0))
    assert [batch[:, 0, 0].tolist() for batch in batches] == [[3, 1], [2]]


def test_workers_leave_signals_to_the_parent() -> None:
    (found,) = make_loader(Handlers(), [[(0, 0)]], 1)
    assert [int(value) for value in found] == [1, 1, 1, 1]
    (here,) = make_loader(Handlers(), [[(0, 0)]], 0)
    assert [int(value) for value in here[:3]] == [0, 0, 0]


def test_a_batch_that_can_not_be_sent_ends_its_worker(capfd: pytest.CaptureFixture[str]) -> None:
    """As one for which shared memory or files are too few: the queue would print it, and the parent wait for ever."""

    def locked(items: list[Any]) -> Any:
        return threading.Lock()

    words = r"^The 1 worker processes can't work here: a worker process died, .*\. Use --workers 0\.$"
    with pytest.raises(SwclError, match=words):
        list(make_loader(Echo(), [[(0, 1)]], 1, locked))
    assert "A batch can't be sent: cannot pickle '_thread.lock' object" in capfd.readouterr().err
    assert len(list(make_loader(Echo(), [[(0, 1)]], 0, locked))) == 1
