"""Where a run's data comes from: the exchange, the simulator, or a recorded capture."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from cryptocdc_adapters import http_client
from cryptocdc_adapters.exchange.reach import TIMEOUT_S, ping
from cryptocdc_adapters.exchange.rest import ExchangeError, ExchangeUnreachable
from cryptocdc_adapters.http_client import UnsupportedProxy
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Source, identity
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.program.settings import SettingsError, SimulatorSettings
from cryptocdc_exchanges.port import Venue
from cryptocdc_exchanges.registry import VENUES, simulated, venue_of
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.machine import check_port
from cryptocdc_local.platform.servers.process import Command, ServerProcess
from cryptocdc_local.platform.settings import PlatformSettings
from cryptocdc_local.running.programs import caller


class SourceError(BadInput):
    """An invalid --source."""


@dataclass(frozen=True)
class Chosen:
    source: Source
    rest_url: str
    websocket_url: str
    note: str = ""
    """Why the source differs from the requested one."""
    capture: Path | None = None

    @property
    def needs_simulator(self) -> bool:
        """Whether our own simulator must run; if the feed has `endpoints`, somebody else serves them."""
        return self.source != "exchange" and self.rest_url in _served()


def _served() -> set[str]:
    """Return the base URLs of REST at which our own simulator speaks as each venue."""
    return {SimulatorSettings.from_env().rest_url + venue.simulated.path for venue in VENUES.values()}


def _serves(simulator_url: str) -> bool:
    """Return whether a simulator answers at that URL."""
    try:
        return http_client.get(f"{simulator_url}/healthz", timeout=TIMEOUT_S).ok
    except requests.RequestException:
        return False


def choose(feed: CryptoFeed, wanted: str | None) -> Chosen:
    """Return the source to use. `wanted` is exchange, simulated, capture:DIR, or None: the exchange, or the simulator
    if nothing answers.

    Raises SourceError, SettingsError; PlatformError if the exchange was requested explicitly and does not answer, or if
    it answers but refuses to serve us, which simulated prices would hide.
    """
    here, venue = SimulatorSettings.from_env(), venue_of(feed)
    simulator = simulated(feed, here.rest_url, here.websocket_url).hosts
    if wanted is not None and wanted.startswith("capture:"):
        folder = Path(wanted.removeprefix("capture:"))
        if not folder.is_dir():
            raise SourceError(
                f"--source: {str(folder)!r} is not a folder; accepted: capture:DIR, a folder with recorded captures"
            )
        _refuse_other_recordings(folder, venue)
        hosts = venue.at_simulator(here.rest_url, here.websocket_url).hosts
        return Chosen("capture", hosts.rest, hosts.websocket, capture=folder.absolute())
    if wanted == "simulated" or (wanted is None and feed.spec.exchange == "simulated"):
        return Chosen("simulated", simulator.rest, simulator.websocket)
    if wanted not in (None, "exchange"):
        raise SourceError(f"--source: {wanted!r} is not accepted; accepted: exchange, simulated, capture:DIR")
    try:
        ping(venue)
    except UnsupportedProxy as error:
        raise SettingsError(str(error)) from None
    except ExchangeUnreachable as error:
        if wanted == "exchange":
            raise PlatformError(
                f"{feed.spec.exchange} does not answer at {venue.hosts.rest} ({error})",
                "check the network, or use --source simulated",
            ) from None
        note = f"{feed.spec.exchange} does not answer at {venue.hosts.rest}: using the simulator"
        return Chosen("simulated", simulator.rest, simulator.websocket, note)
    except ExchangeError as error:
        raise PlatformError(
            f"{feed.spec.exchange} does not serve this machine: {error}",
            "fix the proxy or firewall in between, set another host in spec.endpoints.rest, or use --source simulated",
        ) from None
    return Chosen("exchange", venue.hosts.rest, venue.hosts.websocket)


def _refuse_other_recordings(folder: Path, venue: Venue) -> None:
    """Raise SourceError if the recordings in `folder` can't be read, or are not in the dialect of `venue`."""
    from cryptocdc_simulator.app import Settings, exchanges  # imported only here: other sources need none of it

    try:
        (recorded,) = exchanges(Settings(capture=folder))
    except (ValueError, OSError) as error:
        raise SourceError(f"--source: {error}") from None
    if recorded.dialect.base != venue.simulated.path:
        raise SourceError(
            f"--source: {str(folder)!r} was recorded from {recorded.dialect.name}, which spec.exchange"
            f" {venue.name!r} does not speak; accepted: recordings of {venue.name}, or another spec.exchange"
        )


class Simulator:
    """The simulator as a local process, for the feed `fid`."""

    def __init__(self, settings: PlatformSettings, fid: str, venue_url: str | None = None) -> None:
        """`venue_url`: where it speaks as the feed's venue; by default at its own address."""
        self._process = ServerProcess(f"{fid}-simulator", caller(), settings.run, settings.log)
        here = SimulatorSettings.from_env()
        self.url, self._port = here.rest_url, here.port
        self._venue_url = venue_url or here.rest_url

    def start(self, capture: Path | None, limit_s: float = 30) -> None:
        """Start it and wait until it answers. Stops one left over from an earlier run first. Raises PlatformError."""
        self.stop()
        check_port("CRYPTOCDC_SIMULATOR_PORT", self._port)
        argv = [str(Path(sys.executable).with_name("cryptocdc-simulator")), "--port", str(self._port)]
        if capture is not None:
            argv += ["--capture", str(capture)]
        self._process.start(Command(argv, {**os.environ}, Path.cwd()))
        self._process.wait_ready(lambda: _serves(self.url), limit_s)

    def alive(self) -> bool:
        return self._process.alive() is not None

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would."""
        self._process.kill()

    def capture_finished(self) -> bool:
        """Return whether a replayed capture has been sent completely."""
        try:
            state = http_client.get(f"{self._venue_url}/simulator/state", timeout=TIMEOUT_S).json()
        except (requests.RequestException, ValueError):
            return False
        return bool(state.get("capture", {}).get("finished"))

    def stop(self) -> None:
        self._process.stop(signal.SIGTERM, 10)


@contextlib.contextmanager
def answering(settings: PlatformSettings, feed: CryptoFeed, chosen: Chosen) -> Iterator[None]:
    """Run the simulator inside the block if it is the chosen source and no run of the feed has started it."""
    simulator = None
    if chosen.needs_simulator and not _serves(SimulatorSettings.from_env().rest_url):
        # Under its own name, so that a run's simulator that is merely slow to answer is not stopped.
        simulator = Simulator(settings, f"{identity(feed.name, chosen.source)}-asked", chosen.rest_url)
        simulator.start(chosen.capture)
    try:
        yield
    finally:
        if simulator is not None:
            simulator.stop()
