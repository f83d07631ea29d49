"""Generated configuration of Grafana and Prometheus on one machine, besides the files in the folder `grafana`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from cryptocdc_core.program.settings import Settings, SettingsError
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.settings import LOOPBACK, PlatformSettings

CONTACT_POINT = "cryptocdc"


class Receivers(Settings):
    """Whom Grafana notifies."""

    model_config = ConfigDict(title="grafana_")

    webhook: str | None = Field(None, pattern="^https?://")
    email: str | None = None
    """Addresses separated by semicolons."""


def prometheus(settings: PlatformSettings, simulator_port: int) -> str:
    """Return a configuration that scrapes what runs in this home folder. Grafana evaluates the alerts: rules in both
    would be listed twice.

    Like everything here it is JSON, a subset of YAML.
    """
    every_5s = {"scrape_interval": "5s", "evaluation_interval": "5s"}
    found = {"files": [f"{settings.run / 'targets'}/*.json"], "refresh_interval": "5s"}
    jobs = [
        {"job_name": "cryptocdc", "file_sd_configs": [found]},
        {"job_name": "cryptocdc-simulator", "static_configs": [{"targets": [f"{LOOPBACK}:{simulator_port}"]}]},
    ]
    return _text({"global": every_5s, "scrape_configs": jobs})


def notifications(environ: Mapping[str, str], printed_at: str) -> str:
    """Return the receivers of alerts: the webhook and the email addresses in the environment; without either
    `printed_at`, the URL that prints them. Raises PlatformError, naming the variable, for a webhook that is not a
    URL."""
    try:
        given = Receivers.from_env(environ)
    except SettingsError as error:
        raise PlatformError(str(error), "set it to a URL that begins with http:// or https://") from None
    receivers = []
    if given.webhook or not given.email:
        receivers.append(_receiver("webhook", {"url": given.webhook or printed_at, "httpMethod": "POST"}))
    if given.email:
        receivers.append(_receiver("email", {"addresses": given.email}))
    contact_point = {"orgId": 1, "name": CONTACT_POINT, "receivers": receivers}
    policy = {
        "orgId": 1, "receiver": CONTACT_POINT, "group_by": ["grafana_folder", "alertname"], "group_wait": "10s",
        "group_interval": "1m", "repeat_interval": "4h",
    }  # fmt: skip
    return _text({"apiVersion": 1, "contactPoints": [contact_point], "policies": [policy]})


def _receiver(kind: str, settings: Mapping[str, str]) -> dict[str, Any]:
    return {"uid": f"cryptocdc-{kind}", "type": kind, "settings": dict(settings)}


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"
