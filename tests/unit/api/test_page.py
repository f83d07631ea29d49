"""The live page's files: served without a token, and loading nothing external."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.metadata import version

import pytest
from tests.unit.api.doubles import Api

from cryptocdc_api.routes.site import STATIC

OURS = sorted(file for file in STATIC.rglob("*.*") if file.is_file() and file.parent.name != "vendor")


def test_the_page_is_served_without_a_token_and_its_data_is_not() -> None:
    api = Api(settings={"token": "s3cret"})
    page = api.get("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert api.get("/static/main.js").headers["content-type"].startswith("text/javascript")
    assert api.get("/static/vendor/lightweight-charts.mjs").headers["content-type"].startswith("text/javascript")
    for path in ("/feed", "/latest_prices", "/static/../feed"):
        assert api.get(path).status in (401, 404)


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/..%2fapp.py", "/static/none.js", "/static/"])
def test_files_outside_the_static_folder_are_not_served(path: str) -> None:
    assert Api().get(path).status == 404


def test_every_response_has_the_content_security_policy() -> None:
    for path in ("/", "/docs", "/static/main.js", "/latest_prices", "/nothing"):
        headers = Api().get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_every_referenced_file_exists() -> None:
    for file in OURS:
        text = file.read_text(encoding="utf-8")
        named = [file.parent / name for name in re.findall(r'from "(\.[^"]+)"', text)]
        named += [STATIC / name for name in re.findall(r'(?:src|href)="static/([^"]+)"', text)]
        for path in named:
            assert path.is_file(), f"{file.name} names {path}"


def test_the_page_loads_nothing_external_and_builds_no_markup_from_data() -> None:
    links = {"https://www.tradingview.com/", "http://www.w3.org/2000/svg"}
    for file in OURS:
        text = file.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= links, file.name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", text), file.name
        assert not re.search(r'\son\w+="|style="|<style', text), f"{file.name}: the policy allows nothing inline"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"volatility": None}, "forecast: not enough windows yet"),
        (
            {"skill": None, "upper": None, "lower": None},
            "forecast of the current 1m: volatility 0.050 % (no skill yet)",
        ),
        (
            {},
            "forecast of the current 1m: volatility 0.050 %, return between −0.080 % and 0.080 %"
            " (0.29 better than the last value, 0.16 better than the mean of the past)",
        ),
        (
            {"upper": None, "skilled": False, "skill": "-0.02", "skill_mean": "-0.02", "completed": True},
            "forecast of the last 1m: volatility 0.050 % (no skill: 0.02 worse than the mean of the past)",
        ),
        (
            {"upper": None, "skilled": False, "skill": "-0.4", "skill_last": "-0.4"},
            "forecast of the current 1m: volatility 0.050 % (no skill: 0.40 worse than the last value)",
        ),
    ],
)
def test_a_forecast_says_in_words_whether_it_has_skill(row: dict[str, object], words: str) -> None:
    whole = {
        "interval": "1m", "completed": False, "volatility": "0.0005", "lower": "-0.0008", "upper": "0.0008",
        "skill": "0.16", "skill_last": "0.29", "skill_mean": "0.16", "skilled": True,
    }  # fmt: skip
    module = (STATIC / "panels" / "forecast.js").as_uri()
    script = f"import {{ inWords }} from {json.dumps(module)}; console.log(inWords({json.dumps(whole | row)}))"
    node = ["node", "--input-type=module", "-e", script]
    assert subprocess.run(node, capture_output=True, text=True, check=True).stdout.strip() == words


def test_the_feed_endpoint_describes_what_can_be_shown() -> None:
    assert Api(streams=["klines"]).get("/feed").json() == {
        "feed": "majors", "exchange": "simulated", "source": "simulated", "simulated": True, "streams": ["klines"],
        "intervals": ["1m", "1h"], "bars": [], "anomalies": [], "forecasts": [],
        "version": version("cryptocdc-api"), "completeness": {"klines": "ids"},
        "sink_engine": "consumer",
    }  # fmt: skip
