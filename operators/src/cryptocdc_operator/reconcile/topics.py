"""Applies a feed's topics, and writes its symbols to the symbols topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubernetes.client import ApiException

from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.resources import kafka
from cryptocdc_operator.resources.labels import Owner
from cryptocdc_operator.servers.port import KAFKA, Observed, ServerError, Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status import assess
from cryptocdc_operator.status.conditions import Assessment
from cryptocdc_operator.status.failures import describe


def apply_topics(
    operator: Operator, owner: Owner, plan: Plan, servers: Servers, observed: Observed, post_event: PostEvent
) -> Assessment:
    """Apply every KafkaTopic, and write the symbols as soon as their topic exists, whatever the state of the others.
    Return the topics' condition."""
    before = operator.cluster.of_feed("KafkaTopic", owner.name)
    actual = observed.topics if observed.answers(KAFKA) else None
    replicas = kept_replicas([topic.name for topic in plan.topics], before, actual)
    live: dict[str, Object] = {}
    refused: dict[str, str] = {}
    wanted = kafka.topics(plan, operator.settings, owner, replicas)
    for topic in wanted:
        name = topic["metadata"]["name"]
        try:
            live[name] = operator.cluster.apply(topic)
        except ApiException as error:
            refused[name] = describe(error)
    assessment = assess.topics([topic["metadata"]["name"] for topic in wanted], live, refused)
    if not observed.answers(KAFKA) or not _takes_symbols(plan, live, observed):
        return assessment
    try:
        added, removed = servers.write_symbols(plan.names, plan.symbols)
    except ServerError as error:
        return Assessment("False", "SymbolsNotWritten", f"{error.server}: {error}")
    if added:
        post_event("Normal", "SymbolsAdded", listed(added))
    if removed:
        post_event("Normal", "SymbolsRemoved", listed(removed))
    return assessment


def kept_replicas(topics: Sequence[str], before: Sequence[Object], actual: Mapping[str, int] | None) -> dict[str, int]:
    """Return the number of replicas to declare, by existing topic: what its KafkaTopic declares while Strimzi accepts
    it, so that a user may change it with Cruise Control, otherwise what Kafka has. Pure.

    `before`: the feed's KafkaTopics; `actual`: the replicas in Kafka by topic, None while it does not answer.
    """
    kept = dict(actual or {})
    for topic in before:
        declared = topic["spec"].get("replicas")
        if declared is not None and (actual is None or assess.strimzi_problem(topic) is None):
            kept[topic["spec"]["topicName"]] = declared
    return {topic: kept[topic] for topic in topics if topic in kept}


def _takes_symbols(plan: Plan, live: Mapping[str, Object], observed: Observed) -> bool:
    """Return whether the symbols topic exists: Kafka has it, or Strimzi reports its KafkaTopic as ready."""
    topic = plan.names.symbols_topic
    resource = live.get(kafka.topic_resource(topic, plan.names))
    return topic in observed.topics or assess.strimzi_problem(resource) is None


def listed(names: list[str]) -> str:
    """Return the names in one line, at most 20 of them."""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{', '.join(names[:20])}{more}"
