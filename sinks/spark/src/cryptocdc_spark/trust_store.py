"""Java's store of the certificate authority of Cassandra's nodes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from cryptocdc_core.program.exits import BadInput, refusing_bad_input
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_spark.settings import SessionSettings

STORE_PASSWORD = "changeit"  # noqa: S105 - Java's default, of a store with a public certificate


def trust_store(ca_file: Path, store: Path | None = None) -> Path:
    """Return a new store with the certificate authority, at `store` or in a new folder. Raises BadInput."""
    if store is None:
        store = Path(tempfile.mkdtemp(prefix="cryptocdc-spark-")) / "ca.p12"
    store.unlink(missing_ok=True)
    home = os.environ.get("JAVA_HOME")
    keytool = str(Path(home, "bin", "keytool")) if home else "keytool"
    made = subprocess.run(
        [keytool, "-importcert", "-noprompt", "-alias", "ca", "-file", ca_file, "-keystore", store,
         "-storetype", "PKCS12", "-storepass", STORE_PASSWORD],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        raise BadInput(
            f"{CassandraSettings.variable('ca_file')}: {ca_file}: {(made.stdout + made.stderr).strip()[:300]};"
            " accepted: a certificate in PEM"
        )
    return store


if __name__ == "__main__":
    # In an executor's pod, which has no login to Cassandra.
    with refusing_bad_input():
        store = SessionSettings.from_env().spark_trust_store
        trust_store(Path(os.environ[CassandraSettings.variable("ca_file")]), store)
