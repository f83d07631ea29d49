"""Connecting to Cassandra."""

import pytest
from cassandra.cluster import NoHostAvailable

from cryptocdc_adapters import cassandra
from cryptocdc_core.settings import CassandraSettings


def test_a_name_without_an_address_is_a_host_that_does_not_answer():
    """As a headless service has none while its only pod starts."""
    with pytest.raises(NoHostAvailable, match=r"nowhere\.invalid"):
        cassandra.connect(CassandraSettings(password="p", hosts="nowhere.invalid"))
