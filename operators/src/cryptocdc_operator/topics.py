"""A feed's topics: made, kept as they are wanted, and the symbols written into theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubernetes.client import ApiException

from cryptocdc_core.plan import Plan
from cryptocdc_operator import children, judge
from cryptocdc_operator.context import Operator
from cryptocdc_operator.edges import KAFKA, Say, Seen, ServerError, Servers
from cryptocdc_operator.failures import in_words
from cryptocdc_operator.judge import Verdict
from cryptocdc_operator.labels import Owner
from cryptocdc_operator.settings import Object


def apply_topics(operator: Operator, owner: Owner, plan: Plan, servers: Servers, seen: Seen, say: Say) -> Verdict:
    """Apply every KafkaTopic, and write the symbols as soon as their own topic is there, whatever the others are like.
    Return how the topics are."""
    before = operator.cluster.of_feed("KafkaTopic", owner.name)
    actual = seen.topics if seen.answers(KAFKA) else None
    replicas = kept_replicas([topic.name for topic in plan.topics], before, actual)
    live: dict[str, Object] = {}
    refused: dict[str, str] = {}
    wanted = children.topics(plan, operator.settings, owner, replicas)
    for topic in wanted:
        name = topic["metadata"]["name"]
        try:
            live[name] = operator.cluster.apply(topic)
        except ApiException as error:
            refused[name] = in_words(error)
    verdict = judge.topics([topic["metadata"]["name"] for topic in wanted], live, refused)
    if not seen.answers(KAFKA) or not _takes_symbols(plan, live, seen):
        return verdict
    try:
        added, removed = servers.write_symbols(plan.names, plan.symbols)
    except ServerError as error:
        return Verdict("False", "SymbolsNotWritten", f"{error.server}: {error}")
    if added:
        say("Normal", "SymbolsAdded", listed(added))
    if removed:
        say("Normal", "SymbolsRemoved", listed(removed))
    return verdict


def kept_replicas(topics: Sequence[str], before: Sequence[Object], actual: Mapping[str, int] | None) -> dict[str, int]:
    """By topic that exists, the number of replicas to declare: what its KafkaTopic declares while Strimzi accepts that,
    so that a person may change it by way of Cruise Control, else what Kafka has. Pure.

    `before`: the feed's KafkaTopics; `actual`: by topic, the replicas in Kafka, None while it does not answer.
    """
    kept = dict(actual or {})
    for topic in before:
        declared = topic["spec"].get("replicas")
        if declared is not None and (actual is None or judge.strimzi_problem(topic) is None):
            kept[topic["spec"]["topicName"]] = declared
    return {topic: kept[topic] for topic in topics if topic in kept}


def _takes_symbols(plan: Plan, live: Mapping[str, Object], seen: Seen) -> bool:
    """Whether the symbols' topic exists: Kafka has it, or Strimzi says so of its KafkaTopic."""
    topic = plan.names.symbols_topic
    resource = live.get(children.topic_resource(topic, plan.names))
    return topic in seen.topics or judge.strimzi_problem(resource) is None


def listed(names: list[str]) -> str:
    """Return the names in a line, the first 20 of many."""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"{', '.join(names[:20])}{more}"
