"""`python -m cryptocdc_grafana [--check]` writes the generated files: dashboards, the chart's copies, alert rules.

With --check it writes nothing, lists those that are out of date, and exits with 1 if there are any.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from cryptocdc_grafana import alerting
from cryptocdc_grafana.dashboards import all_of_them

FOLDER = Path(__file__).parents[2] / "dashboards"
CHART = Path(__file__).parents[3] / "charts" / "files" / "dashboards"
"""Helm reads only files inside the chart."""
ALERTS = Path(__file__).parents[2] / "provisioning" / "alerting" / "cryptocdc.yaml"


@cache
def texts() -> dict[str, str]:
    """Return the dashboards' JSON, by file name."""
    return {
        f"{name}.json": json.dumps(made, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"
        for name, made in all_of_them().items()
    }


@cache
def files() -> dict[Path, str]:
    """Return every generated file's text. The chart's copies have no spaces: a Helm release holds 1 MiB."""
    made = {FOLDER / name: text for name, text in texts().items()}
    for name, text in texts().items():
        made[CHART / name] = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) + "\n"
    return made | {ALERTS: alerting.text()}


def main() -> None:
    made = files()
    found = (*FOLDER.glob("*.json"), *CHART.glob("*.json"), *ALERTS.parent.glob("*.yaml"))
    there = {path: path.read_text(encoding="utf-8") for path in found}
    if sys.argv[1:] == ["--check"]:
        stale = sorted(str(path) for path in made.keys() | there.keys() if made.get(path) != there.get(path))
        if stale:
            sys.exit(f"out of date: {', '.join(stale)}; run `make dashboards`")
        return
    for path in there.keys() - made.keys():
        path.unlink()
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
