"""The table of Kafka's topics."""

from __future__ import annotations

import pytest
from rich.console import Console

from cryptocdc_local.platform.shells import TopicFigures, _topics_table


@pytest.mark.parametrize("width", [40, 80, 200])
def test_topic_names_are_printed_without_truncation(width: int) -> None:
    name = "majors_sim.majors_sim.crypto_24h_stats"
    console = Console(width=width)
    with console.capture() as captured:
        console.print(_topics_table([TopicFigures(name, 12, 161_582, {"majors_sim-consumer": 37})]))
    assert name in captured.get()
