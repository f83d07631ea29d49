"""Links between the parts, disturbed by the proxy: the exchange's, and those to each server of all its clients."""

from __future__ import annotations

import time
from functools import partial
from random import Random
from typing import Any

from tests.faults.cell import Cell
from tests.faults.fault import Fault
from tests.faults.observer import LAGGING, LATE
from tests.faults.platform import EXCHANGE

PARTS = {
    EXCHANGE: "the exchange", "postgres": "PostgreSQL", "kafka": "Kafka", "connect": "Kafka Connect",
    "cassandra": "Cassandra",
}  # fmt: skip
FLAP_S = 2.0


def disturbed(link: str, behaviour: dict[str, Any], shortest_s: float, longest_s: float, cell: Cell) -> None:
    seconds = round(cell.random.uniform(shortest_s, longest_s), 1)
    cell.note(seconds=seconds)
    before = cell.proxy.links[link].forwarded
    cell.proxy.set(link, **behaviour)
    try:
        cell.hold(seconds)
    finally:
        cell.proxy.set(link)
    passed = cell.proxy.links[link].forwarded - before
    if not behaviour.get("hanging") and not behaviour.get("cut"):
        assert passed > 0, f"nothing passed the link to {link}, so it was not disturbed"


def flapping(link: str, cell: Cell) -> None:
    times = cell.random.randint(5, 8)
    cell.note(times=times)
    try:
        for _ in range(times):
            cell.proxy.set(link, cut=True)
            cell.hold(FLAP_S)
            cell.proxy.set(link)
            cell.hold(FLAP_S)
    finally:
        cell.proxy.set(link)


def resetting(link: str, cell: Cell) -> None:
    before = cell.proxy.links[link].resets
    behaviour = {"reset_share": 0.05, "random": Random(cell.random.getrandbits(64))}
    disturbed(link, behaviour, 25, 35, cell)
    deadline = time.monotonic() + 60
    cell.proxy.set(link, **behaviour)
    try:  # with few connections it may take a while until one is hit
        while cell.proxy.links[link].resets == before and time.monotonic() < deadline:
            cell.hold(1)
    finally:
        cell.proxy.set(link)
    resets = cell.proxy.links[link].resets - before
    cell.note(resets=resets)
    assert resets > 0, f"no connection to {link} was reset"


_SLOW = f"{LAGGING}|{LATE}"
_BEHIND = {
    EXCHANGE: "reconnects_total",
    "postgres": "write_retries_total|connector (can't be checked|failed|hung)",
    "kafka": f"readyz: not a member of group|group_member|connector can't be checked|{LAGGING}",
    "connect": "connector can't be checked",
    "cassandra": "acknowledged nothing|write_stalled|consumer_retries",
}
"""What is seen of a link that carries nothing for a while."""
_SIGNS = {
    **{(kind, link): sign for kind in ("cut", "half-open", "flaps") for link, sign in _BEHIND.items()},
    ("resets", EXCHANGE): "reconnects_total",
    ("resets", "cassandra"): "consumer_retries",
    **{("narrow", link): _SLOW for link in (EXCHANGE, "postgres", "kafka", "cassandra")},
}
_ABSORBED = {
    "slow": "nothing: rows come a little later",
    "resets": "nothing: clients connect again, and repeat what failed",
    "narrow": "nothing: little passes this link",
}
"""Of the other links."""


def _faults() -> list[Fault]:
    made = []
    for link, called in PARTS.items():
        for kind, sentence, inflict in (
            ("cut", "is cut for 15 to 25 s", partial(disturbed, link, {"cut": True}, 15, 25)),
            (
                "half-open", "hangs for 30 to 40 s: nothing comes and nothing closes, for connections that were open"
                " then not afterwards either", partial(disturbed, link, {"hanging": True}, 30, 40),
            ),
            ("slow", "takes 200 ms longer each way", partial(disturbed, link, {"delay_s": 0.2}, 20, 30)),
            (
                "resets", "resets each connection with a probability of 5 %, when it is made and in each second",
                partial(resetting, link),
            ),
            ("flaps", "is cut and works again every two seconds", partial(flapping, link)),
            ("narrow", "carries 20 KB/s", partial(disturbed, link, {"bytes_per_s": 20_000}, 20, 30)),
        ):  # fmt: skip
            sign = _SIGNS.get((kind, link), "")
            # Connect asks on a connection that is dead until its `default.api.timeout.ms` of 170 s has passed.
            recovers_s = 360 if (kind, link) == ("half-open", "kafka") else 180
            made.append(
                Fault(
                    f"link-{kind}-{link}", f"the link to {called} {sentence}", inflict, links=(link,),
                    recovers_s=recovers_s, sign=sign, absorbed="" if sign else _ABSORBED[kind],
                )
            )  # fmt: skip
    return made


LINKS = tuple(_faults())
