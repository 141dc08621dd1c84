"""What a worker has to have in common with the command, checked in this process."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from swcl_cli.cluster.terms import look_at, terms_of, unmet

HOST = os.uname().nodename


def test_a_worker_that_meets_the_terms(tmp_path: Path) -> None:
    (tmp_path / "eye.jpg").write_bytes(b"eye")
    with terms_of(tmp_path) as terms:
        full = replace(terms, files=look_at([tmp_path / "eye.jpg"]))
        assert full.files and unmet(full) == ""
        assert [path.name for path in tmp_path.glob(".cluster-*")] == [terms.token.name]
    assert not list(tmp_path.glob(".cluster-*"))


def test_another_workspace_file_or_version(tmp_path: Path) -> None:
    eye = tmp_path / "eye.jpg"
    eye.write_bytes(b"eye")
    with terms_of(tmp_path / "work") as terms:
        elsewhere = replace(terms, token=tmp_path / "other" / terms.token.name)
        assert unmet(elsewhere).startswith(f"The worker on {HOST} does not see {tmp_path / 'other'}")
        elsewhere.token.parent.mkdir()
        elsewhere.token.write_text("the token of another command")
        assert f"does not see {tmp_path / 'other'}" in unmet(elsewhere)

        seen = replace(terms, files=look_at([eye]))
        os.utime(eye, ns=(1, 1))
        assert f"The worker on {HOST} sees another {eye}, of other size or time" in unmet(seen)
        eye.unlink()
        assert f"The worker on {HOST} does not see {eye}" in unmet(seen)

        older = replace(terms, versions={**terms.versions, "torch": "1.0", "pillow": "2.0"})
        words = (
            f"has torch {terms.versions['torch']} in place of 1.0, pillow {terms.versions['pillow']} in place of 2.0"
        )
        assert unmet(older) == f"The worker on {HOST} {words}: install equal versions."
        assert {"swcl", "torch", "pillow"} <= terms.versions.keys() and unmet(terms) == ""
