"""`make screenshots`: takes docs/img/*.png, the live page of a simulated run.

Two hours are backfilled first, so that the charts look as they do after a while.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.parts.first_row import capturing
from bench.pipeline.pipelines import PORTS, bench_platform, environment, running, wait_until

ROOT = Path(__file__).parent.parent
FEED = ROOT / "examples" / "feed.yaml"
OUT = ROOT / "docs" / "img"
PAST = timedelta(hours=2)
RATE = "0.25"
"""A quarter of the simulator's usual rate, so that the backfill is fast."""
SETTLE_S = 100
"""Time for a dozen columns of the heatmap, and for the first proof."""
ADDRESS = f"http://127.0.0.1:{PORTS.api}/"
SHOTS = {"page-light": (1200, 1130, "light"), "page-dark": (1200, 1130, "dark"), "page-phone": (390, 844, "light")}


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        sys.exit(3)
    platform = bench_platform()
    with (
        tempfile.TemporaryDirectory() as temporary,
        running(platform),
        capturing(platform, Path(temporary), FEED, CRYPTOCDC_SIMULATOR_RATE=RATE, CRYPTOCDC_API_REQUESTS_PER_S="1000"),
    ):
        wait_until("the page", _is_up, every_s=0.5)
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        subprocess.run(
            [
                Path(sys.executable).with_name("cryptocdc"), "backfill", "-f", FEED, "--symbol", "BTCUSDT",
                "--from", (end - PAST).isoformat(), "--to", end.isoformat(),
            ],
            env=environment(platform), check=True,
        )  # fmt: skip
        _shoot(chromium)


def _is_up() -> bool:
    try:
        with urllib.request.urlopen(f"{ADDRESS}health", timeout=5):
            return True
    except OSError:
        return False


def _shoot(chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for number, (name, (width, height, scheme)) in enumerate(SHOTS.items()):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{ADDRESS}?symbol=BTCUSDT&interval=1m")
            page.wait_for_selector("#connection[data-state=live]")
            page.wait_for_timeout(1000 * (5 if number else SETTLE_S))
            file = OUT / f"{name}.png"
            page.screenshot(path=file)
            print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
