"""docs/exchanges.md says of each exchange and stream what the registry says."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.core.feeds import feed

from cryptocdc_core.catalogue import STREAMS
from cryptocdc_exchanges.port import Proof
from cryptocdc_exchanges.registry import VENUES, completeness

DOCUMENT = (Path(__file__).parents[3] / "docs" / "exchanges.md").read_text(encoding="utf-8")


def test_the_table_of_exchanges_and_streams_matches_the_registry() -> None:
    rows = [f"| exchange | {' | '.join(STREAMS)} |", "|---" * (len(STREAMS) + 1) + "|"]
    for name, venue in sorted(VENUES.items()):
        offers = [venue.offers.get(stream.table) for stream in STREAMS.values()]
        rows.append(f"| `{name}` | {' | '.join('–' if offer is None else offer.proof.value for offer in offers)} |")
    assert "\n".join(rows) in DOCUMENT, "\n".join(rows)


def test_every_completeness_word_is_explained() -> None:
    assert set(re.findall(r"^\| `([a-z]+)` \| [A-Z]", DOCUMENT, re.MULTILINE)) == {proof.value for proof in Proof}


def test_a_polled_book_is_complete_by_arrival_only() -> None:
    streams = {"recentTrades": {"source": "rest"}, "orderBook": {"source": "rest"}, "klines": {}}
    assert completeness(feed(streams=streams)) == {
        "recent_trades": Proof.IDS, "klines": Proof.IDS, "order_book": Proof.ARRIVAL,
    }  # fmt: skip
    assert completeness(feed(streams={"orderBook": {}})) == {"order_book": Proof.SEQUENCE}


def test_trades_whose_ids_have_holes_are_complete_by_arrival_only() -> None:
    for kind, proof in (("aggregate", Proof.ARRIVAL), ("trade", Proof.IDS)):
        wanted = feed(exchange="okx", streams={"recentTrades": {"kind": kind}})
        assert completeness(wanted) == {"recent_trades": proof}
