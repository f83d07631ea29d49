"""Figures on the page keep the digits that their market needs: the page's own module, run by Node if installed."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from typing import Any

import pytest

from cryptocdc_api.routes.site import STATIC

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(
    NODE is None, reason="Node is not installed; the page's browser tests use the same module"
)


def of(expression: str) -> Any:
    assert NODE is not None
    module = base64.b64encode((STATIC / "format.js").read_bytes()).decode()
    script = f'import * as f from "data:text/javascript;base64,{module}"; console.log(JSON.stringify({expression}))'
    ran = subprocess.run(
        [NODE, "--input-type=module", "-e", script], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        ("0.0000120", "0.0000122", ["0.00001200", "0.00001205", "0.00001210", "0.00001215", "0.00001220"]),
        ("0.00001208", "0.00001211", ["0.00001208", "0.00001209", "0.00001210", "0.00001211"]),
        ("65000", "65250", ["65,000", "65,050", "65,100", "65,150", "65,200", "65,250"]),
        ("0.6101", "0.6115", ["0.6105", "0.6110", "0.6115"]),
        ("0.99", "1.02", ["0.99", "1.00", "1.01", "1.02"]),
    ],
)
def test_the_labels_of_an_axis_are_distinct_round_prices(low: str, high: str, labels: list[str]) -> None:
    """Regression: a book at 0.0000121 had six labels "0.00001"."""
    assert [mark["text"] for mark in of(f"f.marks({low}, {high}, 5)")] == labels


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ('f.decimal("0.00001210")', "0.0000121"),
        ('f.decimal("65000.00000000")', "65,000"),
        ("f.fixed(0.0000121, 8)", "0.00001210"),
        ("f.fixed(1234567.5, 2)", "1,234,567.50"),
        ('f.short("0.00123456")', "0.00123"),
        ('f.short("12.345")', "12.35"),
        ('f.short("0")', "0"),
    ],
)
def test_a_figure_is_never_rounded_to_zero(expression: str, text: str) -> None:
    assert of(expression) == text


@pytest.mark.parametrize("expression", ["f.decimal(null, 2)", "f.short(null)", "f.change(null).text"])
def test_a_figure_that_was_not_reported_is_a_dash(expression: str) -> None:
    assert of(expression) == "–"
