"""Resolving a feed's symbols on its exchange."""

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_core.feed.model import FeedError
from cryptocdc_core.planning.resolve import Market, MarketState, implausible, resolve, unresolved, waiting_notes

SYMBOLS = [f"S{n:02}USDT" for n in range(1, 21)]
MARKETS = {symbol: Market(symbol, "USDT") for symbol in SYMBOLS} | {
    "BTCEUR": Market("BTCEUR", "EUR"),
    "OLDUSDT": Market("OLDUSDT", "USDT", MarketState.HALTED),
}
VOLUMES = {symbol: 1000.0 - rank for rank, symbol in enumerate(SYMBOLS)} | {"BTCEUR": 1e9, "OLDUSDT": 1e9}


def top(count, current=(), volumes=VOLUMES, quote="USDT"):
    wanted = feed(symbols={"top": {"count": count, "quote": quote}})
    return resolve(wanted, "exchange", MARKETS, volumes, frozenset(current)).symbols


def names(*symbols):
    return resolve(feed(symbols={"names": list(symbols)}), "exchange", MARKETS, {})


def test_top_takes_the_largest_that_trade_in_the_quote_asset():
    assert top(3) == ("S01USDT", "S02USDT", "S03USDT")


def test_equal_volumes_are_ranked_by_name():
    assert top(2, volumes={}) == ("S01USDT", "S02USDT")


def test_all_markets_are_taken_if_there_are_fewer_than_requested():
    assert top(500) == tuple(SYMBOLS)


@pytest.mark.parametrize(
    ("rank", "stays"), [(4, True), (5, True), (6, True), (7, False)]
)  # a count of 4: it leaves below rank 6
def test_a_symbol_leaves_top_only_below_one_and_a_half_times_the_count(rank, stays):
    current = ["S01USDT", "S02USDT", "S03USDT", SYMBOLS[rank - 1]]
    assert (SYMBOLS[rank - 1] in top(4, current)) is stays
    assert len(top(4, current)) == 4


def test_the_highest_ranked_newcomer_replaces_a_symbol_that_left():
    assert top(4, ["S01USDT", "S02USDT", "S03USDT", "S09USDT"]) == ("S01USDT", "S02USDT", "S03USDT", "S04USDT")


def test_a_smaller_count_keeps_the_largest_of_the_current():
    assert top(2, SYMBOLS[:3]) == ("S01USDT", "S02USDT")


def test_a_quote_asset_without_markets_is_refused_with_those_that_have_some():
    with pytest.raises(FeedError, match=r"spec\.symbols\.top\.quote: 'XYZ' has no trading market; accepted: EUR, USDT"):
        top(3, quote="XYZ")


def test_symbols_are_sorted_and_include_paused_markets():
    resolved = names("S02USDT", "OLDUSDT", "S01USDT")
    assert (resolved.symbols, resolved.halted) == (("OLDUSDT", "S01USDT", "S02USDT"), ("OLDUSDT",))
    assert resolved.names.fid == "majors"


def test_an_unlisted_symbol_is_waited_for_with_similar_names_suggested():
    resolved = names("S01USDT", "BTCEURO", "QQQQQQ")
    assert resolved.symbols == ("BTCEURO", "QQQQQQ", "S01USDT")
    assert resolved.waiting == {"BTCEURO": ("BTCEUR",), "QQQQQQ": ()}
    assert waiting_notes(resolved.waiting, "binance") == [
        "BTCEURO is not listed by binance: waiting for its first trade; did you mean BTCEUR?",
        "QQQQQQ is not listed by binance: waiting for its first trade",
    ]


@pytest.mark.timeout(60)
def test_a_thousand_unlisted_symbols_are_resolved_quickly():
    resolved = resolve(
        feed(symbols={"names": [f"S{at:04d}USDC" for at in range(1000)]}),
        "exchange",
        {name: Market(name, "USDT") for name in (f"S{at:04d}USDT" for at in range(3000))},
        {},
    )
    assert len(resolved.waiting) == 1000
    assert resolved.waiting["S0000USDC"]


def test_when_all_markets_are_paused_top_keeps_its_symbols_or_ranks_paused_ones():
    paused = {symbol: Market(symbol, "USDT", MarketState.HALTED) for symbol in SYMBOLS}
    wanted = feed(symbols={"top": {"count": 2}})
    current = frozenset({"S05USDT", "S06USDT"})
    kept = resolve(wanted, "exchange", paused, {}, current)
    assert (kept.symbols, kept.halted) == (("S05USDT", "S06USDT"), ("S05USDT", "S06USDT"))
    begun = resolve(wanted, "exchange", paused, VOLUMES)
    assert (begun.symbols, begun.halted) == (("S01USDT", "S02USDT"), ("S01USDT", "S02USDT"))


@pytest.mark.parametrize("volumes", [VOLUMES, {s: v for s, v in VOLUMES.items() if s != "S02USDT"}])
def test_a_paused_market_keeps_its_rank_whether_or_not_its_volume_is_known(volumes):
    markets = MARKETS | {"S02USDT": Market("S02USDT", "USDT", MarketState.HALTED)}
    wanted = feed(symbols={"top": {"count": 2}})
    renewed = resolve(wanted, "exchange", markets, volumes, frozenset({"S01USDT", "S02USDT"}))
    assert (renewed.symbols, renewed.halted) == (("S01USDT", "S02USDT"), ("S02USDT",))


def test_a_market_delisted_for_days_has_no_volume_and_leaves_top():
    markets = MARKETS | {"S02USDT": Market("S02USDT", "USDT", MarketState.HALTED)}
    wanted = feed(symbols={"top": {"count": 2}})
    current = frozenset({"S01USDT", "S02USDT"})
    assert resolve(wanted, "exchange", markets, VOLUMES | {"S02USDT": 0.0}, current).symbols == ("S01USDT", "S03USDT")


def test_an_unlisted_symbol_leaves_top_once_a_second_list_confirms_it():
    markets = {symbol: market for symbol, market in MARKETS.items() if symbol != "S02USDT"}
    wanted = feed(symbols={"top": {"count": 2}})
    current = frozenset({"S01USDT", "S02USDT"})
    once = resolve(wanted, "exchange", markets, VOLUMES, current)
    assert (once.symbols, list(once.waiting)) == (("S01USDT", "S02USDT"), ["S02USDT"])
    twice = resolve(wanted, "exchange", markets, VOLUMES, current, frozenset(once.waiting))
    assert (twice.symbols, dict(twice.waiting)) == (("S01USDT", "S03USDT"), {})


def test_changing_the_quote_asset_of_top_replaces_its_symbols_immediately():
    wanted = feed(symbols={"top": {"count": 2, "quote": "EUR"}})
    assert resolve(wanted, "exchange", MARKETS, VOLUMES, frozenset({"S01USDT", "GONEUSDT"})).symbols == ("BTCEUR",)


@pytest.mark.parametrize(
    ("listed", "believed"),
    [
        (["123456"], False),
        ([], False),
        (SYMBOLS[:9], False),
        (SYMBOLS[:10], True),
        ([*SYMBOLS, "NEWUSDT"], True),
    ],
)
def test_a_list_that_lacks_most_of_the_known_markets_is_implausible(listed, believed):
    why = implausible(listed, ("S01USDT", "S02USDT"), SYMBOLS)
    assert (why is None) is believed, why


def test_the_reason_for_an_implausible_list_includes_examples():
    assert implausible(["123456"], ("BTCUSDT", "ETHUSDT")) == (
        "it lists 1 market and lacks 2 of 2 known ones: BTCUSDT, ETHUSDT"
    )


def test_without_a_plausible_list_a_feed_keeps_its_symbols():
    by_name = unresolved(feed(), "exchange", "why", ())
    assert by_name is not None
    assert (by_name.symbols, by_name.suspect) == (("BTCUSDT", "ETHUSDT"), "why")
    top = feed(symbols={"top": {"count": 2}})
    before = unresolved(top, "exchange", "why", ("S05USDT",))
    assert before is not None
    assert before.symbols == ("S05USDT",)
    assert unresolved(top, "exchange", "why", ()) is None


def test_an_alert_of_a_symbol_that_the_exchange_does_not_know_is_refused_with_top_too():
    wanted = feed(symbols={"top": {"count": 3}}, alerts=[{"symbol": "S1USDT", "above": 1}])
    with pytest.raises(FeedError, match=r"spec\.alerts\[0\]\.symbol: 'S1USDT' is unknown to binance; did you mean"):
        resolve(wanted, "exchange", MARKETS, VOLUMES)
    known = feed(symbols={"top": {"count": 3}}, alerts=[{"symbol": "S19USDT", "above": 1}])
    assert "S19USDT" not in resolve(known, "exchange", MARKETS, VOLUMES).symbols
