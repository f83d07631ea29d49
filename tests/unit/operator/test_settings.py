"""The operator's settings: the chart sets them, its page tells of them."""

import re

from tests.unit.kubernetes_schemas import ROOT

from cryptocdc_operator.settings import OperatorSettings


def test_the_chart_sets_exactly_the_settings_that_there_are():
    text = (ROOT / "charts/templates/operator.yaml").read_text()
    known = {OperatorSettings.variable(field) for field in OperatorSettings.model_fields}
    assert set(re.findall(r"CRYPTOCDC_OPERATOR_\w+", text)) == known


def test_the_page_about_the_operator_names_every_setting():
    page = (ROOT / "docs/operator.md").read_text()
    variables = [OperatorSettings.variable(field) for field in OperatorSettings.model_fields]
    missing = [v for v in variables if v not in page and f"…_{v.removeprefix('CRYPTOCDC_OPERATOR_')}" not in page]
    assert missing == []
