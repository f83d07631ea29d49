"""CloudNativePG's Cluster with one instance, and its DatabaseRoles."""

from __future__ import annotations

import secrets

import psycopg2
from psycopg2 import sql

from tests.e2e.stand_ins import certificates, conditions
from tests.e2e.stand_ins.api import Api, Object
from tests.e2e.stand_ins.workload import FILES, Workload, host_names, secret, service

VERSION = "postgresql.cnpg.io/v1"
_PORT = 5432
_LIMIT_S = 5
_HEALTHY = "Cluster in healthy state"


def reconcile(api: Api, cluster: Object, image: str) -> None:
    name, namespace, spec = cluster["metadata"]["name"], cluster["metadata"]["namespace"], cluster["spec"]
    if spec["instances"] != 1:
        api.status(cluster, {"phase": "the stand-in runs one instance"})
        return
    bootstrap = spec["bootstrap"]["initdb"]
    own = _credentials(api, cluster, bootstrap["database"], bootstrap["owner"])
    labels = {
        "cnpg.io/cluster": name,
        "cnpg.io/instanceRole": "primary",
        "cnpg.io/podRole": "instance",
        "app.kubernetes.io/name": "postgresql",
    }
    ports = {"postgresql": _PORT}
    workload = Workload(
        name=name,
        program="postgres",
        container="postgres",
        image=image,
        labels=labels,
        ports=ports,
        ready_port=_PORT,
        files={
            "postgresql.conf": configuration(spec.get("postgresql", {}).get("parameters", {})),
            "superuser": own["superuser"], "server.crt": own["server.crt"], "server.key": own["server.key"],
        },
        service=f"{name}-any",
        ordinal=1,
        storage=spec["storage"]["size"],
        resources=spec.get("resources", {}),
    )  # fmt: skip
    reads = [service(f"{name}-{suffix}", labels, ports) for suffix in ("rw", "r")]
    api.apply(cluster, *reads, *workload.documents())
    if not api.ready(namespace, name):
        api.status(cluster, _said(cluster, False))
        return
    host = f"{name}-rw.{namespace}.svc"
    if cluster.get("status", {}).get("phase") != _HEALTHY:
        with _Session(host, own["superuser"]) as run:
            _initialise(run, bootstrap, own["password"])
    api.status(cluster, _said(cluster, True))
    for role in api.list(VERSION, "DatabaseRole"):
        if role["metadata"]["namespace"] == namespace and role["spec"]["cluster"]["name"] == name:
            _role(api, role, host, own["superuser"])


def configuration(parameters: dict[str, str]) -> str:
    """Return CloudNativePG's own parameters, then the resource's. Pure."""
    settings = {
        "listen_addresses": "*",
        "port": str(_PORT),
        "unix_socket_directories": "/tmp",
        "wal_level": "logical",
        "max_replication_slots": "32",
        "wal_sender_timeout": "5s",
        "wal_keep_size": "512MB",
        "password_encryption": "scram-sha-256",
        "ssl": "on",
        "ssl_cert_file": f"{FILES}/server.crt",
        "ssl_key_file": "/tmp/server.key",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **parameters,
    }
    return "".join(f"{key} = '{value}'\n" for key, value in settings.items())


def _credentials(api: Api, cluster: Object, database: str, owner: str) -> dict[str, str]:
    """Passwords and certificate, created once; published as by CloudNativePG, in `-app` and `-ca`."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    kept = api.secret(namespace, f"{name}-stand-in-own")
    if kept is None:
        ca = certificates.authority(f"{name} CA")
        hosts = [host for suffix in ("rw", "r", "ro") for host in host_names(f"{name}-{suffix}", namespace)]
        server = certificates.issued(ca, hosts)
        kept = {
            "superuser": secrets.token_hex(16), "password": secrets.token_hex(16),
            "ca.crt": ca.certificate, "server.crt": server.certificate, "server.key": server.key,
        }  # fmt: skip
        api.apply(cluster, secret(f"{name}-stand-in-own", kept))
    host, password = f"{name}-rw", kept["password"]
    app = {
        "username": owner, "user": owner, "password": password, "host": host, "port": str(_PORT), "dbname": database,
        "pgpass": f"{host}:{_PORT}:{database}:{owner}:{password}\n",
        "uri": f"postgresql://{owner}:{password}@{host}.{namespace}:{_PORT}/{database}",
        "jdbc-uri": f"jdbc:postgresql://{host}.{namespace}:{_PORT}/{database}?password={password}&user={owner}",
    }  # fmt: skip
    labels = {"cnpg.io/cluster": name}
    api.apply(
        cluster,
        secret(f"{name}-app", app, "kubernetes.io/basic-auth", labels),
        secret(f"{name}-ca", {"ca.crt": kept["ca.crt"]}, labels=labels),
    )
    return kept


def _said(cluster: Object, healthy: bool) -> Object:
    name = cluster["metadata"]["name"]
    condition = conditions.ready(cluster)["conditions"][0]
    if not healthy:
        condition = {**condition, "status": "False", "reason": "ClusterIsNotReady", "message": "Cluster Is Not Ready"}
    else:
        condition = {**condition, "reason": "ClusterIsReady", "message": "Cluster is Ready"}
    for before in cluster.get("status", {}).get("conditions", []):
        if before["type"] == "Ready" and before["status"] == condition["status"]:
            condition = before
    return {
        "conditions": [condition],
        "phase": _HEALTHY if healthy else "Waiting for the instances to become active",
        "instances": 1,
        "readyInstances": int(healthy),
        "currentPrimary": f"{name}-1",
        "writeService": f"{name}-rw",
        "readService": f"{name}-r",
    }


class _Session:
    """The superuser's connection, in autocommit mode; called with a statement, it returns the first row or None."""

    def __init__(self, host: str, password: str) -> None:
        self._connection = psycopg2.connect(
            host=host, dbname="postgres", user="postgres", password=password, connect_timeout=_LIMIT_S
        )
        self._connection.autocommit = True

    def __call__(self, statement: str | sql.Composable, values: tuple[object, ...] | None = None) -> object:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone() if cursor.description else None

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def _initialise(run: _Session, bootstrap: Object, password: str) -> None:
    """Create the owner and the database of `initdb`, if missing."""
    owner, database = sql.Identifier(bootstrap["owner"]), sql.Identifier(bootstrap["database"])
    if not run("SELECT 1 FROM pg_roles WHERE rolname = %s", (bootstrap["owner"],)):
        run(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, sql.Literal(password)))
    if not run("SELECT 1 FROM pg_database WHERE datname = %s", (bootstrap["database"],)):
        run(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))


def _role(api: Api, role: Object, host: str, superuser: str) -> None:
    spec, meta, said = role["spec"], role["metadata"], role.get("status", {})
    if said.get("applied") and said.get("observedGeneration") == meta["generation"]:
        return
    kept = api.secret(meta["namespace"], spec["passwordSecret"]["name"])
    seen = {"observedGeneration": meta["generation"]}
    if kept is None:
        message = f"secret {spec['passwordSecret']['name']} is not there"
        api.status(role, {**seen, "applied": False, "message": message})
        return
    attributes = " ".join(word.upper() for word in ("login", "replication", "superuser") if spec.get(word))
    name = sql.Identifier(spec["name"])
    with _Session(host, superuser) as run:
        verb = "ALTER" if run("SELECT 1 FROM pg_roles WHERE rolname = %s", (spec["name"],)) else "CREATE"
        statement = sql.SQL("{} ROLE {} {} PASSWORD {}")
        run(statement.format(sql.SQL(verb), name, sql.SQL(attributes), sql.Literal(kept["password"])))
        for group in spec.get("inRoles", []):
            run(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), name))
    api.status(role, {**seen, "applied": True, "message": ""})
