"""Which programs a change of a feed restarts, and how many run: one table for the local runner and the operator."""

import json

import pytest
from tests.unit.core.planning.test_plan import planned

from cryptocdc_control.programs import PROGRAMS, proof_inputs, restarted, workloads

STREAMS = {"recentTrades": {}, "klines": {"intervals": ["1m"]}, "orderBook": {}}
ALERT = {"symbol": "BTCUSDT", "window": "1h", "dropPercent": 5}
BEFORE = {"streams": STREAMS, "alerts": [ALERT]}


@pytest.mark.parametrize(
    ("change", "programs"),
    [
        ({}, ()),
        ({"scaling": {"producers": 3, "consumers": 2}}, ()),
        ({"suspend": True}, ()),
        ({"deletionPolicy": "Delete"}, ()),
        ({"retention": {"kafka": "2d"}}, ()),
        ({"alerts": [ALERT | {"dropPercent": 6}]}, ("alerter",)),
        ({"alerts": []}, ("alerter",)),
        ({"alertWebhook": {"url": "http://pager.example/"}}, ("alerter",)),
        ({"analytics": {"bars": ["5s"]}}, ("consumer", "verifier", "api", "analyzer")),
        ({"retention": {"cassandra": "30d"}}, ("consumer", "verifier", "api")),
        ({"retention": {"postgres": "3d"}}, ("verifier",)),
        ({"transform": "transform:without_dust"}, ("consumer",)),
        ({"repair": {"enabled": True}}, ("verifier",)),
        ({"repair": {"maxRowsPerHour": 5}}, ()),
        ({"sink": {"engine": "connect"}}, ("api",)),
        ({"sink": {"engine": "spark"}}, ("spark", "api")),
        ({"endpoints": {"rest": "http://elsewhere.example"}}, ("producer",)),
        ({"endpoints": {"archive": "http://elsewhere.example"}}, ()),
        ({"history": {"klines": "24h"}}, ()),
        ({"history": {"klines": "12h"}}, ("producer",)),
        ({"history": {"from": "2026-01"}}, ("history",)),
        ({"history": {"klines": "7d"}}, ("producer", "history")),
        ({"export": {"uri": "s3://research/majors"}}, ("exporter",)),
        ({"streams": STREAMS | {"orderBook": {"depth": 50}}}, ("producer",)),
        ({"streams": STREAMS | {"klines": {"intervals": ["1m", "1h"]}}}, ("producer", "api")),
        ({"streams": STREAMS | {"latestPrices": {}}}, ("producer", "consumer", "verifier", "api", "alerter")),
    ],
    ids=str,
)
def test_a_change_of_a_feed_restarts_only_the_programs_that_read_it(change, programs):
    assert restarted(planned(**BEFORE), planned(**BEFORE | change)) == programs


def test_another_symbol_is_loaded_from_the_archive_as_well():
    past: dict[str, object] = {"history": {"from": "2026-01"}}
    assert restarted(planned(**BEFORE | past), planned(symbols=("BTCUSDT",), **BEFORE | past)) == ("history",)


def test_producers_of_raw_trades_read_the_archives_address():
    raw: dict[str, object] = {"streams": STREAMS | {"recentTrades": {"kind": "trade"}}}
    elsewhere = {"endpoints": {"archive": "http://elsewhere.example"}}
    assert restarted(planned(**BEFORE | raw), planned(**BEFORE | raw | elsewhere)) == ("producer",)


def test_a_change_of_symbols_restarts_nothing():
    assert restarted(planned(**BEFORE), planned(symbols=("BTCUSDT",), **BEFORE)) == ()


def test_removing_a_stream_does_not_restart_the_consumers_that_still_carry_it():
    less: dict[str, object] = {"recentTrades": {}, "orderBook": {}}
    kept = [stream.table for stream in planned(**BEFORE).carried]
    assert "consumer" not in restarted(planned(**BEFORE), planned(kept=kept, **BEFORE | {"streams": less}))


@pytest.mark.parametrize(
    ("spec", "replicas"),
    [
        (
            {},
            {
                "producer": 1,
                "consumer": 1,
                "spark": 0,
                "verifier": 1,
                "api": 1,
                "alerter": 0,
                "analyzer": 0,
                "history": 0,
                "exporter": 0,
            },
        ),
        ({"history": {"from": "2026-01-31"}}, {"history": 1}),
        ({"history": {"klines": "7d"}}, {"history": 1}),
        ({"analytics": {"bars": ["5s"]}, "scaling": {"analyzers": 2}}, {"analyzer": 2}),
        (
            {"scaling": {"producers": 3, "consumers": 2}, "alerts": [ALERT]},
            {"producer": 3, "consumer": 2, "alerter": 1},
        ),
        ({"suspend": True, "scaling": {"producers": 3}}, {"producer": 0, "consumer": 1}),
        ({"sink": {"engine": "connect"}, "scaling": {"consumers": 2}}, {"producer": 1, "consumer": 0}),
        ({"sink": {"engine": "spark"}, "scaling": {"consumers": 2}}, {"consumer": 0, "spark": 1}),
        ({"sink": {"engine": "spark"}, "scaling": {"consumers": 0}}, {"consumer": 0, "spark": 0}),
        # The alert's symbol is not captured, as when the exchange has halted it.
        ({"alerts": [ALERT], "symbols": ("ETHUSDT",)}, {"alerter": 0}),
    ],
)
def test_the_number_of_replicas_of_each_program(spec, replicas):
    found = {name: workload.replicas for name, workload in workloads(planned(**{"streams": STREAMS} | spec)).items()}
    assert tuple(found) == PROGRAMS
    assert found | replicas == found


def test_a_spark_job_reads_what_a_consumer_reads_but_a_transform():
    spark: dict[str, object] = {"sink": {"engine": "spark"}}
    then, now = planned(**BEFORE | spark), planned(**BEFORE | spark | {"retention": {"cassandra": "30d"}})
    assert restarted(then, now) == ("consumer", "spark", "verifier", "api")
    assert restarted(then, planned(**BEFORE | spark | {"alerts": []})) == ("alerter",)


def test_inputs_are_json_serializable():
    for workload in workloads(planned(**BEFORE)).values():
        assert json.dumps(workload.inputs)


def test_both_kinds_of_verifier_have_the_same_inputs():
    made = planned(**BEFORE)
    assert workloads(made)["verifier"].inputs == proof_inputs(made.feed)
