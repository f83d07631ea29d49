"""Which markets count as paused or not listed, from the exchange's lists and from frames."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from cryptocdc_core.planning.resolve import Market, MarketState
from cryptocdc_producer.symbols.market_states import MarketStates, State, SuspectList

OTHERS = [f"S{at}USDT" for at in range(10)]
WANTED = {"BTCUSDT", "ETHUSDT", "NEWUSDT"}


def listing(*paused: str, without: Collection[str] = ()) -> dict[str, Market]:
    """BTCUSDT, ETHUSDT and others, all trading but `paused`."""
    symbols = [symbol for symbol in ("BTCUSDT", "ETHUSDT", *OTHERS) if symbol not in without]
    states = {True: MarketState.HALTED, False: MarketState.TRADING}
    return {symbol: Market(symbol, "USDT", states[symbol in paused]) for symbol in symbols}


def states() -> MarketStates:
    return MarketStates(("BTCUSDT", "ETHUSDT"))


def test_a_market_is_paused_only_if_two_lists_agree() -> None:
    known = states()
    assert known.take(listing("ETHUSDT"), {"BTCUSDT", "ETHUSDT"}, ()) == ([], [])
    assert (known.absent, known.doubtful) == ({}, True)
    assert known.take(listing("ETHUSDT"), {"BTCUSDT", "ETHUSDT"}, ()) == ([], ["ETHUSDT"])
    assert (known.paused, known.unlisted, known.doubtful) == ({"ETHUSDT"}, set(), False)


def test_a_single_list_corrected_by_the_next_changes_nothing() -> None:
    known = states()
    known.take(listing("ETHUSDT"), {"ETHUSDT"}, ())
    assert known.take(listing(), {"ETHUSDT"}, ()) == ([], [])
    assert known.take(listing("ETHUSDT"), {"ETHUSDT"}, ()) == ([], [])
    assert known.absent == {}


def test_a_market_that_sends_frames_is_live_regardless_of_the_list() -> None:
    known = states()
    for _ in range(3):
        assert known.take(listing("ETHUSDT", without=["BTCUSDT"]), WANTED, {"BTCUSDT", "ETHUSDT"})[1] in (
            [],
            ["NEWUSDT"],
        )
    assert known.absent == {"NEWUSDT": State.UNLISTED}
    assert known.trades({"NEWUSDT"}) == ["NEWUSDT"]
    assert known.absent == {}


def test_one_list_suffices_to_resume_a_market() -> None:
    known = states()
    for _ in range(2):
        known.take(listing("ETHUSDT"), {"ETHUSDT"}, ())
    assert known.take(listing(), {"ETHUSDT"}, ()) == (["ETHUSDT"], [])


def test_a_paused_market_that_is_no_longer_listed_is_not_reported_as_paused() -> None:
    known = states()
    for _ in range(2):
        known.take(listing("ETHUSDT"), {"ETHUSDT"}, ())
    assert known.take(listing(without=["ETHUSDT"]), {"ETHUSDT"}, ()) == ([], [])
    assert known.absent == {"ETHUSDT": State.UNLISTED}


MAINTENANCE = {"123456": Market("123456", "456")}


@pytest.mark.parametrize("before", [0, 1], ids=["first answer", "after a believable one"])
def test_the_list_during_maintenance_is_rejected(before: int) -> None:
    known = states()
    for _ in range(before):
        known.take(listing(), WANTED - {"NEWUSDT"}, ())
    for _ in range(5):
        with pytest.raises(SuspectList, match="it lists 1 market and lacks 2 of 2 known ones: BTCUSDT, ETHUSDT"):
            known.take(MAINTENANCE, WANTED, ())
    assert (known.absent, known.doubtful) == ({}, False)


def test_a_list_that_lacks_most_of_the_previous_one_is_rejected() -> None:
    known = states()
    known.take(listing(), {"ETHUSDT"}, ())
    with pytest.raises(SuspectList, match="lacks 7 of 12 known ones"):
        known.take(listing(without=OTHERS[:7]), {"ETHUSDT"}, ())


def test_a_symbol_no_longer_captured_is_forgotten() -> None:
    known = states()
    for _ in range(2):
        known.take(listing(), {"NEWUSDT"}, ())
    known.keep({"BTCUSDT"})
    assert known.absent == {}
