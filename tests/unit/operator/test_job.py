"""A Job that runs one command for a feed: the Job that the operator prints."""

import pytest
from tests.unit.core.feeds import feed
from tests.unit.kubernetes_schemas import breaks_restricted, problems
from tests.unit.operator.world import ADDRESSES, SETTINGS

from cryptocdc_operator.job import TASKS, JobImpossible, job
from cryptocdc_operator.settings import Addresses

SERVERS = Addresses({**ADDRESSES, "CRYPTOCDC_CONNECT_URL": "http://connect:8083"})
VERIFYING = SETTINGS.model_copy(update={"verifier_image": "cryptocdc/verifier:1"})
SIMULATED = feed("my-feed", exchange="simulated", streams={"klines": {}})


def made(task, *arguments, of=SIMULATED, settings=VERIFYING):
    return job(task, arguments, of, settings, SERVERS)


def container(document):
    (only,) = document["spec"]["template"]["spec"]["containers"]
    return only


def environment(document):
    return {variable["name"]: variable["value"] for variable in container(document)["env"]}


def mounted(document):
    return {volume["secret"]["secretName"] for volume in document["spec"]["template"]["spec"]["volumes"][2:]}


@pytest.mark.parametrize("task", TASKS)
def test_a_job_is_valid_and_locked_down(task):
    document = made(task)
    named = document | {"metadata": document["metadata"] | {"name": document["metadata"]["generateName"] + "x"}}
    assert problems(named) == []
    assert breaks_restricted(document["spec"]["template"]["spec"]) == []


@pytest.mark.parametrize("task", TASKS)
def test_a_job_is_tried_once_and_expires(task):
    spec = made(task)["spec"]
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert spec["ttlSecondsAfterFinished"] > 3600


@pytest.mark.parametrize("task", TASKS)
def test_no_deployment_or_service_selects_the_pod_of_a_job(task):
    labels = made(task)["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == task


@pytest.mark.parametrize("task", TASKS)
def test_every_file_in_its_environment_is_mounted(task):
    document = made(task)
    spec = document["spec"]["template"]["spec"]
    at = {mount["name"]: mount["mountPath"] for mount in container(document)["volumeMounts"]}
    assert len(at) == len(spec["volumes"])
    there = {
        f"{at[volume['name']]}/{item['path']}"
        for volume in spec["volumes"]
        if "secret" in volume
        for item in volume["secret"]["items"]
    }
    assert {value for name, value in environment(document).items() if name.endswith("_FILE")} == there


def test_a_verification_compares_both_databases_and_passes_its_arguments_on():
    document = made("verify", "--explain", "--from", "2026-11-21")
    assert container(document)["image"] == "cryptocdc/verifier:1"
    assert container(document)["command"] == ["python", "-m", "cryptocdc_verifier.commands"]
    assert container(document)["args"] == [
        "--feed", "/etc/cryptocdc/feed.yaml", "--source", "simulated", "--explain", "--from", "2026-11-21",
    ]  # fmt: skip
    servers = {"POSTGRES", "KAFKA", "CASSANDRA", "CONNECT"}
    assert {name.split("_")[1] for name in environment(document)} >= servers
    assert {SETTINGS.postgres_secret, SETTINGS.kafka_consumer_secret, SETTINGS.writer_secret} <= mounted(document)


def test_a_backfill_uses_the_exchange_of_the_feed():
    document = made("backfill", "--symbol", "BTCUSDT")
    assert environment(document)["CRYPTOCDC_REST_URL"] == SETTINGS.simulator_rest_url
    assert container(document)["image"] == SETTINGS.producer_image
    assert not {SETTINGS.cassandra_secret, SETTINGS.writer_secret} & mounted(document)


def test_a_replay_uses_the_consumers_login():
    document = made("replay")
    assert container(document)["args"][:2] == ["dlq", "replay"]
    assert environment(document)["CRYPTOCDC_KAFKA_USERNAME"] == SETTINGS.kafka_consumer_secret
    assert SETTINGS.kafka_producer_secret not in mounted(document)


def test_history_is_loaded_and_listed_by_the_image_of_the_history_jobs():
    document = made("history-load", "--from", "2026-09", "--symbol", "BTCUSDT", "--accept-mismatch")
    assert container(document)["image"] == SETTINGS.history_image
    assert container(document)["command"] == ["python", "-m", "cryptocdc_history.commands"]
    assert container(document)["args"] == [
        "history", "load", "--feed", "/etc/cryptocdc/feed.yaml", "--source", "simulated", "--from", "2026-09",
        "--symbol", "BTCUSDT", "--accept-mismatch",
    ]  # fmt: skip
    assert environment(document)["CRYPTOCDC_REST_URL"] == SETTINGS.simulator_rest_url
    assert container(made("history-list"))["args"][:2] == ["history", "list"]
    with pytest.raises(JobImpossible, match="HISTORY_IMAGE: must be set"):
        made("history-load", settings=VERIFYING.model_copy(update={"history_image": None}))


def test_a_secret_of_two_servers_is_mounted_once():
    shared = VERIFYING.model_copy(update={"postgres_ca_secret": "ca", "kafka_ca_secret": "ca"})
    volumes = made("verify", settings=shared)["spec"]["template"]["spec"]["volumes"]
    names = [volume["secret"]["secretName"] for volume in volumes if "secret" in volume]
    assert len(names) == len(set(names))


def test_without_the_verifiers_image_there_is_no_verification():
    with pytest.raises(JobImpossible, match="CRYPTOCDC_OPERATOR_VERIFIER_IMAGE: must be set"):
        made("verify", settings=SETTINGS)
