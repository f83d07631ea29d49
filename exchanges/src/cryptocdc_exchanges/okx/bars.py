"""OKX's names of the lengths of candles. Those of six hours and more begin by UTC only where the name says so."""

from __future__ import annotations

BARS: dict[str, str] = {
    "1s": "1s",
    **{f"{n}m": f"{n}m" for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": f"{n}H" for n in (1, 2, 4)},
    **{f"{n}h": f"{n}Hutc" for n in (6, 12)},
    **{"1d": "1Dutc", "3d": "3Dutc", "1w": "1Wutc", "1M": "1Mutc"},
}
"""By interval. There are none of eight hours."""
INTERVALS = {bar: interval for interval, bar in BARS.items()}
