"""How much of the past a feed starts with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

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
    the first time, and go through PostgreSQL, so they can't exceed what `retention` keeps; `0s` fetches nothing. `from`
    is loaded from the exchange's archive, past PostgreSQL, up to the days that PostgreSQL keeps."""

    klines: Past = A_DAY
    """Closed candles of this much of the past, of each interval; the default is less where `retention` is."""
    recent_trades: Past = Field("0s", alias="recentTrades")
    """Trades of this much of the past, if the exchange returns them by id."""
    begin: Begin | None = Field(None, alias="from")
    """Days since this month, such as 2026-01, or this day, from the exchange's public archive: loaded once into
    Cassandra. The days that PostgreSQL keeps are fetched over REST. A change loads what is missing."""


def past_s(text: str) -> int:
    """Return how much of the past is wanted, in seconds."""
    return 0 if text == "0s" else durations.seconds(text)


def beyond_retention(history: object, kept: dict[str, Any]) -> Iterator[Broken]:
    """Yield the fields of a `history`, as the user wrote it, that exceed what is kept: by server, a retention."""
    if not isinstance(history, dict):
        return
    limits = {server: durations.seconds(text) for server, text in kept.items() if _is_duration(text)}
    for name, text in history.items():
        if name == "from" or not isinstance(text, str) or not re.search(PATTERN, text):
            continue
        for server, limit_s in limits.items():
            if text != A_DAY and past_s(text) > limit_s:
                yield (
                    ("history", name),
                    f"at most {kept[server]} is accepted, what retention.{server} keeps: the past goes through both"
                    " databases; for more, raise the retention",
                )
                break


def _is_duration(text: object) -> bool:
    return isinstance(text, str) and bool(re.search(durations.PATTERN, text))
