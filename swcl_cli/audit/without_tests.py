"""Find the photographs that a training has to leave out, so that what data sets test on stays unseen."""

from __future__ import annotations

from collections.abc import Sequence

from swcl_cli.audit.verdict import COPY
from swcl_cli.data import manifest
from swcl_cli.data.columns import AUDIT
from swcl_cli.data.left_out import NOTHING, LeftOut
from swcl_cli.data.photographs import manifest_of
from swcl_cli.data.splits import joined
from swcl_cli.data.stored import read_columns
from swcl_cli.errors import SwclError
from swcl_cli.workspace import Workspace, fingerprint, read_provenance

TEST = "test"


def without_tests(workspace: Workspace, tested: Sequence[str], learning: Sequence[str]) -> LeftOut:
    """Find the photographs of the data sets `learning` that one of `tested` tests on, or that are copies of such.

    A data set tests on its test split; one that has none tests on all of its photographs, by folds. Copies of copies
    count. Raises SwclError where a data set is not prepared, or was not audited as it is prepared now.
    """
    if not tested:
        return NOTHING
    _require_audited(workspace, sorted({*tested, *learning}))
    on_test = {path: name for name in sorted(set(tested)) for path in _tested(workspace, name)}
    pairs = read_columns(workspace.audit, AUDIT.only(["kind", "path", "other_path"])).to_pandas()
    pairs = pairs[pairs["kind"] == COPY]
    families = joined(zip(pairs["path"], pairs["other_path"], strict=True))
    original = {families[path]: path for path in sorted(on_test, reverse=True) if path in families}
    reasons = {}
    for name in learning:
        for path in manifest.read(manifest_of(workspace, name), ["path"])["path"]:
            if path in on_test:
                reasons[path] = f"{on_test[path]} tests on it"
            elif twin := original.get(families.get(path, "")):
                reasons[path] = f"a copy of {twin}, on which {on_test[twin]} tests"
    return LeftOut(tuple(sorted(set(tested))), reasons)


def _tested(workspace: Workspace, name: str) -> list[str]:
    """List the paths of the photographs that a data set tests on."""
    table = manifest.read(manifest_of(workspace, name), ["split", "path"])
    rows = table[table["split"] == TEST]
    paths: list[str] = (rows if len(rows) else table)["path"].tolist()
    return paths


def _require_audited(workspace: Workspace, names: Sequence[str]) -> None:
    """Raise SwclError where the audit does not know the data sets as they are prepared now."""
    audited = read_provenance(workspace.require(workspace.audit, "swcl audit")).get("inputs", {})
    unknown = [name for name in names if audited.get(name) != fingerprint(manifest_of(workspace, name))]
    if unknown:
        raise SwclError(
            f"--without-tests: {workspace.audit} knows nothing of {', '.join(unknown)} as prepared now; renew it with: "
            "swcl audit"
        )
