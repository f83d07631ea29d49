"""README and schema are generated from values.yaml; an invalid value is refused by name."""

import importlib.util
import sys

import jsonschema
import pytest
import yaml
from tests.unit.charts.render import CHART, FILES, refusal

# The chart is not a Python package.
_found = importlib.util.spec_from_file_location("describe", CHART / "describe.py")
assert _found is not None
assert _found.loader is not None
describe = importlib.util.module_from_spec(_found)
sys.modules["describe"] = describe
_found.loader.exec_module(describe)

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def test_readme_and_schema_are_generated_from_the_comments():
    for path, text in describe.generated().items():
        assert path.read_text() == text, f"{path.name}: run `make chart`"


def test_the_defaults_are_valid_by_the_schema():
    jsonschema.validate(VALUES, describe.schema(describe.read((CHART / "values.yaml").read_text())))


@pytest.mark.parametrize("name", sorted(FILES))
def test_values_for_tests_are_valid_by_the_schema(name):
    given = yaml.safe_load(FILES[name].read_text()) or {}
    jsonschema.validate(given, describe.schema(describe.read((CHART / "values.yaml").read_text())))


def test_a_value_without_a_comment_is_not_accepted():
    with pytest.raises(describe.Undescribed, match=r"a\.b: a comment above it must describe it"):
        describe.read("a:\n  b: 1\n")


def test_a_value_without_a_type_is_not_accepted():
    with pytest.raises(describe.Undescribed, match="a: give it a default"):
        describe.read("# What it is.\na: null\n")


def test_a_comment_over_several_lines_is_one_description():
    (value,) = describe.read("# One\n# @schema {minimum: 2}\n# two.\na: 3\n")
    assert (value.description, value.extra, value.kind) == ("One two.", {"minimum": 2}, "integer")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"verifer__enabled": False}, "verifer"),
        ({"verifier__enabled": "yes"}, "verifier.enabled"),
        ({"verifier__rowsPerSecond": 0}, "verifier.rowsPerSecond"),
        ({"image__pullPolicy": "Sometimes"}, "image.pullPolicy"),
        ({"platform__postgres__sslmode": "on"}, "platform.postgres.sslmode"),
        ({"platform__kafka__bootstrap": "kafka"}, "platform.kafka.bootstrap"),
        ({"platform__kafka__existingSecrets__producer": ""}, "producer"),
        ({"api__replicas": -1}, "api.replicas"),
        ({"api__requestsPerSecond": 0}, "api.requestsPerSecond"),
        ({"grafana__dataSources__feeds": ["My_Feed"]}, "grafana.dataSources.feeds"),
        ({"grafana__dataSources__enabled": True, "reader__existingSecret": "theirs"}, "grafana.dataSources.password:"),
        (
            {"grafana__dataSources__enabled": True, "api__token__existingSecret": "theirs"},
            "grafana.dataSources.token:",
        ),
        ({"platform__postgres__caSecret": ""}, "platform.postgres.sslmode: verify-full is not accepted without"),
    ],
)
def test_an_invalid_value_is_refused_by_name(values, named):
    message = refusal(**values).replace("/", ".")
    assert named in message


def test_valid_values_are_accepted():
    assert refusal(verifier__enabled=False, operator__resources={"limits": {"cpu": 1}}) == ""
