"""Settings from the environment; log lines."""

import json
import logging
import sys

import pytest
from prometheus_client import generate_latest

from cryptocdc_core.program.logs import JsonFormatter, configure
from cryptocdc_core.program.metrics import VerifierMetrics
from cryptocdc_core.program.settings import (
    ApiSettings,
    KafkaSettings,
    PostgresSettings,
    ProgramSettings,
    SettingsError,
    VerifierSettings,
)


def test_an_endpoint_of_the_environment_takes_the_same_forms_as_a_feeds(tmp_path):
    given = {"CRYPTOCDC_FEED": str(tmp_path), "CRYPTOCDC_WEBSOCKET_URL": "wss://h.example:9443"}
    assert ProgramSettings.from_env(given).websocket_url == "wss://h.example:9443"
    with pytest.raises(SettingsError, match=r"CRYPTOCDC_REST_URL: 'https://\.example'"):
        ProgramSettings.from_env({**given, "CRYPTOCDC_REST_URL": "https://.example"})


def test_settings_come_from_their_variables():
    found = PostgresSettings.from_env({"CRYPTOCDC_POSTGRES_PASSWORD": "p", "CRYPTOCDC_POSTGRES_PORT": "5433"})
    assert (found.host, found.port, found.password) == ("127.0.0.1", 5433, "p")


def test_a_secret_comes_from_its_file_without_the_last_newline(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    env = {"CRYPTOCDC_POSTGRES_PASSWORD_FILE": str(secret), "CRYPTOCDC_POSTGRES_PASSWORD": "other"}
    assert PostgresSettings.from_env(env).password == "s3cret"


def test_a_secret_is_not_in_the_repr_of_settings():
    assert "s3cret" not in repr(PostgresSettings(password="s3cret"))
    assert "s3cret" not in repr(KafkaSettings(password="s3cret"))
    assert "s3cret" not in repr(ProgramSettings(feed="f", api_key="s3cret"))


def test_a_secret_is_not_in_the_error_about_it():
    with pytest.raises(SettingsError) as caught:
        ApiSettings.from_env({"CRYPTOCDC_API_REDIS_URL": "http://:s3cret@redis"})
    assert "CRYPTOCDC_API_REDIS_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, ["CRYPTOCDC_POSTGRES_PASSWORD: must be set"]),
        ({"CRYPTOCDC_POSTGRES_PASSWORD": ""}, ["CRYPTOCDC_POSTGRES_PASSWORD: must be set"]),
        ({"CRYPTOCDC_POSTGRES_PORT": "70000"}, ["CRYPTOCDC_POSTGRES_PORT: '70000'", "PASSWORD: must be set"]),
        ({"CRYPTOCDC_POSTGRES_PASSWORD_FILE": "/nowhere"}, ["CRYPTOCDC_POSTGRES_PASSWORD_FILE: can't be read"]),
    ],
)
def test_every_wrong_variable_is_named(env, words):
    with pytest.raises(SettingsError) as caught:
        PostgresSettings.from_env(env)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CRYPTOCDC_SOURCE", "dream"), ("CRYPTOCDC_LOG_FORMAT", "xml"), ("CRYPTOCDC_METRICS_PORT", "0")],
)
def test_an_invalid_setting_is_refused_by_its_variable(variable, value):
    with pytest.raises(SettingsError, match=variable):
        ProgramSettings.from_env({"CRYPTOCDC_FEED": "feed.yaml", variable: value})


@pytest.mark.parametrize("brokers", ["kafka", "kafka:", "kafka:0", "a:1,b", "a:1,", "SASL_SSL://kafka:9093", "::1"])
def test_brokers_without_a_port_are_refused_with_the_accepted_form(brokers):
    with pytest.raises(SettingsError) as caught:
        KafkaSettings.from_env({"CRYPTOCDC_KAFKA_BOOTSTRAP": brokers})
    assert str(caught.value).startswith(f"CRYPTOCDC_KAFKA_BOOTSTRAP: {brokers!r}: accepted: host:port[,host:port]")


@pytest.mark.parametrize("brokers", ["kafka:9092", "10.0.0.1:9092,kafka.events.svc:9093", "[::1]:9092"])
def test_brokers_with_ports_are_accepted(brokers):
    assert KafkaSettings.from_env({"CRYPTOCDC_KAFKA_BOOTSTRAP": brokers.replace(",", ", ")}).bootstrap == brokers


def test_the_verifiers_rows_per_second_is_a_setting():
    assert VerifierSettings.from_env({}).rows_per_s == 10_000
    assert VerifierSettings.from_env({"CRYPTOCDC_VERIFIER_ROWS_PER_S": "5"}).rows_per_s == 5


def logged(message, *values, **more):
    record = logging.getLogger("cryptocdc.test").makeRecord(
        "cryptocdc.test", logging.WARNING, "file.py", 1, message, values, None, extra=more or None
    )
    return json.loads(JsonFormatter().format(record))


def test_a_log_line_is_one_json_object():
    line = logged("lost %d rows\nof %s", 3, "klines", table="klines", error=OSError("x"))
    assert line["level"] == "WARNING"
    assert line["logger"] == "cryptocdc.test"
    assert line["message"] == "lost 3 rows\nof klines"
    assert (line["table"], line["error"]) == ("klines", "x")
    assert line["time"].endswith("+00:00")


def test_an_exception_is_part_of_its_line():
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.getLogger("t").makeRecord("t", logging.ERROR, "f", 1, "m", (), sys.exc_info())
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "ValueError: why" in json.loads(text)["exception"]


def test_logs_are_json_where_there_is_no_terminal(capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure()
        logging.getLogger("cryptocdc.x").info("hello")
        assert json.loads(capsys.readouterr().err)["message"] == "hello"
    finally:
        root.handlers[:] = before
        root.setLevel(level)


def test_the_metrics_of_a_removed_feed_are_removed():
    metrics = VerifierMetrics("test")
    for fid in ("majors", "others"):
        metrics.differences.labels(fid, "klines", "missing").set(1)
        metrics.slot_usable.labels(fid, f"{fid}_slot").set(1)
    metrics.remove_feed("majors")
    text = generate_latest(metrics.registry).decode()
    assert 'feed="majors"' not in text
    assert text.count('feed="others"') == 2
