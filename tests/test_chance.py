"""Chance as a function: draws depend on their key and on nothing else, and do not change from version to version."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from swcl_cli.chance import generator, torch_seed

KEY = {"seed": 5, "epoch": 6, "item": 7, "view": 8}


def words(**key: int) -> list[int]:
    seed = key.pop("seed", 0)
    purpose = "other" if key.pop("purpose", 0) else "test"
    return [int(word) for word in generator(seed, purpose, **key).integers(0, 2**63, 4)]


@pytest.mark.parametrize("part", ["seed", "purpose", "epoch", "item", "view"])
def test_each_part_of_the_key_matters(part: str) -> None:
    assert words(**KEY) != words(**{**KEY, part: KEY.get(part, 0) + 1})


def test_neighbouring_keys_share_no_draw() -> None:
    """Parts don't run into each other: (1, 0) and (0, 1) differ, and no stream is another one moved along."""
    keys = list(itertools.product(range(3), repeat=5))
    drawn = np.concatenate(
        [
            generator(seed, f"purpose {purpose}", epoch, item, view).integers(0, 2**63, 16)
            for seed, purpose, epoch, item, view in keys
        ]
    )
    assert len(np.unique(drawn)) == len(drawn)


def test_absent_parts_are_zero() -> None:
    """Keys have a fixed length, so 0 and absent are one key, as they should be: there is no third meaning (FACTS 5)."""
    assert words(seed=1) == words(seed=1, epoch=0, item=0, view=0)
    assert torch_seed(1, "test") == torch_seed(1, "test", 0, 0)


def test_order_and_company_do_not_matter() -> None:
    forward = {item: words(item=item) for item in range(20)}
    backward = {item: words(item=item) for item in reversed(range(20))}
    assert forward == backward
    np.random.seed(3)
    generator(0, "test", item=4).random(1000)
    assert words(item=4) == forward[4]


def test_draws_look_independent() -> None:
    first = np.array([generator(0, "test", item=item).random() for item in range(4000)])
    assert abs(first.mean() - 0.5) < 0.02 and abs(first.std() - 12**-0.5) < 0.01
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.05


def test_first_draws_are_these() -> None:
    """A change here changes every result of every user."""
    assert words() == [9099464542672434792, 2786714440866528545, 5097979398432051253, 6273076436397450969]
    assert words(**KEY) == [9138868457786084795, 7153935928966394117, 8763800343899032039, 8298782822589778194]
    assert generator(5, "test", 6, 7, 8).random() == 0.9908381035990924
    assert generator(1, "order").permutation(6).tolist() == [4, 3, 0, 2, 1, 5]
    assert torch_seed(0, "test") == 4826448970779362944
    assert torch_seed(5, "network", 6, 1) == 2059076952723100965


def test_torch_seeds() -> None:
    keys = itertools.product((0, 1, 12), ("network", "network1"), (0, 1, 11, 111), (0, 1, 11))
    seeds = [torch_seed(*key) for key in keys]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)


def test_other_processes_draw_the_same() -> None:
    """The purpose is hashed by us: Python's own hash of a text differs from process to process."""
    code = "from swcl_cli.chance import generator; print(generator(5, 'test', 6, 7, 8).integers(0, 2**63, 4).tolist())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(words(**KEY))
