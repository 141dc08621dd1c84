"""A cluster on `tls://`, with an authority and certificates that the test makes: those without one are turned away."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.dask_processes import dask
from tests.commands import finish, process


def certificate(folder: Path, name: str, authority: str | None = None) -> None:
    """Makes a key and a certificate, signed by an authority or by itself."""
    request = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key"]
    if authority is None:
        made = [[*request, "-x509", "-days", "2", "-out", f"{name}.pem"]]
    else:
        signed = ["openssl", "x509", "-req", "-in", f"{name}.csr", "-days", "2", "-CAcreateserial"]
        made = [
            [*request, "-out", f"{name}.csr"],
            [*signed, "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-out", f"{name}.pem"],
        ]
    for command in made:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


def variables(folder: Path, name: str, authority: str = "authority") -> dict[str, str]:
    """Dask's own, which name the certificates of scheduler, workers and command."""
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    named = {f"{tls}CA_FILE": str(folder / f"{authority}.pem"), "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        named |= {f"{tls}{role}__CERT": str(folder / f"{name}.pem"), f"{tls}{role}__KEY": str(folder / f"{name}.key")}
    return named


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_certificates_let_in_and_keep_out(tmp_path: Path) -> None:
    certificate(tmp_path, "authority")
    certificate(tmp_path, "ours", "authority")
    certificate(tmp_path, "stranger")
    with dask(tmp_path, workers=1, protocol="tls", variables=variables(tmp_path, "ours")) as started:
        words = ["prep", "odir", tmp_path / "none", "--workspace", tmp_path / "work", "--scheduler", started.address]
        known = finish(process(*words, **variables(tmp_path, "ours")))
        assert f"Dask scheduler {started.address}: 1 workers" in known.out
        assert known.code == 1 and "none" in known.err and "encrypted" not in known.err
        for other in ({}, variables(tmp_path, "stranger", "stranger")):
            kept_out = finish(process(*words, **other))
            assert kept_out.code == 1 and kept_out.err.startswith("error: "), kept_out
            assert "Dask scheduler" in kept_out.err and len(kept_out.err.splitlines()) == 1 and kept_out.out == ""
