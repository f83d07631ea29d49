"""Records that can't be written: kept with the reason, listed, replayed; no stopped partition, no lost neighbour."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocdc_core.feed import model as feeds
from cryptocdc_local.platform import Platform
from cryptocdc_local.platform.progress import Silent
from cryptocdc_local.running import run
from cryptocdc_local.running.exchange_choice import choose
from cryptocdc_local.running.run import Run
from tests.integration import refusing_transform, topics
from tests.integration.command import Answer, cryptocdc
from tests.integration.conftest import feed_document
from tests.integration.waiting import wait_for

pytestmark = pytest.mark.platform

DOCUMENT = feed_document(
    "letters",
    ["BTCUSDT", "ETHUSDT"],
    {"recentTrades": {"source": "websocket"}, "latestPrices": {"source": "websocket"}},
)
TOPIC = "letters_sim.letters_sim.recent_trades"


@pytest.fixture(scope="module")
def refused_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there, the transform raises for the tables it names."""
    return tmp_path_factory.mktemp("transform") / "tables"


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int, refused_tables: Path) -> Iterator[Run]:
    """One run, with a transform of the user's own, for all tests of this file."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CRYPTOCDC_SIMULATOR_PORT", str(simulator_port))
        environment.setenv("CRYPTOCDC_TRANSFORM", f"{refusing_transform.__name__}:refuse")
        environment.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
        environment.setenv(refusing_transform.FILE, str(refused_tables))
        chosen = choose(feeds.parse(DOCUMENT), "simulated")
        with run.started(platform, DOCUMENT, chosen, Silent(), lambda s: print(s, file=sys.stderr)) as started:
            wait_for("rows of both streams", lambda: all(s.cassandra for s in started.figures().streams.values()), 120)
            yield started


@pytest.fixture(scope="module")
def feed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("feed") / "letters.yaml"
    file.write_text(yaml.safe_dump(DOCUMENT), encoding="utf-8")
    return file


@pytest.fixture
def command(it: Run, feed_file: Path, command_environment: dict[str, str]) -> Any:
    """`command("dlq", "list", "--json")`: the command with this file's feed."""

    def called(*arguments: str) -> Answer:
        return cryptocdc(command_environment, *arguments, "-f", feed_file)

    return called


def partition_of(it: Run, symbol: str) -> int:
    """Where the connector puts the trades of a symbol."""

    def found() -> list[int]:
        key = json.dumps({"symbol": symbol}, separators=(",", ":")).encode()
        return [record.partition for record in topics.read(it.servers.kafka, TOPIC) if record.key == key]

    return wait_for(f"a trade of {symbol} in Kafka", found)[0]


def letters(it: Run) -> list[topics.Found]:
    return topics.read(it.servers.kafka, it.plan.names.dead_letter_topic)


def letters_of(it: Run, partition: int, offset: int) -> list[topics.Found]:
    where = {"cryptocdc.topic": TOPIC, "cryptocdc.partition": str(partition), "cryptocdc.offset": str(offset)}
    return [letter for letter in letters(it) if where.items() <= letter.headers.items()]


def put_poison(it: Run, value: bytes | None, key: bytes = b'{"symbol":"BTCUSDT"}') -> tuple[int, int]:
    """Put a record among BTCUSDT's trades and see that those after it are written; its partition and offset."""
    partition = partition_of(it, "BTCUSDT")
    offset = topics.put(it.servers.kafka, TOPIC, partition, key, value)
    group = it.plan.names.consumer_group
    wait_for(
        "the partition gone on past the poison",
        lambda: topics.committed(it.servers.kafka, group, TOPIC, partition) > offset + 5,
        90,
    )
    return partition, offset


SOUND = {
    "symbol": "BTCUSDT", "trade_time": 1_800_000_000_000, "trade_id": 1, "price": "1.00", "quantity": "1.00",
    "first_trade_id": 1, "last_trade_id": 1, "buyer_is_maker": False, "received_at": 1_800_000_000_000,
    "version": 1_800_000_000_000_000, "__op": "c", "__lsn": 1, "__source_ts_us": 1_800_000_000_000_000,
    "__deleted": "false",
}  # fmt: skip


def altered(**fields: object) -> bytes:
    return json.dumps({**SOUND, **fields}).encode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff\x00 no json", "undecodable: not JSON"),
        (None, "undecodable: a tombstone"),
        (b"[1, 2]", "undecodable: a list instead of a change"),
        (b'{"symbol": "BTCUSDT"}', "undecodable: "),
        (altered(trade_id="one"), "undecodable: "),
        (altered(trade_id=2**63), "unencodable: "),
        (altered(price="NaN"), "unencodable: decimal 'NaN'"),
        (altered(price=1.5), "undecodable: decimal 1.5 is a float"),
        (altered(price=None), "undecodable: "),
        (altered(__op="x"), "undecodable: op 'x'"),
        (b'{"op": "t", "before": null, "after": null, "source": {}}', "undecodable: op 't'"),
        (b'{"__op": "t", "__lsn": 1, "__source_ts_us": 1, "__deleted": "false"}', "undecodable: op 't'"),
    ],
    ids=[
        "no json", "tombstone", "list", "missing columns", "text for a number", "too big a number", "not a number",
        "float", "null", "unknown op", "truncate", "truncate unwrapped",
    ],
)  # fmt: skip
def test_a_poison_record_becomes_a_dead_letter_and_its_partition_continues(
    it: Run, value: bytes | None, reason: str
) -> None:
    partition, offset = put_poison(it, value)

    (letter,) = letters_of(it, partition, offset)
    assert letter.headers["cryptocdc.reason"].startswith(reason), letter
    assert letter.headers["cryptocdc.feed"] == it.plan.names.fid
    assert letter.value == value
    assert letter.key == b'{"symbol":"BTCUSDT"}'


def test_a_row_refused_only_by_cassandra_becomes_a_dead_letter_alone(it: Run) -> None:
    """A key beyond Cassandra's 64 KiB: sound by its types, refused by the server."""
    long = "X" * 70_000
    partition, offset = put_poison(it, altered(symbol=long), json.dumps({"symbol": long}).encode())

    (letter,) = letters_of(it, partition, offset)
    assert letter.headers["cryptocdc.reason"].startswith("refused: "), letter
    assert len(letter.value or b"") > 70_000


def test_dead_letters_are_listed_and_verify_counts_them_as_quarantined(it: Run, command: Any) -> None:
    answer = command("dlq", "list", "--json")
    assert answer.code == 0, answer
    listed = answer.json()
    assert listed["pending"] == len(letters(it)) == len(listed["letters"])
    assert {letter["topic"] for letter in listed["letters"]} == {TOPIC}
    shown = command("dlq", "list")
    assert "not JSON" in shown.out
    assert f"{listed['pending']} pending" in shown.out

    # None of them is a row in PostgreSQL, so both sides are equal although there are dead letters.
    verified = command("verify", "--json")
    assert verified.code == 0, verified
    assert verified.json()["quarantined"] == listed["pending"]


def test_a_replay_writes_records_whose_cause_is_gone_and_refuses_the_rest(
    it: Run, command: Any, refused_tables: Path
) -> None:
    poison = len(letters(it))
    refused_tables.write_text("latest_prices", encoding="utf-8")
    wait_for("prices refused", lambda: len(letters(it)) > poison + 3)
    refused_tables.unlink()
    mended = len(letters(it)) - poison

    unequal = command("verify", "--json", "--explain")
    assert unequal.code == 1, unequal
    report = unequal.json()
    assert (report["missing"], report["extra"], report["different"]) == (mended, 0, 0)
    assert report["quarantined"] == poison + mended
    assert {key["table"] for key in report["keys"]} == {"latest_prices"}
    for key in report["keys"]:
        assert "a dead letter: transform: LookupError" in key["cause"], key

    replayed = command("dlq", "replay", "--json")
    assert replayed.code == 0, replayed
    assert replayed.json()["replayed"] == poison + mended
    wait_for("the poison refused again", lambda: len(letters(it)) == 2 * poison + mended)

    verified = command("verify", "--json")
    assert verified.code == 0, verified
    assert verified.json()["quarantined"] == command("dlq", "list", "--json").json()["pending"] == poison
