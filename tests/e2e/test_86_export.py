"""`spec.export` on a cluster: proven hours become Parquet files in a bucket of an S3 server in the cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import Cluster, wait_for
from tests.e2e.environment import add_image, add_s3_image
from tests.e2e.feeds import Feed

pytestmark = [pytest.mark.e2e_all, pytest.mark.timeout(2700)]

EXPORT_LIMIT_S = 900
"""The past is fetched, proven and exported within minutes."""
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def in_s3(cluster: Cluster, code: str) -> str:
    """Run Python with boto3 in the server's pod."""
    client = "import boto3; s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:5000', region_name='us-east-1')"
    keys = [f"{name}={value}" for name, value in KEYS.items()]
    return cluster.kubectl("exec", "deploy/s3", "--", "env", *keys, "python", "-c", f"{client}\n{code}").strip()


@pytest.fixture
def bucket(cluster: Cluster) -> Iterator[None]:
    image = add_s3_image(cluster)
    labels = {"app": "s3"}
    container = {"name": "s3", "image": image, "imagePullPolicy": "Never", "ports": [{"containerPort": 5000}]}
    cluster.apply(
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "s3"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )  # fmt: skip
    cluster.apply(
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s3"},
            "spec": {"selector": labels, "ports": [{"port": 5000}]},
        }
    )  # fmt: skip
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3-keys"}, "stringData": KEYS})
    cluster.kubectl("rollout", "status", "deployment/s3", "--timeout=300s")
    yield
    for what in ("deployment/s3", "service/s3", "secret/s3-keys"):
        cluster.kubectl("delete", what, "--ignore-not-found")


@pytest.mark.usefixtures("bucket")
def test_proven_hours_are_exported_into_a_bucket(cluster: Cluster) -> None:
    add_image(cluster, "exporter")
    feed = Feed(cluster, "exported")
    feed.apply(
        ["BTCUSDT"], streams={"klines": {"intervals": ["1m"]}}, history={"klines": "4h"}, deletionPolicy="Delete",
        export={"uri": "s3://research/exported", "endpoint": "http://s3:5000", "secretRef": "s3-keys"},
    )  # fmt: skip
    try:
        # There is no bucket yet, and the feed says so by its pod.
        feed.wait_condition("ExportReady", "False", limit_s=300)
        wait_for("the bucket", lambda: in_s3(cluster, "print(s3.create_bucket(Bucket='research'))"), 120)
        feed.wait_ready()

        def files() -> list[str]:
            listed = "for it in s3.list_objects_v2(Bucket='research').get('Contents', []): print(it['Key'])"
            return [key for key in in_s3(cluster, listed).splitlines() if key.endswith(".parquet")]

        found = wait_for("three hours' files", lambda: it if len(it := files()) >= 3 else [], EXPORT_LIMIT_S)
        assert all(key.startswith("exported/stream=klines/symbol=BTCUSDT/date=") for key in found)
        assert feed.metric("exporter", "cryptocdc_exporter_rows_total") >= 3 * 60

        feed.change({"export": None})
        wait_for("no exporter", lambda: cluster.get("deployment", "exported-exporter") is None, 120)
        feed.wait_condition("ExportReady", "True", "NoExport")
        assert len(files()) >= len(found), "the files stay"
    finally:
        feed.delete()
