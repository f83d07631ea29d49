"""The Kafka partition of a symbol, by murmur2 as in Kafka's default partitioner."""

from __future__ import annotations

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return Kafka's murmur2 (org.apache.kafka.common.utils.Utils) as an unsigned 32-bit number."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    end = length & ~3
    for at in range(0, end, 4):
        k = int.from_bytes(data[at : at + 4], "little")
        k = (k * _M) & _MASK
        k ^= k >> 24
        k = (k * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    tail = data[end:]
    if tail:
        h ^= int.from_bytes(tail, "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


def partition_of(symbol: str, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner chooses for the key `symbol` among `partitions`."""
    return (murmur2(symbol.encode()) & 0x7FFFFFFF) % partitions


def change_partition(symbol: str, partitions: int) -> int:
    """Return the partition of a symbol's changes: Debezium's key is a JSON object with the symbol, without schema."""
    return partition_of(f'{{"symbol":"{symbol}"}}', partitions)
