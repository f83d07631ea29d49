"""An operator is killed at any step: the next one reaches the same state."""

from typing import Any

import pytest
from tests.unit.operator.world import Killed, World

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}

EDITS = {
    "made": lambda world: None,
    "a symbol": lambda world: world.edit(symbols={"names": ["ETHUSDT", "SOLUSDT"]}),
    "a stream": lambda world: world.edit(streams={**STREAMS, "orderBook": {}}),
    "a stream less": lambda world: world.edit(streams={"recentTrades": None, "klines": {}}),
    "all of it": lambda world: world.edit(
        suspend=True, scaling={"producers": 2, "consumers": 3}, retention={"cassandra": "1d", "kafka": "keep"}
    ),
    "another sink engine": lambda world: world.edit(sink={"engine": "connect"}),
    "Spark": lambda world: world.edit(sink={"engine": "spark"}),
    "more connectors": lambda world: world.edit(scaling={"connectors": 2}),
    "a lost slot": lambda world: world.lose_slot(),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_operator_killed_at_any_step_reaches_the_same_state(edit):
    begun = World(streams=STREAMS)
    if edit != "made":
        begun.run()
        begun.others()
    begun.steps = 0
    EDITS[edit](begun)

    smooth = begun.copied()
    smooth.run()
    steps = smooth.steps
    smooth.run()
    wanted = smooth.state()
    assert steps > 20
    for kill_at in range(1, steps + 1):
        world = begun.copied()
        world.kill_at = kill_at
        with pytest.raises(Killed):
            world.run()
        world.kill_at = None
        world.others()
        world.run()
        world.run()
        assert world.state() == wanted, f"killed at step {kill_at}"
