"""OKX, spot and swaps: REST below /api/v5, WebSocket at /ws/v5/public and /ws/v5/business."""

from __future__ import annotations

from collections.abc import Mapping

from cryptocdc_simulator.capture import Capture, CaptureStreams
from cryptocdc_simulator.dialects.okx import malformed
from cryptocdc_simulator.dialects.okx.capture import PATH, CaptureEndpoints, frames_of
from cryptocdc_simulator.dialects.okx.instruments import INSTRUMENTS, kind_of, new_instrument
from cryptocdc_simulator.dialects.okx.limits import Limits
from cryptocdc_simulator.dialects.okx.rest import MarketEndpoints, OkxApi, Rows
from cryptocdc_simulator.dialects.okx.streams import BookFaults, OkxStreams, is_business, is_public
from cryptocdc_simulator.dialects.okx.websocket import Subscriptions, notice
from cryptocdc_simulator.dialects.port import Dialect, Source
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market
from cryptocdc_simulator.streams import MarketStreams

NAME = "okx"
__all__ = ["INSTRUMENTS", "NAME", "PATH", "frames_of", "of_capture", "of_market"]


def of_market(market: Market, faults: Faults) -> Dialect:
    of_books = BookFaults()
    source = MarketStreams(market, OkxStreams(market, faults, of_books))
    return _dialect(source, MarketEndpoints(market, faults).by_name, faults, market, of_books)


def of_capture(capture: Capture, streams: CaptureStreams, faults: Faults) -> Dialect:
    return _dialect(streams, CaptureEndpoints(capture, streams.time).by_name, faults, None, BookFaults())


def _dialect(
    source: Source, endpoints: Mapping[str, Rows], faults: Faults, market: Market | None, of_books: BookFaults
) -> Dialect:
    def kinds() -> Mapping[str, str] | None:
        return None if market is None else {name: kind_of(it.instrument) for name, it in market.listings.items()}

    return Dialect(
        name=NAME,
        base="/okx",
        source=source,
        api=OkxApi(endpoints, Limits(faults.clock)),
        rest_paths=(PATH + "{endpoint:path}",),
        sessions={
            "/ws/v5/public": Subscriptions(lambda arg: is_public(arg, kinds()), faults.clock),
            "/ws/v5/business": Subscriptions(lambda arg: is_business(arg, kinds()), faults.clock),
        },
        malformed=malformed.KINDS,
        farewell=notice,
        new_instrument=new_instrument,
        market=market,
        faults={"checksum": of_books.checksum, "quiet-book": of_books.quiet_book} if market else {},
    )
