"""Strimzi's user operator: KafkaUsers become secrets, logins and ACLs."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from cryptocdc_adapters.kafka.clients import client_config
from cryptocdc_core.program.settings import KafkaSettings
from tests.e2e.stand_ins import conditions, kafka
from tests.e2e.stand_ins.api import Api, Object
from tests.e2e.stand_ins.workload import secret

_LIMIT_S = 20
_ITERATIONS = 4096  # Strimzi's and Kafka's own
_MECHANISM = "SCRAM-SHA-512"


def _each(api: Api, items: list[Object], turn: Callable[[Object], None]) -> None:
    for item in items:
        try:
            turn(item)
        except (KafkaException, OSError, TimeoutError) as error:
            api.status(item, conditions.not_ready(item, type(error).__name__, str(error)))


def users(api: Api, cluster: Object, settings: KafkaSettings) -> None:
    """Create each user's secret, login and ACLs; remove the logins of deleted users."""
    admin = AdminClient(client_config(settings))
    items = kafka.belonging_to(api, "KafkaUser", cluster)
    logins = set(admin.describe_user_scram_credentials().result(_LIMIT_S))

    def turn(item: Object) -> None:
        name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
        kept = api.secret(namespace, name)
        password = kept["password"] if kept else secrets.token_hex(16)
        module = "org.apache.kafka.common.security.scram.ScramLoginModule"
        login = f'{module} required username="{name}" password="{password}";'
        made = secret(name, {"password": password, "sasl.jaas.config": login})
        made["metadata"]["labels"] = {kafka.CLUSTER: cluster["metadata"]["name"], "strimzi.io/kind": "KafkaUser"}
        api.apply(item, made)
        if name not in logins or kept is None:
            info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
            change = UserScramCredentialUpsertion(name, info, password.encode())
            admin.alter_user_scram_credentials([change])[name].result(_LIMIT_S)
        _acls(admin, name, item["spec"].get("authorization", {}).get("acls", []))
        api.status(item, {**conditions.ready(item), "username": name, "secret": name})

    _each(api, items, turn)
    for gone in logins - {item["metadata"]["name"] for item in items}:
        doomed = UserScramCredentialDeletion(gone, ScramMechanism.SCRAM_SHA_512)
        admin.alter_user_scram_credentials([doomed])[gone].result(_LIMIT_S)


def _acls(admin: AdminClient, user: str, rules: list[Object]) -> None:
    principal = f"User:{user}"
    wanted = {
        AclBinding(
            ResourceType.BROKER
            if rule["resource"]["type"] == "cluster"
            else ResourceType[rule["resource"]["type"].upper()],
            rule["resource"].get("name", "kafka-cluster"),
            ResourcePatternType.PREFIXED
            if rule["resource"].get("patternType") == "prefix"
            else ResourcePatternType.LITERAL,
            principal,
            rule.get("host", "*"),
            AclOperation[_constant(operation)],
            AclPermissionType[rule.get("type", "allow").upper()],
        )
        for rule in rules
        for operation in rule["operations"]
    }
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, principal, None, AclOperation.ANY, AclPermissionType.ANY
    )
    there = set(admin.describe_acls(everything).result(_LIMIT_S))
    for made in (admin.create_acls(list(wanted - there)) if wanted - there else {}).values():
        made.result(_LIMIT_S)
    for acl in there - wanted:
        one = AclBindingFilter(
            acl.restype,
            acl.name,
            acl.resource_pattern_type,
            acl.principal,
            acl.host,
            acl.operation,
            acl.permission_type,
        )
        admin.delete_acls([one])[one].result(_LIMIT_S)


def _constant(operation: str) -> str:
    """DescribeConfigs → DESCRIBE_CONFIGS."""
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in operation).lstrip("_")
