"""What Grafana and Prometheus of one machine are configured with beside the files in the folder `grafana`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from cryptocdc_core.settings import Settings, SettingsError
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
    """Scrapes what runs in this home folder. Grafana evaluates the alerts: rules in both would be listed twice.

    Like all that is written here it is JSON, which YAML includes.
    """
    every_5s = {"scrape_interval": "5s", "evaluation_interval": "5s"}
    found = {"files": [f"{settings.run / 'targets'}/*.json"], "refresh_interval": "5s"}
    jobs = [
        {"job_name": "cryptocdc", "file_sd_configs": [found]},
        {"job_name": "cryptocdc-simulator", "static_configs": [{"targets": [f"{LOOPBACK}:{simulator_port}"]}]},
    ]
    return _text({"global": every_5s, "scrape_configs": jobs})


def notifications(environ: Mapping[str, str], printed_at: str) -> str:
    """Whom Grafana notifies: the webhook and the addresses of the environment; without either `printed_at`, the URL
    that prints. Raises PlatformError, naming the variable, for a webhook that is not a URL."""
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
