"""A webhook on loopback that prints Grafana's alerts, for users who have configured no other receiver."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptocdc_local.platform.settings import LOOPBACK

Report = Callable[[str], None]
LONGEST_BODY = 1_000_000


@contextlib.contextmanager
def alerts_printed(report: Report) -> Iterator[str]:
    """Yield the webhook's URL; inside the block each alert is reported as one line."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            try:
                lines = alert_lines(json.loads(self.rfile.read(min(length, LONGEST_BODY))))
            except ValueError as error:
                self.send_error(400, str(error))
                return
            for line in lines:
                report(line)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Requests are not logged: their alerts are."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def alert_lines(body: Any) -> list[str]:
    """Return a line for each alert in a notification from Grafana. Raises ValueError for any other body."""
    alerts = body.get("alerts") if isinstance(body, dict) else None
    if not isinstance(alerts, list) or not all(isinstance(alert, dict) for alert in alerts):
        raise ValueError("the body must be an object whose field alerts is a list of objects")
    return [_line(alert) for alert in alerts]


def _line(alert: dict[str, Any]) -> str:
    labels, notes = alert.get("labels") or {}, alert.get("annotations") or {}
    name, runbook = labels.get("alertname", "?"), notes.get("runbook_url", "")
    line = f"alert {alert.get('status', '?')}: {name}: {notes.get('summary', '')}".rstrip(": ")
    return f"{line} ({runbook})" if runbook and alert.get("status") == "firing" else line
