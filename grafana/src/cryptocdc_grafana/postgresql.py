"""PostgreSQL: names of CloudNativePG's exporter, and of manifests/cloudnative-pg/slots.yaml."""

from __future__ import annotations

from cryptocdc_grafana.drawing import BAD, GOOD, states, yes_or_no
from cryptocdc_grafana.sections import INSTANCE, RATE, Section, now, over_time, state

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
            now("Up", "Servers that answer.", "short", f"sum(cnpg_collector_up{SERVERS})",
                least=1),
            now("Connections", "Of those that the fullest server allows.", "percentunit", f"max({sessions} / {most})",
                decimals=0, alarm=0.8),
            now("Commits a second", "Of all databases.", "short", _rate("xact_commit"), decimals=0),
            now("Log a second", "Bytes of write-ahead log written.", "Bps",
                f"sum(rate(cnpg_collector_wal_bytes{SERVERS}{RATE}))", decimals=0),
            now("Log kept", "For the slot that is furthest behind.", "bytes", f"max({KEPT})", alarm=1e9),
            now("Slots lost", "Log was dropped that they had not read: a new snapshot is needed.", "short",
                f"sum({S}lost{SERVERS} * (1 - {S}standby{SERVERS}))", alarm=1),
        )),
        Section("Slots and log", (
            over_time("Log kept", "By slot: bytes that can't be dropped until it has confirmed them.", "bytes",
                      {slot: _by_slot(KEPT)}),
            over_time("Before a slot loses log", "Bytes that may yet be written, where there is a limit.", "bytes",
                      {slot: _by_slot(f"{S}safe_wal_bytes{SERVERS} >= 0")}),
            state("Slot's state", "Whether PostgreSQL keeps the log that the slot needs; unreserved is soon lost.",
                  states(WAL_STATUS), {slot: _by_slot(f"{S}wal_status{SERVERS}")}),
            state("Slots read", "Whether a connection reads the slot.", yes_or_no(good=True),
                  {slot: _by_slot(f'cnpg_pg_replication_slots_active{{{INSTANCE}, slot_type="logical"}}')}),
            state("Survives a failover", "Yes on the primary for a slot that follows a failover, on a standby once its"
                  " copy would be kept.", yes_or_no(good=True), {slot: _by_slot(f"{S}safe{SERVERS}")}),
            state("Copies on standbys", "Whether a standby's copy follows the primary's slot, and whether a promotion"
                  " would still drop it.", yes_or_no(good=None),
                  {f"{slot} synced": _by_slot(f"{S}synced{SERVERS}"),
                   f"{slot} temporary": _by_slot(f"{S}temporary{SERVERS}")}),
            over_time("Log written", "Bytes a second.", "Bps",
                      {"{{instance}}": f"sum by (instance) (rate(cnpg_collector_wal_bytes{SERVERS}{RATE}))"}),
            over_time("Records of log", "A second, and those of them that are whole pages: many after a checkpoint.",
                      "short", {"records": f"sum(rate(cnpg_collector_wal_records{SERVERS}{RATE}))",
                                "whole pages": f"sum(rate(cnpg_collector_wal_fpi{SERVERS}{RATE}))"}),
            over_time("Buffers full", "Times that the log was written early because its buffers were full.", "short",
                      {"times": _increase("cnpg_collector_wal_buffers_full")}),
        )),
        Section("Sessions", (
            over_time("Sessions", "By what they do.", "short",
                      {"{{state}}": f"sum by (state) (cnpg_backends_total{SERVERS})"}, stacked=True),
            over_time("Sessions by program", "By the name that each gives itself.", "short",
                      {"{{application_name}}": f"sum by (application_name) (cnpg_backends_total{SERVERS})"},
                      stacked=True),
            over_time("Oldest transaction", "Open for how long, by program. A long one keeps dead rows from being"
                      " cleared.", "s",
                      {"{{application_name}}": f"max by (application_name) ({OLDEST}{SERVERS})"}),
            over_time("Waiting", "Sessions that wait for another's lock.", "short",
                      {"{{instance}}": f"cnpg_backends_waiting_total{SERVERS}"}),
            over_time("Deadlocks", "Found, and ended by refusing one of the transactions.", "short",
                      {"deadlocks": _increase(f"{D}deadlocks")}),
            over_time("Connections", "Of those that the server allows.", "percentunit",
                      {"{{instance}}": f"{sessions} / {most}"}),
        )),
        Section("Work", (
            over_time("Transactions", "Committed and rolled back, a second.", "short",
                      {"committed": _rate("xact_commit"), "rolled back": _rate("xact_rollback")}),
            over_time("Rows", "Changed a second, and fetched through indexes.", "short",
                      {"inserted": _rate("tup_inserted"), "updated": _rate("tup_updated"),
                       "deleted": _rate("tup_deleted"), "fetched": _rate("tup_fetched")}),
            over_time("Found in memory", "Share of the blocks wanted that were in shared buffers.", "percentunit",
                      {"hits": hits}),
            over_time("Checkpoints", "That were due, and that were asked for: many of those want a greater"
                      " max_wal_size.", "short",
                      {"due": _increase(f"{P}checkpoints_timed"), "asked for": _increase(f"{P}checkpoints_req")}),
            over_time("Checkpoints' work", "Milliseconds of writing and of syncing, a second.", "ms",
                      {"writing": f"sum(rate({P}write_time{SERVERS}{RATE}))",
                       "syncing": f"sum(rate({P}sync_time{SERVERS}{RATE}))"}),
            over_time("Size", "Of each database.", "bytes",
                      {"{{datname}}": f"max by (datname) (cnpg_pg_database_size_bytes{SERVERS})"}, stacked=True),
        )),
    )  # fmt: skip
