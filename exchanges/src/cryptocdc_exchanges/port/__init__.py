"""The contract of a venue: all that the rest of the project knows of an exchange. Pure: no part of it does any I/O.

A venue is a folder beside this one, with one `Venue` for each exchange that speaks its API. The parts of a `Venue` are
files of that folder, named as those of this one that say what they contain: `markets`, `channels`, `frames`,
`requests`, `order_book`, `limits`, `archive`. A part with functions can be a module, or an object where two exchanges
of a folder differ.
"""

from __future__ import annotations

from cryptocdc_exchanges.port.archive import Archive, File, Format, MakeRow, Period, Series
from cryptocdc_exchanges.port.channels import Channel, Channels, ConnectionLimits
from cryptocdc_exchanges.port.frames import Alive, Closing, Control, Decode, Event, Frames, Reply
from cryptocdc_exchanges.port.limits import Answer, Limit, Limits, Refusal, SlowDown
from cryptocdc_exchanges.port.markets import Listing, Markets
from cryptocdc_exchanges.port.order_book import BookSnapshot, BookUpdate, OrderBook, Place
from cryptocdc_exchanges.port.requests import MAX_BODY, MAX_BODY_OF_ALL, FirstTrade, Refused, Request, Requests, Rows
from cryptocdc_exchanges.port.streams import Offer, Proof, Refill
from cryptocdc_exchanges.port.venue import Hosts, Simulated, Venue

__all__ = [
    "MAX_BODY",
    "MAX_BODY_OF_ALL",
    "Alive",
    "Answer",
    "Archive",
    "BookSnapshot",
    "BookUpdate",
    "Channel",
    "Channels",
    "Closing",
    "ConnectionLimits",
    "Control",
    "Decode",
    "Event",
    "File",
    "FirstTrade",
    "Format",
    "Frames",
    "Hosts",
    "Limit",
    "Limits",
    "Listing",
    "MakeRow",
    "Markets",
    "Offer",
    "OrderBook",
    "Period",
    "Place",
    "Proof",
    "Refill",
    "Refusal",
    "Refused",
    "Reply",
    "Request",
    "Requests",
    "Rows",
    "Series",
    "Simulated",
    "SlowDown",
    "Venue",
]
