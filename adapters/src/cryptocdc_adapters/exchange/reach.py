"""Checks whether an exchange answers at an address, or what else does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests

from cryptocdc_adapters import http_client
from cryptocdc_adapters.exchange.rest import ExchangeError, ExchangeUnreachable
from cryptocdc_adapters.http_client import UnsupportedProxy
from cryptocdc_exchanges.checks import Rejected
from cryptocdc_exchanges.port import Venue

TIMEOUT_S = 4.0
_SHOWN = 200
_CUT = ("UNEXPECTED_EOF", "EOF occurred in violation of protocol")
"""Errors of a connection that was closed during the handshake: nothing has answered."""


class NotAnExchange(ExchangeError):
    """Something answers, but not as an exchange that serves us: with an error, a page, or a certificate that is not
    accepted."""


@dataclass(frozen=True)
class Pong:
    """`skew`: our clock minus the exchange's in seconds, None without a Date header."""

    milliseconds: float
    skew: float | None


def ping(venue: Venue, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.time) -> Pong:
    """Send the lightest possible request. Raises ExchangeUnreachable if nothing answers, NotAnExchange,
    UnsupportedProxy.
    """
    request = venue.requests.ping()
    url = venue.hosts.rest + request.path
    began = clock()
    try:
        answer = http_client.get(url, timeout=timeout_s)
    except UnsupportedProxy:
        raise
    except requests.exceptions.SSLError as error:
        if any(cut in str(error) for cut in _CUT):
            raise ExchangeUnreachable(f"{url}: connection closed during the TLS handshake") from error
        raise NotAnExchange(f"{url}: certificate not accepted: {_reason(error)}") from error
    except requests.exceptions.ProxyError as error:
        proxy = http_client.proxy_of(url)
        if "Tunnel connection failed" in str(error):
            raise NotAnExchange(f"{url}: the proxy {_shown(proxy)} refuses it: {_reason(error)}") from error
        raise ExchangeUnreachable(f"{url}: the proxy {_shown(proxy)} does not answer: {_reason(error)}") from error
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise ExchangeUnreachable(f"{url}: {_reason(error)}") from error
    except requests.RequestException as error:  # too many redirects, a body that does not decode, no address at all
        raise NotAnExchange(f"{url}: {error}") from error
    ended = clock()
    said = " ".join(answer.text.split())[:_SHOWN]
    if not answer.ok:
        raise NotAnExchange(f"{url} answers {answer.status_code}: {said}")
    try:
        request.read(answer.content, int(ended * 1000))
    except Rejected:
        kind = answer.headers.get("Content-Type", "no content type")
        raise NotAnExchange(f"{url}: not an exchange; it sends {kind}: {said}") from None
    date = answer.headers.get("Date")
    # The header is truncated to whole seconds, so on average half a second has passed since.
    skew = (began + ended) / 2 - (parsedate_to_datetime(date).timestamp() + 0.5) if date else None
    return Pong((ended - began) * 1000, skew)


def _reason(error: requests.RequestException) -> str:
    """Return the innermost cause: requests wraps it in names of Python classes."""
    text = " ".join(str(error).split())
    found = re.search(r"(certificate verify failed: [^()]*|Tunnel connection failed: [^')]*)", text)
    if found is not None:
        return found[1].strip()
    inner: BaseException = error
    while inner.args and isinstance(nested := getattr(inner, "reason", None) or inner.args[0], BaseException):
        inner = nested
    return " ".join(str(inner).split()).rpartition(": ")[2] or type(error).__name__


def _shown(proxy: str | None) -> str:
    scheme, separator, rest = (proxy or "").rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
