"""Secrets as Strimzi, CloudNativePG and cert-manager write them: some of their keys are not text."""

from base64 import b64encode
from unittest.mock import ANY

import pytest
from tests.unit.operator.world import SETTINGS, World

from cryptocdc_operator.cluster.kubernetes_api import KubernetesCluster
from cryptocdc_operator.cluster.secret_data import SecretData, SecretUnusable

BINARY = b"0\x82\x04\xe3\xff"
CA = "cryptocdc-cluster-ca-cert"


def encoded(**keys):
    return {name.replace("_", "."): b64encode(value).decode() for name, value in keys.items()}


def test_unused_binary_keys_of_a_secret_are_ignored(monkeypatch):
    stored = {"metadata": {"name": CA}, "data": encoded(ca_crt=b"PEM", ca_p12=BINARY)}
    monkeypatch.setattr(KubernetesCluster, "__init__", lambda *_: None)
    monkeypatch.setattr(KubernetesCluster, "find", lambda *_: stored)
    secret = KubernetesCluster(ANY, "cdc").secret(CA)
    assert secret is not None
    assert secret["ca.crt"] == "PEM"


@pytest.mark.parametrize("content", [{}, {"data": None}])
def test_a_secret_without_data_lacks_every_key(monkeypatch, content):
    monkeypatch.setattr(KubernetesCluster, "__init__", lambda *_: None)
    monkeypatch.setattr(KubernetesCluster, "find", lambda *_: content)
    secret = KubernetesCluster(ANY, "cdc").secret(CA)
    assert secret is not None
    with pytest.raises(SecretUnusable, match=f"^secret {CA} lacks the key ca.crt; its keys: none$"):
        secret["ca.crt"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encoded(username=b"u", ca_p12=BINARY), "secret s lacks the key password; its keys: ca.p12, username"),
        (encoded(password=BINARY), "secret s: the key password is not UTF-8 text"),
        ({"password": "no base64!"}, "secret s: the key password is not UTF-8 text"),
    ],
)
def test_an_unusable_key_is_named_with_its_secret(data, said):
    with pytest.raises(SecretUnusable) as raised:
        SecretData("s", data)["password"]
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"username": b"u"}, "lacks the key password"),
        ({"username": b"u", "password": BINARY}, "password is not UTF-8 text"),
    ],
)
def test_a_feed_reports_which_secret_is_unusable(content, said):
    world = World()
    world.secrets[SETTINGS.postgres_secret] = content
    assert world.reconcile().retry_after_s == 15
    assert world.said("PlatformReady") == ("False", "SecretUnusable")
    assert f"secret {SETTINGS.postgres_secret}" in world.condition("Ready")["message"]
    assert said in world.condition("Ready")["message"]
    assert "SecretUnusable" in [reason for _, reason, _ in world.events]


def test_a_deletion_reports_which_secret_is_unusable():
    world = World()
    world.run()
    content = world.secrets[SETTINGS.replication_secret]
    world.secrets[SETTINGS.replication_secret] = {"username": b"u"}
    assert not world.delete()
    assert "lacks the key password" in world.condition("Ready")["message"]
    assert [reason for _, reason, _ in world.events].count("DeletionWaits") == 1, "the event is not repeated"
    world.secrets[SETTINGS.replication_secret] = content
    assert world.delete()
