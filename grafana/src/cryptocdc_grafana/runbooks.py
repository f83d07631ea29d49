"""The runbooks of docs/runbooks as a dashboard, so that an alert leads to its runbook wherever Grafana runs."""

from __future__ import annotations

import re
from pathlib import Path

from cryptocdc_grafana.links import RUNBOOKS, panel

FOLDER = Path(__file__).parents[3] / "docs" / "runbooks"
LINE_CHARS = 180
"""About as many fit in one line of a panel as wide as the dashboard."""
LINES_OF_A_UNIT = 1.6
"""Of height, which is 30 pixels and a gap."""


def texts() -> dict[str, str]:
    """Markdown by alert, in the order of their names, with links that lead from panel to panel."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("Cryptocdc*.md"))}
    return {alert: _linked(_without_title(text), sorted(found)) for alert, text in found.items()}


def link(alert: str) -> str:
    """Its runbook. Raises ValueError where it has none."""
    return panel(RUNBOOKS, sorted(texts()).index(alert) + 1)


def height(text: str) -> int:
    lines = sum(1 + len(line) // LINE_CHARS for line in text.splitlines())
    return 3 + round(lines / LINES_OF_A_UNIT)


def _without_title(text: str) -> str:
    return text.partition("\n")[2].strip() if text.startswith("# ") else text


def _linked(text: str, alerts: list[str]) -> str:
    """Other documents are not in Grafana: of a link to one only its words stay."""

    def replaced(match: re.Match[str]) -> str:
        words, target = match[1], match[2].removesuffix(".md")
        return f"[{words}]({panel(RUNBOOKS, alerts.index(target) + 1)})" if target in alerts else words

    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", replaced, text)
