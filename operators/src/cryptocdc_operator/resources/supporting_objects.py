"""The supporting objects of a feed's programs: Services, disruption budgets, network policies, PodMonitor. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from cryptocdc_core.feed.model import CryptoFeed
from cryptocdc_core.names import Names
from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.resources import spark
from cryptocdc_operator.resources.labels import EXECUTOR, SPARK, Owner, labels, selector
from cryptocdc_operator.resources.programs import HTTP_PORT, METRICS_PORT, Program
from cryptocdc_operator.settings import Object, OperatorSettings


def disruption_budget(program: Program, feed: CryptoFeed, owner: Owner) -> Object | None:
    """Return a budget that allows one eviction at a time; None for a single pod, whose eviction it would only block.
    Pods that are not ready may always be evicted: those that wait for a server on a drained node would block the
    drain."""
    if program.replicas < 2:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": f"{feed.name}-{program.component}",
            "labels": labels(feed.name, program.component),
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(feed.name, program.component)},
        },
    }


def service(program: Program, feed: CryptoFeed, owner: Owner) -> Object:
    """Return the program's Service: for its users, or else headless, to scrape each pod's metrics even if not ready."""
    spec: Object = {"selector": selector(feed.name, program.component)}
    if program.http:
        spec["ports"] = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    else:
        port = {"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"}
        more = [{"name": name, "port": number, "targetPort": number, "protocol": "TCP"}
                for name, number in program.ports.items()]  # fmt: skip
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True, "ports": [port, *more]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{feed.name}-{program.component}",
            "labels": labels(feed.name, program.component),
            "ownerReferences": [owner.reference],
        },
        "spec": spec,
    }


def network_policy(program: Program, feed: CryptoFeed, owner: Owner) -> Object:
    """Return a policy. Ingress: metrics and HTTP; its other ports only for the feed's own programs. Egress: DNS and the
    servers' ports; ports of servers in this namespace only to its pods."""
    near = sorted({port for host, port in program.reaches if host and "." not in host})
    far = sorted({port for host, port in program.reaches if not host or "." in host})

    def ports(numbers: list[int]) -> list[Object]:
        return [{"protocol": "TCP", "port": number} for number in numbers]

    out: list[Object] = [{"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}]
    if near:
        out.append({"to": [{"podSelector": {}}], "ports": ports(near)})
    if far:
        out.append({"ports": ports(far)})
    # Executors serve no metrics.
    public = [] if program.component == EXECUTOR else [METRICS_PORT, *([HTTP_PORT] if program.http else [])]
    into: list[Object] = [{"ports": ports(public)}] if public else []
    if program.ports:
        own = {"app.kubernetes.io/name": "cryptocdc", "app.kubernetes.io/instance": feed.name}
        into.append({"from": [{"podSelector": {"matchLabels": own}}], "ports": ports(list(program.ports.values()))})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": f"{feed.name}-{program.component}",
            "labels": labels(feed.name, program.component),
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "podSelector": {"matchLabels": selector(feed.name, program.component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": into,
            "egress": out,
        },
    }


def pod_monitor(
    programs: tuple[Program, ...], feed: CryptoFeed, names: Names, selected_by: Mapping[str, str], owner: Owner
) -> Object:
    """Return a PodMonitor of the feed's programs; the label `feed` is the identity, as in the verifier's metrics.
    `selected_by`: labels by which a Prometheus selects it."""
    components = [program.component for program in programs]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {
            "name": feed.name,
            "labels": {**selected_by, **labels(feed.name)},
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "selector": {
                "matchLabels": {"app.kubernetes.io/name": "cryptocdc", "app.kubernetes.io/instance": feed.name},
                "matchExpressions": [{"key": "app.kubernetes.io/component", "operator": "In", "values": components}],
            },
            "podMetricsEndpoints": [
                {
                    "port": "metrics",
                    "interval": "15s",
                    "relabelings": [
                        {"targetLabel": "feed", "replacement": names.fid},
                        {
                            "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_component"],
                            "targetLabel": "program",
                        },
                    ],
                }
            ],
        },
    }


def supporting_objects(
    programs: tuple[Program, ...], plan: Plan, settings: OperatorSettings, owner: Owner, jobs: tuple[Program, ...] = ()
) -> list[Object]:
    """Return the supporting objects of the programs; `jobs`: those that end, and serve nobody."""
    budgets = (disruption_budget(program, plan.feed, owner) for program in programs)
    made = [service(program, plan.feed, owner) for program in programs]
    made += [budget for budget in budgets if budget is not None]
    drivers = [program for program in programs if program.component == SPARK]
    made += [spark.claim(plan.feed, settings, owner) for _ in drivers]
    if settings.network_policies:
        executors = [spark.executor(driver) for driver in drivers if settings.spark_mode != "local"]
        made += [network_policy(program, plan.feed, owner) for program in (*programs, *executors, *jobs)]
    if settings.pod_monitors:
        made.append(pod_monitor(programs, plan.feed, plan.names, settings.pod_monitor_labels, owner))
    return made
