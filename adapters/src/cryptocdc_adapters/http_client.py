"""HTTP for all clients of the project, and the one place that decides which requests use a proxy.

As usual, the environment names the proxies (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`) and, in `NO_PROXY`, the hosts
that are reached directly. Loopback addresses are never proxied.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import requests
import urllib3
from requests.utils import should_bypass_proxies

ACCEPTED = ("http", "https")
"""Schemes of proxies that both requests and websockets use without another package."""
_PLAIN = {"ws": "http", "wss": "https"}


class UnsupportedProxy(requests.exceptions.InvalidProxyURL):
    """The environment names a proxy that can't be used. The message names the variable."""


def proxy_of(url: str) -> str | None:
    """Return the proxy for `url`, http://… or https://…, or None. Raises UnsupportedProxy."""
    parts = urlsplit(url)
    scheme = _PLAIN.get(parts.scheme, parts.scheme)
    if is_loopback(parts.hostname or "") or should_bypass_proxies(f"{scheme}://{parts.netloc}", no_proxy=None):
        return None
    proxies = getproxies_environment()
    for name in (scheme, "all"):
        if name in proxies:
            return _accepted(name, proxies[name])
    return None


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def _accepted(name: str, value: str) -> str:
    # curl and requests treat a proxy without a scheme as a plain HTTP one.
    proxy = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in ACCEPTED and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, a bracket that is not closed
        usable = False
    if not usable:
        variable = next((v for v in (f"{name}_proxy", f"{name}_proxy".upper()) if os.environ.get(v)), f"{name}_proxy")
        scheme, separator, rest = value.rpartition("://")
        shown = f"{scheme}{separator}{rest.rpartition('@')[2]}"  # without a password
        raise UnsupportedProxy(
            f"{variable}: the proxy {shown!r} is not supported; accepted: http://HOST:PORT or https://HOST:PORT."
            " NO_PROXY names hosts that are reached without a proxy"
        )
    return proxy


class Session(requests.Session):
    """Raises a RequestException for any invalid address; UnsupportedProxy is one, too."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        settings["proxies"] = _proxies(url)
        return settings

    def rebuild_proxies(self, prepared_request: requests.PreparedRequest, proxies: Any) -> dict[str, str]:
        super().rebuild_proxies(prepared_request, proxies)  # type: ignore[no-untyped-call]
        return _proxies(prepared_request.url or "")

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        except (urllib3.exceptions.HTTPError, UnicodeError) as error:
            # A host that no resolver takes, such as one with a label of 64 characters.
            raise requests.exceptions.InvalidURL(f"{request.url}: {error}", request=request) from error


def _proxies(url: str) -> dict[str, str]:
    proxy = proxy_of(url)
    return {} if proxy is None else {urlsplit(url).scheme: proxy}


def get(url: str, *, timeout: float, params: Mapping[str, str] | None = None, **more: Any) -> requests.Response:
    """Send one request with its own session. Raises requests.RequestException."""
    with Session() as session:
        return session.get(url, timeout=timeout, params=params, **more)
