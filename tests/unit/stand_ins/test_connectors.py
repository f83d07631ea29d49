"""A KafkaConnector as Strimzi manages it: the requests to Connect, and its status over time."""

from typing import Any

import pytest
import requests
from tests.e2e.stand_ins import connect
from tests.e2e.stand_ins.timing import Due

LABELS = {"strimzi.io/cluster": "cryptocdc"}
WORKER = {"metadata": {"name": "cryptocdc", "namespace": "cdc"}}


class Connect:
    """The worker's REST interface, and the API server with one KafkaConnector; records requests and writes."""

    def __init__(self):
        self.configs, self.state, self.failed, self.asked = {}, "RUNNING", False, []
        self.refusal = None
        self.item: dict[str, Any] = {
            "metadata": {"name": "it", "namespace": "cdc", "uid": "1", "generation": 1, "labels": LABELS},
            "spec": {"class": "Some", "config": {"a": True}, "state": "running"},
        }

    def rest(self, method, url, body=None):
        path = url.removeprefix("http://connect/connectors")
        if method != "GET":
            self.asked.append(f"{method} {path}")
        if path == "":
            return list(self.configs)
        name = path.split("/")[1].partition("?")[0]
        if method == "PUT" and path.endswith("/config"):
            if self.refusal:
                raise requests.HTTPError(self.refusal)
            self.configs[name] = body
        elif method == "DELETE":
            del self.configs[name]
        elif name not in self.configs:
            answer = requests.Response()
            answer.status_code = 404
            raise requests.HTTPError(path, response=answer)
        elif path.endswith("/stop"):
            self.state = "STOPPED"
        elif path.endswith("/config"):
            return self.configs[name]
        tasks = [] if self.state == "STOPPED" else [{"id": 0, "state": "FAILED" if self.failed else self.state}]
        return {"name": name, "type": "source", "connector": {"state": self.state}, "tasks": tasks}

    def list(self, version, kind):
        return [self.item] if self.item else []

    def status(self, item, status):
        item["status"] = {**item.get("status", {}), **status}

    def turn(self):
        connect._connectors(self, WORKER, "http://connect")  # type: ignore[arg-type]

    @property
    def said(self):
        (condition,) = self.item["status"]["conditions"]
        return condition["type"], condition["status"], condition.get("reason")

    def change(self, **spec):
        self.item["spec"] |= spec
        self.item["metadata"]["generation"] += 1


@pytest.fixture
def worker(monkeypatch):
    made = Connect()
    monkeypatch.setattr(connect, "_rest", made.rest)
    monkeypatch.setattr(connect, "_due", Due(period_s=1e9))
    return made


def test_a_connector_is_created_and_its_state_reported(worker):
    worker.turn()
    assert worker.configs == {"it": {"a": "true", "connector.class": "Some", "tasks.max": "1", "name": "it"}}
    assert worker.said == ("Ready", "True", None)
    assert worker.item["status"]["connectorStatus"]["tasks"] == [{"id": 0, "state": "RUNNING"}]


def test_a_stopped_connector_stays_ready(worker):
    worker.turn()
    worker.change(state="stopped")
    worker.turn()
    assert worker.said == ("Ready", "True", None)
    assert worker.item["status"]["connectorStatus"] == {"name": "it", "connector": {"state": "STOPPED"}, "tasks": []}


def test_a_configuration_that_connect_refuses_is_not_ready(worker):
    worker.refusal = "400: password authentication failed"
    worker.turn()
    assert worker.said == ("NotReady", "True", "CompletionException")
    assert "connectorStatus" not in worker.item["status"]


def test_a_failure_is_reported_at_the_next_periodic_check(worker, monkeypatch):
    worker.turn()
    worker.failed = True
    worker.turn()
    assert worker.said == ("Ready", "True", None)
    monkeypatch.setattr(connect, "_due", Due(period_s=1e9))  # a period has passed
    worker.turn()
    assert worker.said == ("NotReady", "True", "Throwable")


def test_the_controller_does_not_stop_a_failed_connector(worker):
    worker.turn()
    worker.state = "FAILED"
    worker.asked.clear()
    worker.change(state="stopped")
    worker.turn()
    assert worker.asked == []
    assert worker.state == "FAILED"
    assert worker.said == ("NotReady", "True", "Throwable")


def test_a_connector_without_its_resource_is_deleted(worker):
    worker.turn()
    worker.item = None
    worker.turn()
    assert worker.configs == {}
