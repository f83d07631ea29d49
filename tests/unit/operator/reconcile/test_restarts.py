"""A restarting server and a consumer that can't write are distinguished from missing ones."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import kopf
import pytest
from tests.unit.operator.world import SETTINGS, World

from cryptocdc_operator.handlers import Handlers
from cryptocdc_operator.reconcile.stall_watchdog import Progress
from cryptocdc_operator.servers.external import ExchangeAndVerifier
from cryptocdc_operator.servers.port import ServerError

STALLED = "Cassandra has acknowledged nothing for 6 s: NoHostAvailable"


@pytest.fixture
def world():
    made = World(streams={"klines": {}})
    made.run()
    return made


@pytest.mark.parametrize("server", ["Connect", "Kafka"])
@pytest.mark.parametrize(
    ("pod", "reason", "said"),
    [
        ({"ready": "False", "containerStatuses": [{"restartCount": 1}]}, "Restarts", "is restarting: pod cryptocdc-"),
        ({"ready": "False"}, "Restarts", "is not ready yet"),
        ({"ready": "True"}, "Unreachable", "refused"),
        (None, "Unreachable", "refused"),
    ],
)
def test_a_restarting_server_is_distinguished_from_a_missing_one(world, server, pod, reason, said):
    world.unreachable = {server: "connection refused"}
    if pod is not None:
        world.server_pod(server, **pod)
    world.reconcile()
    assert world.said("PlatformReady") == ("False", f"{server}{reason}")
    assert world.said("Ready") == ("False", f"{server}{reason}")
    assert said in world.condition("Ready")["message"]


def test_an_unreachable_server_is_named_even_if_its_pods_can_not_be_listed(world, monkeypatch):
    def fail(*_):
        raise OSError("no route to host")

    def refuse(*_):
        raise ServerError("Connect", "connection refused")

    world.fail_task()
    monkeypatch.setattr("tests.unit.operator.doubles.Platform.restart_connector", refuse)
    monkeypatch.setattr("tests.unit.operator.doubles.Api.pods", fail)
    world.reconcile()
    assert world.said("PlatformReady") == ("False", "ConnectUnreachable")


def test_a_server_that_stops_answering_during_a_pass_is_named_with_those_that_never_answered(world, monkeypatch):
    def refuse(*_):
        raise ServerError("PostgreSQL", "connection refused")

    world.unreachable = {"Kafka": "no brokers"}
    monkeypatch.setattr("tests.unit.operator.doubles.Platform.history", refuse)
    world.reconcile()
    assert world.said("PlatformReady") == ("False", "KafkaUnreachable")
    assert world.condition("PlatformReady")["message"] == "Kafka: no brokers; PostgreSQL: connection refused"


def test_a_consumer_that_can_not_write_is_named_with_its_reason(world):
    world.obstacles["majors-consumer-0"] = STALLED
    world.reconcile()
    assert world.said("ConsumersReady") == ("False", "NotWriting")
    assert world.said("Ready") == ("False", "NotWriting")
    assert f"majors-consumer-0: {STALLED}" in world.condition("Ready")["message"]
    assert "NotWriting" in [reason for kind, reason, _ in world.events if kind == "Warning"]
    world.obstacles = {}
    world.run()
    assert world.said("Ready") == ("True", "Capturing")


def test_consumers_are_checked_between_passes_and_a_change_triggers_a_pass(world, monkeypatch):
    monkeypatch.setattr(kopf, "event", lambda *_, **__: None)
    handled = Handlers(world.operator, Progress(), kopf.OperatorRegistry())

    def ask():
        handled.check_consumers(name="majors", body=kopf.Body(world.feed()))

    before = world.steps
    ask()
    assert world.steps - before <= 3, "pods listed and asked, nothing else"
    world.obstacles["majors-consumer-0"] = STALLED
    ask()
    assert world.said("ConsumersReady") == ("False", "NotWriting")
    before = world.steps
    ask()
    assert world.steps - before <= 3, "the condition already reports it"
    world.obstacles = {}
    ask()
    assert world.said("ConsumersReady") == ("True", "Running")


def test_checking_consumers_tolerates_an_unreachable_api_server(world, monkeypatch):
    handled = Handlers(world.operator, Progress(), kopf.OperatorRegistry())

    def fail(*_):
        raise OSError("no route to host")

    monkeypatch.setattr("tests.unit.operator.doubles.Api.pods", fail)
    handled.check_consumers(name="majors", body=kopf.Body(world.feed()))


@pytest.mark.parametrize(("status", "said"), [(503, STALLED), (200, None), (404, None)])
def test_the_obstacle_of_a_program_is_read_from_readyz(monkeypatch, status, said):
    class Program(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/readyz" else 500)
            self.end_headers()
            self.wfile.write(f"{STALLED}\n".encode())

        def log_message(self, *_):
            pass

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = HTTPServer(("127.0.0.1", 0), Program)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert ExchangeAndVerifier(SETTINGS).obstacle("127.0.0.1", server.server_port) == said
    finally:
        server.shutdown()
        server.server_close()
    assert ExchangeAndVerifier(SETTINGS).obstacle("127.0.0.1", server.server_port) is None, "nothing responds"
