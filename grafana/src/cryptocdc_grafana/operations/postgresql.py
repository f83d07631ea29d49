"""The PostgreSQL dashboard. Metric names: CloudNativePG's exporter and manifests/cloudnative-pg/slots.yaml."""

from __future__ import annotations

from cryptocdc_grafana.drawing import BAD, GOOD, states, yes_or_no
from cryptocdc_grafana.operations.sections import INSTANCE, RATE, Section, now, over_time, state

INSTANCES = "cnpg_collector_up"

D, S, P = "cnpg_pg_stat_database_", "cnpg_cryptocdc_slots_", "cnpg_pg_stat_checkpointer_"
SERVERS = f"{{{INSTANCE}}}"
WAL_STATUS = {0: ("reserved", GOOD), 1: ("extended", "yellow"), 2: ("unreserved", "orange"), 3: ("lost", BAD)}
OLDEST = "cnpg_backends_max_tx_duration_seconds"
KEPT = f'cnpg_pg_replication_slots_pg_wal_lsn_diff{{{INSTANCE}, slot_type="logical"}}'


def _rate(what: str, by: str = "") -> str:
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({D}{what}{SERVERS}{RATE}))"


def _increase(metric: str) -> str:
    return f"sum(increase({metric}{SERVERS}{RATE}))"


def _by_slot(metric: str) -> str:
    return f"max by (instance, slot_name) ({metric})"


def sections() -> tuple[Section, ...]:
    sessions = f"sum by (instance) (cnpg_backends_total{SERVERS})"
    most = f'max by (instance) (cnpg_pg_settings_setting{{{INSTANCE}, name="max_connections"}})'
    hits = f"{_rate('blks_hit')} / ({_rate('blks_hit')} + {_rate('blks_read')} > 0)"
    slot = "{{slot_name}} {{instance}}"
    return (
        Section("Now", (
            now("Up", "Servers that respond.", "short", f"sum(cnpg_collector_up{SERVERS})",
                least=1),
            now("Connections", "Share of `max_connections` in use, on the busiest server.", "percentunit",
                f"max({sessions} / {most})", decimals=0, alarm=0.8),
            now("Commits/s", "All databases.", "short", _rate("xact_commit"), decimals=0),
            now("WAL written", "Bytes per second.", "Bps",
                f"sum(rate(cnpg_collector_wal_bytes{SERVERS}{RATE}))", decimals=0),
            now("WAL retained", "For the slot that is furthest behind.", "bytes", f"max({KEPT})", alarm=1e9),
            now("Slots lost", "WAL that they had not read was removed: a new snapshot is needed.", "short",
                f"sum({S}lost{SERVERS} * (1 - {S}standby{SERVERS}))", alarm=1),
        )),
        Section("Slots and WAL", (
            over_time("WAL retained", "By slot: bytes that can't be removed until it confirms them.", "bytes",
                      {slot: _by_slot(KEPT)}),
            over_time("WAL until a slot is lost", "Bytes that can still be written, where there is a limit.", "bytes",
                      {slot: _by_slot(f"{S}safe_wal_bytes{SERVERS} >= 0")}),
            state("Slot status", "Whether PostgreSQL retains the WAL that the slot needs; unreserved is soon lost.",
                  states(WAL_STATUS), {slot: _by_slot(f"{S}wal_status{SERVERS}")}),
            state("Slots active", "Whether a connection reads the slot.", yes_or_no(good=True),
                  {slot: _by_slot(f'cnpg_pg_replication_slots_active{{{INSTANCE}, slot_type="logical"}}')}),
            state("Survives a failover", "On the primary: whether the slot has failover enabled; on a standby: whether"
                  " its copy would survive promotion.", yes_or_no(good=True), {slot: _by_slot(f"{S}safe{SERVERS}")}),
            state("Copies on standbys", "Whether a standby's copy is synced with the primary's slot, and whether it is"
                  " still temporary, so that promotion would drop it.", yes_or_no(good=None),
                  {f"{slot} synced": _by_slot(f"{S}synced{SERVERS}"),
                   f"{slot} temporary": _by_slot(f"{S}temporary{SERVERS}")}),
            over_time("WAL written by instance", "Bytes per second.", "Bps",
                      {"{{instance}}": f"sum by (instance) (rate(cnpg_collector_wal_bytes{SERVERS}{RATE}))"}),
            over_time("WAL records", "Per second, with the full-page images among them: many after a checkpoint.",
                      "short", {"records": f"sum(rate(cnpg_collector_wal_records{SERVERS}{RATE}))",
                                "full pages": f"sum(rate(cnpg_collector_wal_fpi{SERVERS}{RATE}))"}),
            over_time("WAL buffers full", "How often WAL was written early because its buffers were full.", "short",
                      {"times": _increase("cnpg_collector_wal_buffers_full")}),
        )),
        Section("Sessions", (
            over_time("Sessions", "By state.", "short",
                      {"{{state}}": f"sum by (state) (cnpg_backends_total{SERVERS})"}, stacked=True),
            over_time("Sessions by program", "By `application_name`.", "short",
                      {"{{application_name}}": f"sum by (application_name) (cnpg_backends_total{SERVERS})"},
                      stacked=True),
            over_time("Oldest transaction", "Its age, by program. A long one keeps dead rows from being"
                      " vacuumed.", "s",
                      {"{{application_name}}": f"max by (application_name) ({OLDEST}{SERVERS})"}),
            over_time("Waiting", "Sessions that wait for a lock.", "short",
                      {"{{instance}}": f"cnpg_backends_waiting_total{SERVERS}"}),
            over_time("Deadlocks", "Detected, and resolved by aborting one of the transactions.", "short",
                      {"deadlocks": _increase(f"{D}deadlocks")}),
            over_time("Connections", "Share of `max_connections` in use.", "percentunit",
                      {"{{instance}}": f"{sessions} / {most}"}),
        )),
        Section("Activity", (
            over_time("Transactions", "Committed and rolled back, per second.", "short",
                      {"committed": _rate("xact_commit"), "rolled back": _rate("xact_rollback")}),
            over_time("Rows", "Changed, and fetched through indexes, per second.", "short",
                      {"inserted": _rate("tup_inserted"), "updated": _rate("tup_updated"),
                       "deleted": _rate("tup_deleted"), "fetched": _rate("tup_fetched")}),
            over_time("Buffer cache hit ratio", "Share of requested blocks found in shared buffers.", "percentunit",
                      {"hits": hits}),
            over_time("Checkpoints", "Timed and requested; many requested ones call for more max_wal_size.", "short",
                      {"timed": _increase(f"{P}checkpoints_timed"), "requested": _increase(f"{P}checkpoints_req")}),
            over_time("Checkpoint time", "Milliseconds of writing and of syncing, per second.", "ms",
                      {"writing": f"sum(rate({P}write_time{SERVERS}{RATE}))",
                       "syncing": f"sum(rate({P}sync_time{SERVERS}{RATE}))"}),
            over_time("Database size", "By database.", "bytes",
                      {"{{datname}}": f"max by (datname) (cnpg_pg_database_size_bytes{SERVERS})"}, stacked=True),
        )),
    )  # fmt: skip
