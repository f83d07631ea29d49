"""Everything that a feed needs, set up as a user would: images, operators or their stand-ins, platform, chart.

`python -m tests.e2e.environment up` is `make kind-up`; `down` is `make kind-down`; `images` builds what `up` needs,
and no more. What is there already is kept.
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

from tests.e2e import docker
from tests.e2e.cluster import Cluster, CommandError, run, shown, wait_for
from tests.e2e.docker import images_can_be_pulled

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
ALLOWED = re.compile(r"kind-.+")
"""Contexts that tests may touch: clusters of kind, which hold nothing of anybody's."""
NAME = os.environ.get("CRYPTOCDC_E2E_CLUSTER", "cryptocdc")
WORKERS = int(os.environ.get("CRYPTOCDC_E2E_WORKERS", "0"))
"""Nodes beside the first, of a cluster that is made."""
SPEED = os.environ.get("CRYPTOCDC_E2E_SPEED", "4")
"""How many times as fast as the real operators their stand-ins reconcile, and delete topics."""
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
BASE, BUILD = "cryptocdc/base:bookworm", "cryptocdc/build:bookworm"
LOCAL_BUILD = "--network host --quiet --force-rm"
PROGRAMS = ("operator", "producer", "consumer", "verifier", "simulator", "api", "alerter")
CHARTED = ("operator", "verifier", "simulator")
"""Those that the chart runs; the others' pods the operator makes."""
CHART = ROOT / "charts"
CACHE = Path(os.environ.get("CACHE", "/tmp/kind-cache"))
"""Where `KIND` puts the programs that it builds, for machines that have none."""
TOOLS = ("kind", "kubectl", "helm")
os.environ["PATH"] += f":{CACHE / 'bin'}"
BUILD_LIMIT_S, NODE_IMAGE_LIMIT_S = 1800, 3600
"""From empty caches, on two cores that have other work."""
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
    """What is missing for any of this to be set up, or None. Docker is started to find out."""
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
    """The cluster of KUBECONFIG when that is set, else kind's own of our name. Raises CommandError on a strange one."""
    context = f"kind-{NAME}"
    if os.environ.get("KUBECONFIG"):
        context = run(["kubectl", "config", "current-context"]).strip()
    if not ALLOWED.fullmatch(context):
        raise CommandError(f"the context of KUBECONFIG is {context!r}; tests touch {ALLOWED.pattern} only")
    return Cluster(context, NAMESPACE)


def there() -> bool:
    """Whether there is a cluster of our name, or what is left of one."""
    return shutil.which("kind") is not None and NAME in run(["kind", "get", "clusters"]).split()


def make_cluster() -> None:
    """One that is there is kept. Where it does not come up, as a run that was killed may leave it, it is made anew."""
    was_there = there()
    try:
        _make_cluster()
    except CommandError as error:
        if not was_there:
            raise
        print(f"{NAME} does not come up and is made anew: {error}", file=sys.stderr, flush=True)
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
    """All programs', and where none can be pulled the bases and the stand-ins'. What docker has built before is not
    built again: it goes by the contents of what an image is made of."""
    build_bases()
    if not images_can_be_pulled():
        stand_ins = ["--file", str(HERE / "stand_ins" / "Dockerfile"), "--tag", f"cryptocdc/stand-ins:{version()}"]
        bases = ["--build-arg", f"BASE_IMAGE={BASE}", "--build-arg", f"BUILD_IMAGE={BUILD}"]
        run(["docker", "build", *LOCAL_BUILD.split(), *stand_ins, *bases, str(ROOT)], limit_s=BUILD_LIMIT_S)
    for name in (*PROGRAMS, "connect"):
        build_image(name)


def build_all_in_one() -> None:
    """The image of everything for one machine, which needs no cluster."""
    build_bases()
    build_image("all-in-one")


def build_bases() -> None:
    """What the images are built from, where none can be pulled."""
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
    """Into the nodes on which programs may run."""
    names = [*PROGRAMS, "connect", *([] if images_can_be_pulled() else ["stand-ins"])]
    images = [f"cryptocdc/{name}:{version()}" for name in names]
    into = ["--name", cluster.context.removeprefix("kind-"), "--nodes", ",".join(cluster.workers())]
    run(["kind", "load", "docker-image", *images, *into], limit_s=BUILD_LIMIT_S)


def install_operators(cluster: Cluster) -> None:
    """The published ones where images can be pulled, else their CRDs and our stand-ins."""
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
    """The pods bear their image's id, so that one built anew under the same tag replaces them. `values`: more of them,
    as `--set` takes them."""
    arguments = ["--values", str(CHART / "ci/kind-values.yaml")]
    images = [f"{name}.podAnnotations.image={docker.image_id(f'cryptocdc/{name}:{version()}')}" for name in CHARTED]
    for value in (*images, *values):
        arguments += ["--set", value]
    cluster.helm("upgrade", "--install", "cryptocdc", str(chart), *arguments)


def wait_for_strimzis_role(cluster: Cluster) -> None:
    """Strimzi makes one for each KafkaConnect: the chart is installed beside it."""
    wait_for("Strimzi has made its Role", lambda: cluster.get("role", "cryptocdc-connect"), READY_LIMIT_S)


def wait_for_platform(cluster: Cluster) -> None:
    ready = ["wait", f"--timeout={READY_LIMIT_S}s", "--for=condition=Ready"]
    for what in ("kafka/cryptocdc", "kafkaconnect/cryptocdc", "cluster.postgresql.cnpg.io/cryptocdc-postgres"):
        cluster.kubectl(*ready, what, limit_s=READY_LIMIT_S + 60)
    state = "jsonpath={.status.datacenters.dc1.cassandra.cassandraOperatorProgress}=Ready"
    wait = ["wait", f"--timeout={READY_LIMIT_S}s", f"--for={state}", "k8ssandracluster/cryptocdc"]
    cluster.kubectl(*wait, limit_s=READY_LIMIT_S + 60)


def prepare() -> Cluster:
    """A cluster with the images in it. Raises CommandError when there is nothing to make one of."""
    if missing := lacking():
        raise CommandError(missing)
    timed("images", build_images)
    if not os.environ.get("KUBECONFIG"):
        timed("cluster", make_cluster)
    cluster = chosen()
    timed("images loaded", lambda: load_images(cluster))
    return cluster


def install(cluster: Cluster) -> None:
    """Everything but a feed, in the README's order. Raises CommandError."""
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
    """What takes long and is the same for each cluster. Where nothing can be set up it says so, and fails nothing."""
    if missing := lacking():
        print(missing)
        return
    timed("images", build_images)
    timed("all-in-one image", build_all_in_one)
    timed("node image", build_node_image)


def down() -> None:
    if docker.answers() and there():
        run(["kind", "delete", "cluster", "--name", NAME])


if __name__ == "__main__":
    try:
        {"up": up, "down": down, "images": images}[sys.argv[1]]()
    except CommandError as failure:
        sys.exit(str(failure))
