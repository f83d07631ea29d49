"""What Grafana does with a query of a dashboard before the data source gets it: variables and macros filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"
Target = dict[str, Any]


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def panels(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in made["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def targets(name: str) -> list[tuple[str, Target]]:
    """Every query of a dashboard, with the title of its panel; where the same is asked twice, once."""
    found = [(panel["title"], target) for panel in panels(dashboard(name)) for target in panel["targets"]]
    asked = {json.dumps([title, target | {"refId": ""}], sort_keys=True): (title, target) for title, target in found}
    return list(asked.values())


def of_tables(name: str, tables: Sequence[str], *, others: bool = False) -> list[tuple[str, Target]]:
    """Those queries of a market dashboard that name one of the tables; with `others` those that name none of them."""

    def names_one(target: Target) -> bool:
        return any(table in json.dumps(target) for table in tables)

    return [(title, target) for title, target in targets(name) if names_one(target) is not others]


def variable(name: str, which: str) -> Any:
    """The query of a dashboard's variable."""
    return next(v["query"] for v in dashboard(name)["templating"]["list"] if v["name"] == which)


@dataclass(frozen=True)
class Chosen:
    """What a user has chosen, and the dashboard's range in milliseconds."""

    feed: str
    symbol: str
    symbols: tuple[str, ...]
    interval: str
    start: int
    end: int
    instance: str = ""

    def filled(self, text: str) -> str:
        """Raises AssertionError where a variable is left that this does not know."""
        for name, value in {
            "${symbols:singlequote}": ",".join(f"'{symbol}'" for symbol in self.symbols),
            "${symbols:csv}": ",".join(self.symbols),
            "${__from}": str(self.start),
            "${__to}": str(self.end),
            "$__timeFrom": str(self.start),
            "$__timeTo": str(self.end),
            "$__rate_interval": "20s",
            "$__interval_ms": "10000",
            "$__interval": "10s",
            "$feed": self.feed,
            "$instance": self.instance,
            "$symbol": self.symbol,
            "$interval": self.interval,
            "$bar": self.interval,
        }.items():
            text = text.replace(name, value)
        text = re.sub(r"\$__timeFilter\((\w+)\)", self._within, text)
        # PromQL's own `$1`, of a label_replace, is no variable of Grafana's and stays.
        assert "$" not in text.replace('"$1"', ""), f"a variable is left: {text}"
        return text

    def _within(self, match: re.Match[str]) -> str:
        start, end = (datetime.fromtimestamp(ms / 1000, UTC).isoformat() for ms in (self.start, self.end))
        return f"{match[1]} BETWEEN '{start}' AND '{end}'"
