"""A feed is validated completely, and every error names the field, the value and what is accepted."""

from decimal import Decimal

import pytest
import yaml
from tests.unit.core.feeds import MINIMAL, document, feed

from cryptocdc_core.feed.alerts import price_source
from cryptocdc_core.feed.model import CryptoFeed, FeedError, load, parse, retention_s


def refused(doc):
    with pytest.raises(FeedError) as caught:
        parse(doc)
    return caught.value.problems


def with_name(name):
    return MINIMAL | {"metadata": {"name": name}}


def alerts(*given, **spec):
    return document(alerts=[{"symbol": "ETHUSDT", **alert} for alert in given], **spec)


NAME = "1 to 30 of a-z, 0-9 and -, the first a letter"
DURATION = "a whole number with a unit, such as 60s, 15m, 12h, 2d"

BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


def bars(lengths, streams=None):
    return document(streams=streams or {"recentTrades": {}}, analytics={"bars": lengths})


def volatility(lengths, stream="recentTrades"):
    return document(streams={stream: {}}, analytics={"volatility": lengths})


def books(wanted, stream="orderBook"):
    return document(streams={stream: {}}, analytics={"bookMetrics": wanted})


def anomalies(lengths, **analytics):
    return document(streams={"recentTrades": {}, "orderBook": {}}, analytics={"anomalies": lengths, **analytics})


def forecasts(lengths, **analytics):
    return document(streams={"recentTrades": {}}, analytics={"forecasts": lengths, **analytics})


COMPARED = {"streams": {"recentTrades": {}}, "analytics": {"bars": ["5s"], "anomalies": ["5s"]}}

BAD = [
    # document, field, value shown, what is accepted
    (MINIMAL | {"apiVersion": "v1"}, "apiVersion", "'v1'", "cryptocdc.io/v1alpha1"),
    (MINIMAL | {"kind": "Feed"}, "kind", "'Feed'", "CryptoFeed"),
    (MINIMAL | {"metadata": {}}, "metadata.name", "missing", "is required"),
    (with_name("Majors"), "metadata.name", "'Majors'", NAME),
    (with_name("9lives"), "metadata.name", "'9lives'", NAME),
    (with_name('x"; DROP SCHEMA public; --'), "metadata.name", "DROP SCHEMA", NAME),
    (with_name("majors\n"), "metadata.name", r"'majors\n'", NAME),
    (with_name("a" * 31), "metadata.name", "'aaaa", NAME),
    (with_name("a_b"), "metadata.name", "'a_b'", NAME),
    (with_name(7), "metadata.name", "7", "string"),
    (with_name("pg-catalog"), "metadata.name", "'pg-catalog'", "any other is accepted"),
    (with_name("system-auth"), "metadata.name", "'system-auth'", "any other is accepted"),
    (with_name("information-schema"), "metadata.name", "'information-schema'", "any other is accepted"),
    (with_name("cryptocdc"), "metadata.name", "'cryptocdc'", "any other is accepted"),
    (with_name("cryptocdc-connect"), "metadata.name", "'cryptocdc-connect'", "any other is accepted"),
    (with_name("majors-sim"), "metadata.name", "'majors-sim'", "any other is accepted"),
    (with_name("majors-capture"), "metadata.name", "'majors-capture'", "any other is accepted"),
    ({k: v for k, v in MINIMAL.items() if k != "spec"}, "spec", "missing", "is required"),
    (document(exchange="kraken"), "spec.exchange", "'kraken'", "accepted: 'binance', 'binance-us', "),
    (document(exchnge="binance"), "spec.exchnge", "no such field", "did you mean exchange?"),
    (document(endpoints={"rest": "ftp://x"}), "spec.endpoints.rest", "'ftp://x'", "http:// or https://"),
    (document(endpoints={"websocket": "http://x"}), "spec.endpoints.websocket", "'http://x'", "ws:// or wss://"),
    (document(endpoints={"rest": "http://x?a=1"}), "spec.endpoints.rest", "'http://x?a=1'", "https://api.binance.com"),
    (document(endpoints={"websocket": "wss://.example"}), "spec.endpoints.websocket", "wss://.example", "wss://stream"),
    (document(endpoints={"websocket": f"ws://{'a' * 64}.example"}), "spec.endpoints.websocket", "aaa", "wss://stream"),
    (document(endpoints={"rest": "https://x:99999"}), "spec.endpoints.rest", "'https://x:99999'", "https://api"),
    (document(symbols={}), "spec.symbols", "{}", "exactly one of names and top"),
    (document(symbols={"names": ["BTCUSDT"], "top": {"count": 3}}), "spec.symbols", "BTCUSDT", "exactly one of"),
    (document(symbols={"names": []}), "spec.symbols.names", "[]", "1 or more entries"),
    (document(symbols={"names": ["btcusdt"]}), "spec.symbols.names[0]", "'btcusdt'", "in capitals, such as BTCUSDT"),
    (document(symbols={"names": ["A", "A'; --"]}), "spec.symbols.names[1]", "A'; --", "in capitals"),
    (document(symbols={"names": ["A", "B", "A"]}), "spec.symbols.names", "A is duplicated", "accepted once"),
    (document(symbols={"top": {"count": 0}}), "spec.symbols.top.count", "0", "1 or more"),
    (document(symbols={"top": {"count": 501}}), "spec.symbols.top.count", "501", "500 or less"),
    (document(symbols={"top": {"count": True}}), "spec.symbols.top.count", "True", "integer"),
    (document(symbols={"top": {"count": "3"}}), "spec.symbols.top.count", "'3'", "integer"),
    (document(symbols={"top": {"count": 3, "quote": "usdt"}}), "spec.symbols.top.quote", "'usdt'", "such as USDT"),
    (document(symbols="BTCUSDT"), "spec.symbols", "'BTCUSDT'", "a mapping with names, top"),
    (document(streams={}), "spec.streams", "{}", "at least one of recentTrades, klines"),
    (document(streams={"recent_trades": {}}), "spec.streams.recent_trades", "no such field", "mean recentTrades?"),
    (document(streams={"kline": {}}), "spec.streams.kline", "no such field", "did you mean klines?"),
    (document(streams={"recentTrades": {"kind": "raw"}}), "spec.streams.recentTrades.kind", "'raw'", "'aggregate' or"),
    (document(streams={"klines": {"source": "ftp"}}), "spec.streams.klines.source", "'ftp'", "'websocket' or 'rest'"),
    (document(streams={"klines": {"intervals": ["7m"]}}), "spec.streams.klines.intervals[0]", "'7m'", "'1s', '1m'"),
    (document(streams={"klines": {"intervals": ["1m", "1m"]}}), "spec.streams.klines.intervals", "1m", "accepted once"),
    (document(streams={"klines": {"period": "0s"}}), "spec.streams.klines.period", "'0s'", DURATION),
    (document(streams={"klines": {"period": 60}}), "spec.streams.klines.period", "60", "string"),
    (document(streams={"orderBook": {"depth": 7}}), "spec.streams.orderBook.depth", "7", "5, 10, 20, 50 or 100"),
    (document(streams={"orderBook": {"interval": "3s"}}), "spec.streams.orderBook.interval", "'3s'", "'1s', '2s'"),
    (bars(["7s"]), "spec.analytics.bars[0]", "'7s'", "a length that divides a day, from 1s to 1d, such as 5s"),
    (bars(["2d"]), "spec.analytics.bars[0]", "'2d'", "a length that divides a day"),
    (bars(["5"]), "spec.analytics.bars[0]", "'5'", "a length that divides a day"),
    (bars([]), "spec.analytics.bars", "[]", "1 or more entries"),
    (bars(["1m", "5s", "60s"]), "spec.analytics.bars", "1m, 60s", "each length is accepted once"),
    (bars(["5s", "5s"]), "spec.analytics.bars", "5s", "each length is accepted once"),
    (bars(["5s"], {"klines": {}}), "spec.analytics.bars", "'5s'", "only with the stream recentTrades"),
    (volatility(["5s"]), "spec.analytics.volatility[0]", "'5s'", "a multiple of 3s"),
    (volatility(["1m"], "klines"), "spec.analytics.volatility", "1m", "accepted only with the stream recentTrades"),
    (volatility(["1m", "60s"]), "spec.analytics.volatility", "60s", "accepted once"),
    (books(True, "klines"), "spec.analytics.bookMetrics", "True", "accepted only with the stream orderBook"),
    (books("x"), "spec.analytics.bookMetrics", "x", "boolean"),
    (anomalies(["5s"], bars=["1m"]), "spec.analytics.anomalies", "5s", "5s: accepted are lengths of bars: 1m"),
    (anomalies(["5s"], bookMetrics=True), "spec.analytics.anomalies", "5s", "bars: none, as bars is not given"),
    (anomalies(["1h"], bars=["1h"]), "spec.analytics.anomalies[0]", "'1h'", "no longer than 5m"),
    (anomalies([], bars=["1m"]), "spec.analytics.anomalies", "[]", "1 or more entries"),
    (anomalies(["1m", "1m"], bars=["1m"]), "spec.analytics.anomalies", "1m", "accepted once"),
    (
        forecasts(["5m"], bars=["1m", "5m"], volatility=["1m", "15m"]), "spec.analytics.forecasts", "5m",
        "5m: accepted are lengths of both bars and volatility: 1m",
    ),
    (forecasts(["1m"], volatility=["1m"]), "spec.analytics.forecasts", "1m", "none, as they have no length in common"),
    (forecasts(["1m"], bars=["1m"]), "spec.analytics.forecasts", "1m", "none, as they have no length in common"),
    (forecasts(["1h"], bars=["1h"], volatility=["1h"]), "spec.analytics.forecasts[0]", "'1h'", "no longer than 15m"),
    (forecasts([], bars=["1m"], volatility=["1m"]), "spec.analytics.forecasts", "[]", "1 or more entries"),
    (forecasts(["1m", "1m"], bars=["1m"], volatility=["1m"]), "spec.analytics.forecasts", "1m", "accepted once"),
    (books(False), "spec.analytics", "False", "one or more of bars, volatility and"),
    (document(streams={"recentTrades": {}}, analytics={}), "spec.analytics", "{}", "one or more of bars"),
    (document(streams={"recentTrades": {}}, analytics={"bar": ["5s"]}), "spec.analytics.bar", "no such", "mean bars?"),
    (document(scaling={"analyzers": 97}), "spec.scaling.analyzers", "97", "96 or less"),
    (document(retention={"postgres": "2 days"}), "spec.retention.postgres", "'2 days'", "keep, or a whole number"),
    (document(history={"klines": "91d"}), "spec.history.klines", "'91d'", "at most 90d is accepted"),
    (document(history={"klines": "yesterday"}), "spec.history.klines", "'yesterday'", "0s for nothing"),
    (
        document(history={"recentTrades": "2d"}, retention={"cassandra": "1d"}),
        *("spec.history.recentTrades", "'2d'", "what retention.cassandra keeps"),
    ),
    (document(history={"from": "soon"}), "spec.history.from", "'soon'", "a month such as 2026-01, or a day"),
    (document(history={"from": "2026-13"}), "spec.history.from", "'2026-13'", "a month such as 2026-01, or a day"),
    (document(retention={"kafka": "keep it"}), "spec.retention.kafka", "'keep it'", "keep, or a whole number"),
    (document(scaling={"partitions": 97}), "spec.scaling.partitions", "97", "96 or less"),
    (document(scaling={"producers": -1}), "spec.scaling.producers", "-1", "0 or more"),
    (document(scaling={"consumers": 1.5}), "spec.scaling.consumers", "1.5", "integer"),
    (document(sink={"type": "redis"}), "spec.sink.type", "'redis'", "'cassandra'"),
    (document(sink={"engine": "flink"}), "spec.sink.engine", "'flink'", "'consumer', 'spark' or 'connect'"),
    (document(sink={"engine": "connect"}, transform="a:b"), "spec.transform", "'a:b'", "accepted with sink.engine"),
    (document(sink={"engine": "spark"}, transform="a:b"), "spec.transform", "'a:b'", "only consumers run Python"),
    (document(transform="without_dust"), "spec.transform", "'without_dust'", "module:function, such as transform:"),
    (document(transform="os:system('x')"), "spec.transform", "os:system", "module:function"),
    (document(suspend="no"), "spec.suspend", "'no'", "boolean"),
    (document(deletionPolicy="Drop"), "spec.deletionPolicy", "'Drop'", "'Retain' or 'Delete'"),
    (alerts({"window": "1h", "dropPercent": 5, "symbol": "XRPUSDT"}), "spec.alerts[0].symbol", "'XRPUSDT'", "one of"),
    (alerts({"anomaly": True}), "spec.alerts[0].anomaly", "True", "accepted only with analytics.anomalies"),
    (alerts({"anomaly": False}), "spec.alerts[0].anomaly", "False", "true is accepted"),
    (alerts({"anomaly": True, "kind": "prices"}), "spec.alerts[0].kind", "'prices'", "'price', 'volume', 'spread' or"),
    (alerts({"above": 1, "kind": "price"}), "spec.alerts[0].kind", "'price'", "accepted with anomaly only"),
    (alerts({"anomaly": True, "above": 1}), "spec.alerts[0]", "anomaly", "exactly one of dropPercent"),
    (
        alerts({"anomaly": True, "kind": "spread"}, **COMPARED), "spec.alerts[0].kind", "'spread'",
        "accepted only with analytics.bookMetrics",
    ),
    (alerts({"window": "1h", "risePercnt": 5}), "spec.alerts[0].risePercnt", "no such field", "risePercent?"),
    (alerts({"window": "1h"}), "spec.alerts[0]", "'1h'", "exactly one of dropPercent, risePercent"),
    (alerts({"above": 5, "below": 5}), "spec.alerts[0]", "'above': 5", "exactly one of dropPercent, risePercent"),
    (alerts({"dropPercent": 5}), "spec.alerts[0]", "'dropPercent': 5", "needs window"),
    (alerts({"window": "1h", "above": 5}), "spec.alerts[0]", "'above': 5", "above has no window"),
    (alerts({"window": "1h", "dropPercent": 0}), "spec.alerts[0].dropPercent", "0", "0.01 or more"),
    (alerts({"window": "1h", "dropPercent": 100}), "spec.alerts[0].dropPercent", "100", "99.99 or less"),
    (alerts({"window": "1h", "risePercent": "5"}), "spec.alerts[0].risePercent", "'5'", "a number"),
    (alerts({"above": True}), "spec.alerts[0].above", "True", "a number"),
    (alerts({"below": -1}), "spec.alerts[0].below", "-1", "0.000000000001 or more"),
    (alerts({"window": "5s", "dropPercent": 5}), "spec.alerts[0].window", "'5s'", "10s to 1d"),
    (alerts({"window": "2d", "dropPercent": 5}), "spec.alerts[0].window", "'2d'", "10s to 1d"),
    (alerts({"window": "1 h", "dropPercent": 5}), "spec.alerts[0].window", "'1 h'", DURATION),
    (alerts({"window": "2h", "dropPercent": 5}, retention={"kafka": "1h"}), "spec.alerts[0].window", "'2h'", "1h"),
    (alerts({"above": 5}, {"above": 5}), "spec.alerts", "ETHUSDT/above/5 is duplicated", "accepted once"),
    (alerts({"above": 5}, streams={"orderBook": {}}), "spec.alerts", "1 given", "latestPrices, recentTrades, klines"),
    (document(alerts=[{"above": 5}]), "spec.alerts[0].symbol", "missing", "is required"),
    (document(alertWebhook={}), "spec.alertWebhook", "{}", "exactly one of url and secretRef"),
    (document(alertWebhook={"url": "http://x", "secretRef": "s"}), "spec.alertWebhook", "'s'", "exactly one of"),
    (document(alertWebhook={"url": "file:///etc/passwd"}), "spec.alertWebhook.url", "'file:", "http:// or https://"),
    (document(alertWebhook={"url": "https://"}), "spec.alertWebhook.url", "'https://'", "http:// or https://"),
    ([], "feed", "[]", "a mapping with apiVersion, kind, metadata, spec"),
    (None, "feed", "None", "a mapping with apiVersion, kind, metadata, spec"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("doc", "field", "value", "accepted"), BAD, ids=[f"{at}-{bad[1]}" for at, bad in enumerate(BAD)]
)
def test_a_bad_field_is_named_with_its_value_and_what_is_accepted(doc, field, value, accepted):
    (problem,) = refused(doc)
    assert problem.startswith(f"{field}: ")
    assert value in problem
    assert accepted in problem


def test_all_problems_of_a_feed_are_reported_at_once():
    problems = refused(document(exchange="kraken", suspend="no", scaling={"partitions": 0}))
    assert [problem.partition(":")[0] for problem in problems] == [
        "spec.exchange",
        "spec.scaling.partitions",
        "spec.suspend",
    ]


def test_an_error_in_one_field_does_not_hide_other_errors():
    """An invalid name, a duplicate symbol, and both `names` and `top`."""
    problems = refused(
        with_name("Majors") | {"spec": document(symbols={"names": ["A", "B", "A"], "top": {"count": 3}})["spec"]}
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "metadata.name", "spec.symbols.names", "spec.symbols",
    ]  # fmt: skip
    assert problems[0].endswith(NAME)
    assert problems[1].endswith("A is duplicated; each symbol is accepted once")
    assert problems[2].endswith("exactly one of names and top is accepted")


MANY = {
    "apiVersion": "v1",
    "kind": "CryptoFeed",
    "metadata": {"name": "pg-majors"},
    "spec": {
        "exchange": "kraken",
        "exchnge": "binance",
        "symbols": {"names": ["btcusdt", "ETHUSDT", "ETHUSDT"], "top": {"count": 0, "quote": "U S"}},
        "streams": {"klines": {"intervals": ["1m", "7m", "1m"], "period": 60}},
        "retention": {"kafka": "1h", "cassandra": "4000d"},
        "scaling": {"partitions": 0},
        "alerts": [
            {"symbol": "ETHUSDT", "above": 5},
            {"symbol": "ETHUSDT", "above": 5},
            {"symbol": "XRPUSDT", "window": "2h", "dropPercent": 5},
            {"symbol": "ETHUSDT", "above": 5, "below": 0},
            {"symbol": "ETHUSDT", "dropPercent": "5"},
            {"window": "2d", "below": 1},
        ],
        "alertWebhook": {"url": "ftp://x", "secretRef": "s"},
        "suspend": "no",
    },
}


def test_all_errors_of_a_feed_are_reported_at_once_in_a_fixed_order():
    problems = refused(MANY)
    assert [problem.partition(": ")[0] for problem in problems] == [
        "apiVersion",
        "metadata.name",
        "spec.exchange",
        "spec.symbols.names[0]",
        "spec.symbols.top.count",
        "spec.symbols.top.quote",
        "spec.symbols.names",  # ETHUSDT is duplicated
        "spec.symbols",  # both names and top
        "spec.streams.klines.intervals[1]",
        "spec.streams.klines.period",
        "spec.streams.klines.intervals",  # 1m is duplicated
        "spec.retention.cassandra",
        "spec.scaling.partitions",
        "spec.alerts[3].below",
        "spec.alerts[3]",  # above and below
        "spec.alerts[4].dropPercent",
        "spec.alerts[4]",  # no window
        "spec.alerts[5].symbol",
        "spec.alerts[5].window",
        "spec.alerts[5]",  # a window for below
        "spec.alertWebhook.url",
        "spec.alertWebhook",  # both url and secretRef
        "spec.suspend",
        "spec.exchnge",
        "spec.alerts",  # ETHUSDT/above/5 is duplicated
        "spec.alerts[2].symbol",
        "spec.alerts[2].window",
    ]
    assert refused(MANY) == problems


def test_a_long_value_is_truncated():
    (problem,) = refused(document(exchange="x" * 10_000))
    assert len(problem) < 300


def test_omitted_fields_have_the_documented_defaults():
    spec = feed(
        streams={name: {} for name in ("recentTrades", "klines", "crypto24hStats", "latestPrices", "orderBook")}
    ).spec
    assert (spec.exchange, spec.suspend, spec.deletion_policy) == ("binance", False, "Retain")
    assert (spec.retention.postgres, spec.retention.kafka, spec.retention.cassandra) == ("2d", "1d", "90d")
    assert (spec.scaling.partitions, spec.scaling.producers, spec.scaling.consumers) == (12, 1, 1)
    assert spec.streams.order_book is not None
    assert spec.streams.crypto_24h_stats is not None
    assert (spec.streams.order_book.depth, spec.streams.order_book.interval) == (20, "1s")
    assert spec.streams.crypto_24h_stats.source == "rest"


def test_status_and_other_metadata_are_ignored():
    made = parse(MINIMAL | {"status": {"phase": "Running"}, "metadata": {"name": "majors", "uid": "1", "labels": {}}})
    assert isinstance(made, CryptoFeed)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "invalid YAML"),
        ("", "contains 0 documents"),
        ("a: 1\n---\nb: 2\n", "contains 2 documents"),
        ("- 1", "is not accepted"),
        ("apiVersion: 2026-02-31", "invalid YAML"),
        ("apiVersion: " + "9" * 5000, "invalid YAML"),
        ("[" * 5000, "invalid YAML"),
        (BOMB, "an alias is not accepted"),
        ("!!python/object/apply:os.system ['true']", "invalid YAML"),
    ],
)
def test_a_file_without_a_valid_feed_is_refused_with_the_reason(tmp_path, text, problem):
    path = tmp_path / "feed.yaml"
    path.write_text(text)
    with pytest.raises(FeedError, match=problem):
        load(path)


def test_a_missing_or_binary_file_is_named(tmp_path):
    with pytest.raises(FeedError, match=r"nowhere\.yaml: no such file"):
        load(tmp_path / "nowhere.yaml")
    (tmp_path / "image.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FeedError, match=r"image\.yaml: can't be read"):
        load(tmp_path / "image.yaml")
    with pytest.raises(FeedError, match="can't be read"):
        load(tmp_path)


def test_fields_that_define_stored_rows_are_immutable():
    trades = {"recentTrades": {"kind": "aggregate"}}
    before = feed(streams=trades)
    before_and_after = {
        "spec.exchange": feed(streams=trades, exchange="binance-us"),
        "spec.scaling.partitions": feed(streams=trades, scaling={"partitions": 6}),
        "spec.streams.recentTrades.kind": feed(streams={"recentTrades": {"kind": "trade"}}),
    }
    for field, after in before_and_after.items():
        with pytest.raises(FeedError, match=f"^{field}: "):
            after.refuse_changes(before)
    feed(streams=trades | {"klines": {}}, retention={"postgres": "keep"}).refuse_changes(before)


def test_a_feed_starts_with_a_day_of_candles_unless_less_is_kept_or_wanted():
    assert feed().spec.past_ms("klines") == 86_400_000
    assert feed().spec.past_ms("recent_trades") == feed().spec.past_ms("order_book") == 0
    assert feed(retention={"postgres": "6h"}).spec.past_ms("klines") == 6 * 3_600_000
    assert feed(retention={"postgres": "6h"}, history={"klines": "24h"}).spec.past_ms("klines") == 6 * 3_600_000
    assert feed(retention={"postgres": "keep"}, history={"klines": "7d"}).spec.past_ms("klines") == 7 * 86_400_000
    assert feed(history={"klines": "0s", "recentTrades": "90m"}).spec.past_ms("klines") == 0
    assert feed(history={"klines": "0s", "recentTrades": "90m"}).spec.past_ms("recent_trades") == 90 * 60_000


def test_more_of_the_past_than_postgresql_keeps_is_for_the_archive():
    assert feed().spec.archived_past == {}
    assert feed(retention={"postgres": "6h"}).spec.archived_past == {}, "the default is shortened instead"
    assert feed(history={"klines": "2d"}).spec.archived_past == {}
    assert feed(history={"klines": "7d"}, retention={"postgres": "keep"}).spec.archived_past == {}
    longer = feed(streams={"klines": {}}, history={"klines": "7d", "recentTrades": "3d"}).spec
    assert longer.archived_past == {"klines": "7d"}, "the feed has no trades"
    assert longer.past_ms("klines") == 2 * 86_400_000, "which are fetched over REST"
    assert longer.loads_archive
    assert feed(history={"from": "2026-01"}).spec.loads_archive
    assert not feed().spec.loads_archive


def test_retention_is_converted_to_seconds_and_keep_to_none():
    assert retention_s("keep") is None
    assert retention_s("2d") == 172_800


def test_an_alert_id_contains_its_condition_with_exact_numbers():
    given = alerts({"window": "1h", "dropPercent": 2.5}, {"above": 0.00001234}, {"below": 4e3})
    drop, above, below = parse(given).spec.alerts
    assert [drop.id, above.id, below.id] == [
        "ETHUSDT/dropPercent/2.5/1h", "ETHUSDT/above/0.00001234", "ETHUSDT/below/4000",
    ]  # fmt: skip
    assert (drop.condition, drop.threshold, drop.window_ms) == ("dropPercent", Decimal("2.5"), 3_600_000)
    assert (above.threshold, above.window_ms) == (Decimal("0.00001234"), 0)


def test_an_alert_on_anomalies_needs_no_prices():
    analytics = {"bars": ["5s"], "anomalies": ["5s"], "bookMetrics": True}
    books = {"streams": {"recentTrades": {}, "orderBook": {}}, "analytics": analytics}
    given = alerts({"anomaly": True}, {"anomaly": True, "kind": "quote_rate"}, **books)
    assert [alert.id for alert in parse(given).spec.alerts] == ["ETHUSDT/anomaly", "ETHUSDT/anomaly/quote_rate"]
    assert [alert.condition for alert in parse(given).spec.alerts] == ["anomaly", "anomaly"]


def test_alerts_watch_the_most_frequent_captured_price():
    streams: dict[str, object] = {"crypto24hStats": {}, "klines": {}, "recentTrades": {}, "latestPrices": {}}
    found = []
    while streams:
        stream, column = price_source(feed(streams=streams).spec.streams.tables)
        found.append((stream.name, column))
        del streams[stream.name]
    assert found == [
        ("latestPrices", "price"), ("recentTrades", "price"), ("klines", "close"), ("crypto24hStats", "last_price"),
    ]  # fmt: skip


def test_a_day_without_quotes_is_a_day(tmp_path):
    file = tmp_path / "feed.yaml"
    file.write_text(yaml.safe_dump(document(history={"klines": "1h"})).replace("klines: 1h", "from: 2026-01-31"))
    assert load(file).spec.history.begin == "2026-01-31"
