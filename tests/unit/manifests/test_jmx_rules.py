"""The JMX exporter's rules, tested on the names of Kafka's and Debezium's MXBeans."""

import re

import pytest
import yaml
from tests.unit.manifests.build import MANIFESTS

SEEN = {
    "connect": {
        "debezium.postgres<type=connector-metrics, context=streaming, server=majors><>MilliSecondsBehindSource": (
            "debezium_MilliSecondsBehindSource",
            {"plugin": "postgres", "context": "streaming", "server": "majors"},
        ),
        "debezium.postgres<type=connector-metrics, context=snapshot, server=majors, shard=1of2><>SnapshotRunning": (
            "debezium_SnapshotRunning",
            {"plugin": "postgres", "context": "snapshot", "server": "majors", "shard": "1of2"},
        ),
        "kafka.connect<type=connector-task-metrics, connector=majors, task=0><>status: running": (
            "kafka_connect_connector_task_status",
            {"connector": "majors", "task": "0", "status": "running"},
        ),
        "kafka.connect<type=source-task-metrics, connector=my-feed, task=0><>source-record-write-total": (
            "kafka_connect_source_task_source_record_write_total",
            {"connector": "my-feed", "task": "0"},
        ),
        "kafka.connect<type=source-task-metrics, connector=my-feed, task=0><>poll-batch-avg-time-ms": (
            "kafka_connect_source_task_poll-batch-avg-time-ms",
            {"connector": "my-feed", "task": "0"},
        ),
    },
    "kafka": {
        "kafka.server<type=ReplicaManager, name=UnderReplicatedPartitions><>Value": (
            "kafka_server_replicamanager_UnderReplicatedPartitions",
            {},
        ),
        "kafka.server<type=ReplicaManager, name=IsrShrinksPerSec><>Count": (
            "kafka_server_replicamanager_IsrShrinksPerSec_total",
            {},
        ),
        # The exporter puts the value behind the name: a pattern must not end there.
        "kafka.server<type=raft-metrics><>log-end-offset: 3089": ("kafka_server_raft_log-end-offset", {}),
        "kafka.server<type=BrokerTopicMetrics, name=MessagesInPerSec, topic=majors.majors.klines><>Count": (
            "kafka_server_brokertopicmetrics_MessagesInPerSec_total",
            {"topic": "majors.majors.klines"},
        ),
        "kafka.network<type=RequestMetrics, name=TotalTimeMs, request=Produce><>99thPercentile": (
            "kafka_network_requestmetrics_totaltime_milliseconds",
            {"request": "Produce", "quantile": "0.99"},
        ),
        "kafka.log<type=Log, name=Size, topic=majors.majors.recent_trades, partition=3><>Value": (
            "kafka_log_size_bytes",
            {"topic": "majors.majors.recent_trades", "partition": "3"},
        ),
    },
}


def exported(rules, bean):
    """Name and labels by the first rule that matches anywhere in the bean's name, as the exporter does."""
    for rule in rules:
        if match := re.fullmatch(f".*(?:{rule['pattern']}).*", bean):

            def filled(text, match=match):
                return re.sub(r"\$(\d)", lambda group: match.group(int(group.group(1))) or "", str(text))

            labels = {key: filled(value) for key, value in rule.get("labels", {}).items()}
            return filled(rule["name"]), {key: value for key, value in labels.items() if value}
    return None


@pytest.mark.parametrize(("part", "bean"), [(part, bean) for part, beans in SEEN.items() for bean in beans])
def test_a_bean_becomes_a_metric_with_labels(part, bean):
    rules = yaml.safe_load((MANIFESTS / "strimzi" / "jmx" / f"{part}.yaml").read_text())["rules"]
    assert exported(rules, bean) == SEEN[part][bean]
