"""For each alert: series with which it must fire and with what labels, and series with which it must not.

Series are promtool's: a value every minute, `a+bxn` for a rising one, `_` for a missing sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

Labels = dict[str, str]
Series = dict[str, str]
"""By the series, its values."""


class Case(NamedTuple):
    at: str
    """When it is looked at: promtool begins at 0."""
    series: Series


class Cases(NamedTuple):
    fires: Case
    labels: Labels
    """Of the one alert that fires, beside its severity."""
    summary: str
    """As it then reads."""
    quiet: dict[str, Case]
    """By why it must be quiet."""
    also: Mapping[str, Case] = MappingProxyType({})
    """Other series with which it fires in the same words."""


FEED = 'namespace="cdc",feed="majors"'
POD = f'{FEED},pod="majors-producer-0",instance="10.0.0.1:9090"'
MAJORS = {"namespace": "cdc", "feed": "majors"}
SYMBOLS = f"cryptocdc_producer_symbols{{{POD}}}"
PAUSED = f'cryptocdc_producer_halted_symbols{{{POD}, symbol="ETHUSDT"}}'
UNLISTED = f'cryptocdc_producer_waiting_symbols{{{POD}, symbol="ETHUSDT"}}'
FRAMES = f'cryptocdc_producer_frames_total{{{POD},table="klines",via="websocket"}}'
PRODUCER_0, PRODUCER_1 = (
    f'up{{{FEED},program="producer",pod="majors-producer-{n}",instance="10.0.0.{n}:9090"}}' for n in (0, 1)
)
CONSUMER = f'up{{{FEED},program="consumer",pod="majors-consumer-0",instance="10.0.0.2:9090"}}'
KAFKA = 'up{program="kafka",instance="kafka"}'
MEMBER, SPARE = (
    f'cryptocdc_consumer_group_member{{{FEED},program="consumer",pod="majors-consumer-{n}",instance="10.0.1.{n}:9090"}}'
    for n in (0, 1)
)
LAST_FRAME = f'cryptocdc_producer_last_frame_timestamp_seconds{{{POD},table="klines"}}'
UNFILLABLE = f'cryptocdc_producer_gap_rows_total{{{POD},table="klines",outcome="unfillable"}}'
FILLED = f'cryptocdc_producer_gap_rows_total{{{POD},table="klines",outcome="filled"}}'
THROTTLED = f'cryptocdc_producer_throttled_total{{{POD},status="429"}}'
USED, LIMIT = f"cryptocdc_producer_weight_used{{{POD}}}", f"cryptocdc_producer_weight_limit{{{POD}}}"
CONNECTOR, SECOND_CONNECTOR = (
    f'cryptocdc_verifier_connector_running{{{FEED},connector="majors{suffix}"}}' for suffix in ("", ".2of2")
)
EXPORTER = f'cryptocdc_exporter_progress_timestamp_seconds{{{FEED},pod="majors-exporter-0"}}'
USABLE, SECOND_USABLE = (
    f'cryptocdc_verifier_slot_usable{{{FEED},slot="majors_slot{suffix}"}}' for suffix in ("", "_2of2")
)
RETAINED = f'cryptocdc_verifier_slot_retained_bytes{{{FEED},slot="majors_slot"}}'


def on_instance(metric: str, pod: str) -> str:
    """Return the series that CloudNativePG serves for the feed's slot on one of the instances."""
    return f'cnpg_cryptocdc_slots_{metric}{{namespace="cdc",pod="{pod}",slot_name="majors_slot"}}'


PRIMARY = {on_instance("standby", "pg-2"): "0x30"}
DEMOTED = {on_instance("standby", "pg-1"): "1x30", on_instance("orphaned", "pg-1"): "1x30"}
"""pg-1 was the primary before pg-2 and has kept its slot."""
LAG = f'cryptocdc_consumer_lag_records{{{FEED},topic="majors.majors.klines",partition="0"}}'
VERIFIER_LAG = f'cryptocdc_verifier_lag_records{{{FEED},topic="majors.majors.klines"}}'
TOPIC = 'topic="majors.majors.klines",partition="0"'
GROUP_LAG = f'kafka_consumergroup_lag{{namespace="cdc",consumergroup="majors-consumer",{TOPIC}}}'
PENDING_LETTERS = f"cryptocdc_verifier_dead_letters{{{FEED}}}"
LETTERS = f'cryptocdc_consumer_dead_letters_total{{{FEED},reason="undecodable"}}'
FREE, CAPACITY = (
    f'kubelet_volume_stats_{what}_bytes{{namespace="cdc",persistentvolumeclaim="cryptocdc-postgres-1-wal"}}'
    for what in ("available", "capacity")
)
REPAIRED, REPAIRED_ALSO = (
    f'cryptocdc_verifier_repaired_rows_total{{{FEED},table="klines",cause="{cause}"}}'
    for cause in ("update_lost", "never_sent")
)
DIFFERENCES = f'cryptocdc_verifier_differences{{{FEED},table="klines",kind="missing"}}'
THROUGH = f'cryptocdc_verifier_proven_through_timestamp_seconds{{{FEED},table="klines"}}'
UNPROVEN = f'cryptocdc_verifier_unproven_seconds{{{FEED},table="klines"}}'
READY = 'cryptocdc_operator_condition{namespace="cdc",feed="majors",type="Ready"}'
RECONCILED = 'cryptocdc_operator_reconciled_timestamp_seconds{namespace="cdc",feed="majors"}'
FIRING = f'cryptocdc_alerter_firing{{{FEED},alert="ETHUSDT/dropPercent/5/1h",symbol="ETHUSDT"}}'
EVALUATED = f'cryptocdc_alerter_evaluated_timestamp_seconds{{{FEED},symbol="ETHUSDT"}}'
WEBHOOK_FAILED, WEBHOOK_DELIVERED = (
    f'cryptocdc_alerter_webhooks_total{{{FEED},outcome="{outcome}"}}' for outcome in ("failed", "delivered")
)

CASES: dict[str, Cases] = {
    "CryptocdcCaptureSilent": Cases(
        Case("20m", {SYMBOLS: "10x30", FRAMES: "500x30"}),
        {**MAJORS, "pod": "majors-producer-0", "instance": "10.0.0.1:9090"},
        "majors: no frames from the exchange on 10.0.0.1:9090, which has 10 symbols to capture",
        {
            "frames come": Case("20m", {SYMBOLS: "10x30", FRAMES: "0+60x30"}),
            "there is nothing to capture": Case("20m", {SYMBOLS: "0x30", FRAMES: "500x30"}),
        },
    ),
    "CryptocdcProgramGone": Cases(
        Case("20m", {PRODUCER_0: "1x5 0x30", PRODUCER_1: "0x30", CONSUMER: "1x30", SYMBOLS: "10x5 _x30"}),
        {**MAJORS, "program": "producer"},
        "majors: no producer responds",
        {
            "one of two answers": Case("20m", {PRODUCER_0: "1x30", PRODUCER_1: "0x30", CONSUMER: "1x30"}),
            "it was restarted soon": Case("9m", {PRODUCER_0: "1x5 0x3 1x30"}),
            "the feed was suspended, or the run ended": Case("20m", {PRODUCER_0: "1x5 _x30", CONSUMER: "1x30"}),
            "it is no program of a feed": Case("20m", {KAFKA: "0x30"}),
        },
    ),
    "CryptocdcNotInItsGroup": Cases(
        # A broker answers, and the group's coordinator does not.
        Case("10m", {MEMBER: "1x3 0x20", SPARE: "1x20"}),
        {**MAJORS, "program": "consumer"},
        "majors: a consumer is not a member of its Kafka group and is assigned no partitions",
        {
            "a spare member": Case("10m", {MEMBER: "1x20", SPARE: "1x20"}),
            "a rebalance": Case("10m", {MEMBER: "1x4 0x2 1x20"}),
        },
    ),
    "CryptocdcStreamStale": Cases(
        Case("20m", {LAST_FRAME: "30x30", FRAMES: "1+0x30"}),
        {**MAJORS, "table": "klines"},
        "majors: no frame for klines for 19m 30s",
        {
            "frames come": Case("20m", {LAST_FRAME: "0+60x30", FRAMES: "1+60x30"}),
            "it is polled, as seldom as the feed says": Case("20m", {LAST_FRAME: "30x30", FRAMES: "0x30"}),
        },
    ),
    "CryptocdcGapsCanNotBeFilled": Cases(
        Case("10m", {UNFILLABLE: "_x5 3x10"}),
        {**MAJORS, "table": "klines"},
        "majors: rows of klines are permanently missing: the exchange does not provide them",
        {
            "gaps are filled": Case("10m", {FILLED: "0+5x10", UNFILLABLE: "0x10"}),
            "it was long ago": Case("3h", {UNFILLABLE: "3x200"}),
        },
    ),
    "CryptocdcThrottled": Cases(
        Case("10m", {THROTTLED: "_x5 1x10"}),
        {**MAJORS, "status": "429"},
        "majors: the exchange answers 429: too many requests",
        {"it was long ago": Case("1h", {THROTTLED: "7x70"})},
    ),
    "CryptocdcWeightNearlySpent": Cases(
        Case("15m", {USED: "5500x20", LIMIT: "6000x20"}),
        MAJORS,
        "majors: 91.67% of the request weight that the exchange allows is used",
        {"there is room": Case("15m", {USED: "3600x20", LIMIT: "6000x20"})},
    ),
    "CryptocdcConnectorFailed": Cases(
        Case("10m", {CONNECTOR: "0x20"}),
        {**MAJORS, "connector": "majors"},
        "majors: connector majors or its task is not running: PostgreSQL retains WAL for it",
        {
            "it runs": Case("10m", {CONNECTOR: "1x20"}),
            "it was restarted soon": Case("10m", {CONNECTOR: "1x6 0x1 1x20", SECOND_CONNECTOR: "1x20"}),
        },
    ),
    "CryptocdcSlotLost": Cases(
        Case("5m", {USABLE: "1x20", **PRIMARY, on_instance("lost", "pg-2"): "1x20"}),
        {**MAJORS, "slot": "majors_slot"},
        "majors: slot majors_slot is gone, or PostgreSQL has removed WAL that it had not read",
        {
            "it is whole": Case("5m", {USABLE: "1x20", **PRIMARY, on_instance("lost", "pg-2"): "0x20"}),
            "the demoted primary's is lost, the primary's is whole": Case(
                "5m",
                {
                    USABLE: "1x20", **PRIMARY, **DEMOTED,
                    on_instance("lost", "pg-1"): "1x20", on_instance("lost", "pg-2"): "0x20",
                },
            ),
        },
        {
            "the verifier finds none": Case("5m", {USABLE: "0x20"}),
            "the primary's is lost, a standby's copy is not": Case(
                "5m",
                {
                    USABLE: "1x20", **PRIMARY, on_instance("standby", "pg-1"): "1x30",
                    on_instance("lost", "pg-1"): "0x20", on_instance("lost", "pg-2"): "1x20",
                },
            ),
        },
    ),
    "CryptocdcSlotNotSafe": Cases(
        Case("20m", {**PRIMARY, **DEMOTED, on_instance("safe", "pg-1"): "0x30", on_instance("safe", "pg-2"): "1x30"}),
        {"namespace": "cdc", "pod": "pg-1", "slot_name": "majors_slot"},
        "majors_slot on pg-1 would not survive a failover",
        {
            "primary and copy are safe": Case(
                "20m", {on_instance("safe", "pg-1"): "1x30", on_instance("safe", "pg-2"): "1x30"}
            ),
            "the copy is new, and soon kept": Case("20m", {on_instance("safe", "pg-1"): "0x10 1x30"}),
        },
    ),
    "CryptocdcSlotRetainsLog": Cases(
        Case("20m", {RETAINED: "2e9x30"}),
        {**MAJORS, "slot": "majors_slot"},
        "majors: PostgreSQL retains 1.863GiB of WAL for slot majors_slot",
        {"it is read": Case("20m", {RETAINED: "2e7x30"}), "only for a while": Case("10m", {RETAINED: "2e9x30"})},
    ),
    "CryptocdcSlotNearItsLimit": Cases(
        Case(
            "5m",
            {
                **PRIMARY, on_instance("safe_wal_bytes", "pg-2"): "5e8x10",
                on_instance("standby", "pg-1"): "1x30", on_instance("safe_wal_bytes", "pg-1"): "9e9x10",
            },
        ),
        {"namespace": "cdc", "slot_name": "majors_slot"},
        "the slot majors_slot will be lost after 476.8MiB more of WAL",
        {
            "there is room": Case("5m", {**PRIMARY, on_instance("safe_wal_bytes", "pg-2"): "9e9x10"}),
            "there is no limit": Case("5m", {**PRIMARY, on_instance("safe_wal_bytes", "pg-2"): "-1x10"}),
            "it is the demoted primary's": Case(
                "5m",
                {
                    **PRIMARY, **DEMOTED, on_instance("safe_wal_bytes", "pg-1"): "5e8x10",
                    on_instance("safe_wal_bytes", "pg-2"): "9e9x10",
                },
            ),
        },
    ),
    "CryptocdcLagGrows": Cases(
        Case("40m", {LAG: "11000+500x60"}),
        MAJORS,
        "majors: 31000 changes are waiting for Cassandra, and the number grows",
        {
            "it shrinks": Case("40m", {LAG: "90000-900x60"}),
            "the consumers know better": Case("40m", {LAG: "0x60", VERIFIER_LAG: "11000+500x60"}),
            "it is small": Case("40m", {LAG: "0+10x60"}),
        },
        {"another engine writes": Case("40m", {VERIFIER_LAG: "11000+500x60"})},
    ),
    "CryptocdcConsumersFallBehind": Cases(
        Case("20m", {LAG: "200000x30"}),
        {"namespace": "cdc", "topic": "majors.majors.klines"},
        "majors.majors.klines: 200000 changes are not in Cassandra yet",
        {"the lag is small": Case("20m", {LAG: "99000x30", GROUP_LAG: "99000x30"})},
    ),
    "CryptocdcDeadLetters": Cases(
        Case("10m", {LETTERS: "_x5 1x10"}),
        {**MAJORS, "reason": "undecodable"},
        "majors: records became dead letters: undecodable",
        {"there is none": Case("10m", {LETTERS: "0x20"}), "it was long ago": Case("1h", {LETTERS: "4x70"})},
    ),
    "CryptocdcVolumeFull": Cases(
        Case("10m", {FREE: "1e9x20", CAPACITY: "1e10x20"}),
        {"namespace": "cdc", "persistentvolumeclaim": "cryptocdc-postgres-1-wal"},
        "cryptocdc-postgres-1-wal: 10% of the volume is free",
        {"there is room": Case("10m", {FREE: "5e9x20", CAPACITY: "1e10x20"})},
    ),
    "CryptocdcDatabasesDiffer": Cases(
        Case("10m", {DIFFERENCES: "2x20"}),
        {**MAJORS, "table": "klines"},
        "majors: 2 keys of klines in Cassandra differ from PostgreSQL, or from what the stored rows give",
        {"they are equal": Case("10m", {DIFFERENCES: "0x20"})},
    ),
    "CryptocdcRowsRepairedAgain": Cases(
        Case("100m", {REPAIRED: "2x70 5x50"}),
        {**MAJORS, "table": "klines"},
        "majors: rows of klines keep being repaired: 3 in the last hour",
        {
            "rows were repaired once": Case("100m", {REPAIRED: "_x70 5x50"}),
            "none were repaired in the last hour": Case("100m", {REPAIRED: "5x120"}),
            "the verifier has restarted since": Case("100m", {REPAIRED: "5x70 2x50"}),
        },
        {"for another cause": Case("100m", {REPAIRED: "2x120", REPAIRED_ALSO: "_x70 3x50"})},
    ),
    "CryptocdcProofStandsStill": Cases(
        # The verifier is gone after a quarter of an hour.
        Case("80m", {SYMBOLS: "10x100", THROUGH: "0+60x15 _x85"}),
        {**MAJORS, "table": "klines"},
        "majors: klines has not been proven for 1h 5m 0s",
        {
            "all that can be proven by now is proven": Case(
                "80m", {SYMBOLS: "10x100", THROUGH: "900x100", UNPROVEN: "0x100"}
            ),
            "it trails by two minutes": Case("80m", {SYMBOLS: "10x100", THROUGH: "-120+60x100"}),
            "nothing is captured": Case("80m", {SYMBOLS: "0x100", THROUGH: "0x100"}),
        },
    ),
    "CryptocdcNothingProven": Cases(
        Case("40m", {SYMBOLS: "10x60"}),
        MAJORS,
        "majors is captured, but nothing of it has been proven for a day",
        {
            "something is": Case("40m", {SYMBOLS: "10x60", THROUGH: "0+60x60"}),
            "nothing is captured": Case("40m", {SYMBOLS: "0x60"}),
        },
    ),
    "CryptocdcFeedNotReady": Cases(
        Case("20m", {READY: "0x30"}), MAJORS,
        "majors is not ready", {"it is": Case("20m", {READY: "1x30"})}
    ),
    "CryptocdcOperatorStandsStill": Cases(
        Case("30m", {RECONCILED: "60x40"}),
        MAJORS,
        "majors: not reconciled for 29m 0s",
        {"it looks every minute": Case("30m", {RECONCILED: "0+60x40"})},
    ),
    "CryptocdcExportStandsStill": Cases(
        Case("30m", {EXPORTER: "60x40"}),
        MAJORS,
        "majors: nothing was exported, or found to be, for 29m 0s",
        {"it looks every twenty seconds": Case("30m", {EXPORTER: "0+60x40"})},
    ),
    "CryptocdcMarketAlert": Cases(
        Case("2m", {FIRING: "0 1x5"}),
        {**MAJORS, "alert": "ETHUSDT/dropPercent/5/1h", "symbol": "ETHUSDT"},
        "majors: ETHUSDT/dropPercent/5/1h",
        {"its condition is false": Case("2m", {FIRING: "0x5"}), "it has resolved": Case("4m", {FIRING: "1x2 0x5"})},
    ),
    "CryptocdcAlertsBlind": Cases(
        Case("20m", {SYMBOLS: "10x30", EVALUATED: "60x30"}),
        {**MAJORS, "symbol": "ETHUSDT"},
        "majors: the newest price of ETHUSDT that the alerter has seen is 19m 0s old",
        {
            "prices come": Case("20m", {SYMBOLS: "10x30", EVALUATED: "0+60x30"}),
            "nothing is captured": Case("20m", {SYMBOLS: "0x30", EVALUATED: "60x30"}),
            "its market is paused": Case("20m", {SYMBOLS: "10x30", EVALUATED: "60x30", PAUSED: "1x30"}),
            "its market is not listed": Case("20m", {SYMBOLS: "10x30", EVALUATED: "60x30", UNLISTED: "1x30"}),
        },
    ),
    "CryptocdcWebhookFails": Cases(
        Case("10m", {WEBHOOK_FAILED: "_x5 1x10"}),
        {**MAJORS, "outcome": "failed"},
        "majors: alerts were not delivered to the webhook: failed",
        {"all is delivered": Case("10m", {WEBHOOK_DELIVERED: "0+1x20", WEBHOOK_FAILED: "0x20"})},
    ),
}  # fmt: skip

OTHER_ENGINES = {
    "CryptocdcDeadLetters": Cases(
        Case("10m", {PENDING_LETTERS: "0x5 1x10"}),
        {**MAJORS, "reason": "cryptocdc dlq list shows the reasons"},
        "majors: records became dead letters: cryptocdc dlq list shows the reasons",
        {
            "none is new": Case("40m", {PENDING_LETTERS: "4x70"}),
            "a consumer tells the reason": Case("10m", {PENDING_LETTERS: "0x5 1x10", LAG: "0x20"}),
        },
    ),
}
"""Alerts whose words differ where no consumer writes."""
