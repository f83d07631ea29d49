"""Which feeds are simulated: those of the exchange `simulated`, and those whose endpoints are the chart's simulator."""

from __future__ import annotations

import pytest
import yaml
from tests.unit.core.feeds import feed
from tests.unit.operator.made import STREAMS, environment, one
from tests.unit.operator.world import SETTINGS, World

from cryptocdc_core.names import SUFFIXES
from cryptocdc_operator.resources.source import source_of

INSIDE = f"cryptocdc-simulator.{SETTINGS.namespace}"


@pytest.mark.parametrize("host", ["cryptocdc-simulator", INSIDE, f"{INSIDE}.svc", f"{INSIDE}.svc.cluster.local."])
def test_a_feed_with_one_endpoint_at_the_charts_simulator_is_simulated(host: str) -> None:
    rest, websocket = {"rest": f"http://{host}:8090/okx"}, {"websocket": f"ws://{host}:8090/okx"}

    for endpoints in (rest, websocket, rest | websocket):
        assert source_of(feed(exchange="okx", endpoints=endpoints), SETTINGS) == "simulated"


@pytest.mark.parametrize(
    "host", ["www.okx.com", "cryptocdc-simulator.example.org", f"{INSIDE}.example.org", "my-cryptocdc-simulator"]
)
def test_any_other_host_counts_as_an_exchange(host: str) -> None:
    assert source_of(feed(exchange="okx", endpoints={"rest": f"https://{host}"}), SETTINGS) == "exchange"
    assert source_of(feed(exchange="okx"), SETTINGS) == "exchange"
    assert source_of(feed(exchange="simulated", endpoints={"rest": f"https://{host}"}), SETTINGS) == "simulated"


def test_programs_and_verifier_get_the_source_simulated() -> None:
    spec = {"exchange": "okx", "endpoints": {"rest": "http://cryptocdc-simulator:8090/okx"}}
    for program in ("producer", "consumer", "api"):
        assert environment(one("Deployment", f"my-feed-{program}", streams=STREAMS, **spec))["CRYPTOCDC_SOURCE"] == (
            "simulated"
        )
    world = World(streams={"klines": {}}, **spec)
    world.run()
    assert world.feed()["status"]["identity"] == "majors_sim"
    assert set(world.slots) == {"majors_sim_slot"}
    assert yaml.safe_load(world.shared["majors"])["metadata"]["annotations"] == {"cryptocdc.io/source": "simulated"}


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ({}, {"rest": "http://cryptocdc-simulator:8090"}, "simulated data into a feed of real data"),
        ({"rest": "http://cryptocdc-simulator:8090"}, {}, "real data into a feed of simulated data"),
    ],
)
def test_endpoints_that_would_mix_real_and_simulated_rows_are_refused(
    before: dict[str, str], after: dict[str, str], problem: str
) -> None:
    world = World(streams={"klines": {}}, endpoints=before)
    world.run()
    identity = world.feed()["status"]["identity"]
    assert identity in {f"majors{suffix}" for suffix in SUFFIXES.values()}
    slots = set(world.slots)

    world.edit(endpoints=after)
    world.reconcile()

    assert world.said("Ready") == ("False", "FeedRefused")
    assert problem in world.condition("Ready")["message"]
    assert world.feed()["status"]["identity"] == identity
    assert set(world.slots) == slots
