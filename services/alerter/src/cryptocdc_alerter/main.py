"""The alerter: reads the settings, wires everything, and runs until stopped."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version

from confluent_kafka import Consumer, KafkaException

from cryptocdc_adapters.kafka.clients import group_config
from cryptocdc_adapters.kafka.membership import Membership
from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_alerter.anomalies import Anomalies
from cryptocdc_alerter.ledger import Ledger
from cryptocdc_alerter.price_loop import PriceLoop
from cryptocdc_alerter.reading import Prices
from cryptocdc_alerter.webhook import Webhook
from cryptocdc_core.catalogue.computed import ANOMALIES
from cryptocdc_core.feed import model as feeds
from cryptocdc_core.feed.model import CryptoFeed, FeedError
from cryptocdc_core.names import Names, identity
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import Exit, refusing_bad_input, stop_event
from cryptocdc_core.program.metrics import AlerterMetrics
from cryptocdc_core.program.settings import AlerterSettings, KafkaSettings, ProgramSettings

log = logging.getLogger("cryptocdc.alerter")

HEALTHY_FOR_S = 60


def main() -> None:
    with refusing_bad_input():
        settings, kafka, own = ProgramSettings.from_env(), KafkaSettings.from_env(), AlerterSettings.from_env()
        logs.configure(settings.log_format, settings.log_level)
        feed = feeds.load(settings.feed)
        if not feed.spec.alerts:
            raise FeedError(["spec.alerts: is empty; accepted: one or more alerts"])
    stop = stop_event()
    metrics = AlerterMetrics(version("cryptocdc-alerter"))
    health = Health(HEALTHY_FOR_S)
    server = serve_or_exit(metrics.registry, health, settings)
    webhook = _webhook(feed, own, metrics)
    try:
        _price_loop(feed, settings, kafka, webhook, metrics, health).run(stop)
    except KafkaException as error:
        log.error("Kafka: %s", error)
        sys.exit(Exit.PLATFORM)
    finally:
        if webhook is not None:
            webhook.stop()
        server.shutdown()


def _price_loop(
    feed: CryptoFeed,
    settings: ProgramSettings,
    kafka: KafkaSettings,
    webhook: Webhook | None,
    metrics: AlerterMetrics,
    health: Health,
) -> PriceLoop:
    names = Names(identity(feed.name, settings.source))
    topics: dict[str, Prices | Anomalies] = {}
    if not all(alert.anomaly for alert in feed.spec.alerts):
        prices = Prices(feed)
        topics[names.change_topic(prices.stream.table)] = prices
    if any(alert.anomaly for alert in feed.spec.alerts):
        topics[names.change_topic(ANOMALIES.table)] = Anomalies()
    log.info("%d alerts on %s", len(feed.spec.alerts), ", ".join(topics))
    membership = Membership(names.alerter_group)
    health.ready_when(membership.obstacle)
    metrics.group_member.set_function(lambda: membership.member)
    configured = group_config(kafka, names.alerter_group, queued_max_messages_kbytes=16_384) | membership.settings
    return PriceLoop(
        Consumer(configured, logger=log),
        topics,
        feed.spec.alerts,
        Ledger(kafka, names.alerts_topic),
        (lambda _: None) if webhook is None else webhook.enqueue,
        (names.fid, settings.source),
        metrics,
        health,
        lambda: membership.member,
    )


def _webhook(feed: CryptoFeed, own: AlerterSettings, metrics: AlerterMetrics) -> Webhook | None:
    given = feed.spec.alert_webhook
    url = own.webhook_url or (given.url if given is not None else None)
    if url is None:
        if given is not None:
            log.error(
                "spec.alertWebhook.secretRef: secret %s is not available here; set the URL with %s."
                " Alerts are recorded but not posted",
                given.secret_ref, own.variable("webhook_url"),
            )  # fmt: skip
        return None
    made = Webhook(url, metrics)
    made.start()
    return made


if __name__ == "__main__":
    main()
