"""Loads the JMX exporter into a running JVM.

An agent on the command line would prevent the use of a class archive (a JVM that writes one refuses agents) and take
memory in runs that nobody watches. Loading it later avoids both, without a restart of the server.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import psutil

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation.programs import run_program
from cryptocdc_local.platform.settings import LOOPBACK

SERVERS = ("kafka", "connect", "cassandra")
_LOADED = re.compile(r"^return code: 0$", re.MULTILINE)


def rules(server: str) -> str:
    """Return the rules that map the server's MBeans to metrics: for Kafka and Connect, the file used on Kubernetes."""
    return (resources.files(__package__) / f"{server}.yaml").read_text(encoding="utf-8")


def exporter(jars: Path) -> Path:
    """Return the agent's jar."""
    return next((jars / "exporter").glob("*.jar"))


def loaded(pid: int, jars: Path) -> bool:
    """Return whether that JVM already has the agent: it keeps the jar open."""
    try:
        return str(exporter(jars).resolve()) in {file.path for file in psutil.Process(pid).open_files()}
    except psutil.Error:  # it has just ended
        return False


def load(server: str, pid: int, port: int, *, java: Path, jars: Path, account: Account, run: Path) -> None:
    """Make the JVM `pid` serve its metrics at `port` until it exits. Raises PlatformError with the JVM's output.

    The agent terminates the JVM if it can't start, so the port must be free and none may be `loaded`. A JRE lacks the
    program `jcmd` but has its class.
    """
    config = run / f"{server}-exporter.yaml"
    account.write(config, rules(server))
    attach = [str(java), "-Xmx32m", "-XX:TieredStopAtLevel=1", "-m", "jdk.jcmd/sun.tools.jcmd.JCmd", str(pid)]
    said = run_program(account, [*attach, "JVMTI.agent_load", f'"{exporter(jars)}"', f'"{LOOPBACK}:{port}:{config}"'])
    if not _LOADED.search(said):
        raise PlatformError(
            f"{server} does not serve its metrics: {' '.join(said.split())[:300]}", f"see its log beside {run}"
        )
