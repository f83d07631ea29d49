"""The runbooks of docs/runbooks as a dashboard, so that an alert links to its runbook wherever Grafana runs."""

from __future__ import annotations

import re
from pathlib import Path

from cryptocdc_grafana.links import RUNBOOKS, panel

FOLDER = Path(__file__).parents[3] / "docs" / "runbooks"
LINE_CHARS = 180
"""Roughly how many characters fit in a line of a panel of full width."""
LINES_PER_UNIT = 1.6
"""Lines of text per unit of height, which is 30 pixels and a gap."""


def texts() -> dict[str, str]:
    """Return the runbooks as Markdown, by alert, sorted by name, with links from panel to panel."""
    found = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("Cryptocdc*.md"))}
    return {alert: _linked(_without_title(text), sorted(found)) for alert, text in found.items()}


def link(alert: str) -> str:
    """Return the link to an alert's runbook. Raises ValueError if it has none."""
    return panel(RUNBOOKS, sorted(texts()).index(alert) + 1)


def height(text: str) -> int:
    lines = sum(1 + len(line) // LINE_CHARS for line in text.splitlines())
    return 3 + round(lines / LINES_PER_UNIT)


def _without_title(text: str) -> str:
    return text.partition("\n")[2].strip() if text.startswith("# ") else text


def _linked(text: str, alerts: list[str]) -> str:
    """Point links between runbooks at their panels. Other documents are not in Grafana: only their link text stays."""

    def replaced(match: re.Match[str]) -> str:
        words, target = match[1], match[2].removesuffix(".md")
        return f"[{words}]({panel(RUNBOOKS, alerts.index(target) + 1)})" if target in alerts else words

    return re.sub(r"\[([^\]]+)\]\(([^)]+)\)", replaced, text)
