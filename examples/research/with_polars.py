"""Candles of a minute from exported trades, in polars: python with_polars.py FOLDER SYMBOL"""

import sys

import polars as pl


def candles(folder: str, symbol: str) -> pl.DataFrame:
    trades = pl.scan_parquet(f"{folder}/stream=recentTrades/symbol={symbol}/**/*.parquet", hive_partitioning=False)
    return (
        trades.sort("trade_time", "trade_id")
        .group_by_dynamic("trade_time", every="1m")
        .agg(
            pl.col("price").first().alias("open"), pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"), pl.col("price").last().alias("close"),
            pl.col("quantity").sum().alias("volume"), pl.len().alias("trades"),
        )
        .collect()
    )  # fmt: skip


if __name__ == "__main__":
    print(candles(*sys.argv[1:3]))
