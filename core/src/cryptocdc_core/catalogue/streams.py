"""The streams and the tables derived from them."""

from __future__ import annotations

from cryptocdc_core.catalogue.model import Bucket, Column, Derived, Stream, Type

_SYMBOL = Column("symbol", Type.TEXT, "The exchange's name of the market, e.g. BTCUSDT.")
_EVENT_TIME = Column("event_time", Type.TIMESTAMP, "The exchange's time of the event; of capture if there is none.")
_KEPT = (
    Column("received_at", Type.TIMESTAMP, "When the producer received it."),
    Column("version", Type.BIGINT, "Microseconds of the event with its rank in the last three digits; newest wins."),
)

AUDIT: tuple[Column, ...] = (
    Column("op", Type.TEXT, "Debezium's operation: c, u, r (snapshot)."),
    Column("lsn", Type.BIGINT, "Position of the change in PostgreSQL's log."),
    Column("committed_at", Type.TIMESTAMP, "When PostgreSQL committed it."),
    Column("produced_at", Type.TIMESTAMP, "When Kafka Connect handed it to Kafka."),
    Column("written_at", Type.TIMESTAMP, "When the consumer sent it to Cassandra."),
)
"""The origin of a row and the times of its hops: the fields of Cassandra's type `audit`, used by the column of that
name. It is one frozen column and not five, since Cassandra's cost grows with the number of cells."""

RECENT_TRADES = Stream(
    name="recentTrades",
    table="recent_trades",
    doc="Every trade, aggregated by taker order or raw, as the feed says.",
    columns=(
        _SYMBOL,
        Column("trade_time", Type.TIMESTAMP, "When the trade was made."),
        Column("trade_id", Type.BIGINT, "Consecutive for each symbol; aggregate or raw, never mixed."),
        Column("price", Type.DECIMAL, "In the quote asset."),
        Column("quantity", Type.DECIMAL, "In the base asset."),
        # OKX reports how many trades an aggregate has, but not which.
        Column("first_trade_id", Type.BIGINT, "Of an aggregate its first raw trade, else its own id.", nullable=True),
        Column("last_trade_id", Type.BIGINT, "Of an aggregate its last raw trade, else its own id.", nullable=True),
        Column("buyer_is_maker", Type.BOOLEAN, "True if the seller was the taker."),
        *_KEPT,
    ),
    key=("symbol", "trade_time", "trade_id"),
    partition=("symbol",),
    bucket=Bucket.HOUR,
    clustering=("trade_time", "trade_id"),
    time="trade_time",
    event="trade_time",
)

KLINES = Stream(
    name="klines",
    table="klines",
    doc="Candles; open ones are updated until they close.",
    columns=(
        _SYMBOL,
        Column("interval", Type.TEXT, "The exchange's name of the interval, e.g. 1m."),
        Column("open_time", Type.TIMESTAMP, "First millisecond."),
        Column("close_time", Type.TIMESTAMP, "Last millisecond."),
        Column("open", Type.DECIMAL, "First price, in the quote asset."),
        Column("high", Type.DECIMAL, "Highest price, in the quote asset."),
        Column("low", Type.DECIMAL, "Lowest price, in the quote asset."),
        Column("close", Type.DECIMAL, "Last price, in the quote asset."),
        Column("volume", Type.DECIMAL, "Traded, in the base asset."),
        # OKX reports only the first of these, Coinbase none.
        Column("quote_volume", Type.DECIMAL, "Traded, in the quote asset.", nullable=True),
        Column("trade_count", Type.BIGINT, "Raw trades.", nullable=True),
        Column("taker_buy_volume", Type.DECIMAL, "Bought by takers, in the base asset.", nullable=True),
        Column("taker_buy_quote_volume", Type.DECIMAL, "Bought by takers, in the quote asset.", nullable=True),
        Column("closed", Type.BOOLEAN, "False while it can still change."),
        _EVENT_TIME,
        *_KEPT,
    ),
    key=("symbol", "interval", "open_time"),
    partition=("symbol", "interval"),
    bucket=Bucket.MONTH,
    clustering=("open_time",),
    time="open_time",
    event="event_time",
    # A month of them is 2.7 million rows, a day 86,400; of candles of a minute a month is 44,640.
    finer_buckets={"1s": Bucket.DAY},
    open_until=("closed", "close_time"),
)

CRYPTO_24H_STATS = Stream(
    name="crypto24hStats",
    table="crypto_24h_stats",
    doc="Statistics over the last 24 hours.",
    columns=(
        _SYMBOL,
        _EVENT_TIME,
        # Every exchange reports the other prices and the volume. Binance's futures lack bid and ask; OKX lacks changes,
        # average, times and count; Coinbase also the quote volume, and quantities in some messages.
        Column("price_change", Type.DECIMAL, "Last less open, in the quote asset.", nullable=True),
        Column("price_change_percent", Type.DECIMAL, "The same in percent of open.", nullable=True),
        Column("weighted_avg_price", Type.DECIMAL, "By volume, in the quote asset.", nullable=True),
        Column("open_price", Type.DECIMAL, "In the quote asset."),
        Column("high_price", Type.DECIMAL, "In the quote asset."),
        Column("low_price", Type.DECIMAL, "In the quote asset."),
        Column("last_price", Type.DECIMAL, "In the quote asset."),
        Column("last_quantity", Type.DECIMAL, "Of the last trade, in the base asset.", nullable=True),
        Column("bid_price", Type.DECIMAL, "Best bid, in the quote asset.", nullable=True),
        Column("bid_quantity", Type.DECIMAL, "At the best bid, in the base asset.", nullable=True),
        Column("ask_price", Type.DECIMAL, "Best ask, in the quote asset.", nullable=True),
        Column("ask_quantity", Type.DECIMAL, "At the best ask, in the base asset.", nullable=True),
        Column("volume", Type.DECIMAL, "Traded, in the base asset."),
        Column("quote_volume", Type.DECIMAL, "Traded, in the quote asset.", nullable=True),
        Column("open_time", Type.TIMESTAMP, "Start of the 24 hours.", nullable=True),
        Column("close_time", Type.TIMESTAMP, "End of the 24 hours.", nullable=True),
        Column("trade_count", Type.BIGINT, "Raw trades.", nullable=True),
        *_KEPT,
    ),
    key=("symbol", "event_time"),
    partition=("symbol",),
    bucket=Bucket.DAY,
    clustering=("event_time",),
    time="event_time",
    event="event_time",
)

LATEST_PRICES = Stream(
    name="latestPrices",
    table="latest_prices",
    doc="The last traded price, as often as the exchange sends it.",
    columns=(
        _SYMBOL,
        _EVENT_TIME,
        Column("price", Type.DECIMAL, "In the quote asset."),
        *_KEPT,
    ),
    key=("symbol", "event_time"),
    partition=("symbol",),
    bucket=Bucket.DAY,
    clustering=("event_time",),
    time="event_time",
    event="event_time",
)

ORDER_BOOK = Stream(
    name="orderBook",
    table="order_book",
    doc="The best levels of the book at the end of each interval. A level's price and quantity have the same index.",
    columns=(
        _SYMBOL,
        Column("bucket_time", Type.TIMESTAMP, "Start of the interval: event_time floored to it."),
        # Coinbase numbers no changes of the book, nor did OKX before it had `seqId`.
        Column("last_update_id", Type.BIGINT, "The exchange's id of the last change applied.", nullable=True),
        Column("bid_prices", Type.DECIMALS, "Highest first, in the quote asset."),
        Column("bid_quantities", Type.DECIMALS, "In the base asset."),
        Column("ask_prices", Type.DECIMALS, "Lowest first, in the quote asset."),
        Column("ask_quantities", Type.DECIMALS, "In the base asset."),
        _EVENT_TIME,
        *_KEPT,
    ),
    key=("symbol", "bucket_time"),
    partition=("symbol",),
    bucket=Bucket.HOUR,
    clustering=("bucket_time",),
    time="bucket_time",
    event="event_time",
)

BEST_QUOTES = Stream(
    name="bestQuotes",
    table="best_quotes",
    doc="The best bid and ask at the end of each interval. Null if a side is empty.",
    columns=(
        _SYMBOL,
        _EVENT_TIME,
        # Coinbase numbers no changes of the book.
        Column("update_id", Type.BIGINT, "The exchange's id of the change that led to it.", nullable=True),
        Column("bid_price", Type.DECIMAL, "Best bid, in the quote asset.", nullable=True),
        Column("bid_quantity", Type.DECIMAL, "At the best bid, in the base asset.", nullable=True),
        Column("ask_price", Type.DECIMAL, "Best ask, in the quote asset.", nullable=True),
        Column("ask_quantity", Type.DECIMAL, "At the best ask, in the base asset.", nullable=True),
        *_KEPT,
    ),
    key=("symbol", "event_time"),
    partition=("symbol",),
    bucket=Bucket.HOUR,
    clustering=("event_time",),
    time="event_time",
    event="event_time",
)

MARK_PRICES = Stream(
    name="markPrices",
    table="mark_prices",
    doc="Mark price, index price and funding of a perpetual contract at the end of each interval.",
    columns=(
        _SYMBOL,
        _EVENT_TIME,
        Column("mark_price", Type.DECIMAL, "The price at which positions are valued, in the quote asset."),
        # A contract with a delivery date has no funding.
        Column("index_price", Type.DECIMAL, "Of the underlying spot markets, in the quote asset.", nullable=True),
        Column("funding_rate", Type.DECIMAL, "Of the current period: 0.0001 is 0.01 %.", nullable=True),
        Column("next_funding_time", Type.TIMESTAMP, "When the current period ends.", nullable=True),
        *_KEPT,
    ),
    key=("symbol", "event_time"),
    partition=("symbol",),
    bucket=Bucket.DAY,
    clustering=("event_time",),
    time="event_time",
    event="event_time",
)

OPEN_INTEREST = Stream(
    name="openInterest",
    table="open_interest",
    doc="The open positions of a perpetual contract.",
    columns=(
        _SYMBOL,
        _EVENT_TIME,
        Column("open_interest", Type.DECIMAL, "In the base asset."),
        *_KEPT,
    ),
    key=("symbol", "event_time"),
    partition=("symbol",),
    bucket=Bucket.DAY,
    clustering=("event_time",),
    time="event_time",
    event="event_time",
)

LIQUIDATIONS = Stream(
    name="liquidations",
    table="liquidations",
    doc="Orders by which an exchange closed a position. An exchange may report only some of them.",
    columns=(
        _SYMBOL,
        Column("trade_time", Type.TIMESTAMP, "When the order was filled."),
        Column("liquidation_id", Type.BIGINT, "A hash of the report: distinguishes two in the same millisecond."),
        Column("side", Type.TEXT, "Of the order: sell closes a long position, buy a short one."),
        Column("price", Type.DECIMAL, "Of the order, in the quote asset."),
        Column("quantity", Type.DECIMAL, "Of the order, in the base asset."),
        Column("average_price", Type.DECIMAL, "At which it was filled, in the quote asset.", nullable=True),
        Column("filled_quantity", Type.DECIMAL, "In the base asset.", nullable=True),
        *_KEPT,
    ),
    key=("symbol", "trade_time", "liquidation_id"),
    partition=("symbol",),
    bucket=Bucket.DAY,
    clustering=("trade_time", "liquidation_id"),
    time="trade_time",
    event="trade_time",
)

STREAMS: dict[str, Stream] = {
    stream.name: stream
    for stream in (
        RECENT_TRADES, KLINES, CRYPTO_24H_STATS, LATEST_PRICES, ORDER_BOOK, BEST_QUOTES, MARK_PRICES, OPEN_INTEREST,
        LIQUIDATIONS,
    )
}  # fmt: skip
"""The streams by their names in the feed."""


SHARD = 0
"""The only partition of a table with the newest rows."""
_SHARD = Column("shard", Type.INTEGER, "Always 0: one partition has all symbols, a row each.")


def _newest(table: str, what: str, stream: Stream) -> Derived:
    return Derived(
        table=table,
        doc=f"The newest {what} of every symbol, in one partition.",
        source=stream.table,
        columns=(_SHARD, *stream.columns),
        partition=("shard",),
        clustering=("symbol",),
    )


NEWEST_PRICES = _newest("newest_prices", "price", LATEST_PRICES)
NEWEST_STATS = _newest("newest_24h_stats", "24-hour statistics", CRYPTO_24H_STATS)
NEWEST: dict[str, Derived] = {
    derived.source: derived
    for derived in (
        NEWEST_PRICES,
        NEWEST_STATS,
        _newest("newest_quotes", "best bid and ask", BEST_QUOTES),
        _newest("newest_mark_prices", "mark price", MARK_PRICES),
        _newest("newest_open_interest", "open interest", OPEN_INTEREST),
    )
}
"""The tables with the newest row of every symbol, by the table that they are derived from."""

HEATMAP = Derived(
    table="order_book_heatmap",
    doc="Quantity in the order book by price, every 10 seconds. All bins are written each time, so none goes stale.",
    source=ORDER_BOOK.table,
    columns=(
        _SYMBOL,
        Column("hour", Type.TIMESTAMP, "Start of the hour."),
        Column("bucket_time", Type.TIMESTAMP, "Of the order book's row."),
        Column("bin", Type.INTEGER, "0 is the lowest price."),
        Column("price_low", Type.DECIMAL, "Lower edge, inclusive, in the quote asset."),
        Column("price_high", Type.DECIMAL, "Upper edge, exclusive, in the quote asset."),
        Column("bid_quantity", Type.DECIMAL, "Bid within, in the base asset."),
        Column("ask_quantity", Type.DECIMAL, "Asked within, in the base asset."),
    ),
    partition=("symbol", "hour"),
    clustering=("bucket_time", "bin"),
    descending=("bucket_time",),
)

DERIVED: tuple[Derived, ...] = (*NEWEST.values(), HEATMAP)
