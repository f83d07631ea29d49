"""Connecting to Cassandra."""

import pytest
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters.cassandra import sessions as cassandra
from cryptocdc_core.program.settings import CassandraSettings


def test_an_unresolvable_host_name_raises_no_host_available():
    """A headless service has no address while its only pod starts."""
    with pytest.raises(NoHostAvailable, match=r"nowhere\.invalid"):
        cassandra.connect(CassandraSettings(password="p", hosts="nowhere.invalid"))
