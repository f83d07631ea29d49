"""The stylized facts that make the simulated market realistic, measured with and without clustering."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from statistics import correlation, mean, median, pvariance

import pytest

from cryptocdc_simulator.market.bars import Bar
from cryptocdc_simulator.market.book import step_at
from cryptocdc_simulator.market.market import Listing, Market

from .conftest import NOON

MINUTE, DAY = 60_000, 86_400_000
SYMBOLS = ("BTCUSDT", "XRPUSDT", "ETHBTC")


@cache
def listing(symbol: str, clustering: bool = True) -> Listing:
    return Market(7, 64, 1.0, lambda: NOON, clustering).listings[symbol]


@cache
def minutes(symbol: str, clustering: bool = True) -> list[Bar]:
    """The candles of the last two days."""
    bars = listing(symbol, clustering).bars
    return [bars.kline(start, start + MINUTE) for start in range(NOON - 2 * DAY, NOON, MINUTE)]


def returns(symbol: str, clustering: bool = True) -> list[float]:
    return [after.close / before.close - 1.0 for before, after in pairwise(minutes(symbol, clustering))]


def autocorrelation(values: list[float], lags: range) -> float:
    """The mean over the lags."""
    middle = mean(values)
    apart = [value - middle for value in values]
    whole = sum(value * value for value in apart)
    return mean(sum(a * b for a, b in zip(apart, apart[lag:], strict=False)) / whole for lag in lags)


def dispersion(symbol: str, clustering: bool) -> float:
    """Variance over mean of the trades in each second of the last hour: 1 when they come independently."""
    tape = listing(symbol, clustering).tape
    ids = [tape.first_id_at(time) for time in range(NOON - 3_600_000, NOON + 1, 1_000)]
    counts = [after - before for before, after in pairwise(ids)]
    return pvariance(counts) / mean(counts)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_volatility_clusters(symbol: str) -> None:
    clustered, even = (
        autocorrelation([abs(r) for r in returns(symbol, clustering)], range(1, 6)) for clustering in (True, False)
    )
    # Without memory the standard error of each lag's is 1 / sqrt(2,879), 0.019.
    assert clustered > 0.06
    assert abs(even) < 0.03


@pytest.mark.parametrize("clustering", [True, False])
def test_the_next_return_does_not_follow_from_the_last(clustering: bool) -> None:
    assert abs(autocorrelation(returns("BTCUSDT", clustering), range(1, 2))) < 0.06


def test_large_moves_are_more_frequent_than_in_a_normal_distribution() -> None:
    def kurtosis(values: list[float]) -> float:
        return mean(value**4 for value in values) / mean(value**2 for value in values) ** 2

    assert kurtosis(returns("BTCUSDT")) > 4.0
    assert kurtosis(returns("BTCUSDT", False)) < 3.5


@pytest.mark.parametrize("symbol", [*SYMBOLS, "NKNUSDT"])
def test_trades_come_in_bursts(symbol: str) -> None:
    assert dispersion(symbol, True) > 1.5
    assert dispersion(symbol, False) < 1.4


def test_the_number_of_trades_varies_between_minutes() -> None:
    counts = [bar.trades for bar in minutes("BTCUSDT")]
    assert max(counts) > 3 * median(counts)
    assert min(counts) < median(counts) / 3
    assert mean(counts) == pytest.approx(32 * 60, rel=0.1)
    # Without clustering it is the constant rate of the catalogue.
    assert {bar.trades for bar in minutes("BTCUSDT", False)} == {32 * 60}


def test_markets_are_busy_at_times_of_their_own() -> None:
    one, other = ([float(bar.trades) for bar in minutes(symbol)] for symbol in ("BTCUSDT", "ETHBTC"))
    assert 0.1 < correlation(one, other) < 0.9


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_price_rises_where_buyers_take_more(symbol: str) -> None:
    bars = minutes(symbol)[1:]
    bought = [bar.volume_taken / bar.volume for bar in bars]
    assert correlation(bought, returns(symbol)) > 0.1


@pytest.mark.parametrize("symbol", [*SYMBOLS, "NKNUSDT"])
def test_the_largest_trades_carry_much_of_the_volume(symbol: str) -> None:
    tape, last = listing(symbol).tape, listing(symbol).next_id()
    quantities = sorted(trade.quantity for trade in tape.aggregates(last - 20_000, last))
    assert sum(quantities[-200:]) > 0.1 * sum(quantities)
    assert quantities[-1] > 50 * quantities[10_000]


def test_a_candle_opens_where_the_previous_one_closed() -> None:
    bars = minutes("BTCUSDT")
    jumps = [abs(after.open - before.close) for before, after in pairwise(bars)]
    assert mean(jumps) < 0.05 * mean(bar.high - bar.low for bar in bars)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_depth_and_the_spread_of_the_book_change(symbol: str) -> None:
    book = listing(symbol).book
    snapshots = [book.snapshot(step, 20) for step in range(step_at(NOON - 3_600_000), step_at(NOON), 60)]
    for side in (0, 1):
        depths = [sum(quantity for _, quantity in snapshot[side]) for snapshot in snapshots]
        assert pvariance(depths) ** 0.5 > 0.3 * mean(depths)
    spreads = [asks[0][0] - bids[0][0] for bids, asks in snapshots]
    assert max(spreads) > 2 * median(spreads)


def test_a_day_is_plausible() -> None:
    days = {symbol: it.stats() for symbol, it in Market(7, 20, 1.0, lambda: NOON).listings.items()}
    for symbol, day in days.items():
        assert abs(day.change) < 0.15 * day.bar.open, symbol
        assert 1.005 < day.bar.high / day.bar.low < 1.3, symbol
    volumes = {symbol: day.bar.quote / 10 ** listing(symbol).instrument.quote_decimals for symbol, day in days.items()}
    ranked = sorted(volumes, key=volumes.__getitem__, reverse=True)
    assert ranked[0] == "BTCUSDT"
    assert set(ranked[:4]) <= {"BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT"}
    assert 5e8 < volumes["BTCUSDT"] < 1e10
    assert len({day.change > 0 for day in days.values()}) == 2


@pytest.mark.parametrize("clustering", [True, False])
def test_the_same_seed_gives_the_same_market(clustering: bool) -> None:
    one, same, other = (Market(seed, 64, 1.0, lambda: NOON, clustering).listings["SOLUSDT"] for seed in (3, 3, 4))
    span = NOON - 3 * MINUTE, NOON
    assert one.bars.kline(*span) == same.bars.kline(*span) != other.bars.kline(*span)
    step = step_at(NOON)
    assert one.book.snapshot(step, 20) == same.book.snapshot(step, 20) != other.book.snapshot(step, 20)
