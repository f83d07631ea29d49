"""A month of four symbols from the simulator's archive: loaded, killed twice on the way, proven equal, exported, and
counted by DuckDB."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cryptocdc_core.catalogue import by_table
from cryptocdc_core.program.exits import Exit
from cryptocdc_local.applier import Servers
from tests.integration import simulator
from tests.integration.command import cryptocdc
from tests.integration.feed_by_hand import Feed
from tests.integration.waiting import wait_for

duckdb = pytest.importorskip("duckdb")
pytestmark = [pytest.mark.platform, pytest.mark.soak, pytest.mark.timeout(3600)]

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT")
DAYS = int(os.environ.get("CRYPTOCDC_SOAK_DAYS", "0"))
"""Only so many days of the month, for a short run; 0 for all of it."""
LEAST_ROWS = 5_000_000
LOAD_LIMIT_S = 2400


@pytest.fixture
def feed(servers: Servers, tmp_path: Path) -> Iterator[Feed]:
    with simulator.running("--rate", "0.035") as port:
        made = Feed(
            servers, tmp_path, "month", endpoints={"archive": f"http://127.0.0.1:{port}"},
            symbols={"names": list(SYMBOLS)}, retention={"postgres": "2d", "cassandra": "180d"},
            streams={"recentTrades": {"kind": "aggregate"}, "klines": {"intervals": ["1m"]}},
        )  # fmt: skip
        made.start()
        try:
            yield made
        finally:
            made.stop()


def a_month() -> tuple[datetime, datetime]:
    """The last month of which PostgreSQL keeps no day any more, or its first days."""
    first = (datetime.now(UTC) - timedelta(days=3)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (first - timedelta(days=1)).replace(day=1)
    return start, first if not DAYS else start + timedelta(days=DAYS)


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has had so far (proc(5), VmHWM); 0 once it has ended."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def test_a_month_of_four_symbols_is_loaded_despite_kills_proven_exported_and_counted(
    feed: Feed, tmp_path: Path
) -> None:
    start, end = a_month()
    environment = {**feed.environment, "CRYPTOCDC_HOME": str(tmp_path / "home")}
    span = ["--from", f"{start:%Y-%m-%d}", "--to", f"{end:%Y-%m-%d}"]
    load = ["history", "load", "-f", str(feed.file), *span]
    program = Path(sys.executable).with_name("cryptocdc")
    done = f"SELECT count(*) FROM \"{feed.plan.names.schema}\".history WHERE state IN ('loaded', 'proven')"
    began = time.monotonic()
    for loaded in (1, 3):
        process = subprocess.Popen(
            [program, *load], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(f"{loaded} files", lambda least=loaded: feed.sql(done)[0][0] >= least, LOAD_LIMIT_S)  # type: ignore[misc]
        assert process.poll() is None, "it is killed on the way"
        process.send_signal(signal.SIGKILL)
        process.wait()

    errors = tmp_path / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen([program, *load], env=environment, stdout=subprocess.DEVNULL, stderr=file)
    peaks = [0.0]

    def ended() -> bool:
        peaks.append(peak_mib(process.pid))
        return process.poll() is not None

    wait_for("the load", ended, LOAD_LIMIT_S)
    seconds = time.monotonic() - began
    assert process.returncode == Exit.OK, errors.read_text()[-3000:]
    files = cryptocdc(environment, "history", "list", "-f", feed.file, "--json").json()["files"]
    assert {it["state"] for it in files} == {"proven"}
    assert sum(it["missing"] + it["missing_before"] for it in files) == 0
    rows: Counter[tuple[str, str]] = Counter()
    for it in files:
        rows[by_table(it["table"]).name, it["symbol"]] += it["rows"]
    total = sum(rows.values())
    print(
        f"{total:,} rows loaded and proven in {seconds:,.0f} s, two kills included;"
        f" the process took {max(peaks):,.0f} MiB at most"
    )
    assert {symbol for _, symbol in rows} == set(SYMBOLS)
    assert DAYS or total >= LEAST_ROWS
    assert all(rows["klines", symbol] == (end - start) // timedelta(minutes=1) for symbol in SYMBOLS)

    out = tmp_path / "research"
    exported = subprocess.run(
        [program, "export", "-f", str(feed.file), "--out", str(out), *span, "--json"],
        env=environment, capture_output=True, text=True, timeout=LOAD_LIMIT_S, check=False,
    )  # fmt: skip
    assert exported.returncode == Exit.OK, exported.stderr[-3000:]

    counted = duckdb.sql(
        f"SELECT stream, symbol, count(*) FROM read_parquet('{out}/**/*.parquet', hive_partitioning = true,"
        " union_by_name = true) GROUP BY ALL"
    ).fetchall()
    assert {(stream, symbol): count for stream, symbol, count in counted} == dict(rows)
