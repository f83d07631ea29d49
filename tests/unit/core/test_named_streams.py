"""Streams as people name them on the command line."""

import pytest

from cryptocdc_core.catalogue import STREAMS, named
from cryptocdc_core.program.exits import BadInput

HAS = (STREAMS["recentTrades"], STREAMS["klines"])


@pytest.mark.parametrize("name", ["recentTrades", "recent_trades"])
def test_a_stream_is_named_by_the_feeds_field_or_by_its_table(name):
    assert named(HAS, [name]) == HAS[:1]


def test_without_a_name_all_are_meant():
    assert named(HAS, []) == HAS


def test_others_are_refused_with_those_that_are_accepted():
    with pytest.raises(BadInput, match="--stream: 'bars', 'x' is not accepted; accepted: ours: recentTrades, klines"):
        named(HAS, ["bars", "klines", "x"], "ours: ")
