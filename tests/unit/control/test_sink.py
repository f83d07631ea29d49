"""Which sink engine may start: only after the other has stopped."""

import pytest
from tests.unit.core.planning.test_plan import planned

from cryptocdc_control.sink import ENGINES, obstacle


@pytest.mark.parametrize(
    ("engine", "running", "why"),
    [
        ("consumer", (), None),
        ("consumer", ("consumer",), None),
        ("consumer", ("connect",), "the sink connector must stop first"),
        ("connect", (), None),
        ("connect", ("connect",), None),
        ("connect", ENGINES, "the consumers and the Spark job must stop first"),
        ("spark", ("spark",), None),
        ("spark", ENGINES, "the consumers and the sink connector must stop first"),
        ("consumer", ("spark",), "the Spark job must stop first"),
    ],
)
def test_a_sink_engine_starts_only_after_the_other_has_stopped(engine, running, why):
    assert obstacle(planned(sink={"engine": engine}), running) == why
