"""Replace the ids of patients and photographs by numbers, so that a report can be passed on."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from swcl_cli.reporting.evidence.contents import Contents
from swcl_cli.reporting.evidence.identities import OTHER, identities
from swcl_cli.reporting.findings.names import TITLES
from swcl_cli.workspace import Workspace

T = TypeVar("T")
LETTER, DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")
CHOSEN_TABLES = {"labels", "split_file"}  # what `prep folder` calls the tables that it is given
WORD = re.compile(r"[\w-]+(?:\.[\w-]+)*")
FOLDERS = re.compile(r"[^\s:'\"]*/(?=(?:(?:mask|map|field of view|lesion mask) of )?(?:photograph|file) \d)")
IMAGE = re.compile(
    r"(?:data|finetune|runs)/[^\n:]*?\.(?:png|jpe?g|tiff?|gif|ppm|bmp|webp)(?![\w.])", flags=re.IGNORECASE
)


class Pseudonyms:
    """Replace the ids and file names that a workspace's tables and quarantine lists hold, wherever a text has them.

    Numbers are given in the order in which the report first speaks of somebody: that tells no more than the report
    itself does. Numbers in the order of the ids could be counted back by whoever has the list of a public data set, and
    hashes of ids could be tried out. Names that users chose (runs, data sets) stay. So does an id that reads as a
    plain number or a small word, except in a file name: nothing tells it from other numbers and words.
    """

    def __init__(self, contents: Contents) -> None:
        self._starts: defaultdict[str, list[str]] = defaultdict(list)  # names by their first word
        self._means: dict[str, tuple[str, str]] = {}  # what a name is of: a pattern, and whom or what it is about
        self._numbers: dict[tuple[str, str], int] = {}
        self._last: Counter[str] = Counter()
        self._chosen = _chosen(contents)
        prepared = [dataset.artefact for dataset in contents.datasets.values()]
        self._label_files = {str(name) for artefact in prepared for name in artefact.inputs} - CHOSEN_TABLES
        for name, pattern, about in identities(Workspace(contents.root)):
            self._learn(name, pattern, about)
        for names in self._starts.values():
            names.sort(key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Replace each known name in the text. An image's path is replaced even where no table holds it."""
        if text in self._label_files:
            return self._number("label file {}", text)
        text = IMAGE.sub(lambda path: self._number(*self._means.get(path[0].split("/")[-1], (OTHER, path[0]))), text)
        parts, done = [], 0
        for word in WORD.finditer(text):
            if word.start() < done:
                continue
            name = next((name for name in self._starts.get(word[0], ()) if self._stands(name, word, text)), None)
            if name is not None:
                start = word.start() - name.index(word[0])
                parts += [text[done:start], self._number(*self._means[name])]
                done = start + len(name)
        return FOLDERS.sub("", "".join([*parts, text[done:]]))

    def all_of(self, thing: T) -> T:
        """Copy dataclasses and sequences with every text in them replaced."""
        changed: Any = thing
        if isinstance(thing, str):
            changed = self(thing)
        elif isinstance(thing, tuple | list):
            changed = type(thing)(self.all_of(part) for part in thing)
        elif is_dataclass(thing) and not isinstance(thing, type):
            changed = replace(thing, **{each.name: self.all_of(getattr(thing, each.name)) for each in fields(thing)})
        result: T = changed
        return result

    def _learn(self, name: str, pattern: str, about: str) -> None:
        if name in self._means or name in self._chosen or not _stands_out(name):
            return
        if first := WORD.search(name):
            self._means[name] = (pattern, about)
            self._starts[first[0]].append(name)

    @staticmethod
    def _stands(name: str, word: re.Match[str], text: str) -> bool:
        start = word.start() - name.index(word[0])
        return start >= 0 and text.startswith(name, start) and not text[start + len(name) :][:1].isalnum()

    def _number(self, pattern: str, about: str) -> str:
        kind = "photograph" if "photograph" in pattern else pattern
        if (kind, about) not in self._numbers:
            self._last[kind] += 1
            self._numbers[kind, about] = self._last[kind]
        return pattern.format(self._numbers[kind, about])


def _chosen(contents: Contents) -> set[str]:
    """Collect what users and the program call runs, encoders, tasks and data sets."""
    names = {*TITLES, *TITLES.values(), *contents.datasets, *contents.encoders}
    names |= {name for several in (contents.finetuned, contents.logs) for parts in several for name in parts}
    names |= {name for label in contents.labels.values() for name in (label.name, *label.names)}
    names |= {str(name) for key in ("task", "name", "run") for name in contents.results[key].unique()}
    return names


def _stands_out(name: str) -> bool:
    """Tell whether it can be told from the numbers and words of the report."""
    if not LETTER.search(name):
        return len(DIGIT.findall(name)) >= 6
    return len(name) >= 3 and not (name.isalpha() and name.islower())
