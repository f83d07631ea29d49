"""A single Apache Cassandra 5 node: passwords on, default superuser replaced, every acknowledged write on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import yaml
from cassandra import AuthenticationFailed, DriverException, OperationTimedOut
from cassandra.cluster import NoHostAvailable, Session

from cryptocdc_adapters.cassandra.sessions import connect
from cryptocdc_core.program.settings import CassandraSettings
from cryptocdc_local.platform.endpoints import CASSANDRA_DATACENTER, CASSANDRA_USER, READER
from cryptocdc_local.platform.installation.java import jvm_environment, jvm_options
from cryptocdc_local.platform.servers.process import Command
from cryptocdc_local.platform.servers.server import Server, port_open
from cryptocdc_local.platform.settings import LOOPBACK, Ports

DEFAULT_SUPERUSER = "cassandra"  # also its password, until `finish` has replaced it

LOGBACK = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="STDOUT"/></root>
</configuration>
"""

# From Cassandra's own start script for Java 17 (conf/jvm17-server.options).
_EXPORTS = (
    "java.base/jdk.internal.misc",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "java.base/java.lang.ref",
    "jdk.unsupported/sun.misc",
)
_OPENS = (
    "java.base/java.lang.module",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.util.jar",
    "jdk.management/com.sun.management.internal",
    "java.base/sun.nio.ch",
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.reflect",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.nio",
)


def cassandra_yaml(ports: Ports, data: Path) -> str:
    """Return the configuration of a single node with small caches. `commitlog_sync: batch` acknowledges a write once it
    is on disk: the default `periodic` relies on replicas, so a killed single node would lose acknowledged writes."""
    return yaml.safe_dump(
        {
            "cluster_name": "cryptocdc",
            "num_tokens": 1,
            "auto_bootstrap": False,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"{LOOPBACK}:{ports.cassandra_internode}"}],
                }
            ],
            "listen_address": LOOPBACK,
            "storage_port": ports.cassandra_internode,
            "rpc_address": LOOPBACK,
            "start_native_transport": True,
            "native_transport_port": ports.cassandra,
            "authenticator": "PasswordAuthenticator",
            "authorizer": "CassandraAuthorizer",
            "role_manager": "CassandraRoleManager",
            "data_file_directories": [str(data / "data")],
            "commitlog_directory": str(data / "commitlog"),
            "saved_caches_directory": str(data / "saved_caches"),
            "hints_directory": str(data / "hints"),
            "cdc_raw_directory": str(data / "cdc_raw"),
            "commitlog_sync": "batch",
            # By default, on a full disk it closes its ports but keeps running, so a supervisor would consider it alive.
            "commit_failure_policy": "die",
            "disk_failure_policy": "die",
            "commitlog_segment_size": "16MiB",
            "commitlog_total_space": "256MiB",
            "hinted_handoff_enabled": False,  # hints are for other nodes
            "auto_snapshot": False,  # a dropped keyspace would stay on disk forever
            "incremental_backups": False,
            "disk_access_mode": "mmap_index_only",
            # Format and memtable of Cassandra 5: the memtable's trie lives outside the small heap.
            "storage_compatibility_mode": "NONE",
            "sstable": {"selected_format": "bti"},
            "memtable": {"configurations": {"default": {"class_name": "TrieMemtable"}}},
            "memtable_allocation_type": "offheap_objects",
            # Flush at half of it: the fewer files, the less compaction.
            "memtable_heap_space": "64MiB",
            "memtable_offheap_space": "192MiB",
            "memtable_flush_writers": 1,
            "memtable_cleanup_threshold": 0.5,
            "file_cache_size": "32MiB",
            "networking_cache_size": "16MiB",
            "key_cache_size": "4MiB",
            "counter_cache_size": "0MiB",
            # The defaults are fractions of the heap: 6 MiB per client, which a batching consumer reaches.
            "native_transport_max_request_data_in_flight": "48MiB",
            "native_transport_max_request_data_in_flight_per_ip": "48MiB",
            # By default a write times out after 2 s, done or not, and is then retried: on a busy machine that wastes
            # work when it can least be afforded. The consumer waits 20 s.
            "write_request_timeout": "10s",
            "concurrent_reads": 8,
            "concurrent_writes": 16,
            "concurrent_counter_writes": 2,
            "concurrent_compactors": 1,
            "native_transport_max_threads": 32,
        },
        sort_keys=False,
    )


class Cassandra(Server):
    name = "cassandra"

    def ports(self) -> dict[str, int]:
        ports = self.settings.ports
        return {
            "CRYPTOCDC_CASSANDRA_PORT": ports.cassandra,
            "CRYPTOCDC_CASSANDRA_INTERNODE_PORT": ports.cassandra_internode,
        }

    def prepare(self) -> None:
        self.account.make_folder(self.data)
        self.account.write(self.settings.run / "cassandra-logback.xml", LOGBACK)
        self.account.write(self.settings.run / "cassandra.yaml", cassandra_yaml(self.settings.ports, self.data))

    @property
    def mark(self) -> str:
        return f"-Dcassandra.config={(self.settings.run / 'cassandra.yaml').as_uri()}"

    def command(self) -> Command:
        run = self.settings.run
        return Command(
            argv=[
                str(self.java),
                *jvm_options(self.settings.heaps.cassandra, self.settings.temporary),
                # Without jamm's agent: a JVM with agents uses no class archive. Cassandra then measures objects through
                # Unsafe, which is as exact.
                *self.archive.options(),
                "-Xss512k",
                "-XX:MaxDirectMemorySize=256m",
                "-Djdk.attach.allowAttachSelf=true",
                "-Dio.netty.tryReflectionSetAccessible=true",
                *(f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS),
                *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS),
                "-Dcassandra-foreground=yes",
                self.mark,
                f"-Dlogback.configurationFile={run / 'cassandra-logback.xml'}",
                f"-Dcassandra.storagedir={self.data}",
                f"-Dcassandra.logdir={self.settings.log}",
                # There are no other nodes to wait for.
                "-Dcassandra.ring_delay_ms=0",
                "-Dcassandra.shutdown_announce_in_ms=0",
                "-Dcassandra.skip_wait_for_gossip_to_settle=0",
                "-Dcassandra.superuser_setup_delay_ms=0",
                # Passwords of 128 random bits need no slow hash, whose cost every connection would pay.
                "-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4",
                "-cp",
                f"{self.jars}/cassandra/*",
                "org.apache.cassandra.service.CassandraDaemon",
            ],
            env=jvm_environment(self.settings.home),
            cwd=self.data,
        )

    def ready(self) -> bool:
        """Either login is accepted: before the first `finish` there is only the default one."""
        return port_open(self.settings.ports.cassandra) and (self._can_log_in() or self._has_default_superuser())

    def finish(self) -> None:
        """Replace the default superuser, whose password is well known, with our own."""
        if not self._can_log_in():
            with self._session(DEFAULT_SUPERUSER, DEFAULT_SUPERUSER) as session:
                session.execute(
                    f"CREATE ROLE IF NOT EXISTS {CASSANDRA_USER}"
                    f" WITH PASSWORD = '{self.credentials.cassandra}' AND LOGIN = true AND SUPERUSER = true"
                )
        with self._session(CASSANDRA_USER, self.credentials.cassandra) as session:
            session.execute(f"DROP ROLE IF EXISTS {DEFAULT_SUPERUSER}")
            session.execute(
                f"CREATE ROLE IF NOT EXISTS {READER} WITH PASSWORD = '{self.credentials.reader}' AND LOGIN = true"
            )
            session.execute(f"GRANT SELECT ON ALL KEYSPACES TO {READER}")

    def _can_log_in(self) -> bool:
        return self._accepts(CASSANDRA_USER, self.credentials.cassandra)

    def _has_default_superuser(self) -> bool:
        return self._accepts(DEFAULT_SUPERUSER, DEFAULT_SUPERUSER)

    def _accepts(self, user: str, password: str) -> bool:
        try:
            with self._session(user, password):
                return True
        except (NoHostAvailable, AuthenticationFailed, OperationTimedOut, DriverException):
            return False

    @contextlib.contextmanager
    def _session(self, user: str, password: str) -> Iterator[Session]:
        port = self.settings.ports.cassandra
        cluster, session = connect(
            CassandraSettings(port=port, username=user, password=password, datacenter=CASSANDRA_DATACENTER)
        )
        try:
            yield session
        finally:
            cluster.shutdown()
