"""The controllers: one thread per kind, which checks all of its resources once per second."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from tests.e2e.stand_ins import cassandra, connect, kafka, postgres, topics, users
from tests.e2e.stand_ins.api import Api, Object

PERIOD_S = 1.0
IMAGE = os.environ["STAND_IN_IMAGE"]

log = logging.getLogger("stand-ins")


def keep(version: str, kind: str, turn: Callable[[Api, Object], None]) -> None:
    """Reconcile the resources of a kind forever; failures are logged and retried, since servers come and go."""
    api, logged = Api(), ""
    while True:
        try:
            for item in api.list(version, kind):
                turn(api, item)
            logged = ""
        except Exception as error:
            if str(error) != logged:
                log.warning("%s: %s: %s", kind, type(error).__name__, error)
            logged = str(error)
        time.sleep(PERIOD_S)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("cassandra").setLevel(logging.CRITICAL)  # it logs every attempt while a server starts
    threads = [
        threading.Thread(target=keep, args=arguments, name=arguments[1])
        for arguments in (
            (kafka.VERSION, "Kafka", lambda api, item: kafka.reconcile(api, item, IMAGE)),
            (kafka.VERSION, "Kafka", kafka.entity_operator(topics.topics)),
            (kafka.VERSION, "Kafka", kafka.entity_operator(users.users)),
            (kafka.VERSION, "KafkaConnect", connect.reconcile),
            (postgres.VERSION, "Cluster", lambda api, item: postgres.reconcile(api, item, IMAGE)),
            (cassandra.VERSION, "K8ssandraCluster", lambda api, item: cassandra.reconcile(api, item, IMAGE)),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:  # Cassandra's driver creates thread pools, which need a live main thread
        thread.join()


if __name__ == "__main__":
    main()
