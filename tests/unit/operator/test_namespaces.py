"""A namespace with a feed can be deleted, although the pods that would remove finalizers are deleted first."""

from unittest.mock import ANY

import kopf
import pytest
from kubernetes.client import ApiException
from kubernetes.dynamic.exceptions import ForbiddenError
from tests.unit.operator.doubles import Api
from tests.unit.operator.world import SETTINGS, World

from cryptocdc_operator.cluster.kubernetes_api import KubernetesCluster
from cryptocdc_operator.cluster.namespaces import release_all
from cryptocdc_operator.handlers import Handlers
from cryptocdc_operator.reconcile.stall_watchdog import Progress

TOPICS = "strimzi.io/topic-operator"


@pytest.fixture
def world():
    made = World(streams={"klines": {}})
    made.run()
    made.feed()["metadata"]["finalizers"] = ["cryptocdc.io/finalizer"]
    for (kind, _), found in made.objects.items():
        if kind == "KafkaTopic":
            found["metadata"]["finalizers"] = [TOPICS]
    made.make_feed("others", streams={"klines": {}})
    made.feed("others")["metadata"]["finalizers"] = ["example.com/mine", "cryptocdc.io/finalizer"]
    return made


def finalizers(world, kind):
    return [found["metadata"].get("finalizers") for (what, _), found in sorted(world.objects.items()) if what == kind]


class Clock:
    """The topic operator's pod ends after `seconds`."""

    def __init__(self, world, seconds):
        self.now, self.world, self.seconds = 0.0, world, seconds
        labels = {"strimzi.io/cluster": "cryptocdc", "strimzi.io/name": "cryptocdc-entity-operator"}
        world.objects["Pod", "entity"] = {"metadata": {"name": "entity", "labels": labels}}

    def sleep(self, seconds):
        self.now += seconds
        if self.now >= self.seconds:
            self.world.objects.pop(("Pod", "entity"), None)
        else:
            assert finalizers(self.world, "KafkaTopic")[0] == [TOPICS], "it would put them back"


@pytest.mark.parametrize("ends_after", [3, 10_000])
def test_an_operator_that_ends_with_its_namespace_removes_the_finalizers(world, ends_after):
    world.namespace_ends = True
    clock = Clock(world, ends_after)
    release_all(Api(world), SETTINGS, lambda: clock.now, clock.sleep)
    assert finalizers(world, "CryptoFeed") == [None, ["example.com/mine"]]
    assert set(map(str, finalizers(world, "KafkaTopic"))) == {"None"}
    assert clock.now <= 21, "before it is killed"


def test_an_operator_that_only_restarts_keeps_the_finalizers(world):
    Handlers(world.operator, Progress(), kopf.OperatorRegistry()).ended()
    assert finalizers(world, "CryptoFeed") == [
        ["cryptocdc.io/finalizer"],
        ["example.com/mine", "cryptocdc.io/finalizer"],
    ]
    assert finalizers(world, "KafkaTopic")[0] == [TOPICS]


def test_an_unreachable_api_server_does_not_prevent_the_operator_from_stopping(world, monkeypatch, caplog):
    def fail(*_):
        raise OSError("no route to host")

    monkeypatch.setattr(Api, "namespace_ends", fail)
    Handlers(world.operator, Progress(), kopf.OperatorRegistry()).ended()
    assert "no route to host" in caplog.text


def test_a_feed_deleted_with_its_namespace_waits_for_nothing(world):
    world.namespace_ends = True
    world.secrets, world.unreachable = {}, {"PostgreSQL": "gone", "Connect": "gone"}
    assert world.delete(passes=1)


@pytest.mark.parametrize(
    ("metadata", "ends"), [({}, False), ({"deletionTimestamp": "2026-11-28T06:00:00Z"}, True), (None, False)]
)
def test_a_namespace_with_a_deletion_timestamp_is_ending(monkeypatch, metadata, ends):
    monkeypatch.setattr(KubernetesCluster, "__init__", lambda *_: None)
    cluster = KubernetesCluster(ANY, "cdc")
    cluster._namespace = "cdc"

    class Namespaces:
        def get(self, **asked):
            assert asked["name"] == "cdc"
            if metadata is None:
                raise ForbiddenError(ApiException(status=403))
            return self

        def to_dict(self):
            return {"metadata": metadata}

    monkeypatch.setattr(KubernetesCluster, "_resource", lambda *_: Namespaces())
    assert cluster.namespace_ends() is ends
