"""Who belongs together, and which fifth of them validates."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from fractions import Fraction

from swcl_cli import chance

VALIDATION_SHARE = Fraction(1, 5)  # FACTS 1, protocol


def group_by_content(patients: Sequence[str], hashes: Sequence[str]) -> list[str]:
    """One group id an image: patients who share an image (an equal hash) are one group, named after the first."""
    parent = {patient: patient for patient in patients}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = patient = parent[parent[patient]]
        return patient

    owner: dict[str, str] = {}
    for patient, content in zip(patients, hashes, strict=True):
        first, second = sorted((root(patient), root(owner.setdefault(content, patient))))
        parent[second] = first
    return [root(patient) for patient in patients]


def validation_groups(groups: Sequence[str], labels: Sequence[Hashable], seed: int, dataset: str) -> set[str]:
    """The groups of the fifth that validates, stratified on the labels of all images of a group (FACTS E2).

    groups, labels: one an image. Each group draws a number of its own, keyed by its name, and the lowest of each
    stratum are taken: a group that is not there changes little for the others. Shares go by largest remainder.
    """
    labels_of: dict[str, list[str]] = defaultdict(list)
    for group, label in zip(groups, labels, strict=True):
        labels_of[group].append(repr(label))
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group in sorted(labels_of, key=lambda group: (_number(group, seed, dataset), group)):
        strata[tuple(sorted(labels_of[group]))].append(group)
    takes = _shares({stratum: len(members) for stratum, members in strata.items()})
    return {group for stratum, members in strata.items() for group in members[: takes[stratum]]}


def _number(group: str, seed: int, dataset: str) -> float:
    item = int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "little")
    return float(chance.generator(seed, f"validation split of {dataset}", item=item).random())


def _shares(sizes: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    exact = {stratum: size * VALIDATION_SHARE for stratum, size in sizes.items()}
    shares = {stratum: int(share) for stratum, share in exact.items()}
    left = round(sum(sizes.values()) * VALIDATION_SHARE) - sum(shares.values())
    by_remainder = sorted(exact, key=lambda stratum: (shares[stratum] - exact[stratum], -sizes[stratum], stratum))
    for stratum in by_remainder[:left]:
        shares[stratum] += 1
    return shares
