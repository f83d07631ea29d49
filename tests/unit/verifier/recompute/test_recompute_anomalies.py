"""The plain computation of anomalies gives the analyzer's own rows, to the digit."""

from decimal import Decimal
from random import Random
from typing import Any

from cryptocdc_analyzer.models import anomalies, recent
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


def of_analyzer(run, run_ms):
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


def test_both_computations_of_order_books_agree_to_the_digit():
    random = Random(8)
    rows: list[dict[str, Any]] = []
    for place in range(600):
        at = START_MS + place * 1_000
        if random.random() < 0.2:
            continue
        spread = random.choice([None, "0.10", "0.2", "0.30", "7.00"] if place > 500 else ["0.10", "0.11"])
        given: dict[str, Any] = {
            "symbol": OF[0], "bucket_time": at, "spread": spread, "event_time": at + random.randrange(1_000),
            "received_at": at + 1_001, "version": at * 1000 + random.randrange(1_000_000),
        }  # fmt: skip
        rows.append(dict.fromkeys(BOOK_METRICS.column_names, "1") | given)
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
    assert any(b"standard deviations above" in found for found in ours.values())
