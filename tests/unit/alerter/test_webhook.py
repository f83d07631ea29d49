"""The webhook: retries are bounded, and nothing waits for them."""

import threading

import pytest
import requests
from tests.unit.alerter.test_records import drop

from cryptocdc_alerter import webhook as webhooks
from cryptocdc_alerter.webhook import Webhook
from cryptocdc_core.program.backoff import Backoff
from cryptocdc_core.program.metrics import AlerterMetrics


@pytest.fixture
def metrics():
    return AlerterMetrics("test")


def outcomes(metrics):
    found = {}
    for sample in next(iter(metrics.webhooks.collect())).samples:
        if sample.name.endswith("_total"):
            found[sample.labels["outcome"]] = sample.value
    return found


class Peer:
    """Returns the answers in turn, the last one forever; raises exceptions among them."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.bodies = []

    def __call__(self, _url, body):
        self.bodies.append(body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def post(metrics, peer, records=1):
    webhook = Webhook("http://hook", metrics, peer, backoff=Backoff(0, 0))
    for _ in range(records):
        webhook.enqueue(drop())
    webhook.start()
    webhook._waiting.put(None)
    webhook._thread.join(10)
    return peer


def test_a_record_is_posted_as_it_is_in_kafka(metrics):
    peer = post(metrics, Peer(204))
    assert b'"id":"ETHUSDT/dropPercent/2.5/1h"' in peer.bodies[0]
    assert outcomes(metrics) == {"delivered": 1}


@pytest.mark.parametrize("problem", [requests.ConnectionError(), requests.Timeout(), 500, 503, 429, 408])
def test_transient_errors_are_retried(metrics, problem):
    peer = post(metrics, Peer(problem, problem, 200))
    assert len(peer.bodies) == 3
    assert outcomes(metrics) == {"delivered": 1}


def test_a_record_fails_after_five_attempts_and_the_next_one_is_posted(metrics):
    peer = post(metrics, Peer(503), records=2)
    assert len(peer.bodies) == 10
    assert outcomes(metrics) == {"failed": 2}


@pytest.mark.parametrize("answer", [301, 302, 400, 401, 404])
def test_a_refusal_or_a_redirect_is_final(metrics, answer):
    peer = post(metrics, Peer(answer))
    assert len(peer.bodies) == 1
    assert outcomes(metrics) == {"refused": 1}


def test_enqueueing_never_blocks(metrics, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_WAITING", 3)
    blocked = threading.Event()

    def slow(_url, _body):
        blocked.wait(10)
        return 200

    webhook = Webhook("http://hook", metrics, slow)
    webhook.start()
    for _ in range(10):
        webhook.enqueue(drop())
    assert outcomes(metrics)["dropped"] >= 6
    blocked.set()
    webhook.stop()
    assert outcomes(metrics)["delivered"] + outcomes(metrics)["dropped"] == 10


def test_stopping_does_not_wait_for_retry_pauses(metrics):
    webhook = Webhook("http://hook", metrics, Peer(503), backoff=Backoff(60, 60))
    webhook.start()
    webhook.enqueue(drop())
    webhook.stop()
    assert not webhook._thread.is_alive()
    assert outcomes(metrics) == {"failed": 1}
