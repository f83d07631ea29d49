"""The request weight that one address may use per minute: separate from the spot market's.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptocdc_exchanges.binance.limits import WEIGHT, credentials, used, verdict
from cryptocdc_exchanges.port import Limit

__all__ = ["WEIGHT", "budgets", "credentials", "used", "verdict"]


def budgets() -> Sequence[Limit]:
    return (Limit(WEIGHT, 2400, 60.0, by_clock=True),)
