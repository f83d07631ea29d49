"""The JMX exporter, loaded into a JVM that runs already.

An agent on the command line would cost every start its archive of classes (a JVM that writes one refuses agents) and
hold memory in runs that nobody watches. Loaded later it does neither, and the server is not started anew.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import psutil

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.programs import run_program
from cryptocdc_local.platform.settings import LOOPBACK

SERVERS = ("kafka", "connect", "cassandra")
_LOADED = re.compile(r"^return code: 0$", re.MULTILINE)


def rules(server: str) -> str:
    """What of the server's MXBeans becomes which metric: of Kafka and Connect the very file that Kubernetes uses."""
    return (resources.files(__package__) / f"{server}.yaml").read_text(encoding="utf-8")


def exporter(jars: Path) -> Path:
    """The agent's jar."""
    return next((jars / "exporter").glob("*.jar"))


def loaded(pid: int, jars: Path) -> bool:
    """Whether that JVM has the agent already: it keeps its jar open."""
    try:
        return str(exporter(jars).resolve()) in {file.path for file in psutil.Process(pid).open_files()}
    except psutil.Error:  # it has just ended
        return False


def load(server: str, pid: int, port: int, *, java: Path, jars: Path, account: Account, run: Path) -> None:
    """Let the JVM `pid` serve its metrics at `port` until it ends. Raises PlatformError with the JVM's own words.

    The agent ends the JVM where it can't begin: the port must be free, and none may be `loaded`. `jcmd` comes with no
    JRE, its class does.
    """
    config = run / f"{server}-exporter.yaml"
    account.write(config, rules(server))
    attach = [str(java), "-Xmx32m", "-XX:TieredStopAtLevel=1", "-m", "jdk.jcmd/sun.tools.jcmd.JCmd", str(pid)]
    said = run_program(account, [*attach, "JVMTI.agent_load", f'"{exporter(jars)}"', f'"{LOOPBACK}:{port}:{config}"'])
    if not _LOADED.search(said):
        raise PlatformError(
            f"{server} does not serve its metrics: {' '.join(said.split())[:300]}", f"see its log beside {run}"
        )
