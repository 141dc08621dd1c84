"""The versions that the tests last ran with: each dependency has one, and it is none that pyproject.toml excludes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
UNTESTED = {"bench"}  # extras that the tests do without


def test_each_dependency_has_a_version_that_it_allows() -> None:
    lines = (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8").split()
    versions = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(each for name in extras.keys() - UNTESTED for each in extras[name])]
    assert len(named) > 25
    for requirement in map(Requirement, named):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} has no version: make constraints"
        assert version in requirement.specifier, f"{requirement} excludes {version}"


def test_versions_are_of_any_machine() -> None:
    """Packages that GPUs alone need come with torch's own pins."""
    text = (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"^(nvidia|cuda|triton)|@|/", text, re.MULTILINE)
