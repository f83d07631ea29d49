"""Grafana's alert rules, generated from the Prometheus rules in charts/files/rules.yaml, for its provisioning."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cryptocdc_grafana import links, runbooks
from cryptocdc_grafana.dashboards import panel_id

RULES = Path(__file__).parents[3] / "charts" / "files" / "rules.yaml"
HEADER = "# Generated from charts/files/rules.yaml by `make dashboards`: change that file, not this one.\n"
FOLDER, DATA_SOURCE, EXPRESSION = "cryptocdc", "cryptocdc-prometheus", "__expr__"
ADDRESS = "${CRYPTOCDC_GRAFANA_URL}"
"""Grafana's own URL, for links in notifications; in braces, the only form that Grafana expands in annotations."""
INTERVAL = "1m"
"""The interval of groups that name none; Grafana takes multiples of 10s."""
QUERY, FIRES = "A", "B"
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
    "CryptocdcSlotLost": ("postgresql", "Slot status"),
    "CryptocdcSlotRetainsLog": ("pipeline", "WAL retained for the slot"),
    "CryptocdcSlotNearItsLimit": ("postgresql", "WAL until a slot is lost"),
    "CryptocdcSlotNotSafe": ("postgresql", "Survives a failover"),
    "CryptocdcLagGrows": ("pipeline", "Lag by table"),
    "CryptocdcConsumersFallBehind": ("pipeline", "Lag by table"),
    "CryptocdcDeadLetters": ("pipeline", "Refused and dead letters"),
    "CryptocdcVolumeFull": ("programs", "Free space on volumes"),
    "CryptocdcDatabasesDiffer": ("pipeline", "Differences"),
    "CryptocdcRowsRepairedAgain": ("pipeline", "Repaired rows"),
    "CryptocdcProofStandsStill": ("programs", "Proof behind, by table"),
    "CryptocdcNothingProven": ("programs", "Proof behind, by table"),
    "CryptocdcExportStandsStill": ("programs", "Export behind"),
    "CryptocdcFeedNotReady": ("programs", "Conditions"),
    "CryptocdcOperatorStandsStill": ("programs", "Last reconciled"),
    "CryptocdcMarketAlert": ("programs", "Market alerts"),
    "CryptocdcAlertsBlind": ("pipeline", "Last frame"),
    "CryptocdcWebhookFails": ("programs", "Market alerts"),
}
"""The dashboard and the panel that show an alert's figures, by file name and title."""


def text() -> str:
    """Return the text of the provisioning file."""
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
    """Return Grafana's form of a rule. The expression returns only series that fire, whose value may be 0, so any
    number fires. Raises ValueError for an alert without a panel or a runbook."""
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
            _query(QUERY, DATA_SOURCE, expr=rule["expr"].strip(), instant=True, range=False),
            _query(FIRES, EXPRESSION, type="math", expression=f"is_number(${QUERY})"),
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
    """Return the stable uid of a rule: "CryptocdcSlotLost" → "cryptocdc-slot-lost"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert).lower()


def templated(words: str) -> str:
    """Translate a Prometheus template to Grafana's, without dollar signs, which mean environment variables in
    provisioning files. Grafana also evaluates it for rules without data or in error, which have no labels and no value,
    so each access is guarded."""
    words = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"{{ with .Labels.\1 }}{{ . }}{{ else }}?{{ end }}", words)
    words = re.sub(r"\{\{ \$value \}\}", _value("{{ .Value }}"), words)
    return re.sub(r"\{\{ \$value \| (\w+) \}\}", lambda found: _value(f"{{{{ {found[1]} .Value }}}}"), words)


def _value(shown: str) -> str:
    return f"{{{{ with .Values.{QUERY} }}}}{shown}{{{{ else }}}}?{{{{ end }}}}"
