"""K8ssandra's K8ssandraCluster with one datacenter of one node."""

from __future__ import annotations

import json
import secrets

from cassandra import AuthenticationFailed
from cassandra.cluster import NoHostAvailable, Session

from cryptocdc_adapters.cassandra.sessions import connect
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_local.platform.servers.cassandra import DEFAULT_SUPERUSER
from tests.e2e.stand_ins import conditions
from tests.e2e.stand_ins.api import Api, Object
from tests.e2e.stand_ins.workload import Workload, secret, service

VERSION = "k8ssandra.io/v1alpha1"
_PORT = 9042


def reconcile(api: Api, cluster: Object, image: str) -> None:
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    spec = cluster["spec"]["cassandra"]
    datacenters = spec["datacenters"]
    if len(datacenters) != 1 or datacenters[0]["size"] != 1:
        api.status(cluster, {"error": "the stand-in runs one datacenter of one node"})
        return
    datacenter = datacenters[0]["metadata"]["name"]
    login = api.secret(namespace, f"{name}-superuser") or {
        "username": f"{name}-superuser",
        "password": secrets.token_hex(16),
    }
    own = f"{name}-{datacenter}-default-sts"
    labels = {
        "cassandra.datastax.com/cluster": name,
        "cassandra.datastax.com/datacenter": datacenter,
        "cassandra.datastax.com/rack": "default",
        "app.kubernetes.io/name": "cassandra",
    }
    config = {**spec, **datacenters[0]}.get("config", {})
    storage = {**spec, **datacenters[0]}["storageConfig"]["cassandraDataVolumeClaimSpec"]
    workload = Workload(
        name=own,
        program="cassandra",
        container="cassandra",
        image=image,
        labels=labels,
        ports={"native": _PORT},
        ready_port=_PORT,
        files={"cassandra.json": json.dumps({"datacenter": datacenter, **config.get("cassandraYaml", {})})},
        service=f"{name}-{datacenter}-all-pods-service",
        heap=str(config.get("jvmOptions", {}).get("heapSize", "320M")),
        storage=storage["resources"]["requests"]["storage"],
        resources={**spec, **datacenters[0]}.get("resources", {}),
    )
    clients = f"{name}-{datacenter}-service"
    api.apply(
        cluster,
        secret(f"{name}-superuser", login),
        service(clients, labels, {"native": _PORT}, headless=True),
        *workload.documents(),
    )
    known = cluster.get("status", {}).get("datacenters", {}).get(datacenter, {}).get("cassandra", {})
    ready = api.ready(namespace, own)
    if ready and known.get("cassandraOperatorProgress") != "Ready":
        ready = _logged_in(f"{clients}.{namespace}.svc", datacenter, login)
    state = "Ready" if ready else "Updating"
    condition = {**conditions.ready(cluster)["conditions"][0], "status": str(ready), "reason": state, "message": ""}
    for before in known.get("conditions", []):
        if before["status"] == condition["status"]:
            condition = before
    said = {"cassandraOperatorProgress": state, "conditions": [condition]}
    api.status(cluster, {"datacenters": {datacenter: {"cassandra": said}}})


def _logged_in(host: str, datacenter: str, login: dict[str, str]) -> bool:
    """Return whether our superuser can log in; if not, replace the default one, whose password is well known."""

    def session(user: str, password: str) -> Session:
        return connect(
            CassandraSettings(hosts=host, port=_PORT, username=user, password=password, datacenter=datacenter)
        )

    try:
        cluster, _ = session(login["username"], login["password"])
        cluster.shutdown()
        return True
    except (NoHostAvailable, AuthenticationFailed):
        pass
    try:
        cluster, default = session(DEFAULT_SUPERUSER, DEFAULT_SUPERUSER)
    except (NoHostAvailable, AuthenticationFailed):
        return False
    default.execute(
        f'CREATE ROLE IF NOT EXISTS "{login["username"]}"'
        f" WITH PASSWORD = '{login['password']}' AND LOGIN = true AND SUPERUSER = true"
    )
    cluster.shutdown()
    return False  # the next pass logs in
