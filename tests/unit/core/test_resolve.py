"""What a feed's symbols mean on its exchange."""

import pytest
from tests.unit.core.feeds import feed

from cryptocdc_core.feed import FeedError
from cryptocdc_core.resolve import Market, resolve

SYMBOLS = [f"S{n:02}USDT" for n in range(1, 21)]
MARKETS = {symbol: Market(symbol, "USDT", trading=True) for symbol in SYMBOLS} | {
    "BTCEUR": Market("BTCEUR", "EUR", trading=True),
    "OLDUSDT": Market("OLDUSDT", "USDT", trading=False),
}
VOLUMES = {symbol: 1000.0 - rank for rank, symbol in enumerate(SYMBOLS)} | {"BTCEUR": 1e9, "OLDUSDT": 1e9}


def top(count, current=(), volumes=VOLUMES, quote="USDT"):
    wanted = feed(symbols={"top": {"count": count, "quote": quote}})
    return resolve(wanted, "exchange", MARKETS, volumes, frozenset(current)).symbols


def names(*symbols):
    return resolve(feed(symbols={"names": list(symbols)}), "exchange", MARKETS, {})


def test_top_takes_the_largest_that_trade_in_the_quote_asset():
    assert top(3) == ("S01USDT", "S02USDT", "S03USDT")


def test_equal_volumes_are_ranked_by_name_so_that_the_answer_never_flaps():
    assert top(2, volumes={}) == ("S01USDT", "S02USDT")


def test_fewer_markets_than_asked_for_are_all_taken():
    assert top(500) == tuple(SYMBOLS)


@pytest.mark.parametrize(
    ("rank", "stays"), [(4, True), (5, True), (6, True), (7, False)]
)  # a count of 4: it leaves below rank 6
def test_a_symbol_leaves_only_below_one_and_a_half_times_the_count(rank, stays):
    current = ["S01USDT", "S02USDT", "S03USDT", SYMBOLS[rank - 1]]
    assert (SYMBOLS[rank - 1] in top(4, current)) is stays
    assert len(top(4, current)) == 4


def test_who_joins_takes_the_place_of_who_left():
    assert top(4, ["S01USDT", "S02USDT", "S03USDT", "S09USDT"]) == ("S01USDT", "S02USDT", "S03USDT", "S04USDT")


def test_a_smaller_count_keeps_the_largest_of_the_current():
    assert top(2, SYMBOLS[:3]) == ("S01USDT", "S02USDT")


def test_a_quote_asset_without_markets_is_named_with_those_that_have_some():
    with pytest.raises(FeedError, match=r"spec\.symbols\.top\.quote: 'XYZ' has no trading market; accepted: EUR, USDT"):
        top(3, quote="XYZ")


def test_names_come_sorted_and_halted_ones_apart():
    resolved = names("S02USDT", "OLDUSDT", "S01USDT")
    assert (resolved.symbols, resolved.halted) == (("S01USDT", "S02USDT"), ("OLDUSDT",))
    assert resolved.names.fid == "majors"


def test_every_unknown_symbol_is_named_with_what_may_have_been_meant():
    with pytest.raises(FeedError) as caught:
        names("S01USDT", "BTCEURO", "QQQQQQ")
    first, second = caught.value.problems
    assert first == "spec.symbols.names[1]: 'BTCEURO' is unknown to binance; did you mean BTCEUR?"
    assert second == "spec.symbols.names[2]: 'QQQQQQ' is unknown to binance; a symbol of exchangeInfo is accepted"


@pytest.mark.timeout(60)
def test_a_thousand_unknown_symbols_are_all_named_and_soon():
    with pytest.raises(FeedError) as caught:
        resolve(
            feed(symbols={"names": [f"S{at:04d}USDC" for at in range(1000)]}),
            "exchange",
            {name: Market(name, "USDT", trading=True) for name in (f"S{at:04d}USDT" for at in range(3000))},
            {},
        )
    assert len(caught.value.problems) == 1000
    assert "did you mean" in caught.value.problems[0]


def test_an_alert_of_a_symbol_that_the_exchange_does_not_know_is_refused_with_top_too():
    wanted = feed(symbols={"top": {"count": 3}}, alerts=[{"symbol": "S1USDT", "above": 1}])
    with pytest.raises(FeedError, match=r"spec\.alerts\[0\]\.symbol: 'S1USDT' is unknown to binance; did you mean"):
        resolve(wanted, "exchange", MARKETS, VOLUMES)
    known = feed(symbols={"top": {"count": 3}}, alerts=[{"symbol": "S19USDT", "above": 1}])
    assert "S19USDT" not in resolve(known, "exchange", MARKETS, VOLUMES).symbols
