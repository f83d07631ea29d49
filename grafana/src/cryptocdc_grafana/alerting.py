"""Grafana's alert rules, made from the Prometheus rules in charts/files/rules.yaml, for its provisioning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[3] / "charts" / "files" / "rules.yaml"
HEADER = "# Made from charts/files/rules.yaml by `make dashboards`: change that file, not this one.\n"
FOLDER, DATA_SOURCE, EXPRESSION = "cryptocdc", "cryptocdc-prometheus", "__expr__"
INTERVAL = "1m"
"""Of a group that names none; Grafana takes multiples of 10s."""
ASKED, FIRES = "A", "B"
RANGE = {"from": 600, "to": 0}


def text() -> str:
    """The provisioning file."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    made = {"apiVersion": 1, "groups": [_group(group) for group in groups]}
    return HEADER + yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=120)


def _group(group: dict[str, Any]) -> dict[str, Any]:
    return {
        "orgId": 1,
        "name": group["name"],
        "folder": FOLDER,
        "interval": group.get("interval", INTERVAL),
        "rules": [_rule(rule) for rule in group["rules"]],
    }


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    """An expression answers only what fires, whatever its value, which may be 0: each number that comes counts."""
    return {
        "uid": uid(rule["alert"]),
        "title": rule["alert"],
        "condition": FIRES,
        "data": [
            _query(ASKED, DATA_SOURCE, expr=rule["expr"].strip(), instant=True, range=False),
            _query(FIRES, EXPRESSION, type="math", expression=f"is_number(${ASKED})"),
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.get("for", "0s"),
        "labels": rule["labels"],
        "annotations": {name: templated(text) for name, text in rule["annotations"].items()},
    }


def _query(ref_id: str, source: str, **model: object) -> dict[str, Any]:
    asked = {"refId": ref_id, **model}
    return {"refId": ref_id, "relativeTimeRange": dict(RANGE), "datasourceUid": source, "model": asked}


def uid(alert: str) -> str:
    """Stable: "CryptocdcSlotLost" → "cryptocdc-slot-lost"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()


def templated(words: str) -> str:
    """Prometheus' template as Grafana's, without a dollar sign: in provisioning files that means an environment
    variable."""
    return words.replace("$labels.", ".Labels.").replace("$value", f".Values.{ASKED}.Value")
