"""Connector states that Connect reports, and what follows from them."""

import json

import pytest
import requests

from cryptocdc_adapters.replication.connect import Connect, ConnectError, ConnectorState

WRAPPED = "Exiting WorkerSinkTask due to unrecoverable exception."


@pytest.mark.parametrize(
    ("state", "tasks", "ended"),
    [
        ("STOPPED", (), True),
        ("FAILED", (), True),
        ("FAILED", ("FAILED",), False),
        ("RESTARTING", (), True),
        ("RESTARTING", ("RESTARTING",), False),
        ("RUNNING", ("FAILED",), False),
        ("STOPPED", ("RUNNING",), False),
        ("RUNNING", (), False),
        ("PAUSED", ("PAUSED",), False),
        ("UNASSIGNED", (), False),
    ],
)
def test_a_connector_has_ended_when_neither_it_nor_its_tasks_run(state, tasks, ended):
    assert ConnectorState(state, tasks, "").ended is ended


@pytest.mark.parametrize(
    ("trace", "first"),
    [
        (
            f"ConnectException: {WRAPPED}\n"
            "\tat WorkerSinkTask.deliverMessages(WorkerSinkTask.java:1)\n"
            "Caused by: ConnectException: Cassandra has acknowledged nothing for 60 s: no node\n"
            "\tat CassandraSinkTask.put(CassandraSinkTask.java:1)\n"
            "Caused by: DriverTimeoutException: no node",
            "ConnectException: Cassandra has acknowledged nothing for 60 s: no node",
        ),
        (
            "ConnectException: Unrecoverable exception from producer send callback\n"
            "\tat WorkerSourceTask.maybeThrowProducerSendException(WorkerSourceTask.java:348)\n"
            "Caused by: RecordTooLargeException: The message is 5951434 bytes",
            "RecordTooLargeException: The message is 5951434 bytes",
        ),
        ("DataException: no slot\n\tat Debezium\nCaused by: SQLException", "DataException: no slot"),
        (f"X: {WRAPPED}", f"X: {WRAPPED}"),
    ],
)  # fmt: skip
def test_the_trace_of_a_task_starts_with_the_cause(monkeypatch, trace, first):
    class Answer:
        status_code = 200

        def json(self):
            return {"connector": {"state": "RUNNING"}, "tasks": [{"state": "FAILED", "trace": trace}]}

    connect = Connect("http://connect")
    monkeypatch.setattr(connect, "_call", lambda *_, **__: Answer())
    state = connect.state("majors.sink")
    assert state is not None
    assert state.trace.splitlines()[0] == first


def test_a_connector_that_failed_to_start_is_deleted_too(monkeypatch):
    """Connect stops it, but keeps reporting FAILED."""
    calls = []

    class Answer:
        status_code, ok = 200, True

        def json(self):
            return {"connector": {"state": "FAILED", "trace": "Could not read secret"}, "tasks": []}

    def call(method, path, accept=(), **_):
        calls.append((method, path))
        return Answer()

    connect = Connect("http://connect")
    monkeypatch.setattr(connect, "_call", call)
    connect.delete("majors")
    assert [call for call in calls if call[0] != "GET"] == [
        ("PUT", "/connectors/majors/stop"),
        ("DELETE", "/connectors/majors/offsets"),
        ("DELETE", "/connectors/majors"),
    ]


def test_delete_returns_once_the_connector_has_disappeared(monkeypatch):
    """Connect reports the last state of a connector for a moment after its deletion."""
    shown = [ConnectorState("STOPPED", ("RUNNING",), ""), None, None]
    connect = Connect("http://connect")
    monkeypatch.setattr(connect, "state", lambda _: shown.pop(0))
    monkeypatch.setattr(connect, "_call", lambda *_, **__: None)
    connect.delete("majors")
    assert len(shown) == 1


def test_the_plugins_of_connect_are_the_classes_of_its_connectors_and_converters(monkeypatch):
    """Connect lists them with their types and versions, converters only on request."""

    class Answer:
        def json(self):
            return [{"class": "io.cryptocdc.X", "type": "sink", "version": "1"}, {"class": "io.cryptocdc.Y"}]

    def call(*request, params):
        return Answer() if (*request, params) == ("GET", "/connector-plugins", {"connectorsOnly": "false"}) else None

    connect = Connect("http://connect")
    monkeypatch.setattr(connect, "_call", call)
    assert connect.plugins() == {"io.cryptocdc.X", "io.cryptocdc.Y"}


def responses(monkeypatch, *answers):
    """A client that gets these responses one after the other, each a status and a body."""
    connect, left = Connect("http://connect"), list(answers)

    def request(*_, **__):
        status, body = left.pop(0)
        answer = requests.Response()
        answer.status_code, answer._content = status, json.dumps(body).encode()
        return answer

    monkeypatch.setattr(connect._http, "request", request)
    monkeypatch.setattr("cryptocdc_core.program.backoff.time.sleep", lambda _: None)
    return connect, left


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (409, "Cannot complete request momentarily due to stale configuration"),
        (500, "Request cannot be completed because a rebalance is expected"),  # to GET /connectors/NAME/config
    ],
)
def test_a_request_is_repeated_until_the_rebalance_is_over(monkeypatch, status, message):
    refused = status, {"error_code": status, "message": message}
    connect, left = responses(monkeypatch, refused, refused, (200, {"name": "majors", "tasks.max": "1"}))
    assert connect.config("majors") == {"tasks.max": "1"}
    assert not left


def test_any_other_error_is_raised_at_once(monkeypatch):
    connect, left = responses(monkeypatch, (500, {"message": "IO Error trying to forward REST request"}), (200, {}))
    with pytest.raises(ConnectError, match=r"500: .*forward REST request"):
        connect.config("majors")
    assert len(left) == 1
