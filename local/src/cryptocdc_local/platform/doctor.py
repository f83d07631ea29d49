"""Checks what on this machine could prevent a run: one line per check, each with a remedy."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import requests

from cryptocdc_adapters.exchange import reach
from cryptocdc_adapters.exchange.reach import Pong
from cryptocdc_adapters.exchange.rest import ExchangeError, ExchangeUnreachable
from cryptocdc_exchanges.port import Venue
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation.jars import jars_folder
from cryptocdc_local.platform.installation.java import VERSION, find_java
from cryptocdc_local.platform.installation.packages import JAVA_PACKAGE, MAVEN_PACKAGE, by_hand, find_maven
from cryptocdc_local.platform.machine import LEAST_DISK, free_disk, port_holder, port_is_free
from cryptocdc_local.platform.platform import Platform
from cryptocdc_local.platform.settings import PlatformSettings
from cryptocdc_local.platform.system import IN_CONTAINER, System, lacking, this_system

LEAST_MEMORY = 2 * 2**30  # bytes: servers and programs take about three quarters of it
MOST_SKEW = 5.0  # seconds; events over a minute in the future are refused, and latencies are off by the skew
_EXCHANGE_LIMIT = 5.0  # seconds
API_PROGRAM = "cryptocdc-api"


@dataclass(frozen=True)
class Check:
    """`remedy` is empty if there is nothing to do."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def diagnose(settings: PlatformSettings, venue: Venue) -> list[Check]:
    """Look at everything; changes nothing. `venue` is the exchange to reach."""
    answer = ask_exchange(venue)
    return [
        check_system(this_system()),
        check_java(),
        check_maven(settings),
        check_ports(settings),
        check_disk(free_disk(settings.home), str(settings.home)),
        check_memory(psutil.virtual_memory().available, running=_is_running(settings)),
        check_exchange(venue.hosts.rest, answer),
        check_clock(answer),
    ]


def check_system(system: System) -> Check:
    if needs := lacking(system):
        return Check("system", False, f"{system.name} lacks {'; '.join(needs)}", f"in a container: {IN_CONTAINER}")
    return Check("system", True, system.name)


def check_java() -> Check:
    java = find_java()
    if java is None:
        return Check("java", False, f"Java {VERSION} not found", by_hand([JAVA_PACKAGE]))
    return Check("java", True, f"Java {VERSION}: {java}")


def check_maven(settings: PlatformSettings) -> Check:
    if jars_folder(settings.lib).exists():
        return Check("jars", True, f"Kafka, Debezium and Cassandra: {jars_folder(settings.lib)}")
    maven = find_maven()
    if maven is None:
        return Check("jars", False, "not downloaded yet, and Maven is missing", by_hand([MAVEN_PACKAGE]))
    return Check("jars", True, f"not downloaded yet; {maven} will do it")


def check_ports(settings: PlatformSettings) -> Check:
    """Check that the ports are free; those used by our own servers and a run's API are fine."""
    running = _is_running(settings)
    ports = {"api": settings.ports.api} if running else vars(settings.ports)
    taken = {name: port for name, port in ports.items() if not port_is_free(port)}
    if running and port_holder(settings.ports.api).startswith(API_PROGRAM):
        taken = {}
    if not taken:
        free = ", ".join(str(port) for port in ports.values())
        return Check("ports", True, "used by our own servers" if running else f"free: {free}")
    found = "; ".join(f"{port} ({name}) is in use by {port_holder(port)}" for name, port in taken.items())
    names = " ".join(f"CRYPTOCDC_{name.upper()}_PORT" for name in taken)
    return Check("ports", False, found, f"run `cryptocdc down` if they are ours, or choose others with {names}")


def check_disk(free: int, folder: str) -> Check:
    found = f"{free / 2**30:.1f} GiB free for {folder}"
    if free < LEAST_DISK:
        least = f"free up at least {LEAST_DISK / 2**30:.0f} GiB, or set CRYPTOCDC_HOME to a folder on another disk"
        return Check("disk", False, found, least)
    return Check("disk", True, found)


def check_memory(available: int, running: bool) -> Check:
    found = f"{available / 2**30:.1f} GiB available"
    if available < LEAST_MEMORY and not running:
        return Check("memory", False, found, f"close other programs: {LEAST_MEMORY / 2**30:.0f} GiB is needed")
    return Check("memory", True, found + (" in addition to our running servers" if running else ""))


def ask_exchange(venue: Venue) -> Pong | Exception:
    """Send one light request (weight 1); return the exception if the exchange does not answer it."""
    try:
        return reach.ping(venue, _EXCHANGE_LIMIT)
    except (ExchangeError, requests.RequestException) as error:
        return error


def check_exchange(url: str, answer: Pong | Exception) -> Check:
    if isinstance(answer, ExchangeUnreachable):
        remedy = "`cryptocdc run` uses the simulator meanwhile"
        return Check("exchange", False, f"{url} can't be reached ({answer})", remedy)
    if isinstance(answer, Exception):
        remedy = "set spec.endpoints in the feed to a host that serves your location, or run with --source simulated"
        return Check("exchange", False, str(answer), remedy)
    return Check("exchange", True, f"{url} answers in {answer.milliseconds:.0f} ms")


def check_clock(answer: Pong | Exception) -> Check:
    if isinstance(answer, Exception) or answer.skew is None:
        return Check("clock", True, "not compared: the exchange sends no time")
    found = f"{abs(answer.skew):.1f} s {'ahead of' if answer.skew > 0 else 'behind'} the exchange"
    if abs(answer.skew) > MOST_SKEW:
        return Check("clock", False, found, "set the clock: sudo timedatectl set-ntp true")
    return Check("clock", True, found)


def _is_running(settings: PlatformSettings) -> bool:
    try:
        return Platform(settings).is_running()
    except (PlatformError, PermissionError):
        return False
