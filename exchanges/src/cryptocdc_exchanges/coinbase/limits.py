"""The request limits of one address, and how Coinbase Exchange reports that they were exceeded.

Source: https://docs.cdp.coinbase.com/exchange/rest-api/rate-limits. Responses do not say how much was used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cryptocdc_exchanges.port import Answer, Limit, Refusal, SlowDown

REQUESTS = "requests"
_PER_S = 1.0
_FORBIDDEN_S = 60.0
"""The firewall's 403 has no time."""


class _Problem(msgspec.Struct):
    message: str


def budgets() -> Sequence[Limit]:
    return (Limit(REQUESTS, 10, _PER_S),)  # fifteen are allowed in a burst


def used(_: Answer) -> Mapping[str, int]:
    return {}


def verdict(answer: Answer) -> SlowDown | Refusal | None:
    if answer.status == 403:
        return SlowDown(_FORBIDDEN_S)
    if answer.status == 429:
        return SlowDown(_PER_S)
    if not 400 <= answer.status < 500:
        return None
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Refusal(0, "")
    return Refusal(0, problem.message, unknown_symbol=answer.status == 404 and problem.message == "NotFound")


def credentials(_: str) -> Mapping[str, str]:
    """Return no headers: public data needs no key, and a key without a signature would be refused."""
    return {}
