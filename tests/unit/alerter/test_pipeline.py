"""What the alerter shows before the first price has come."""

from __future__ import annotations

from typing import Any

from tests.unit.alerter.prices import alert

from cryptocdc_adapters.serving import Health
from cryptocdc_alerter.pipeline import Pipeline
from cryptocdc_core.metrics import AlerterMetrics

BEGAN_MS = 1_764_072_000_500


def test_a_symbol_of_which_no_price_ever_comes_is_seen_to_be_blind() -> None:
    """With `symbols.top` it may never be captured: CryptocdcAlertsBlind needs a series that grows old."""
    metrics = AlerterMetrics("0")
    nothing: Any = None
    Pipeline(
        nothing, "majors.majors.latest_prices", [alert(symbol="DOGEUSDT", above=1)], nothing, nothing, lambda _: None,
        ("majors", "exchange"), metrics, Health(60), lambda: BEGAN_MS,
    )  # fmt: skip
    shown = metrics.registry.get_sample_value("cryptocdc_alerter_evaluated_timestamp_seconds", {"symbol": "DOGEUSDT"})
    assert shown == BEGAN_MS / 1000
