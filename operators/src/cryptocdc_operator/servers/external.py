"""Clients of the exchange, for symbols, of the verifier, for proofs, and of consumers, for their readiness."""

from __future__ import annotations

from datetime import UTC, datetime

import requests

from cryptocdc_adapters.exchange import resolving
from cryptocdc_adapters.exchange.rest import ExchangeError, Rest
from cryptocdc_adapters.metrics.figures import SCRAPE_TIMEOUT_S, Samples, parse, repair_counts
from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Names
from cryptocdc_core.planning.resolve import ResolvedFeed
from cryptocdc_exchanges.registry import venue_of
from cryptocdc_operator.resources.source import exchange_urls, source_of
from cryptocdc_operator.servers.port import ExchangeSilent
from cryptocdc_operator.settings import OperatorSettings
from cryptocdc_operator.status.assess import Proof

PATIENCE_S = 10.0
"""A pass does not wait longer for the exchange: the next one retries."""
UNAVAILABLE = 503
_PREFIX = "cryptocdc_verifier_"


class ExchangeAndVerifier:
    def __init__(self, settings: OperatorSettings) -> None:
        self._settings = settings
        self._http = requests.Session()
        # Addresses inside the cluster are not reached through a proxy.
        self._http.trust_env = False

    def resolve(self, feed: CryptoFeed, current: frozenset[str], absent: frozenset[str]) -> ResolvedFeed:
        rest_url, _ = exchange_urls(feed, self._settings)
        rest = Rest(venue_of(feed, rest_url), patience_s=PATIENCE_S)
        try:
            return resolving.resolved(rest, feed, source_of(feed, self._settings), current, absent)
        except ExchangeError as error:
            raise ExchangeSilent(str(error)) from error

    def proof(self, names: Names) -> Proof | str | None:
        url = self._settings.verifier_url
        if url is None:
            return None
        try:
            answer = self._http.get(f"{url}/metrics", timeout=SCRAPE_TIMEOUT_S)
            answer.raise_for_status()
            return proof_in(parse([answer.text], 0), names.fid)
        except requests.RequestException as error:
            return f"the verifier does not answer: {error}"
        except (ValueError, OverflowError) as error:
            return f"the verifier's metrics can't be read: {error}"

    def obstacle(self, host: str, port: int) -> str | None:
        address = f"[{host}]" if ":" in host else host
        try:
            answer = self._http.get(f"http://{address}:{port}/readyz", timeout=SCRAPE_TIMEOUT_S)
        except requests.RequestException:
            return None
        return answer.text.strip() if answer.status_code == UNAVAILABLE else None


def proof_in(samples: Samples, fid: str) -> Proof:
    """Return a feed's proof from the verifier's metrics."""
    repaired, left = repair_counts(samples, fid)
    through = samples.by(f"{_PREFIX}proven_through_timestamp_seconds", "table", feed=fid)
    return Proof(
        differences=int(samples.total(f"{_PREFIX}differences", feed=fid)),
        rows=int(samples.total(f"{_PREFIX}proven_rows", feed=fid)),
        through=datetime.fromtimestamp(min(through.values()), UTC) if through else None,
        repaired=repaired,
        left=left,
    )
