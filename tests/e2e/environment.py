"""Everything that a feed needs, set up as a user would: images, operators or their stand-ins, platform, chart.

`python -m tests.e2e.environment up` is `make kind-up`; `down` is `make kind-down`; `images` builds only what `up`
needs. Whatever exists already is kept.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from cryptocdc_core.program.backoff import retry
from tests.e2e import docker
from tests.e2e.cluster import Cluster, CommandError, run, shown, wait_for
from tests.e2e.docker import images_can_be_pulled

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ALLOWED = re.compile(r"kind-.+")
"""Prefix of the contexts that tests may touch: kind clusters, which contain nothing of value."""
NAME = os.environ.get("CRYPTOCDC_E2E_CLUSTER", "cryptocdc")
WORKERS = int(os.environ.get("CRYPTOCDC_E2E_WORKERS", "0"))
"""Number of worker nodes of a new cluster."""
SPEED = os.environ.get("CRYPTOCDC_E2E_SPEED", "4")
"""How many times faster than the real operators the stand-ins reconcile and delete topics."""
NAMESPACE = "cryptocdc"
SHARED = Path(os.environ.get("CRYPTOCDC_SHARED", ROOT.parent / "shared"))
"""Optional resources outside the project: a kind cluster built from package registries, and the operators' CRDs."""
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
"""The CRDs that the stand-ins implement."""
BASE, BUILD = "cryptocdc/base:bookworm", "cryptocdc/build:bookworm"
LOCAL_BUILD = "--network host --quiet --force-rm"
PROGRAMS = (
    "operator",
    "producer",
    "consumer",
    "verifier",
    "simulator",
    "api",
    "alerter",
    "analyzer",
    "history",
    "exporter",
)
CHARTED = ("operator", "verifier", "simulator")
"""Programs that the chart runs; the operator creates the pods of the others."""
CHART = ROOT / "charts"
CACHE = Path(os.environ.get("CACHE", "/tmp/kind-cache"))
"""Where `KIND` puts the programs that it builds, for machines without them."""
TOOLS = ("kind", "kubectl", "helm")
os.environ["PATH"] += f":{CACHE / 'bin'}"
BUILD_LIMIT_S, NODE_IMAGE_LIMIT_S = 1800, 3600
"""With empty caches, on two busy cores."""
READY_LIMIT_S = 540


def version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "core/pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def timed(what: str, step: Callable[[], object]) -> None:
    begun = time.monotonic()
    step()
    print(f"{what}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


@cache
def lacking() -> str | None:
    """Return what is missing for this environment, or None. Starts docker to find out."""
    local = KIND.is_dir() and CRDS.is_dir()
    if not docker.answers():
        if not local:
            return f"docker does not answer, and {KIND} is not there to start one"
        try:
            docker.start(KIND / "setup-docker.sh")
        except CommandError as error:
            return f"docker can't be started: {error}"
    if local and not images_can_be_pulled():
        return None
    if not images_can_be_pulled():
        return f"no images can be pulled, and {SHARED} holds no kind cluster and CRDs to do without"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def chosen() -> Cluster:
    """Return KUBECONFIG's cluster if set, otherwise the kind cluster with our name. Raises CommandError for any
    other."""
    context = f"kind-{NAME}"
    if os.environ.get("KUBECONFIG"):
        context = run(["kubectl", "config", "current-context"]).strip()
    if not ALLOWED.fullmatch(context):
        raise CommandError(f"the context of KUBECONFIG is {context!r}; tests touch {ALLOWED.pattern} only")
    return Cluster(context, NAMESPACE)


def there() -> bool:
    """Return whether a cluster with our name, or a part of one, exists."""
    return shutil.which("kind") is not None and NAME in run(["kind", "get", "clusters"]).split()


def make_cluster() -> None:
    """Keep an existing cluster; recreate one that does not start, as a killed run may leave it."""
    was_there = there()
    try:
        _make_cluster()
    except CommandError as error:
        if not was_there:
            raise
        print(f"{NAME} does not start and is recreated: {error}", file=sys.stderr, flush=True)
        down()
        _make_cluster()


def _make_cluster() -> None:
    if not images_can_be_pulled():
        shown([str(KIND / "create-cluster.sh"), NAME, str(WORKERS)], NODE_IMAGE_LIMIT_S)
    elif not there():
        nodes = [{"role": "control-plane"}, *({"role": "worker"} for _ in range(WORKERS))]
        config = json.dumps({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes})
        run(["kind", "create", "cluster", "--name", NAME, "--config", "-"], given=config)


def build_images() -> None:
    """Build all programs' images; if none can be pulled, also the bases and the stand-ins'. Docker's cache skips
    whatever has not changed."""
    build_bases()
    if not images_can_be_pulled():
        stand_ins = ["--file", str(HERE / "stand_ins" / "Dockerfile"), "--tag", f"cryptocdc/stand-ins:{version()}"]
        bases = ["--build-arg", f"BASE_IMAGE={BASE}", "--build-arg", f"BUILD_IMAGE={BUILD}"]
        run(["docker", "build", *LOCAL_BUILD.split(), *stand_ins, *bases, str(ROOT)], limit_s=BUILD_LIMIT_S)
    for name in (*PROGRAMS, "connect"):
        build_image(name)


def add_image(cluster: Cluster, name: str) -> None:
    """Build and load the image of a program that few scenarios need, so that the others do not wait for it."""
    timed(f"image {name}", lambda: build_image(name))
    _load(cluster, [name])


def add_s3_image(cluster: Cluster) -> str:
    """Build and load the image of an S3 server; return its name."""
    name = "s3"
    bases = (
        [] if images_can_be_pulled() else ["--build-arg", f"BASE_IMAGE={BASE}", "--build-arg", f"BUILD_IMAGE={BUILD}"]
    )
    network = [] if images_can_be_pulled() else LOCAL_BUILD.split()
    tag = f"cryptocdc/{name}:{version()}"
    file = ["--file", str(HERE / "stand_ins" / "s3.Dockerfile"), "--tag", tag]
    timed(f"image {name}", lambda: run(["docker", "build", *network, *file, *bases, str(ROOT)], limit_s=BUILD_LIMIT_S))
    _load(cluster, [name])
    return tag


def build_all_in_one() -> None:
    """Build the all-in-one image, which needs no cluster."""
    build_bases()
    build_image("all-in-one")


def build_bases() -> None:
    """Build the base images if none can be pulled."""
    if not images_can_be_pulled():
        shown([str(ROOT / "images" / "base.sh")], BUILD_LIMIT_S)


def build_image(name: str) -> None:
    arguments = []
    if not images_can_be_pulled():
        arguments = [f"BASE_IMAGE={BASE}", f"BUILD_IMAGE={BUILD}", f"BUILD_FLAGS={LOCAL_BUILD}"]
        arguments.append(f"CONNECT_BASE_IMAGE=cryptocdc/stand-ins:{version()}")
    run(["make", "-C", str(ROOT), f"image-{name}", *arguments], limit_s=BUILD_LIMIT_S)


def build_node_image() -> None:
    if not images_can_be_pulled():
        shown([str(KIND / "build-node-image.sh")], NODE_IMAGE_LIMIT_S)


def load_images(cluster: Cluster) -> None:
    """Load the images into the nodes on which programs may run."""
    _load(cluster, [*PROGRAMS, "connect", *([] if images_can_be_pulled() else ["stand-ins"])])


def _load(cluster: Cluster, names: Sequence[str]) -> None:
    images = [f"cryptocdc/{name}:{version()}" for name in names]
    into = ["--name", cluster.context.removeprefix("kind-"), "--nodes", ",".join(cluster.workers())]
    run(["kind", "load", "docker-image", *images, *into], limit_s=BUILD_LIMIT_S)


def install_operators(cluster: Cluster) -> None:
    """Install the published operators if images can be pulled, otherwise their CRDs and our stand-ins."""
    if images_can_be_pulled():
        run(["make", "-C", str(ROOT), "operators"], limit_s=1800)
        return
    for name in STOOD_IN:
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS / name))
    manifest = (HERE / "stand_ins" / "manifest.yaml").read_text(encoding="utf-8")
    for name, value in (("VERSION", version()), ("SPEED_FACTOR", SPEED)):
        manifest = manifest.replace(name, value)
    own = Cluster(cluster.context, "stand-ins")
    own.kubectl("apply", "-f", "-", given=manifest)
    own.kubectl("rollout", "restart", "deployment/stand-ins")
    own.kubectl("rollout", "status", "deployment/stand-ins", "--timeout=120s")


def make_namespace(cluster: Cluster) -> None:
    made = cluster.kubectl("create", "namespace", cluster.namespace, "--dry-run=client", "-o", "yaml")
    cluster.kubectl("apply", "-f", "-", given=made)


def install_platform(cluster: Cluster) -> None:
    make_namespace(cluster)
    cluster.kubectl("apply", "-k", str(ROOT / "manifests/overlays/kind"))


def install_chart(cluster: Cluster, chart: Path = CHART, values: Sequence[str] = ()) -> None:
    """Install the chart. Pods are annotated with their image's id, so that a rebuilt image with the same tag replaces
    them. `values`: further arguments of `--set`."""
    arguments = ["--values", str(CHART / "ci/kind-values.yaml")]
    images = [f"{name}.podAnnotations.image={docker.image_id(f'cryptocdc/{name}:{version()}')}" for name in CHARTED]
    for value in (*images, *values):
        arguments += ["--set", value]
    cluster.helm("upgrade", "--install", "cryptocdc", str(chart), *arguments)


def wait_for_strimzis_role(cluster: Cluster) -> None:
    """Wait for the Role that Strimzi creates for each KafkaConnect, next to which the chart is installed."""
    wait_for("Strimzi has created its Role", lambda: cluster.get("role", "cryptocdc-connect"), READY_LIMIT_S)


def wait_for_platform(cluster: Cluster) -> None:
    ready = ["wait", f"--timeout={READY_LIMIT_S}s", "--for=condition=Ready"]
    for what in ("kafka/cryptocdc", "kafkaconnect/cryptocdc", "cluster.postgresql.cnpg.io/cryptocdc-postgres"):
        cluster.kubectl(*ready, what, limit_s=READY_LIMIT_S + 60)
    state = "jsonpath={.status.datacenters.dc1.cassandra.cassandraOperatorProgress}=Ready"
    wait = ["wait", f"--timeout={READY_LIMIT_S}s", f"--for={state}", "k8ssandracluster/cryptocdc"]
    cluster.kubectl(*wait, limit_s=READY_LIMIT_S + 60)


def prepare() -> Cluster:
    """Return a cluster with the images loaded. Raises CommandError if it can't be created."""
    if missing := lacking():
        raise CommandError(missing)
    timed("images", build_images)
    if not os.environ.get("KUBECONFIG"):
        timed("cluster", make_cluster)
    cluster = chosen()
    timed("images loaded", lambda: load_images(cluster))
    return cluster


def install(cluster: Cluster) -> None:
    """Install everything except a feed, in the README's order. Raises CommandError."""
    timed("operators", lambda: install_operators(cluster))
    timed("platform applied", lambda: install_platform(cluster))
    timed("Strimzi's Role", lambda: wait_for_strimzis_role(cluster))
    timed("chart", lambda: install_chart(cluster))
    timed("platform ready", lambda: wait_for_platform(cluster))
    for name in CHARTED:
        cluster.kubectl("rollout", "status", f"deployment/cryptocdc-{name}", f"--timeout={READY_LIMIT_S}s")


def up() -> None:
    install(prepare())


def images() -> None:
    """Prepare what takes long and is the same for each cluster. If that is impossible, print why, without failing."""
    if missing := lacking():
        print(missing)
        return
    timed("images", build_images)
    timed("all-in-one image", build_all_in_one)
    timed("node image", build_node_image)


def down() -> None:
    # On a busy machine the engine may give up on killing a node after ten seconds.
    if docker.answers() and there():
        retry(lambda: run(["kind", "delete", "cluster", "--name", NAME]), CommandError, limit_s=60, pause_s=5)


if __name__ == "__main__":
    try:
        {"up": up, "down": down, "images": images}[sys.argv[1]]()
    except CommandError as failure:
        sys.exit(str(failure))
