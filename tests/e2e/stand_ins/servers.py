"""Runs in a server's pod: prepares its first start, then replaces itself by the server, whose name is the argument."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import NoReturn

import yaml

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.credentials import Credentials
from cryptocdc_local.platform.installation.jars import jars_folder
from cryptocdc_local.platform.installation.java import find_java, jvm_environment, jvm_options
from cryptocdc_local.platform.servers.cassandra import Cassandra, cassandra_yaml
from cryptocdc_local.platform.servers.kafka import LOG4J
from cryptocdc_local.platform.settings import Heaps, PlatformSettings, Ports
from tests.e2e.stand_ins.workload import DATA, FILES

LIB = Path("/opt/servers")
"""Files of the image: jars, and PostgreSQL's programs in `postgres`."""
TEMPORARY = Path("/tmp")
_FILES, _DATA = Path(FILES), Path(DATA)


def heap_mb(text: str) -> int:
    """Return `512m`, `512M`, `512Mi` or `1g` in MiB."""
    found = re.fullmatch(r"(\d+)([mMgG])i?", text)
    if found is None:
        raise ValueError(f"heap {text!r}: a number with m or g is accepted")
    return int(found[1]) * (1024 if found[2] in "gG" else 1)


def _become(argv: list[str], **env: str) -> NoReturn:
    os.execve(argv[0], argv, {**os.environ, **env})


def _java(heap: int, *more: str) -> list[str]:
    java, log4j = find_java(), TEMPORARY / "log4j2.properties"
    if java is None:
        raise FileNotFoundError("Java 17")
    log4j.write_text(LOG4J, encoding="utf-8")
    jars = f"{jars_folder(LIB)}/kafka/*:{LIB}/strimzi/*"
    return [str(java), *jvm_options(heap, TEMPORARY), f"-Dlog4j2.configurationFile={log4j}", "-cp", jars, *more]


def kafka() -> NoReturn:
    properties = str(_FILES / "server.properties")
    if not (_DATA / "kafka" / "meta.properties").exists():
        identity = ["--cluster-id", uuid.uuid4().hex]
        subprocess.run([*_java(64, "kafka.tools.StorageTool", "format", "--config", properties), *identity], check=True)
    _become(_java(heap_mb(os.environ["HEAP"]), "kafka.Kafka", properties))


def connect() -> NoReturn:
    properties = str(_FILES / "connect.properties")
    _become(_java(heap_mb(os.environ["HEAP"]), "org.apache.kafka.connect.cli.ConnectDistributed", properties))


def cassandra() -> NoReturn:
    """The embedded platform's Cassandra, listening on the pod's network instead of loopback."""
    pod_ip, given = os.environ["POD_IP"], json.loads((_FILES / "cassandra.json").read_text(encoding="utf-8"))
    settings = PlatformSettings(
        _DATA, Ports(cassandra=9042, cassandra_internode=7000), Heaps(cassandra=heap_mb(os.environ["HEAP"]))
    )
    java = find_java()
    if java is None:
        raise FileNotFoundError("Java 17")
    account = Account(os.getuid(), os.getgid(), "postgres")
    for folder in (settings.run, settings.log, settings.cache, settings.temporary, settings.data):
        folder.mkdir(parents=True, exist_ok=True)
    server = Cassandra(settings, account, Credentials(), jars_folder(LIB), java)
    server.prepare()
    racks = settings.run / "cassandra-rackdc.properties"
    racks.write_text(f"dc={given.pop('datacenter')}\nrack=default\n", encoding="utf-8")
    config = yaml.safe_load(cassandra_yaml(settings.ports, server.data)) | {
        "endpoint_snitch": "GossipingPropertyFileSnitch",
        "listen_address": pod_ip,
        "rpc_address": pod_ip,
        **given,
    }
    config["seed_provider"][0]["parameters"] = [{"seeds": f"{pod_ip}:7000"}]
    (settings.run / "cassandra.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = server.command()
    argv = [command.argv[0], f"-Dcassandra-rackdc.properties=file://{racks}", *command.argv[1:]]
    os.chdir(command.cwd)
    _become(argv, **jvm_environment(_DATA))


def postgres() -> int:
    """Run PostgreSQL as a child process, since on SIGTERM it waits until all clients have disconnected."""
    programs, data = LIB / "postgres" / "bin", _DATA / "postgres"
    if not (data / "PG_VERSION").exists():
        draft = _DATA / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        subprocess.run(
            [programs / "initdb", f"--pgdata={draft}", "--username=postgres", f"--pwfile={_FILES / 'superuser'}",
             "--auth-local=peer", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"],
            check=True,
        )  # fmt: skip
        with (draft / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write("host all all all scram-sha-256\nhost replication all all scram-sha-256\n")
        draft.rename(data)
    (data / "postmaster.pid").unlink(missing_ok=True)  # the only container on the volume, so any other process is dead
    key = TEMPORARY / "server.key"
    key.write_bytes((_FILES / "server.key").read_bytes())
    key.chmod(0o600)  # PostgreSQL refuses a key that others can read
    server = subprocess.Popen([programs / "postgres", "-D", data, f"--config-file={_FILES / 'postgresql.conf'}"])
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))
    return server.wait()


if __name__ == "__main__":
    sys.exit({"kafka": kafka, "connect": connect, "cassandra": cassandra, "postgres": postgres}[sys.argv[1]]())
