"""A venue's dialect of the simulator in this process, with a clock that tests move and without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request as HttpRequest
from starlette.routing import Match, Route
from tests.unit.simulator.clients import FakeClient
from tests.unit.simulator.conftest import ManualClock

from cryptocdc_adapters.exchange.rest import Rest
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_exchanges.port import Answer, Channel, Control, Request, Venue
from cryptocdc_simulator.dialects import catalogue
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market
from cryptocdc_simulator.rest_endpoint import RestEndpoint


def dialect_name(venue: Venue) -> str:
    """Return the dialect that is served where the venue says it is simulated. That of Binance has no path."""
    return venue.simulated.path.removeprefix("/") or "binance"


def with_every_stream(venue: Venue, listed: Collection[str]) -> str:
    """Return the first of the markets that are always simulated and `listed` which has every stream of the venue."""
    offers = venue.offers.values()
    return next(
        it for it in venue.simulated.always_listed if it in listed and all(offer.covers(it) for offer in offers)
    )


class Simulated:
    """The venue, its market and its clock."""

    def __init__(self, venue: Venue) -> None:
        self.venue, self.clock = venue, ManualClock()
        self.faults = Faults(self.clock)
        spoken = next(it for it in catalogue.VENUES if it.name == dialect_name(venue))
        self.market = Market(7, 8, 1.0, self.clock, catalogue=spoken.instruments)
        self.dialect = spoken.of_market(self.market, self.faults)
        assert self.dialect.base == venue.simulated.path
        endpoint = RestEndpoint(self.dialect, self.faults)
        self._routes = [Route(path, endpoint.__call__) for path in self.dialect.rest_paths]
        self._endpoint = endpoint
        self.requests = 0

    @property
    def symbol(self) -> str:
        """A market that trades, and has every stream of the venue."""
        return with_every_stream(self.venue, self.market.listings)

    def ask(self, request: Request[Any]) -> Answer:
        """Send a request."""
        self.requests += 1
        scope = {
            "type": "http", "method": "GET", "path": request.path, "headers": [],
            "query_string": urlencode(request.params).encode(),
        }  # fmt: skip
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                response = asyncio.run(self._endpoint(HttpRequest({**scope, **found})))
                return Answer(response.status_code, response.headers, bytes(response.body))
        raise AssertionError(f"{self.venue.name} has no {request.path}")

    def read(self, request: Request[Any]) -> Any:
        """Send a request and return its parsed response."""
        answer = self.ask(request)
        assert self.venue.limits.verdict(answer) is None, answer
        return request.read(answer.body, self.clock.now)


class Connection:
    """One connection of a client that subscribes as the venue's channels say."""

    def __init__(self, simulated: Simulated, feed: CryptoFeed, path: str) -> None:
        self._simulated = simulated
        self._client = FakeClient()
        self._session = simulated.dialect.sessions[path]
        without_query: Any = SimpleNamespace(query_params={}, path_params={})
        self._session.begin(without_query, self._client)
        self.decode = simulated.venue.frames.decoder(feed.spec.streams)
        self.replies: list[Control] = []

    def subscribe(self, channels: list[Channel]) -> list[bytes]:
        """Subscribe; return the frames that come with the subscription, such as snapshots."""
        return self._command(self._simulated.venue.channels.subscribe(1, [channel.name for channel in channels]))

    def unsubscribe(self, channels: list[Channel]) -> None:
        self._command(self._simulated.venue.channels.unsubscribe(2, [channel.name for channel in channels]))

    def acknowledge(self, message: str) -> list[str]:
        """Send a command; return the streams that it subscribes to, which are not opened."""
        streams: list[str] = []
        for reply in self._session.replies(self._client, message):
            found = self.decode(reply.message)
            if isinstance(found, Control):
                self.replies.append(found)
            streams += reply.subscribe
        self._client.streams |= dict.fromkeys(streams)
        return streams

    @property
    def idle_s(self) -> float | None:
        """The seconds after which a silent connection is closed; None: it is not."""
        idle = self._session.idle(self._client)
        return None if idle is None else idle.seconds

    def _command(self, message: str) -> list[bytes]:
        source, welcomed = self._simulated.dialect.source, []
        for stream in self.acknowledge(message):
            asyncio.run(source.prepare(stream))
            source.open(stream)
            welcomed += [self._wrapped(stream, payload) for payload in source.welcome(stream)]
        return welcomed

    def run(self, milliseconds: int, stride: int = 20) -> list[bytes]:
        """Advance the clock; return the frames sent meanwhile."""
        return list(self._frames(self._simulated.clock.now + milliseconds, stride))

    def _frames(self, end: int, stride: int) -> Iterator[bytes]:
        clock = self._simulated.clock
        while clock.now < end:
            clock.now = min(end, clock.now + stride)
            for stream, payload, _ in self._simulated.dialect.source.due():
                if stream in self._client.streams:
                    yield self._wrapped(stream, payload)

    def _wrapped(self, stream: str, payload: bytes) -> bytes:
        return payload if self._client.wrap is None else self._client.wrap(stream, payload)


class _Response(SimpleNamespace):
    def __enter__(self) -> _Response:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to release."""

    def iter_content(self, _: int) -> list[bytes]:
        return [self.content]


class SimulatedRest(Rest):
    """The REST client, with the simulated venue in place of its HTTP session."""

    def __init__(self, simulated: Simulated) -> None:
        super().__init__(simulated.venue)
        self._simulated = simulated

    def _session(self) -> Any:
        def get(url: str, params: dict[str, Any], **_: object) -> _Response:
            answer = self._simulated.ask(Request(urlsplit(url).path, lambda body, _: body, params))
            return _Response(
                url=url, status_code=answer.status, ok=answer.status < 400, headers=answer.headers, content=answer.body
            )

        return SimpleNamespace(get=get)
