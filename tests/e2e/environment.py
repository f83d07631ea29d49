"""Everything that a feed needs, set up as a user would: images, operators or their stand-ins, platform, chart.

`python -m tests.e2e.environment up` is `make kind-up`; `down` is `make kind-down`. What is there already is kept.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.e2e.cluster import Cluster, CommandError, run

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ALLOWED = re.compile(r"kind-.+")
"""Contexts that tests may touch: clusters of kind, which hold nothing of anybody's."""
NAME = "cryptocdc"
NAMESPACE = "cryptocdc"
SHARED = Path(os.environ.get("CRYPTOCDC_SHARED", ROOT.parent / "shared"))
"""What development has beside the project: a kind cluster made of package registries, and the operators' own CRDs."""
KIND, CRDS = SHARED / "kind", SHARED / "crds"
STOOD_IN = (
    "strimzi-1.2.0/kafka.yaml",
    "strimzi-1.2.0/kafkaconnect.yaml",
    "strimzi-1.2.0/kafkaconnector.yaml",
    "strimzi-1.2.0/kafkanodepool.yaml",
    "strimzi-1.2.0/kafkatopic.yaml",
    "strimzi-1.2.0/kafkauser.yaml",
    "cloudnative-pg-1.30.0/postgresql.cnpg.io_clusters.yaml",
    "cloudnative-pg-1.30.0/postgresql.cnpg.io_databaseroles.yaml",
    "k8ssandra-operator-1.32.5/k8ssandra.io_k8ssandraclusters.yaml",
    "prometheus-operator/monitoring.coreos.com_podmonitors.yaml",
    "prometheus-operator/monitoring.coreos.com_prometheusrules.yaml",
)
"""The CRDs that the stand-ins answer for."""
PYTHON_IMAGE = "python:3.11-slim-bookworm"
BASE, BUILD = "cryptocdc/base:bookworm", "cryptocdc/build:bookworm"
LOCAL_BUILD = "--network host --quiet --force-rm"
PROGRAMS = ("operator", "producer", "consumer", "verifier", "simulator", "api")
CACHE = Path(os.environ.get("CACHE", "/tmp/kind-cache"))
"""Where `KIND` puts the programs that it builds, for machines that have none."""
os.environ["PATH"] += f":{CACHE / 'bin'}"


def version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "core/pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def timed(what: str, step: Callable[[], object]) -> None:
    begun = time.monotonic()
    step()
    print(f"{what}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


def docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def lacking() -> str | None:
    """What is missing for any of this to be set up, or None."""
    if KIND.is_dir() and CRDS.is_dir():
        return None
    if docker_runs() and images_can_be_pulled():
        return None
    return f"no images can be pulled, and {SHARED} holds no kind cluster and CRDs to do without"


def start_docker() -> None:
    """Where there is none, as in a bare container: Debian's, with what such a machine needs beside. As root."""
    if not docker_runs():
        subprocess.run([KIND / "setup-docker.sh"], check=True, stdout=sys.stderr)


@cache
def images_can_be_pulled() -> bool:
    return subprocess.run(["docker", "pull", "--quiet", PYTHON_IMAGE], capture_output=True, check=False).returncode == 0


def chosen() -> Cluster:
    """The cluster of KUBECONFIG when that is set, else kind's own of our name. Raises CommandError on a strange one."""
    context = f"kind-{NAME}"
    if os.environ.get("KUBECONFIG"):
        context = run(["kubectl", "config", "current-context"]).strip()
    if not ALLOWED.fullmatch(context):
        raise CommandError(f"the context of KUBECONFIG is {context!r}; tests touch {ALLOWED.pattern} only")
    return Cluster(context, NAMESPACE)


def there() -> bool:
    """Whether there is a cluster of our name."""
    if shutil.which("kind") is None:
        return False
    return (
        NAME in subprocess.run(["kind", "get", "clusters"], capture_output=True, text=True, check=False).stdout.split()
    )


def make_cluster() -> None:
    if images_can_be_pulled():
        if not there():
            run(["kind", "create", "cluster", "--name", NAME])
    else:
        subprocess.run([KIND / "create-cluster.sh", NAME], check=True, stdout=sys.stderr)


def build_images() -> None:
    """All programs', and where none can be pulled the bases and the stand-ins'."""
    arguments = []
    if not images_can_be_pulled():
        subprocess.run([ROOT / "images" / "base.sh"], check=True)
        stand_ins = ["--file", str(HERE / "stand_ins" / "Dockerfile"), "--tag", f"cryptocdc/stand-ins:{version()}"]
        bases = ["--build-arg", f"BASE_IMAGE={BASE}", "--build-arg", f"BUILD_IMAGE={BUILD}"]
        run(["docker", "build", *LOCAL_BUILD.split(), *stand_ins, *bases, str(ROOT)], limit_s=1200)
        arguments = [f"BASE_IMAGE={BASE}", f"BUILD_IMAGE={BUILD}", f"BUILD_FLAGS={LOCAL_BUILD}"]
        arguments.append(f"CONNECT_BASE_IMAGE=cryptocdc/stand-ins:{version()}")
    for name in (*PROGRAMS, "connect"):
        run(["make", "-C", str(ROOT), f"image-{name}", *arguments], limit_s=1200)


def load_images(cluster: Cluster) -> None:
    names = [*PROGRAMS, "connect", *([] if images_can_be_pulled() else ["stand-ins"])]
    images = [f"cryptocdc/{name}:{version()}" for name in names]
    run(["kind", "load", "docker-image", *images, "--name", cluster.context.removeprefix("kind-")])


def install_operators(cluster: Cluster) -> None:
    """The published ones where images can be pulled, else their CRDs and our stand-ins."""
    if images_can_be_pulled():
        run(["make", "-C", str(ROOT), "operators"], limit_s=1800)
        return
    for name in STOOD_IN:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS / name))
    manifest = (HERE / "stand_ins" / "manifest.yaml").read_text(encoding="utf-8").replace("VERSION", version())
    own = Cluster(cluster.context, "stand-ins")
    own.kubectl("apply", "-f", "-", given=manifest)
    own.kubectl("rollout", "restart", "deployment/stand-ins")
    own.kubectl("rollout", "status", "deployment/stand-ins", "--timeout=120s")


def install_platform(cluster: Cluster) -> None:
    made = cluster.kubectl("create", "namespace", cluster.namespace, "--dry-run=client", "-o", "yaml")
    cluster.kubectl("apply", "-f", "-", given=made)
    cluster.kubectl("apply", "-k", str(ROOT / "manifests/overlays/kind"))


def install_chart(cluster: Cluster) -> None:
    """The pods bear their image's id, so that one built anew under the same tag replaces them."""
    arguments = ["--values", str(ROOT / "charts/ci/kind-values.yaml")]
    for name in ("operator", "verifier", "simulator"):
        identity = run(["docker", "image", "inspect", "--format", "{{.Id}}", f"cryptocdc/{name}:{version()}"]).strip()
        arguments += ["--set", f"{name}.podAnnotations.image={identity}"]
    cluster.helm("upgrade", "--install", "cryptocdc", str(ROOT / "charts"), *arguments)


def wait_for_platform(cluster: Cluster) -> None:
    ready = ["wait", "--timeout=300s", "--for=condition=Ready"]
    for what in ("kafka/cryptocdc", "kafkaconnect/cryptocdc", "cluster.postgresql.cnpg.io/cryptocdc-postgres"):
        cluster.kubectl(*ready, what)
    state = "jsonpath={.status.datacenters.dc1.cassandra.cassandraOperatorProgress}=Ready"
    cluster.kubectl("wait", "--timeout=300s", f"--for={state}", "k8ssandracluster/cryptocdc")
    cluster.kubectl("rollout", "status", "deployment/cryptocdc-operator", "--timeout=180s")


def up() -> Cluster:
    """Everything but a feed. Raises CommandError when there is nothing to make a cluster of."""
    if missing := lacking():
        raise CommandError(missing)
    start_docker()
    timed("images", build_images)
    if not os.environ.get("KUBECONFIG"):
        timed("cluster", make_cluster)
    cluster = chosen()
    timed("images loaded", lambda: load_images(cluster))
    timed("operators", lambda: install_operators(cluster))
    timed("platform applied", lambda: install_platform(cluster))
    timed("chart", lambda: install_chart(cluster))
    timed("all ready", lambda: wait_for_platform(cluster))
    return cluster


def down() -> None:
    run(["kind", "delete", "cluster", "--name", NAME])


if __name__ == "__main__":
    try:
        {"up": up, "down": down}[sys.argv[1]]()
    except (CommandError, subprocess.CalledProcessError) as failure:
        sys.exit(str(failure))
