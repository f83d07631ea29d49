"""The plain computation of anomalies gives the analyzer's own rows, to the digit."""

from decimal import Decimal
from random import Random
from typing import Any

from cryptocdc_analyzer.models import anomalies, recent
from cryptocdc_analyzer.models.history import Facts
from cryptocdc_core.catalogue.computed import BARS, BOOK_METRICS, RUN_WINDOWS
from cryptocdc_verifier.comparing.canonical import NULL, ordered
from cryptocdc_verifier.recompute.anomalies import ANOMALIES, facts, lines_of

LENGTH_MS = 5_000
REACH_MS = RUN_WINDOWS * LENGTH_MS
START_MS = 1_790_000_000_000 // REACH_MS * REACH_MS
OF = "BTCUSDT", "5s"


def line(stream, row):
    def text(value):
        return NULL if value is None else "ft"[value] if isinstance(value, bool) else str(value)

    return "\t".join(text(row[column.name]) for column in ordered(stream)).encode()


def bar(random: Random, at: int) -> dict[str, Any]:
    """Return a bar with a change, and a volume that is a hundredfold now and then."""
    price = random.choice(["100", "99.5", "0.00010", "64000.10"])
    close = format(Decimal(price) * Decimal(random.randrange(9_900, 10_101)) / 10_000, "f")
    volume = random.choice(["0", "1.50", format(Decimal(random.randrange(1, 10**9)) / 10**6, "f")])
    count = random.randrange(1, 50)
    return dict.fromkeys(BARS.column_names, "0") | {
        "symbol": OF[0], "interval": OF[1], "open_time": at, "open": price, "close": close, "volume": volume,
        "trade_count": count, "event_time": at + 7, "received_at": at + 9, "version": at * 1000 + count,
    }  # fmt: skip


def of_analyzer(run: list[tuple[int, Facts]], run_ms: int) -> dict[tuple[int, str], bytes]:
    wanted = {at for at, _ in run if at >= run_ms}
    return {(row["open_time"], row["kind"]): line(ANOMALIES, row) for row in anomalies.rows(OF, LENGTH_MS, run, wanted)}


def test_both_computations_of_bars_agree_to_the_digit():
    random = Random(7)
    for _ in range(10):
        places = sorted(random.sample(range(120), random.randrange(1, 121)))
        bars = [bar(random, START_MS + place * LENGTH_MS) for place in places]
        run = [
            (
                one["open_time"],
                anomalies.facts_of_bar(
                    Decimal(one["open"]), Decimal(one["close"]), Decimal(one["volume"]), one["trade_count"],
                    one["event_time"], one["received_at"],
                ),
            )
            for one in bars
        ]  # fmt: skip
        stored = facts(BARS, [line(BARS, one) for one in bars], LENGTH_MS)
        run_ms = START_MS + REACH_MS
        assert of_analyzer(run, run_ms) == lines_of(BARS, *OF, LENGTH_MS, run_ms, stored)


def metrics_row(at: int, spread: str | None, random: Random) -> dict[str, Any]:
    return dict.fromkeys(BOOK_METRICS.column_names, "1") | {
        "symbol": OF[0], "bucket_time": at, "spread": spread, "event_time": at + random.randrange(1_000),
        "received_at": at + 1_001, "version": at * 1000 + random.randrange(1_000_000),
    }  # fmt: skip


def of_books(rows: list[dict[str, Any]]) -> dict[tuple[int, str], bytes]:
    """The lines of the second run, which both computations agree on."""
    stored = facts(BOOK_METRICS, [line(BOOK_METRICS, row) for row in rows], LENGTH_MS)
    run_ms = START_MS + REACH_MS
    books = {
        row["bucket_time"]: recent.Book(
            None if row["spread"] is None else Decimal(row["spread"]), row["event_time"], row["received_at"],
            row["version"],
        )
        for row in rows
    }  # fmt: skip
    made = {
        open_ms: recent.facts_of({at: book for at, book in books.items() if at - at % LENGTH_MS == open_ms}, LENGTH_MS)
        for open_ms in stored
    }
    ours, theirs = of_analyzer(sorted(made.items()), run_ms), lines_of(BOOK_METRICS, *OF, LENGTH_MS, run_ms, stored)
    assert ours == theirs
    return ours


def fields(lines: dict[tuple[int, str], bytes], window: int, kind: str) -> dict[str, str]:
    names = [column.name for column in ordered(ANOMALIES)]
    texts = lines[START_MS + window * LENGTH_MS, kind].decode().split("\t")
    return dict(zip(names, texts, strict=True))


def test_both_computations_of_order_books_agree_to_the_digit():
    random = Random(8)
    rows: list[dict[str, Any]] = []
    for place in range(600):
        if random.random() < 0.2:
            continue
        spread = random.choice([None, "0.10", "0.2", "0.30", "7.00"] if place > 500 else ["0.10", "0.11"])
        rows.append(metrics_row(START_MS + place * 1_000, spread, random))
    ours = of_books(rows)
    assert any(b"standard deviations above" in found for found in ours.values())


def test_books_that_fail_to_come_are_an_anomaly_and_the_score_of_one_after_a_steady_past_is_finite():
    random = Random(9)
    missing = {80: {1, 2, 3, 4}, 90: {2}}  # of the five books of a window
    rows = [
        metrics_row(START_MS + window * LENGTH_MS + second * 1_000, "0.10", random)
        for window in range(100)
        for second in range(5)
        if second not in missing.get(window, ())
    ]
    ours = of_books(rows)
    silent = fields(ours, 80, "quote_rate")
    reason = "order books per second 0.2 is 16.0944 standard deviations below 1, the mean of 80 windows"
    assert (silent["anomaly"], silent["score"], silent["reason"]) == ("t", "16.0944", reason)
    one_lost = fields(ours, 90, "quote_rate")
    assert one_lost["anomaly"] == "f"
    assert 1 < float(one_lost["score"]) < 2
    assert fields(ours, 85, "spread")["score"] == "0"


def test_a_price_that_hardly_ever_changes_has_no_huge_scores():
    random = Random(10)
    bars = [bar(random, START_MS + place * LENGTH_MS) | {"open": "1", "close": "1"} for place in range(100)]
    bars[80]["close"], bars[90]["close"] = "1.0001", "1.001"
    stored = facts(BARS, [line(BARS, one) for one in bars], LENGTH_MS)
    run = [
        (one["open_time"], anomalies.facts_of_bar(
            Decimal(one["open"]), Decimal(one["close"]), Decimal(one["volume"]), one["trade_count"],
            one["event_time"], one["received_at"],
        ))
        for one in bars
    ]  # fmt: skip
    run_ms = START_MS + REACH_MS
    made = of_analyzer(run, run_ms)
    assert made == lines_of(BARS, *OF, LENGTH_MS, run_ms, stored)
    tick, jump = (fields(made, window, "price") for window in (80, 90))
    assert (tick["anomaly"], tick["score"], jump["anomaly"]) == ("f", "1", "t")
    assert 9 < float(jump["score"]) < 10
