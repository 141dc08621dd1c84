"""Divide patients into groups, validation split, folds and nested parts."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction

import numpy as np

from swcl_cli import chance

VALIDATION_SHARE = Fraction(1, 5)  # FACTS 1, protocol
LEAST_ALIKE = 10  # images of a combination of labels, on average
QUARTERS = 4  # parts of a number's range that splits are stratified on


def joined(sharing: Iterable[Sequence[str]]) -> dict[str, str]:
    """Join patients who share an image into groups, named after the first patient; return the group of each patient.

    sharing: the patients of each shared image.
    """
    parent: dict[str, str] = {}

    def root(patient: str) -> str:
        while (above := parent.setdefault(patient, patient)) != patient:
            patient = above
        return patient

    for patients in sharing:
        first, *others = sorted({root(patient) for patient in patients})
        parent.update(dict.fromkeys(others, first))
    return {patient: root(patient) for patient in parent}


def divided(groups: Sequence[str], splits: Sequence[str]) -> set[str]:
    """Return the groups (N,) whose images lie in more than one of the splits (N,)."""
    codes, names = np.fromiter(map(hash, groups), np.int64, len(groups)), np.asarray(splits)
    parts = [np.unique(codes[names == name]) for name in sorted(set(splits))]
    values, counts = np.unique(np.concatenate([codes[:0], *parts]), return_counts=True)
    several = set(values[counts > 1].tolist())
    return {group for group in groups if hash(group) in several} if several else set()


def stratifying(labels: Sequence[tuple[Hashable, ...]], always: int) -> list[tuple[Hashable, ...]]:
    """Choose of many labels those that splits are stratified on: the first `always`, and others in turn as long as a
    combination of values has LEAST_ALIKE images on average. Return them for each image, as labels has them.

    Of combinations that stand alone the same ones would always validate.
    """
    chosen = [row[:always] for row in labels]
    for place in range(always, len(labels[0]) if labels else 0):
        finer = [(*row, of_image[place]) for row, of_image in zip(chosen, labels, strict=True)]
        if len(set(finer)) * LEAST_ALIKE <= len(finer):
            chosen = finer
    return chosen


def binned(values: Iterable[float | None], parts: int = QUARTERS) -> list[int]:
    """Return the part of each number, from 0, of as many parts of about equal size; -1 where it is None or NaN.

    Equal numbers lie in one part.
    """
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    there = ~np.isnan(numbers)
    if not there.any():
        return [-1] * len(numbers)
    bounds = np.quantile(numbers[there], np.arange(1, parts) / parts)
    codes = np.searchsorted(bounds, numbers, side="left")
    return [int(code) for code in np.where(there, codes, -1)]


def validation_groups(groups: Iterable[str], labels: Iterable[Hashable], seed: int, dataset: str) -> set[str]:
    """Choose the fifth of the groups that validates, stratified on the labels of all images of a group (FACTS E2).

    groups, labels: of each image. Each group draws a number of its own, keyed by its name, and the lowest of each
    stratum are taken, so that a missing group changes little for the others. Shares go by largest remainder.
    """
    strata = _strata(groups, labels, seed, f"validation split of {dataset}")
    takes = _shares({stratum: len(members) for stratum, members in strata.items()})
    return {group for stratum, members in strata.items() for group in members[: takes[stratum]]}


def folds(groups: Iterable[str], labels: Iterable[Hashable], count: int, seed: int, dataset: str) -> dict[str, int]:
    """Assign a fold, 0 to count - 1, to each group, stratified as in `validation_groups` (FACTS E3).

    Each stratum is shuffled and dealt to the folds in turn, from where the last stratum ended: no two folds differ by
    more than a group, neither within a stratum nor in all.
    """
    strata = _strata(groups, labels, seed, f"folds of {dataset}")
    dealt = [group for stratum in sorted(strata) for group in strata[stratum]]
    return {group: place % count for place, group in enumerate(dealt)}


def nested_part(groups: Iterable[str], labels: Iterable[Hashable], share: float, seed: int, dataset: str) -> set[str]:
    """Choose a share of the groups, stratified as in `validation_groups`; a larger share contains each smaller share.

    Places go to the strata by Webster's rule, under which no stratum loses a place as the share grows. At least one
    group is chosen.
    """
    purpose = f"part of {dataset}"
    order = sorted(
        (Fraction(2 * place + 1, 2 * len(members)), _number(group, seed, purpose), group)
        for members in _strata(groups, labels, seed, purpose).values()
        for place, group in enumerate(members)
    )
    return {group for _, _, group in order[: max(round(share * len(order)), 1)]}


def _strata(
    groups: Iterable[str], labels: Iterable[Hashable], seed: int, purpose: str
) -> dict[tuple[str, ...], list[str]]:
    """List the groups by the labels of all their images, in the order of their keyed numbers."""
    labels_of: dict[str, list[str]] = defaultdict(list)
    for group, label in zip(groups, labels, strict=True):
        labels_of[group].append(sys.intern(repr(label)))
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group in sorted(labels_of, key=lambda group: (_number(group, seed, purpose), group)):
        strata[tuple(sorted(labels_of[group]))].append(group)
    return strata


def _number(group: str, seed: int, purpose: str) -> float:
    item = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "little")
    return float(chance.generator(seed, purpose, item=item).random())


def _shares(sizes: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    exact = {stratum: size * VALIDATION_SHARE for stratum, size in sizes.items()}
    shares = {stratum: int(share) for stratum, share in exact.items()}
    remaining = round(sum(sizes.values()) * VALIDATION_SHARE) - sum(shares.values())
    by_remainder = sorted(exact, key=lambda stratum: (shares[stratum] - exact[stratum], -sizes[stratum], stratum))
    for stratum in by_remainder[:remaining]:
        shares[stratum] += 1
    return shares
