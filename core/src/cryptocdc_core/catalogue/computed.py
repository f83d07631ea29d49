"""The streams that the analyzer computes from captured ones."""

from __future__ import annotations

from cryptocdc_core.catalogue.model import Bucket, Column, Stream, Type
from cryptocdc_core.catalogue.streams import ORDER_BOOK, RECENT_TRADES

BARS = Stream(
    name="bars",
    table="bars",
    doc="Bars of the trades in windows of event time, exact. A window without trades has none.",
    columns=(
        Column("symbol", Type.TEXT, "The exchange's name of the market, e.g. BTCUSDT."),
        Column("interval", Type.TEXT, "The length of the window as the feed writes it, e.g. 5s."),
        Column("open_time", Type.TIMESTAMP, "First millisecond: a multiple of the length since midnight, UTC."),
        Column("close_time", Type.TIMESTAMP, "Last millisecond."),
        Column("open", Type.DECIMAL, "Price of the first trade, by time and id, in the quote asset."),
        Column("high", Type.DECIMAL, "Highest price, in the quote asset."),
        Column("low", Type.DECIMAL, "Lowest price, in the quote asset."),
        Column("close", Type.DECIMAL, "Price of the last trade, by time and id, in the quote asset."),
        Column("volume", Type.DECIMAL, "Traded, in the base asset."),
        Column("quote_volume", Type.DECIMAL, "Traded, in the quote asset."),
        # Null where all quantities are zero.
        Column("vwap", Type.DECIMAL, "quote_volume / volume, rounded half even to 16 digits.", nullable=True),
        Column("trade_count", Type.BIGINT, "Rows of recent_trades in the window."),
        Column("buy_volume", Type.DECIMAL, "Bought by takers, in the base asset."),
        Column("sell_volume", Type.DECIMAL, "Sold by takers, in the base asset."),
        Column("imbalance", Type.DECIMAL, "(buy_volume - sell_volume) / volume, rounded as vwap.", nullable=True),
        Column("event_time", Type.TIMESTAMP, "Of the last trade."),
        Column("received_at", Type.TIMESTAMP, "When the producer received the trade that it received last."),
        Column("version", Type.BIGINT, "Microseconds of open_time plus trade_count: the fuller bar wins."),
    ),
    key=("symbol", "interval", "open_time"),
    partition=("symbol", "interval"),
    bucket=Bucket.DAY,
    clustering=("open_time",),
    time="open_time",
    event="event_time",
    computed_from=RECENT_TRADES.table,
)

PARTS = 12
"""The number of equal parts of a window whose bars volatility is computed of."""

VOLATILITY = Stream(
    name="volatility",
    table="realized_volatility",
    doc="Volatility of the trades in windows of event time, from the bars of a window's 12 parts. Not annualized.",
    columns=(
        Column("symbol", Type.TEXT, "The exchange's name of the market, e.g. BTCUSDT."),
        Column("interval", Type.TEXT, "The length of the window as the feed writes it, e.g. 1m."),
        Column("open_time", Type.TIMESTAMP, "First millisecond: a multiple of the length since midnight, UTC."),
        Column("close_time", Type.TIMESTAMP, "Last millisecond."),
        # Null where a price is not above zero.
        Column("realized", Type.DECIMAL, "Root of the sum of squared log returns, part to part.", nullable=True),
        Column("parkinson", Type.DECIMAL, "Parkinson's estimate, from each part's high and low.", nullable=True),
        Column("part_count", Type.BIGINT, "Parts with trades."),
        Column("trade_count", Type.BIGINT, "Rows of recent_trades in the window."),
        Column("event_time", Type.TIMESTAMP, "Of the last trade."),
        Column("received_at", Type.TIMESTAMP, "When the producer received the trade that it received last."),
        Column("version", Type.BIGINT, "Microseconds of open_time plus trade_count, as of a bar."),
    ),
    key=("symbol", "interval", "open_time"),
    partition=("symbol", "interval"),
    bucket=Bucket.DAY,
    clustering=("open_time",),
    time="open_time",
    event="event_time",
    computed_from=RECENT_TRADES.table,
)

DEPTHS = (1, 5, 10, 20)
"""The numbers of best levels of each side that imbalances of order books are computed of."""

BOOK_METRICS = Stream(
    name="bookMetrics",
    table="book_metrics",
    doc="Figures of each row of order_book, exact. Null where a side of the book is empty.",
    columns=(
        Column("symbol", Type.TEXT, "The exchange's name of the market, e.g. BTCUSDT."),
        Column("bucket_time", Type.TIMESTAMP, "Of the order book's row."),
        Column("bid_price", Type.DECIMAL, "Best bid, in the quote asset.", nullable=True),
        Column("ask_price", Type.DECIMAL, "Best ask, in the quote asset.", nullable=True),
        Column("spread", Type.DECIMAL, "Best ask less best bid, in the quote asset.", nullable=True),
        Column("mid", Type.DECIMAL, "Halfway between best bid and best ask, in the quote asset.", nullable=True),
        Column(
            "microprice", Type.DECIMAL, "Best bid and ask, each weighted by the other's quantity; 16 digits.",
            nullable=True,
        ),
        *(
            Column(
                f"imbalance_{depth}", Type.DECIMAL,
                f"(bid - asked) / both, of the quantities of the best {depth} levels; 16 digits.", nullable=True,
            )
            for depth in DEPTHS
        ),
        Column("event_time", Type.TIMESTAMP, "Of the order book's row."),
        Column("received_at", Type.TIMESTAMP, "Of the order book's row."),
        Column("version", Type.BIGINT, "Of the order book's row."),
    ),
    key=("symbol", "bucket_time"),
    partition=("symbol",),
    bucket=Bucket.HOUR,
    clustering=("bucket_time",),
    time="bucket_time",
    event="event_time",
    computed_from=ORDER_BOOK.table,
)  # fmt: skip

RUN_WINDOWS = 60
"""A run of windows begins at each multiple of this many lengths since 1970. A window is compared with those of its run
before it, and with all of the run before."""
WARM_WINDOWS = 30
"""The number of past windows from which on a window is compared."""

KINDS = ("price", "volume", "spread", "quote_rate")
"""What is compared of a window: the first two of bars, the others of order books."""
LEAST_DEVIATION = {"price": 0.0001, "volume": 0.1, "spread": 0.1, "quote_rate": 0.1}
"""By kind: a smaller standard deviation counts as this, of changes of price and otherwise of logarithms. Without it any
change would have a huge score where nothing changes. So an anomaly, which has a score of 5, differs from the mean by at
least 0.0005 for a change of price, otherwise by a factor of 1.65."""

ANOMALIES = Stream(
    name="anomalies",
    table="anomalies",
    doc="Windows of bars and order books compared with the symbol's own recent past, and whether they stand out.",
    columns=(
        Column("symbol", Type.TEXT, "The exchange's name of the market, e.g. BTCUSDT."),
        Column("interval", Type.TEXT, "The length of the window as the feed writes it, e.g. 1m."),
        Column("kind", Type.TEXT, "What is compared: price, volume, spread or quote_rate."),
        Column("open_time", Type.TIMESTAMP, "First millisecond, as of a bar."),
        Column("close_time", Type.TIMESTAMP, "Last millisecond."),
        Column("anomaly", Type.BOOLEAN, "Whether the value is an outlier."),
        # Null where the window has no such value, e.g. a spread with an empty side.
        Column("value", Type.DECIMAL, "The change close / open - 1, the volume, the mean spread, the books a second.",
               nullable=True),
        Column("expected", Type.DECIMAL, "The mean of the past windows; 6 digits.", nullable=True),
        # Null until there are enough past windows.
        Column("score", Type.DECIMAL, "Distance from the mean in standard deviations; 6 digits.", nullable=True),
        Column("reason", Type.TEXT, "Why it is an anomaly, in words.", nullable=True),
        Column("window_count", Type.BIGINT, "Past windows that it is compared with."),
        Column("event_time", Type.TIMESTAMP, "Of the window's last trade or order book."),
        Column("received_at", Type.TIMESTAMP, "When the producer received the trade or order book that came last."),
        Column("version", Type.BIGINT, "Microseconds of open_time plus the trades, or books, of all windows compared."),
    ),
    key=("symbol", "interval", "kind", "open_time"),
    partition=("symbol", "interval", "kind"),
    bucket=Bucket.DAY,
    clustering=("open_time",),
    time="open_time",
    event="event_time",
    computed_from=RECENT_TRADES.table,
)  # fmt: skip

FORECAST_RUN_WINDOWS = 120
"""As RUN_WINDOWS, of forecasts. A forecast is made by a model that has learned the windows of its run before it and all
of the run before. Its skill counts that many completed forecasts."""
FORECAST_LEVEL = 0.9
"""The share of returns that an interval shall contain."""

FORECASTS = Stream(
    name="forecasts",
    table="forecasts",
    doc="Volatility and return of each window as they were predicted before it, what came, and the skill so far.",
    columns=(
        Column("symbol", Type.TEXT, "The exchange's name of the market, e.g. BTCUSDT."),
        Column("interval", Type.TEXT, "The length of the window as the feed writes it, e.g. 1m."),
        Column("open_time", Type.TIMESTAMP, "First millisecond of the predicted window, as of a bar."),
        Column("close_time", Type.TIMESTAMP, "Last millisecond."),
        Column("completed", Type.BOOLEAN, "Whether the window is over and the row says what came."),
        # Null until there are enough past windows.
        Column("volatility", Type.DECIMAL, "The predicted realized volatility; 6 digits.", nullable=True),
        Column("lower", Type.DECIMAL, "Lower bound of the return with level 90 %; 6 digits.", nullable=True),
        Column("upper", Type.DECIMAL, "Upper bound of the return with level 90 %; 6 digits.", nullable=True),
        Column("last_volatility", Type.DECIMAL, "The naive forecast: of the last window above zero.", nullable=True),
        Column("mean_volatility", Type.DECIMAL, "Geometric mean of the past windows; 6 digits.", nullable=True),
        Column("window_count", Type.BIGINT, "Past windows whose volatility was above zero."),
        # Null until the window is over, or where it has no such value.
        Column("actual_volatility", Type.DECIMAL, "The window's realized volatility.", nullable=True),
        Column("actual_return", Type.DECIMAL, "The change close / open - 1 of the window's bar; 16 digits.",
               nullable=True),
        Column("inside", Type.BOOLEAN, "Whether actual_return is between the bounds.", nullable=True),
        Column("error", Type.DECIMAL, "ln(volatility / actual_volatility); 6 digits.", nullable=True),
        Column("last_error", Type.DECIMAL, "ln(last_volatility / actual_volatility); 6 digits.", nullable=True),
        Column("mean_error", Type.DECIMAL, "ln(mean_volatility / actual_volatility); 6 digits.", nullable=True),
        Column("forecast_count", Type.BIGINT, "Completed forecasts that the skill is of: the last 120 at most."),
        # Null until there are enough completed forecasts.
        Column("skill_last", Type.DECIMAL, "1 - sum of error² / sum of last_error²; 6 digits.", nullable=True),
        Column("skill_mean", Type.DECIMAL, "1 - sum of error² / sum of mean_error²; 6 digits.", nullable=True),
        Column("skill", Type.DECIMAL, "The lesser of both.", nullable=True),
        Column("skilled", Type.BOOLEAN, "Whether skill is above zero: better than both.", nullable=True),
        Column("coverage", Type.DECIMAL, "Share of the returns of these forecasts that were inside; 6 digits.",
               nullable=True),
        Column("event_time", Type.TIMESTAMP, "Of the window's last trade; until it is over of the window before."),
        Column("received_at", Type.TIMESTAMP, "When the producer received the trade of that window that came last."),
        Column("version", Type.BIGINT, "Microseconds of open_time plus the trades of all windows it depends on."),
    ),
    key=("symbol", "interval", "open_time"),
    partition=("symbol", "interval"),
    bucket=Bucket.DAY,
    clustering=("open_time",),
    time="open_time",
    event="event_time",
    computed_from=RECENT_TRADES.table,
)  # fmt: skip

COMPUTED: dict[str, Stream] = {
    stream.table: stream for stream in (BARS, VOLATILITY, BOOK_METRICS, ANOMALIES, FORECASTS)
}
"""The computed streams by table."""
