"""`python -m cryptocdc_grafana [--check]`: writes grafana/dashboards/*.json, or says which of them are not current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from cryptocdc_grafana.dashboards import all_of_them

FOLDER = Path(__file__).parents[2] / "dashboards"


def texts() -> dict[str, str]:
    """By file name."""
    return {
        f"{name}.json": json.dumps(made, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"
        for name, made in all_of_them().items()
    }


def main() -> None:
    made = texts()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    if sys.argv[1:] == ["--check"]:
        stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
        if stale:
            sys.exit(f"not what cryptocdc_grafana makes: {', '.join(stale)}; run `make dashboards`")
        return
    FOLDER.mkdir(exist_ok=True)
    for name in there.keys() - made.keys():
        (FOLDER / name).unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
