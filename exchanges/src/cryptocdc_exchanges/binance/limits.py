"""The request weight that one address may use per minute, and how Binance reports that it was exceeded.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/limits
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cryptocdc_exchanges.port import Answer, Limit, Refusal, SlowDown

WEIGHT = "weight"
USED_HEADER = "X-MBX-USED-WEIGHT-1M"
"""The header with the weight used in the current minute by all programs behind this address."""

_INVALID_SYMBOL = -1121
_FORBIDDEN_S = 60.0
"""If no time is given: the firewall's 403 never has one."""
_LONGEST_BAN_S = 3 * 86_400.0
"""The documented maximum; a longer time is not trusted."""


class _Problem(msgspec.Struct):
    code: int
    msg: str


def budgets() -> Sequence[Limit]:
    return (Limit(WEIGHT, 6000, 60.0, by_clock=True),)


def used(answer: Answer) -> Mapping[str, int]:
    try:
        # A proxy that joins duplicate headers makes "120, 120" of them.
        return {WEIGHT: max(int(count) for count in answer.headers.get(USED_HEADER, "").split(","))}
    except ValueError:
        return {}


def verdict(answer: Answer) -> SlowDown | Refusal | None:
    if answer.status in (403, 418, 429):
        return SlowDown(_retry_after(answer.headers))
    if not 400 <= answer.status < 500:
        return None
    try:
        error = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Refusal(0, "")
    return Refusal(error.code, error.msg, unknown_symbol=error.code == _INVALID_SYMBOL)


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(max(1.0, float(headers["Retry-After"])), _LONGEST_BAN_S)
    except (KeyError, ValueError):
        return _FORBIDDEN_S


def credentials(api_key: str) -> Mapping[str, str]:
    return {"X-MBX-APIKEY": api_key}
