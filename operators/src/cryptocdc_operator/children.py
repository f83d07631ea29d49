"""From a plan to the Kubernetes objects that must exist for it. Pure; the counterpart of what one machine runs."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from cryptocdc_core.feed import CryptoFeed
from cryptocdc_core.names import Names
from cryptocdc_core.plan import Plan
from cryptocdc_operator.labels import Owner, labels
from cryptocdc_operator.programs import Program
from cryptocdc_operator.settings import Object, OperatorSettings
from cryptocdc_operator.workloads import disruption_budget, network_policy, service


def feed_text(plan: Plan) -> str:
    """The feed as its programs read it: what the symbols mean written out, and never suspended. Capture is suspended by
    running no producer: one that starts must not find an older file that says so."""
    spec = plan.feed.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec["suspend"] = False
    if plan.symbols:
        spec["symbols"] = {"names": sorted(plan.symbols)}
        # A program that reads the file takes no alert of a symbol that is not captured.
        spec["alerts"] = [alert.model_dump(mode="json", by_alias=True, exclude_none=True) for alert in plan.alerts]
    document = {
        "apiVersion": plan.feed.api_version, "kind": plan.feed.kind, "metadata": {"name": plan.feed.name}, "spec": spec,
    }  # fmt: skip
    return yaml.safe_dump(document, sort_keys=False)


def feed_map(plan: Plan, text: str, owner: Owner) -> Object:
    """`text`: the feed, as `feed_text` writes it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{plan.feed.name}-feed",
            "labels": labels(plan.feed.name),
            "ownerReferences": [owner.reference],
        },
        "data": {"feed.yaml": text},
    }


def topics(
    plan: Plan, settings: OperatorSettings, owner: Owner, replicas: Mapping[str, int] | None = None
) -> list[Object]:
    """The topics hold data: only with `deletionPolicy: Delete` do they belong to the feed. Otherwise they would go with
    it, and their records with them, whoever removed the feed and however.

    `replicas`: by topic that exists, how many it has. The setting is for new topics: Strimzi refuses to change the
    number of an existing one.
    """
    existing = replicas or {}
    owned = plan.feed.spec.deletion_policy == "Delete"
    return [
        {
            "apiVersion": "kafka.strimzi.io/v1",
            "kind": "KafkaTopic",
            "metadata": {
                "name": topic_resource(topic.name, plan.names),
                "labels": labels(plan.feed.name) | {"strimzi.io/cluster": settings.kafka_cluster},
                **({"ownerReferences": [owner.reference]} if owned else {}),
            },
            "spec": {
                "topicName": topic.name,
                "partitions": topic.partitions,
                "replicas": existing.get(topic.name, settings.topic_replication),
                "config": topic.config,
            },
        }
        for topic in plan.topics
    ]


def topic_resource(topic: str, names: Names) -> str:
    """Kubernetes takes no underscore in a name. Debezium's heartbeat topic begins with two."""
    return f"{names.connector}.heartbeat" if topic == names.heartbeat_topic else topic.replace("_", "-")


def connector(plan: Plan, settings: OperatorSettings, owner: Owner, state: str) -> Object:
    """`state` is `running` or `stopped`. It is the operator that restarts it, not Strimzi: one back-off is enough."""
    config = dict(plan.connector)
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaConnector",
        "metadata": {
            "name": plan.names.connector,
            "labels": labels(plan.feed.name) | {"strimzi.io/cluster": settings.connect_cluster},
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "class": config.pop("connector.class"),
            "tasksMax": int(config.pop("tasks.max")),
            "state": state,
            "config": config,
        },
    }


def pod_monitor(
    programs: tuple[Program, ...], feed: CryptoFeed, names: Names, selected_by: Mapping[str, str], owner: Owner
) -> Object:
    """Scrapes the feed's programs; `feed` is the identity, as in the verifier's own metrics. `selected_by`: labels of a
    Prometheus' choice."""
    components = [program.component for program in programs]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {
            "name": feed.name,
            "labels": {**selected_by, **labels(feed.name)},
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "selector": {
                "matchLabels": {"app.kubernetes.io/name": "cryptocdc", "app.kubernetes.io/instance": feed.name},
                "matchExpressions": [{"key": "app.kubernetes.io/component", "operator": "In", "values": components}],
            },
            "podMetricsEndpoints": [
                {
                    "port": "metrics",
                    "interval": "15s",
                    "relabelings": [
                        {"targetLabel": "feed", "replacement": names.fid},
                        {
                            "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_component"],
                            "targetLabel": "program",
                        },
                    ],
                }
            ],
        },
    }


def guards(programs: tuple[Program, ...], plan: Plan, settings: OperatorSettings, owner: Owner) -> list[Object]:
    """What stands beside the programs: services, disruption budgets, network policies, the monitor."""
    budgets = (disruption_budget(program, plan.feed, owner) for program in programs)
    made = [service(program, plan.feed, owner) for program in programs]
    made += [budget for budget in budgets if budget is not None]
    if settings.network_policies:
        made += [network_policy(program, plan.feed, owner) for program in programs]
    if settings.pod_monitors:
        made.append(pod_monitor(programs, plan.feed, plan.names, settings.pod_monitor_labels, owner))
    return made
