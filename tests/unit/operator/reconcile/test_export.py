"""`spec.export`: one exporter with the read-only login, the bucket's keys, and a condition of its own."""

from __future__ import annotations

from typing import Any

from tests.unit.operator.world import World

STREAMS: dict[str, Any] = {"recentTrades": {}, "klines": {}}
EXPORT = {"uri": "s3://research/majors", "endpoint": "http://minio:9000", "secretRef": "s3-keys"}


def reconciled(**spec: Any) -> World:
    world = World(streams=STREAMS, **spec)
    world.run()
    return world


def test_a_feed_without_export_has_no_exporter():
    world = reconciled()
    assert world.said("ExportReady") == ("True", "NoExport")
    assert "majors-exporter" not in world.names("Deployment")


def test_one_exporter_runs_with_the_keys_of_the_bucket():
    world = reconciled(export=EXPORT)
    assert world.said("Ready")[0] == "True"
    assert world.said("ExportReady") == ("True", "Running")
    made = world.objects["Deployment", "majors-exporter"]
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["strategy"] == {"type": "Recreate"}, "two would write the same files"
    spec = made["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "cryptocdc/exporter:1"
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment["CRYPTOCDC_EXPORTER_CREDENTIALS"] == "/var/run/secrets/export"
    assert environment["CRYPTOCDC_CASSANDRA_PASSWORD_FILE"].startswith("/var/run/secrets/cryptocdc/cryptocdc-reader/")
    assert {"secretName": "s3-keys", "defaultMode": 0o440} in [volume.get("secret") for volume in spec["volumes"]]
    egress = world.objects["NetworkPolicy", "majors-exporter"]["spec"]["egress"]
    assert any({"protocol": "TCP", "port": 9000} in rule["ports"] for rule in egress)


def test_removing_the_export_removes_the_exporter():
    world = reconciled(export=EXPORT)
    world.edit(streams=STREAMS, export=None)
    world.run()
    assert "majors-exporter" not in world.names("Deployment")
    assert world.said("ExportReady") == ("True", "NoExport")


def test_a_folder_is_refused_where_pods_have_none():
    world = reconciled(export={"uri": "/data/research"})
    assert world.said("Ready") == ("False", "FeedRefused")
    assert "accepted on Kubernetes: s3://BUCKET/PATH" in world.condition("Ready")["message"]


def test_an_unknown_stream_is_refused():
    world = reconciled(export={**EXPORT, "streams": ["bars"]})
    assert world.said("Ready") == ("False", "FeedRefused")
    assert "accepted are the feed's: recentTrades, klines" in world.condition("Ready")["message"]
