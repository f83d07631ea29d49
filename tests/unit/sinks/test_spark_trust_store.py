"""Java's store of Cassandra's certificate authority, which executors need at the driver's path."""

import shutil
import subprocess
import sys

import pytest
from tests.e2e.stand_ins import certificates

from cryptocdc_spark.trust_store import trust_store

pytestmark = pytest.mark.skipif(shutil.which("keytool") is None, reason="keytool is not installed")


@pytest.fixture
def ca(tmp_path):
    file = tmp_path / "ca.crt"
    file.write_text(certificates.authority("CA").certificate, encoding="utf-8")
    return file


def test_it_is_made_anywhere_or_at_a_path_also_when_a_container_starts_again(ca, tmp_path):
    assert trust_store(ca).stat().st_size > 0
    wanted = tmp_path / "store.p12"
    assert trust_store(ca, wanted) == trust_store(ca, wanted) == wanted


def test_an_executor_makes_it_with_two_variables(ca, tmp_path):
    wanted = tmp_path / "store.p12"
    env = {"CRYPTOCDC_CASSANDRA_CA_FILE": str(ca), "CRYPTOCDC_SPARK_TRUST_STORE": str(wanted), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-m", "cryptocdc_spark.trust_store"], env=env, check=True)
    assert wanted.stat().st_size > 0
