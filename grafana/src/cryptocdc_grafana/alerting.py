"""Grafana's alert rules, made from the Prometheus rules in charts/files/rules.yaml, for its provisioning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cryptocdc_grafana import links, runbooks
from cryptocdc_grafana.dashboards import panel_id

RULES = Path(__file__).parents[3] / "charts" / "files" / "rules.yaml"
HEADER = "# Made from charts/files/rules.yaml by `make dashboards`: change that file, not this one.\n"
FOLDER, DATA_SOURCE, EXPRESSION = "cryptocdc", "cryptocdc-prometheus", "__expr__"
ADDRESS = "${CRYPTOCDC_GRAFANA_URL}"
"""Of Grafana itself, for links in notifications; in braces, since Grafana fills in nothing else in annotations."""
INTERVAL = "1m"
"""Of a group that names none; Grafana takes multiples of 10s."""
ASKED, FIRES = "A", "B"
RANGE = {"from": 600, "to": 0}
PANELS = {
    "CryptocdcCaptureSilent": ("pipeline", "Rates by hop"),
    "CryptocdcProgramGone": ("programs", "Memory"),
    "CryptocdcNotInItsGroup": ("programs", "Group membership"),
    "CryptocdcStreamStale": ("pipeline", "Last frame"),
    "CryptocdcGapsCanNotBeFilled": ("pipeline", "Gaps"),
    "CryptocdcThrottled": ("programs", "Request weight"),
    "CryptocdcWeightNearlySpent": ("programs", "Request weight"),
    "CryptocdcConnectorFailed": ("pipeline", "Connector tasks"),
    "CryptocdcSlotLost": ("postgresql", "Slot's state"),
    "CryptocdcSlotRetainsLog": ("pipeline", "Log kept for the slot"),
    "CryptocdcSlotNearItsLimit": ("postgresql", "Before a slot loses log"),
    "CryptocdcSlotNotSafe": ("postgresql", "Survives a failover"),
    "CryptocdcLagGrows": ("pipeline", "Lag by table"),
    "CryptocdcConsumersFallBehind": ("pipeline", "Lag by table"),
    "CryptocdcDeadLetters": ("pipeline", "Refused and dead letters"),
    "CryptocdcVolumeFull": ("programs", "Free on volumes"),
    "CryptocdcDatabasesDiffer": ("pipeline", "Differences"),
    "CryptocdcProofStandsStill": ("programs", "Proof behind, by table"),
    "CryptocdcNothingProven": ("programs", "Proof behind, by table"),
    "CryptocdcFeedNotReady": ("programs", "Conditions"),
    "CryptocdcOperatorStandsStill": ("programs", "Last reconciled"),
    "CryptocdcMarketAlert": ("programs", "Market alerts"),
    "CryptocdcAlertsBlind": ("pipeline", "Last frame"),
    "CryptocdcWebhookFails": ("programs", "Market alerts"),
}
"""Where an alert's figures are seen: the dashboard's file, the panel's title."""


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
    """An expression answers only what fires, whatever its value, which may be 0: each number that comes counts. Raises
    ValueError for an alert without a panel or a runbook."""
    alert = rule["alert"]
    if alert not in PANELS:
        raise ValueError(f"{alert} must be in PANELS, with the dashboard and the panel that show its figures")
    dashboard, title = PANELS[alert]
    annotations = {name: templated(words) for name, words in rule["annotations"].items()}
    annotations |= {
        "runbook_url": f"{ADDRESS}{runbooks.link(alert)}",
        "__dashboardUid__": links.uid(dashboard),
        "__panelId__": str(panel_id(dashboard, title)),
    }
    return {
        "uid": uid(alert),
        "title": alert,
        "condition": FIRES,
        "data": [
            _query(ASKED, DATA_SOURCE, expr=rule["expr"].strip(), instant=True, range=False),
            _query(FIRES, EXPRESSION, type="math", expression=f"is_number(${ASKED})"),
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.get("for", "0s"),
        "dashboardUid": annotations["__dashboardUid__"],
        "panelId": int(annotations["__panelId__"]),
        "labels": rule["labels"],
        "annotations": annotations,
    }


def _query(ref_id: str, source: str, **model: object) -> dict[str, Any]:
    asked = {"refId": ref_id, **model}
    return {"refId": ref_id, "relativeTimeRange": dict(RANGE), "datasourceUid": source, "model": asked}


def uid(alert: str) -> str:
    """Stable: "CryptocdcSlotLost" → "cryptocdc-slot-lost"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()


def templated(words: str) -> str:
    """Prometheus' template as Grafana's, without a dollar sign: in provisioning files that means an environment
    variable. Grafana evaluates it for a rule without data and for one that failed too, where neither labels nor a value
    are there: each is looked at only where it is."""
    words = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"{{ with .Labels.\1 }}{{ . }}{{ else }}?{{ end }}", words)
    words = re.sub(r"\{\{ \$value \}\}", _value("{{ .Value }}"), words)
    return re.sub(r"\{\{ \$value \| (\w+) \}\}", lambda found: _value(f"{{{{ {found[1]} .Value }}}}"), words)


def _value(shown: str) -> str:
    return f"{{{{ with .Values.{ASKED} }}}}{shown}{{{{ else }}}}?{{{{ end }}}}"
