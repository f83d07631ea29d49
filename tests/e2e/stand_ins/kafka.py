"""Strimzi's Kafka with one pool of one node, controller and broker in one: TLS, SCRAM and ACLs as declared."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping

from cryptocdc_core.program.settings import KafkaSettings
from cryptocdc_local.platform.endpoints import KAFKA_USER
from cryptocdc_local.platform.servers.kafka import plain_login
from tests.e2e.stand_ins import certificates, conditions
from tests.e2e.stand_ins.api import Api, Object
from tests.e2e.stand_ins.certificates import Certificate
from tests.e2e.stand_ins.workload import DATA, FILES, Workload, host_names, secret, service

VERSION = "kafka.strimzi.io/v1"
CLUSTER = "strimzi.io/cluster"

_CONTROLLER, _ADMIN = 9090, 9091


def bootstrap(name: str) -> str:
    return f"{name}-kafka-bootstrap"


def authority_secret(name: str) -> str:
    return f"{name}-cluster-ca-cert"


def admin(api: Api, namespace: str, name: str) -> KafkaSettings | None:
    """Return the stand-ins' own login: the super-user, on the port that Strimzi reserves for itself."""
    login = api.secret(namespace, f"{name}-stand-in-admin")
    if login is None:
        return None
    return KafkaSettings(
        bootstrap=f"{bootstrap(name)}.{namespace}.svc:{_ADMIN}", username=KAFKA_USER, password=login["password"]
    )


def belonging_to(api: Api, kind: str, cluster: Object) -> list[Object]:
    """Return the resources of a kind with the cluster's label."""
    meta = cluster["metadata"]
    return [
        item
        for item in api.list(VERSION, kind)
        if item["metadata"]["namespace"] == meta["namespace"]
        and item["metadata"].get("labels", {}).get(CLUSTER) == meta["name"]
    ]


def entity_operator(turn: Callable[[Api, Object, KafkaSettings], None]) -> Callable[[Api, Object], None]:
    """Return a reconciler that waits until the cluster's Kafka is ready, and ends with the namespace: Strimzi's entity
    operator is a pod in the cluster's namespace, and does not live to remove the finalizers of its topics."""

    def begin(api: Api, cluster: Object) -> None:
        namespace, name = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
        if api.namespace_ends(namespace):
            return
        settings = admin(api, namespace, name)
        if settings is not None and conditions.is_ready(cluster):
            turn(api, cluster, settings)

    return begin


def reconcile(api: Api, kafka: Object, image: str) -> None:
    name, namespace = kafka["metadata"]["name"], kafka["metadata"]["namespace"]
    pools = belonging_to(api, "KafkaNodePool", kafka)
    if (
        len(pools) != 1
        or pools[0]["spec"]["replicas"] != 1
        or set(pools[0]["spec"]["roles"]) != {"controller", "broker"}
    ):
        api.status(kafka, conditions.not_ready(kafka, "StandIn", "one pool of one node with both roles is accepted"))
        return
    pool = pools[0]
    set_name = f"{name}-{pool['metadata']['name']}"
    labels = {
        CLUSTER: name,
        "strimzi.io/kind": "Kafka",
        "strimzi.io/name": f"{name}-kafka",
        "strimzi.io/pool-name": pool["metadata"]["name"],
        "strimzi.io/broker-role": "true",
        "app.kubernetes.io/name": "kafka",
        "app.kubernetes.io/instance": name,
    }
    brokers = f"{name}-kafka-brokers"
    host = f"{set_name}-0.{brokers}.{namespace}.svc"
    password, ca, server = _credentials(api, kafka, [*host_names(bootstrap(name), namespace), host])
    listeners = {each["name"]: each["port"] for each in kafka["spec"]["kafka"]["listeners"]}
    ports = {"tcp-admin": _ADMIN, **{f"tcp-{each}": port for each, port in listeners.items()}}
    workload = Workload(
        name=set_name,
        program="kafka",
        container="kafka",
        image=image,
        labels=labels,
        ports=ports,
        ready_port=_ADMIN,
        files={
            "server.properties": properties(kafka["spec"]["kafka"], host, password),
            "server.pem": server.key + server.certificate,
        },
        service=brokers,
        heap=pool["spec"].get("jvmOptions", {}).get("-Xmx", "256m"),
        storage=next(iter(pool["spec"]["storage"].get("volumes", [pool["spec"]["storage"]]))).get("size"),
        resources=pool["spec"].get("resources", {}),
    )
    api.apply(kafka, service(bootstrap(name), labels, ports), *workload.documents())
    if not api.ready(namespace, set_name):
        if not conditions.is_ready(kafka):  # recreating a pod does not change the status
            api.status(kafka, conditions.not_ready(kafka, "Creating", "the broker is not ready"))
        return
    addresses = [
        {
            "name": each,
            "bootstrapServers": f"{bootstrap(name)}.{namespace}.svc:{port}",
            "addresses": [{"host": f"{bootstrap(name)}.{namespace}.svc", "port": port}],
            "certificates": [ca.certificate],
        }
        for each, port in listeners.items()
    ]
    version = {"kafkaVersion": kafka["spec"]["kafka"].get("version", ""), "listeners": addresses}
    api.status(kafka, {**conditions.ready(kafka), **version})


def _credentials(api: Api, kafka: Object, hosts: list[str]) -> tuple[str, Certificate, Certificate]:
    """The super-user's password, the certificate authority and the broker's certificate: created once, kept in
    secrets."""
    name, namespace = kafka["metadata"]["name"], kafka["metadata"]["namespace"]
    kept = api.secret(namespace, f"{name}-stand-in-admin")
    if kept is None:
        ca = certificates.authority(f"{name} cluster CA")
        server = certificates.issued(ca, hosts)
        kept = {
            "password": secrets.token_hex(16),
            "ca.crt": ca.certificate, "ca.key": ca.key, "server.crt": server.certificate, "server.key": server.key,
        }  # fmt: skip
        api.apply(kafka, secret(f"{name}-stand-in-admin", kept))
    ca = Certificate(kept["ca.crt"], kept["ca.key"])
    _publish(api, kafka, authority_secret(name), ca)
    _publish(api, kafka, f"{name}-clients-ca-cert", None)
    return kept["password"], ca, Certificate(kept["server.crt"], kept["server.key"])


def _publish(api: Api, kafka: Object, secret_name: str, ca: Certificate | None) -> None:
    """Create the certificate authority's secret if it is missing; for a new authority if there is no `ca`."""
    if api.get("v1", "Secret", kafka["metadata"]["namespace"], secret_name) is None:
        certificate = (ca or certificates.authority(secret_name)).certificate
        api.apply(kafka, _authority(secret_name, kafka["metadata"]["name"], certificate))


def _authority(secret_name: str, cluster: str, certificate: str) -> Object:
    """Return an authority's certificate under Strimzi's three keys, of which `ca.p12` is binary."""
    password = secrets.token_hex(6)
    made = secret(secret_name, {"ca.crt": certificate, "ca.password": password}, labels={CLUSTER: cluster})
    store = certificates.trust_store(certificate, password)
    return {**made, "data": {"ca.p12": base64.b64encode(store).decode()}}


def properties(spec: Object, host: str, password: str) -> str:
    """Return the broker's configuration: the resource's own, and what Strimzi derives from its listeners. Pure."""
    login = plain_login(password, users=True)
    lines: dict[str, object] = {
        **spec.get("config", {}),
        "process.roles": "controller,broker",
        "node.id": 0,
        "controller.quorum.voters": f"0@127.0.0.1:{_CONTROLLER}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "ADMIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": login,
        "listener.name.admin.plain.sasl.jaas.config": login,
        "log.dirs": f"{DATA}/kafka",
    }
    bound = {"CONTROLLER": f"127.0.0.1:{_CONTROLLER}", "ADMIN": f":{_ADMIN}"}
    protocols = {"CONTROLLER": "SASL_PLAINTEXT", "ADMIN": "SASL_PLAINTEXT"}
    for listener in spec["listeners"]:
        own = f"{listener['name'].upper()}-{listener['port']}"
        bound[own] = f":{listener['port']}"
        secured = listener.get("authentication", {}).get("type") == "scram-sha-512"
        protocols[own] = ("SASL_" if secured else "") + ("SSL" if listener["tls"] else "PLAINTEXT")
        lines |= _listener(f"listener.name.{own.lower()}", secured, listener["tls"])
    if spec.get("authorization", {}).get("type") == "simple":
        lines["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        lines["super.users"] = f"User:{KAFKA_USER}"
    lines["listeners"] = ",".join(f"{each}://{address}" for each, address in bound.items())
    lines["advertised.listeners"] = ",".join(
        f"{each}://{host}{address}" for each, address in bound.items() if each != "CONTROLLER"
    )
    lines["listener.security.protocol.map"] = ",".join(f"{each}:{protocol}" for each, protocol in protocols.items())
    return text(lines)


def _listener(prefix: str, scram: bool, tls: bool) -> dict[str, object]:
    lines: dict[str, object] = {}
    if scram:
        lines[f"{prefix}.sasl.enabled.mechanisms"] = "SCRAM-SHA-512"
        lines[f"{prefix}.scram-sha-512.sasl.jaas.config"] = (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        )
    if tls:
        lines[f"{prefix}.ssl.keystore.type"] = "PEM"
        lines[f"{prefix}.ssl.keystore.location"] = f"{FILES}/server.pem"
    return lines


def text(lines: Mapping[str, object]) -> str:
    """Format as Java properties, with booleans as Java writes them."""
    return "".join(
        f"{key}={str(value).lower() if isinstance(value, bool) else value}\n" for key, value in lines.items()
    )
