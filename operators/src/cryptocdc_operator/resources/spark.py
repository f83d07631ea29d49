"""Spark as a feed's sink engine: the driver, its executors, its checkpoint, and the SparkApplication. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.resources.labels import EXECUTOR, SPARK, Owner, labels
from cryptocdc_operator.resources.programs import (
    BLOCKS_PORT,
    DRIVER_PORT,
    FEED,
    METRICS_PORT,
    TRUST_STORE,
    Program,
    checkpoint_claim,
)
from cryptocdc_operator.resources.workloads import READ, digest, pod
from cryptocdc_operator.settings import Object, OperatorSettings

DEFAULTS, TEMPLATE = "spark-defaults.conf", "executor.json"
VERSIONS = {"sparkVersion": "3.5.7", "scalaVersion": "2.12", "jdkVersion": "17"}
"""What the image contains."""
MAIN = "local:///opt/cryptocdc/spark.py"
"""The program in the image, for spark-submit, which accepts only a file."""
RETRY_MS = 10_000
MOST_RESTARTS = 2**31 - 1


def executor(driver: Program) -> Program:
    """Return what an executor's pod has in common with a program's: the driver's image, secrets and servers."""
    return replace(
        driver,
        component=EXECUTOR,
        environment={name: value for name, value in driver.environment.items() if name == TRUST_STORE},
        # Without Kubernetes' API, which may have any address.
        reaches=tuple((host, port) for host, port in driver.reaches if host),
        ports={"blocks": BLOCKS_PORT},
        account=None,
        mounts={},
    )


def executor_template(driver: Program, feed: CryptoFeed, settings: OperatorSettings) -> Object:
    """Return the pod template to which Spark adds the command, its environment, resources and volumes of its own."""
    spec = pod(executor(driver), feed, settings)
    (container,) = spec["containers"]
    # What makes the trust store; the rest is the driver's, which sends what executors need.
    container["env"] = [it for it in container["env"] if it["name"] in (TRUST_STORE, "CRYPTOCDC_CASSANDRA_CA_FILE")]
    for absent in ("ports", "resources", "startupProbe", "readinessProbe", "livenessProbe"):
        del container[absent]
    # Spark downloads into its working directory.
    container["workingDir"] = "/tmp"  # noqa: S108 - the container's own
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": labels(feed.name, EXECUTOR)},
        "spec": spec,
    }


def configuration(plan: Plan, settings: OperatorSettings) -> dict[str, str]:
    """Return Spark's properties that depend on the cluster. Executors need no ConfigMap and no claims of their own, so
    that the driver may do with a Role for pods alone."""
    made = {"spark.driver.memory": settings.spark_memory, "spark.ui.enabled": "false"}
    if settings.spark_mode == "local":
        return made
    return made | {
        "spark.blockManager.port": str(BLOCKS_PORT),
        "spark.executor.cores": "1",
        "spark.executor.instances": str(plan.feed.spec.scaling.consumers),
        "spark.executor.memory": settings.spark_memory,
        "spark.kubernetes.container.image": settings.spark_image or "",
        "spark.kubernetes.container.image.pullPolicy": settings.image_pull_policy,
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
        "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
        "spark.kubernetes.driver.service.deleteOnTermination": "false",
        "spark.kubernetes.executor.disableConfigMap": "true",
        "spark.kubernetes.executor.request.cores": settings.spark_executor_cpu,
        "spark.kubernetes.namespace": settings.namespace,
    }


def files(driver: Program, plan: Plan, settings: OperatorSettings) -> Mapping[str, str]:
    """Return the files that a driver of a Deployment reads beside the feed: Spark's properties, executors' template. A
    SparkApplication has both in its spec."""
    if settings.spark_mode == "operator":
        return {}
    made = configuration(plan, settings)
    if settings.spark_mode == "local":
        return {DEFAULTS: _properties(made)}
    made |= {
        "spark.driver.bindAddress": "0.0.0.0",  # noqa: S104 - within its pod, behind a network policy
        "spark.driver.host": f"{plan.feed.name}-{SPARK}.{settings.namespace}.svc",
        "spark.driver.port": str(DRIVER_PORT),
        "spark.kubernetes.executor.podTemplateFile": f"{FEED}/{TEMPLATE}",
    }
    template = executor_template(driver, plan.feed, settings)
    return {DEFAULTS: _properties(made), TEMPLATE: json.dumps(template, indent=1, sort_keys=True)}


def _properties(made: Mapping[str, str]) -> str:
    return "".join(f"{name} {value}\n" for name, value in sorted(made.items()))


def claim(feed: CryptoFeed, settings: OperatorSettings, owner: Owner) -> Object:
    """Return the claim of the checkpoint's volume. It goes with the engine: the offsets are the group's as well."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": checkpoint_claim(feed), "labels": labels(feed.name, SPARK), "ownerReferences": [owner.reference],
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": settings.spark_checkpoint_size}},
            **({"storageClassName": settings.spark_storage_class} if settings.spark_storage_class else {}),
        },
    }  # fmt: skip


def application(driver: Program, plan: Plan, settings: OperatorSettings, owner: Owner) -> Object:
    """Return the SparkApplication of Apache's operator, which runs the driver as the Deployment would. Its annotation
    has a digest: the operator ignores changes to a running application, so another one replaces it."""
    feed = plan.feed
    spec = pod(driver, feed, settings)
    (container,) = spec["containers"]
    # Spark sets its ports, and the resources from the properties; its operator restarts the pod.
    del container["resources"]
    container["ports"] = [{"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}]
    cpu = settings.spark_resources.get("requests", {}).get("cpu", settings.spark_executor_cpu)
    wanted: Object = {
        "pyFiles": MAIN,
        "sparkConf": configuration(plan, settings)
        | {
            "spark.driver.cores": "1",
            "spark.driver.blockManager.port": str(BLOCKS_PORT),
            "spark.driver.port": str(DRIVER_PORT),
            "spark.kubernetes.authenticate.driver.serviceAccountName": settings.spark_account,
            "spark.kubernetes.driver.request.cores": cpu,
            "spark.kubernetes.driver.podTemplateContainerName": driver.component,
        },
        "driverSpec": {"podTemplateSpec": {"metadata": {"labels": labels(feed.name, SPARK)}, "spec": spec}},
        "executorSpec": {
            "podTemplateSpec": {
                key: value
                for key, value in executor_template(driver, feed, settings).items()
                if key in ("metadata", "spec")
            }
        },
        "applicationTolerations": {
            "resourceRetainPolicy": "Never",
            "restartConfig": {
                "restartPolicy": "Always", "maxRestartAttempts": MOST_RESTARTS, "restartBackoffMillis": RETRY_MS,
            },
        },
        "runtimeVersions": VERSIONS,
    }  # fmt: skip
    return {
        "apiVersion": "spark.apache.org/v1",
        "kind": "SparkApplication",
        "metadata": {
            "name": f"{feed.name}-{SPARK}",
            "labels": labels(feed.name),
            "annotations": {READ: digest([driver.inputs, wanted])},
            "ownerReferences": [owner.reference],
        },
        "spec": wanted,
    }
