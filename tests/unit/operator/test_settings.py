"""The operator's settings: the chart sets them, docs/operator.md documents them."""

import re

from tests.unit.kubernetes_schemas import ROOT

from cryptocdc_operator.settings import OperatorSettings


def test_the_chart_sets_exactly_the_existing_settings():
    text = (ROOT / "charts/templates/operator.yaml").read_text()
    known = {OperatorSettings.variable(field) for field in OperatorSettings.model_fields}
    assert set(re.findall(r"CRYPTOCDC_OPERATOR_\w+", text)) == known


def test_the_operator_page_documents_every_setting():
    page = (ROOT / "docs/operator.md").read_text()
    variables = [OperatorSettings.variable(field) for field in OperatorSettings.model_fields]
    missing = [v for v in variables if v not in page and f"…_{v.removeprefix('CRYPTOCDC_OPERATOR_')}" not in page]
    assert missing == []
