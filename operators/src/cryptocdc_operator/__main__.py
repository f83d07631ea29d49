"""The operator: read the settings, wire everything, run until stopped."""

from __future__ import annotations

import logging
import os
import threading
from importlib.metadata import version

import kopf
import kubernetes

from cryptocdc_adapters.metrics.serving import Health, serve_or_exit
from cryptocdc_core.program import logs
from cryptocdc_core.program.exits import refusing_bad_input
from cryptocdc_core.program.metrics import OperatorMetrics
from cryptocdc_core.program.settings import ServingSettings
from cryptocdc_operator.cluster.kubernetes_api import KubernetesCluster
from cryptocdc_operator.context import Operator
from cryptocdc_operator.handlers import Handlers
from cryptocdc_operator.reconcile.stall_watchdog import UNHEALTHY_AFTER_S, Progress, run_watchdog
from cryptocdc_operator.resources.labels import MANAGER
from cryptocdc_operator.servers.external import ExchangeAndVerifier
from cryptocdc_operator.servers.platform import connect
from cryptocdc_operator.settings import Addresses, OperatorSettings


def main() -> None:
    with refusing_bad_input():
        serving, settings = ServingSettings.from_env(), OperatorSettings.from_env()
        addresses = Addresses.from_env(os.environ)
    logs.configure(serving.log_format, serving.log_level)
    # kopf logs each pass that must be retried as an error; the handlers log what matters.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("kopf.objects").setLevel(logging.CRITICAL)
    # The driver's traceback for a node that does not answer says less than the condition.
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)
    try:
        kubernetes.config.load_incluster_config()  # type: ignore[no-untyped-call]
    except kubernetes.config.ConfigException:
        kubernetes.config.load_kube_config()  # type: ignore[no-untyped-call]
    metrics, health = OperatorMetrics(version("cryptocdc-operator")), Health(UNHEALTHY_AFTER_S)
    serve_or_exit(metrics.registry, health, serving)
    cluster = KubernetesCluster(kubernetes.client.ApiClient(), settings.namespace)
    progress = Progress()
    operator = Operator(
        settings,
        addresses,
        cluster,
        lambda secrets: connect(settings, addresses, secrets),
        ExchangeAndVerifier(settings),
        metrics,
    )
    watching = (lambda: cluster.all("CryptoFeed"), progress, health, metrics.remove_feed)
    threading.Thread(target=run_watchdog, args=watching, name="stall-watchdog", daemon=True).start()
    Handlers(operator, progress, kopf.get_default_registry())
    # By default kopf looks up the name of its user, and a container's uid has none.
    kopf.run(namespaces=[settings.namespace], standalone=True, identity=MANAGER)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
