"""How many requests one address may send to each endpoint in two seconds, and how OKX says that it was too much.

Source: the rate limit of each endpoint in https://www.okx.com/docs-v5/en/, and #error-code-rest-api there. An answer
does not say how much is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cryptocdc_exchanges.port import Answer, Limit, Refusal, SlowDown

_PER_S = 2.0
_REQUESTS = {
    "market/ticker": 20,
    "market/tickers": 20,
    "market/books": 40,
    "market/trades": 100,
    "market/history-trades": 20,
    "market/history-candles": 20,
    "public/instruments": 20,
    "public/open-interest": 20,
    "public/time": 10,
}
_TOO_MANY, _BUSY = frozenset({"50011", "50061"}), frozenset({"50001", "50004", "50013", "50026"})
_UNKNOWN_INSTRUMENT = "51001"
_FORBIDDEN_S = 60.0
"""The firewall's 403 says no time."""


class _Problem(msgspec.Struct):
    code: str
    msg: str = ""


def budgets() -> Sequence[Limit]:
    return [Limit(endpoint, amount, _PER_S) for endpoint, amount in _REQUESTS.items()]


def used(_: Answer) -> Mapping[str, int]:
    return {}


def verdict(answer: Answer) -> SlowDown | Refusal | None:
    """A refusal can come with the status 200."""
    if answer.status == 403:
        return SlowDown(_FORBIDDEN_S)
    if answer.status == 429:
        return SlowDown(_PER_S)
    if answer.status >= 500:
        return None
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Refusal(0, "") if answer.status >= 400 else None
    if problem.code == "0":
        return None
    if problem.code in _TOO_MANY | _BUSY:
        return SlowDown(_PER_S)
    return Refusal(problem.code, problem.msg, unknown_symbol=problem.code == _UNKNOWN_INSTRUMENT)


def credentials(_: str) -> Mapping[str, str]:
    """Return nothing: public data need no key, and a key alone, without a signature, would be refused."""
    return {}
