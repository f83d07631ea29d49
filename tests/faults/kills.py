"""Programs and servers killed, and stopped without dying."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any

import psutil

from cryptocdc_local.platform import SERVERS
from tests.faults.cell import Cell
from tests.faults.fault import Fault
from tests.faults.works import ALERT, PROVEN_S, alerter_works, api_works, verifier_works

STOPPED_S = 120.0
MANY: dict[str, Any] = {"scaling": {"partitions": 6, "producers": 2, "consumers": 3}}


def kill_program(kind: str, cell: Cell) -> None:
    victim = cell.program(kind)
    before = cell.it.programs.pids()[victim]
    cell.note(victim=victim.partition("-")[2])
    cell.it.programs.kill(victim)
    cell.wait("the restart", lambda: cell.it.programs.pids().get(victim, before) != before)


def kill_consumer_in_mid_batch(cell: Cell) -> None:
    """Killed while batches are in flight: its rows are written, and their offsets not committed."""
    victim = cell.program("consumer")
    pid = cell.it.programs.pids()[victim]
    cell.wait("batches in flight", lambda: cell.metric(victim, "cryptocdc_consumer_in_flight_batches") > 0)
    cell.it.programs.kill(victim)
    cell.wait("the restart", lambda: cell.it.programs.pids().get(victim, pid) != pid)


def kill_server(name: str, cell: Cell) -> None:
    before = cell.platform.pids()[name]
    cell.platform.kill(name)
    cell.wait("the restart", lambda: cell.platform.pids().get(name, before) != before, 180)
    cell.wait("the server", cell.platform.is_running, 180)


def kill_all_servers(cell: Cell) -> None:
    order = cell.random.sample(SERVERS, len(SERVERS))
    cell.note(order=" ".join(order))
    before = cell.platform.pids()
    for name in order:
        cell.platform.kill(name)
    cell.wait(
        "all servers again",
        lambda: cell.platform.is_running() and not set(before.items()) & set(cell.platform.pids().items()),
        300,
    )


def kill_all_programs(cell: Cell) -> None:
    before = cell.it.programs.pids()
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    cell.wait(
        "all programs again",
        lambda: (
            before.keys() == cell.it.programs.pids().keys()
            and not set(before.values()) & set(cell.it.programs.pids().values())
        ),
    )


def stopped(victims: list[int], seconds: float, cell: Cell) -> None:
    """Processes that neither answer nor die for a while, as on a machine that swaps."""
    try:
        for pid in victims:
            os.kill(pid, signal.SIGSTOP)
        cell.hold(seconds)
    finally:
        for pid in victims:
            os.kill(pid, signal.SIGCONT)


def stop_server(name: str, cell: Cell) -> None:
    cell.note(seconds=STOPPED_S)
    server = psutil.Process(cell.platform.pids()[name])
    stopped([server.pid, *(child.pid for child in server.children(recursive=True))], STOPPED_S, cell)


def freeze_consumer(cell: Cell) -> None:
    """Longer than `max.poll.interval.ms`, which the cell's feed sets to 30 s: the group goes on without it."""
    victim, seconds = cell.program("consumer"), round(cell.random.uniform(35, 45), 1)
    cell.note(victim=victim.partition("-")[2], seconds=seconds)
    stopped([cell.it.programs.pids()[victim]], seconds, cell)


KILLS = (
    Fault(
        "kill-producer", "the only producer is killed", partial(kill_program, "producer"), sign="producer.* died",
        dies=("producer",),
    ),
    Fault(
        "kill-one-of-two-producers", "one of two producers is killed", partial(kill_program, "producer"),
        sign="producer.* died", spec=MANY, dies=("producer",),
    ),
    Fault(
        "kill-consumer-in-mid-batch", "the only consumer is killed while batches are in flight",
        kill_consumer_in_mid_batch, sign="consumer.* died", rate=20, dies=("consumer",),
    ),
    Fault(
        "kill-one-of-three-consumers", "one of three consumers is killed", partial(kill_program, "consumer"),
        sign="consumer.* died", spec=MANY, dies=("consumer",),
    ),
    Fault(
        "kill-alerter", "the alerter is killed", partial(kill_program, "alerter"), sign="alerter.* died",
        spec={"alerts": [ALERT]}, works=(alerter_works,), dies=("alerter",),
    ),
    Fault(
        "kill-verifier", "the verifier is killed", partial(kill_program, "verifier"), sign="verifier.* died",
        works=(verifier_works,), recovers_s=PROVEN_S, dies=("verifier",),
    ),
    Fault(
        "kill-api", "the API is killed", partial(kill_program, "api"), sign="api.* died", works=(api_works,),
        dies=("api",),
    ),
    *(
        Fault(f"kill-{name}", f"{called} is killed", partial(kill_server, name), sign=f"{name} died")
        for name, called in (
            ("connect", "Kafka Connect"), ("kafka", "the broker"), ("postgres", "PostgreSQL"),
            ("cassandra", "Cassandra"),
        )
    ),
    Fault(
        "kill-all-servers", "all servers are killed at once", kill_all_servers,
        sign="(postgres|kafka|connect|cassandra) died", recovers_s=180,
    ),
    Fault(
        "kill-all-programs", "all programs are killed at once", kill_all_programs,
        sign="(producer|consumer|alerter|verifier|api).* died", spec={"alerts": [ALERT]},
        works=(alerter_works, api_works, verifier_works), recovers_s=PROVEN_S,
        dies=("producer", "consumer", "alerter", "verifier", "api"),
    ),
    *(
        Fault(
            f"stop-{name}", f"{called} is stopped for two minutes (SIGSTOP)", partial(stop_server, name), sign=sign,
            recovers_s=180,
        )
        for name, called, sign in (
            ("connect", "Kafka Connect", "connector can't be checked"),
            ("kafka", "the broker", "readyz: not a member of group"),
            ("postgres", "PostgreSQL", "connector can't be checked|write_retries_total"),
            ("cassandra", "Cassandra", "acknowledged nothing"),
        )
    ),
    Fault(
        "freeze-consumer", "a consumer is frozen for longer than max.poll.interval.ms, then goes on", freeze_consumer,
        sign="consumer.*does not answer", spec=MANY, environment={"CRYPTOCDC_KAFKA_MAX_POLL_INTERVAL_S": "30"},
    ),
)  # fmt: skip
