"""How much of the past a feed starts with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from cryptocdc_core.feed.base import Broken, FeedModel
from cryptocdc_core.program.exits import BadInput
from cryptocdc_core.time import durations, times

BEGIN = r"^[0-9]{4}-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?$"
PATTERN = rf"^0s$|{durations.PATTERN}"
A_DAY = "24h"
"""The default for candles. It is never refused, since Kubernetes writes it into every feed, but shortened to what is
kept."""
Past = Annotated[str, Field(pattern=PATTERN, json_schema_extra={"maxLength": 7})]


def _as_text(value: object) -> object:
    """YAML reads a day as a date."""
    return value.isoformat() if isinstance(value, date) else value


def _checked(text: str) -> str:
    try:
        times.month_or_time("from", text)
    except BadInput:
        raise ValueError("a month such as 2026-01, or a day such as 2026-01-31, is accepted") from None
    return text


Begin = Annotated[
    str,
    Field(pattern=BEGIN, json_schema_extra={"maxLength": 10}),
    BeforeValidator(_as_text),
    AfterValidator(_checked),
]


class History(FeedModel):
    """The past that a feed starts with. `klines` and `recentTrades` are fetched over REST when a symbol is captured for
    the first time, and go through PostgreSQL; days before what it keeps are loaded from the exchange's archive, past
    PostgreSQL. `0s` fetches nothing. `from` is loaded from the archive, up to the days that PostgreSQL keeps."""

    klines: Past = A_DAY
    """Closed candles of this much of the past, of each interval, at most what `retention.cassandra` keeps; more than
    `retention.postgres` only where the exchange has an archive of them. The default is less where `retention` is."""
    recent_trades: Past = Field("0s", alias="recentTrades")
    """Trades of this much of the past, if the exchange returns them by id; the same limits."""
    begin: Begin | None = Field(None, alias="from")
    """Days since this month, such as 2026-01, or this day, from the exchange's public archive: loaded once into
    Cassandra. The days that PostgreSQL keeps are fetched over REST. A change loads what is missing."""


def past_s(text: str) -> int:
    """Return how much of the past is wanted, in seconds."""
    return 0 if text == "0s" else durations.seconds(text)


def exceeds(text: str, kept_s: int | None) -> bool:
    """Return whether a length of the past is more than what is kept, in seconds; None: everything. The default never
    is."""
    return kept_s is not None and text != A_DAY and past_s(text) > kept_s


def beyond_retention(history: object, kept: object) -> Iterator[Broken]:
    """Yield the fields of a `history`, as the user wrote it, that exceed what Cassandra keeps: `kept`, as written.

    More than PostgreSQL keeps is for the exchange's archive, which not every exchange has.
    """
    if not isinstance(history, dict) or not isinstance(kept, str) or not re.search(durations.PATTERN, kept):
        return
    for name, text in history.items():
        if name == "from" or not isinstance(text, str) or not re.search(PATTERN, text):
            continue
        if exceeds(text, durations.seconds(kept)):
            yield (
                ("history", name),
                f"at most {kept} is accepted, what retention.cassandra keeps; for more, raise the retention",
            )
