"""Each venue against its dialect of the simulator, which is written from the documentation and shares no code."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import cycle, islice
from typing import Any

import msgspec
import pytest

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.rows.typed import KlinesRow, OrderBookRow, RecentTradesRow, Row
from cryptocdc_exchanges.port import BookUpdate, Control, Refusal, Reply, Request, SlowDown, Venue
from cryptocdc_producer.rest import backfill as backfills

from .examples import every_venue, feed_of
from .producing import Producing
from .simulated import Connection, Simulated, SimulatedRest

MINUTE = 60_000


@pytest.fixture
def simulated(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> Simulated:
    found = Simulated(venue)
    monkeypatch.setattr("time.time_ns", lambda: found.clock.now * 1_000_000)
    monkeypatch.setattr("time.time", lambda: found.clock.now / 1000)
    monkeypatch.setattr(backfills, "_FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(backfills, "_RETRIES_S", (0.0, 0.0))
    return found


def connected(simulated: Simulated, feed: CryptoFeed) -> tuple[Connection, list[bytes]]:
    """Return a connection subscribed to the feed's channels on one path, and the frames that came with it."""
    channels = simulated.venue.channels.of(feed.spec.streams, simulated.symbol)
    connection = Connection(simulated, feed, channels[0].path)
    return connection, connection.subscribe([it for it in channels if it.path == channels[0].path])


def without(row: Row, *fields: str) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name not in fields}


@every_venue
def test_a_subscription_is_acknowledged_and_every_frame_becomes_rows(venue: Venue, simulated: Simulated) -> None:
    feed = feed_of(venue)
    seen: set[str] = set()
    for path in {it.path for it in venue.channels.of(feed.spec.streams, simulated.symbol)}:
        connection = Connection(simulated, feed, path)
        channels = [it for it in venue.channels.of(feed.spec.streams, simulated.symbol) if it.path == path]
        welcomed = connection.subscribe(channels)
        replies = [reply for reply in connection.replies if isinstance(reply, Reply)]
        assert replies
        assert not any(reply.error for reply in replies)
        for frame in [*welcomed, *connection.run(20_000)]:
            found = connection.decode(frame)
            if isinstance(found, Control):
                continue
            for event in found:
                if venue.offers[event.table].shared and event.symbol != simulated.symbol:
                    continue
                assert event.symbol == simulated.symbol
                assert event.row(simulated.clock.now) is not None
                seen.add(event.table)
        connection.unsubscribe(channels)
        assert connection.run(3_000) == []
    assert seen == set(feed.spec.streams.tables)


@every_venue
def test_dropped_repeated_and_reordered_trades_end_in_the_same_rows(venue: Venue, simulated: Simulated) -> None:
    if not venue.gives_by_id(feed_of(venue).spec.streams.recent_trades.kind):  # type: ignore[union-attr]
        pytest.skip(f"{venue.name} gives no trades by id")
    feed = feed_of(venue, "recent_trades")
    connection, _ = connected(simulated, feed)
    frames = connection.run(30_000)
    assert len(frames) > 40, "too few frames for this test"
    whole = Producing(simulated, feed)
    whole.receive(frames)
    expected = {row.trade_id: without(row, "received_at") for row in whole.rows()}

    disturbed = [*frames[:5], *frames[9:20], *frames[18:25], frames[26], frames[25], *frames[27:30], *frames[33:]]
    producing = Producing(simulated, feed)
    producing.receive(disturbed)
    live = producing.rows()
    filled = producing.fill()

    assert producing.gaps, "the missing trades were not detected"
    assert not producing.refused
    found = {row.trade_id: without(row, "received_at") for row in [*live, *filled]}
    assert found == expected
    ids = sorted(found)
    assert ids == list(range(ids[0], ids[-1] + 1))


@every_venue
def test_missed_kline_closes_are_detected_and_filled(venue: Venue, simulated: Simulated) -> None:
    if "klines" not in feed_of(venue).spec.streams.tables:
        pytest.skip(f"{venue.name} has no klines over WebSocket")
    feed = feed_of(venue, "klines")
    connection, _ = connected(simulated, feed)
    first, cut, last = (connection.run(2 * MINUTE, stride=250) for _ in range(3))
    simulated.clock.now += 15_000
    producing = Producing(simulated, feed)
    producing.receive(first)
    producing.receive(last)
    live = [row for row in producing.rows() if row.closed]
    filled = producing.fill()

    assert cut
    assert producing.gaps
    opened = sorted({row.open_time for row in [*live, *filled]})
    assert opened == list(range(opened[0], opened[-1] + 1, MINUTE))
    assert len(opened) >= 5
    assert all(isinstance(row, KlinesRow) and row.closed for row in filled)


@every_venue
def test_a_symbol_starts_with_the_candles_of_the_past(venue: Venue, simulated: Simulated) -> None:
    if "klines" not in feed_of(venue).spec.streams.tables:
        pytest.skip(f"{venue.name} has no klines over WebSocket")
    producing = Producing(simulated, feed_of(venue, "klines", history={"klines": "5h"}))
    rows = producing.fill()

    assert not producing.refused
    assert all(row.closed for row in rows)
    now = simulated.clock.now
    opened = sorted({row.open_time for row in rows})
    assert opened == list(range(-(-(now - 5 * 60 * MINUTE) // MINUTE) * MINUTE, opened[-1] + 1, MINUTE))
    assert now - 3 * MINUTE < opened[-1] <= now - MINUTE


@every_venue
def test_a_trade_is_the_same_over_rest_and_websocket(venue: Venue, simulated: Simulated) -> None:
    feed = feed_of(venue, "recent_trades")
    kind = feed.spec.streams.recent_trades.kind  # type: ignore[union-attr]
    connection, _ = connected(simulated, feed)
    producing = Producing(simulated, feed)
    producing.receive(connection.run(10_000))
    rows: list[RecentTradesRow] = producing.rows()
    limit = min(10, venue.requests.page)
    asked = venue.requests.trades(simulated.symbol, kind, rows[0].trade_id if venue.gives_by_id(kind) else None, limit)
    by_id = {row.trade_id: without(row, "received_at") for row in simulated.read(asked).rows}

    common = [row for row in rows if row.trade_id in by_id]
    assert common
    assert all(by_id[row.trade_id] == without(row, "received_at") for row in common)


@every_venue
def test_the_rebuilt_book_equals_an_independent_application_of_the_updates(venue: Venue, simulated: Simulated) -> None:
    """Also after a missed and a repeated update and a snapshot in the middle."""
    if "order_book" not in feed_of(venue).spec.streams.tables:
        pytest.skip(f"{venue.name} has no order book over WebSocket")
    feed = feed_of(venue, "order_book")
    connection, welcomed = connected(simulated, feed)
    producing = Producing(simulated, feed)
    producing.receive([*welcomed, *connection.run(2_000)])
    channels = venue.channels.of(feed.spec.streams, simulated.symbol)

    def recover() -> None:
        if venue.order_book.snapshot_by == "rest":
            assert producing.snapshot()
        else:
            connection.unsubscribe(channels)
            producing.receive(connection.subscribe(channels))

    if venue.order_book.snapshot_by == "rest":
        assert producing.lost_books == ["start"]
        recover()
    frames = connection.run(5_000)
    producing.receive([*frames[:20], frames[19], *frames[20:]])
    missed = connection.run(2_000)
    assert missed
    producing.receive(connection.run(2_000))
    if producing.lost_books[-1:] == ["gap"]:
        recover()
    else:
        assert venue.order_book.snapshot_by == "channel", "a missed update was not detected"
        recover()
    producing.receive(connection.run(3_000))
    producing.capture.finish()
    rows: list[OrderBookRow] = producing.rows()

    truth = simulated.read(venue.requests.book(simulated.symbol, 100))
    last = rows[-1]
    sides = ((last.bid_prices, last.bid_quantities, truth.bids), (last.ask_prices, last.ask_quantities, truth.asks))
    for prices, quantities, levels in sides:
        assert len(prices) == 5
        mine = [(Decimal(price), Decimal(quantity)) for price, quantity in zip(prices, quantities, strict=True)]
        assert mine == [(Decimal(price), Decimal(quantity)) for price, quantity, *_ in levels[:5]]
    assert not producing.refused


@every_venue
def test_each_bucket_has_the_book_after_its_last_update(venue: Venue, simulated: Simulated) -> None:
    if "order_book" not in feed_of(venue).spec.streams.tables:
        pytest.skip(f"{venue.name} has no order book over WebSocket")
    feed = feed_of(venue, "order_book")
    connection, welcomed = connected(simulated, feed)
    producing = Producing(simulated, feed)
    updates: list[BookUpdate] = []

    def receive(frames: list[bytes]) -> None:
        producing.receive(frames)
        for frame in frames:
            found = connection.decode(frame)
            if not isinstance(found, Control):
                updates.extend(it for event in found if isinstance(it := event.row(simulated.clock.now), BookUpdate))

    receive(welcomed)
    sides: tuple[dict[Decimal, str], dict[Decimal, str]] = {}, {}
    if venue.order_book.snapshot_by == "rest":
        receive(connection.run(500))
        most = venue.order_book.levels[-1]
        found = simulated.read(venue.requests.book(simulated.symbol, most))
        assert producing.handlers.order_books is not None
        assert producing.handlers.order_books.take_snapshot(simulated.symbol, found, most)
        start = found.last_id
        for side, levels in zip(sides, (found.bids, found.asks), strict=True):
            side.update((Decimal(price), quantity) for price, quantity in levels)
    else:
        start = -1
    receive(connection.run(10_000))
    producing.capture.finish()
    expected: dict[int, tuple[list[str], list[str]]] = {}
    for update in updates:
        if update.snapshot:
            for side in sides:
                side.clear()
        elif update.last_id <= start:
            continue
        for side, changes in zip(sides, (update.bids, update.asks), strict=True):
            for price, quantity, *_ in changes:
                side[Decimal(price)] = quantity
        if not update.snapshot:
            best = [
                [side[price] for price in sorted(side, reverse=high) if Decimal(side[price])][:5]
                for side, high in zip(sides, (True, False), strict=True)
            ]
            expected[update.event_time // 1000 * 1000] = best[0], best[1]

    rows: list[OrderBookRow] = producing.rows()
    assert len(rows) >= 5
    assert {row.bucket_time: (row.bid_quantities, row.ask_quantities) for row in rows} == expected


@every_venue
def test_requests_never_exceed_a_limit_of_the_venue(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    picked = random.Random(7)
    for limit in venue.limits.budgets():
        now = [1000.0 * limit.per_s]
        budget = SimulatedRest(Simulated(venue)).budget
        monkeypatch.setattr(budget, "_now", lambda now=now: now[0])
        sent: list[tuple[float, int]] = []
        for _ in range(500):
            cost = picked.randint(1, max(1, limit.amount // 20))
            wait = budget.take(cost, 1.0, limit.name)
            if wait:
                now[0] += wait
            else:
                sent.append((now[0], cost))
                now[0] += picked.uniform(0, limit.per_s / 100)
        for at, _ in sent:
            begin = at // limit.per_s * limit.per_s if limit.by_clock else at
            within = sum(cost for then, cost in sent if begin <= then < begin + limit.per_s)
            assert within <= limit.amount
        assert len(sent) > 100


@every_venue
def test_a_full_connection_stays_within_what_the_simulated_venue_enforces(venue: Venue, simulated: Simulated) -> None:
    limits, streams = venue.channels.limits, feed_of(venue).spec.streams
    for number in range(limits.channels):
        simulated.market.list_new(simulated.dialect.new_instrument({"base": f"NEW{number}", "quote": "USDT"}))
    channels = [it for symbol in simulated.market.listings for it in venue.channels.of(streams, symbol)]
    assert {it.path for it in channels} <= set(simulated.dialect.sessions)
    for path, session in simulated.dialect.sessions.items():
        names = [it.name for it in dict.fromkeys(channels) if it.path == path][: limits.channels]
        if not names:
            continue
        assert len(names) == limits.channels
        connection = Connection(simulated, feed_of(venue), path)
        size = limits.channels_per_command
        batches = [names[at : at + size] for at in range(0, len(names), size)]
        commands = len(batches) if limits.commands == float("inf") else int(limits.commands)
        for number, batch in enumerate(islice(cycle(batches), commands)):
            connection.acknowledge(venue.channels.subscribe(number, batch))
        replies = [reply for reply in connection.replies if isinstance(reply, Reply)]
        assert len(replies) >= commands
        assert [reply.error for reply in replies if reply.error] == []
        pings_a_second = 0 if limits.ping is None else 1 / limits.ping_every_s
        assert 1 / limits.command_every_s + pings_a_second <= session.messages_a_second
        assert connection.idle_s is None or (limits.ping is not None and limits.ping_every_s < connection.idle_s)


@every_venue
def test_reported_usage_refers_to_limits_of_the_venue(venue: Venue, simulated: Simulated) -> None:
    used = venue.limits.used(simulated.ask(venue.requests.ping()))

    assert set(used) <= {limit.name for limit in venue.limits.budgets()}
    assert all(count >= 0 for count in used.values())


@every_venue
def test_refusals_of_the_simulator_are_recognized(venue: Venue, simulated: Simulated) -> None:
    unknown: Request[Any] = venue.requests.klines("NO-SUCH-MARKET", "1m", None, 2)
    verdict = venue.limits.verdict(simulated.ask(unknown))
    assert isinstance(verdict, Refusal)

    simulated.faults.refuse(429, 30)
    verdict = venue.limits.verdict(simulated.ask(venue.requests.ping()))
    assert isinstance(verdict, SlowDown)
    assert verdict.seconds > 0


@every_venue
def test_halted_new_and_vanished_markets_are_listed_with_their_state(venue: Venue, simulated: Simulated) -> None:
    def listed() -> dict[str, Any]:
        return {
            symbol: market
            for request in venue.markets.listing(None)
            for symbol, market in simulated.read(request).markets.items()
            if market.listed
        }

    before = listed()
    assert simulated.symbol in before
    assert before[simulated.symbol].trading
    others = sorted(set(before) - {simulated.symbol})
    halted, vanished = others[0], others[1]

    simulated.market.delist(halted)
    simulated.market.remove(vanished)
    simulated.market.list_new(simulated.dialect.new_instrument({"base": "NEW", "quote": "USDT"}))
    after = listed()

    (new,) = set(after) - set(before)
    assert "NEW" in new
    assert after[new].trading
    assert halted not in after or not after[halted].trading
    assert vanished not in after
    assert after[simulated.symbol].trading


@every_venue
def test_a_traded_market_has_a_positive_quote_volume(venue: Venue, simulated: Simulated) -> None:
    volumes = {
        symbol: volume
        for request in venue.markets.quote_volumes()
        for symbol, volume in simulated.read(request).items()
    }  # fmt: skip
    assert volumes[simulated.symbol] > 0
