"""Creates a certificate authority and the servers' certificates with openssl."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_DAYS = "365"


@dataclass(frozen=True)
class Certificate:
    """Certificate and key in PEM; the key as PKCS 8, which Java can read."""

    certificate: str
    key: str


def authority(name: str) -> Certificate:
    return _request("-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")


def issued(by: Certificate, hosts: Sequence[str]) -> Certificate:
    """Return a server certificate for all of these names."""
    with tempfile.TemporaryDirectory() as folder:
        authority_file, key_file = Path(folder, "ca.crt"), Path(folder, "ca.key")
        authority_file.write_text(by.certificate)
        key_file.write_text(by.key)
        names = ",".join(f"DNS:{host}" for host in hosts)
        return _request(
            "-CA", str(authority_file), "-CAkey", str(key_file), "-subj", "/CN=server",
            "-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
        )  # fmt: skip


def trust_store(certificate: str, password: str) -> bytes:
    """Return the certificate as a PKCS 12 file."""
    with tempfile.TemporaryDirectory() as folder:
        given, store = Path(folder, "crt"), Path(folder, "p12")
        given.write_text(certificate)
        subprocess.run(
            ["openssl", "pkcs12", "-export", "-nokeys", "-in", str(given), "-out", str(store),
             "-passout", f"pass:{password}"],
            check=True, capture_output=True,
        )  # fmt: skip
        return store.read_bytes()


def _request(*arguments: str) -> Certificate:
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "crt"), Path(folder, "key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", _DAYS, "-keyout", str(key), "-out", str(certificate), *arguments],
            check=True, capture_output=True,
        )  # fmt: skip
        return Certificate(certificate.read_text(), key.read_text())
