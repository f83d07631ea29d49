"""Stored rows and proofs in memory, in place of both databases."""

from collections import defaultdict
from typing import Any

from cryptocdc_core.catalogue.streams import RECENT_TRADES
from cryptocdc_core.storage.windows import Partition
from cryptocdc_verifier.comparing.canonical import NULL, key_of, ordered, time_of
from cryptocdc_verifier.continuous.proofs import merged
from cryptocdc_verifier.recompute.bars import BARS, BarFold, computed, trade_of


def trade_line(symbol, at_ms, id):
    values = {
        "symbol": symbol, "trade_time": at_ms, "trade_id": id, "price": f"{100 + id % 7}.5", "quantity": "0.25",
        "buyer_is_maker": "f", "received_at": at_ms + 20, "version": at_ms * 1000,
    }  # fmt: skip
    return "\t".join(str(values.get(column.name, NULL)) for column in ordered(RECENT_TRADES)).encode()


class Stored:
    """Cassandra, where a test inserts and removes rows. `reads` counts the partitions read, by table."""

    def __init__(self):
        self.rows: Any = defaultdict(lambda: defaultdict(dict))
        self.reads: Any = defaultdict(int)

    def put(self, stream, line):
        key = key_of(stream, line)
        prefix = tuple(key[stream.key.index(name)].decode() for name in stream.partition)
        bucket = stream.bucket_of(prefix).floor(time_of(stream, key))
        self.rows[stream.table][Partition(prefix, bucket)][key] = line

    def trade(self, symbol, at_ms, id=1):
        self.put(RECENT_TRADES, trade_line(symbol, at_ms, id))

    def compute(self, lengths):
        """Store the bars of all trades, as analyzers and consumers do."""
        for partition, lines in list(self.rows[RECENT_TRADES.table].items()):
            trades = [trade for line in lines.values() if (trade := trade_of(line)) is not None]
            for interval, length in lengths.items():
                for line in computed(BarFold, partition.prefix[0], interval, length, trades).values():
                    self.put(BARS, line)

    def add(self, other):
        for table, partitions in other.rows.items():
            for partition, rows in partitions.items():
                self.rows[table][partition].update(rows)

    def take_bar(self, symbol, interval, open_ms):
        """Remove a bar and return its line."""
        key = symbol.encode(), interval.encode(), str(open_ms).encode()
        return next(rows.pop(key) for rows in self.rows[BARS.table].values() if key in rows)

    def partitions(self, stream):
        return iter([partition for partition, rows in self.rows[stream.table].items() if rows])

    def read(self, stream, partitions, window):
        for partition in partitions:
            self.reads[stream.table] += 1
            rows = self.rows[stream.table][partition]
            yield partition, iter([rows[key] for key in sorted(rows) if time_of(stream, key) in window])


class StoredProofs:
    """The proofs in PostgreSQL."""

    def __init__(self):
        self.found = {}

    def of(self, stream):
        return [proof for (table, _), proof in sorted(self.found.items(), key=lambda i: i[0]) if table == stream.table]

    def add(self, stream, proof):
        self.found[stream.table, proof.window.start] = proof

    def merge(self, stream, proofs):
        for proof in proofs:
            del self.found[stream.table, proof.window.start]
        self.add(stream, merged(proofs))
