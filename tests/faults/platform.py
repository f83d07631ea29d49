"""The embedded platform with a proxy between any two of its parts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import replace

from cryptocdc_local.applier import Servers
from cryptocdc_local.platform import Endpoints, Platform, PlatformSettings, Ports
from cryptocdc_local.platform.servers.connect import Connect
from cryptocdc_local.platform.servers.kafka import Kafka, plain_login
from cryptocdc_local.platform.servers.process import ServerProcess
from cryptocdc_local.platform.servers.server import Server
from tests.faults.proxy import Link, Proxy

EXCHANGE = "exchange"
LINKS = (EXCHANGE, "postgres", "kafka", "connect", "cassandra")


class ProxiedKafka(Kafka):
    """A broker with a second listener, whose clients are to come through the proxy: they would leave it otherwise with
    the first answer that names the brokers."""

    listener = 0
    advertised = 0

    def prepare(self) -> None:
        super().prepare()
        file = self.settings.run / "kafka.properties"
        found = dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines() if "=" in line)
        found["listeners"] += f",PROXIED://127.0.0.1:{self.listener}"
        found["advertised.listeners"] += f",PROXIED://127.0.0.1:{self.advertised}"
        found["listener.security.protocol.map"] += ",PROXIED:SASL_PLAINTEXT"
        found["listener.name.proxied.plain.sasl.jaas.config"] = plain_login(self.credentials.kafka, users=True)
        self.account.write(file, "".join(f"{name}={value}\n" for name, value in found.items()))


class ProxiedPlatform(Platform):
    """A platform whose `endpoints` are those of `proxy`, which the caller runs.

    `links` are the parts in front of which it stands. A broker and a worker that run already must have been started
    with the same `first_port`; the proxy's ports and the broker's second one follow from there.
    """

    def __init__(
        self, settings: PlatformSettings, simulator_port: int, first_port: int, links: tuple[str, ...] = LINKS
    ) -> None:
        super().__init__(settings)
        self._kafka_listener = first_port
        real = {EXCHANGE: simulator_port, **vars(settings.ports), "kafka": self._kafka_listener}
        self.simulator_port = simulator_port
        self.proxy = Proxy(Link(name, first_port + number, real[name]) for number, name in enumerate(links, 1))

    def port(self, name: str) -> int:
        """Return the port at which programs find a part."""
        link = self.proxy.links.get(name)
        ports = {EXCHANGE: self.simulator_port, **vars(self.settings.ports)}
        return int(ports[name]) if link is None else link.port

    def endpoints(self) -> Endpoints:
        direct, ports = super().endpoints(), self.settings.ports
        return replace(
            direct,
            postgres_port=self.port("postgres"),
            kafka_bootstrap=direct.kafka_bootstrap.replace(str(ports.kafka), str(self.port("kafka"))),
            connect_url=direct.connect_url.replace(str(ports.connect), str(self.port("connect"))),
            cassandra_port=self.port("cassandra"),
        )

    @property
    def direct(self) -> Servers:
        """The servers as the referee reaches them, past the proxy."""
        return Servers.from_env(super().endpoints().environment())

    def server(self, name: str) -> Server:
        return self._server(name)

    def process(self, name: str) -> ServerProcess:
        return self._processes[name]

    def _server(self, name: str) -> Server:
        made = super()._server(name)
        if "kafka" not in self.proxy.links or name not in ("kafka", "connect"):
            return made
        parts = (made.account, made.credentials, made.jars, made.java)
        if name == "connect":
            through = replace(self.settings.ports, kafka=self.port("kafka"))
            return Connect(replace(self.settings, ports=through), *parts)
        kafka = ProxiedKafka(self.settings, *parts)
        kafka.listener, kafka.advertised = self._kafka_listener, self.port("kafka")
        return kafka

    @contextlib.contextmanager
    def unsupervised(self) -> Iterator[None]:
        """Nothing is started or restarted inside the block, as while another command works on the platform."""
        descriptor = os.open(self.settings.home / "lock", os.O_RDWR)
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    assert time.monotonic() < deadline, "another command holds the platform"
                    time.sleep(0.1)
            yield
        finally:
            os.close(descriptor)


def ports(first: int) -> Ports:
    """Return ports of a platform of its own from `first` on."""
    names = ("postgres", "kafka", "kafka_controller", "connect", "cassandra", "cassandra_internode", "api")
    return Ports(**{name: first + number for number, name in enumerate(names)})
