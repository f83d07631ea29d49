"""The queue: order kept, trades never dropped, states conflated only when the writer is behind."""

from __future__ import annotations

import asyncio

import pytest
from tests.rows import make_row

from cryptocdc_core.program.metrics import ProducerMetrics
from cryptocdc_core.rows.typed import LatestPricesRow, RecentTradesRow
from cryptocdc_producer.storage import intake as intakes
from cryptocdc_producer.storage.intake import Data, GapEnd, Intake
from cryptocdc_producer.streams.continuity import Gap


@pytest.fixture
def intake(monkeypatch: pytest.MonkeyPatch) -> Intake:
    monkeypatch.setattr(intakes, "BATCH_ROWS", 10)
    monkeypatch.setattr(intakes, "BEHIND_ROWS", 10)
    monkeypatch.setattr(intakes, "CAPACITY_ROWS", 40)
    return Intake(ProducerMetrics("test"))


def trade(number: int) -> RecentTradesRow:
    return make_row(RecentTradesRow, symbol=f"trade {number}")


def price(text: object) -> LatestPricesRow:
    return make_row(LatestPricesRow, symbol=str(text))


def rows(batch: list[intakes.Entry]) -> list[str]:
    return [entry.row.symbol for entry in batch if isinstance(entry, Data)]


def test_entries_come_out_in_order(intake: Intake) -> None:
    gap = Gap("recent_trades", "X", "", 1, 2)
    intake.put(gap, Data(trade(1)))
    intake.put_state(("X",), price(2))
    intake.put(GapEnd(gap, "filled", ""))

    assert intake.take(1) == [gap, Data(trade(1)), Data(price(2)), GapEnd(gap, "filled", "")]
    assert intake.take(0.01) == []


def test_states_are_not_conflated_while_the_writer_keeps_up(intake: Intake) -> None:
    for number in range(5):
        intake.put_state(("X",), price(number))

    assert rows(intake.take(1)) == ["0", "1", "2", "3", "4"]


def test_when_the_writer_is_behind_states_are_conflated_and_no_trade_is_lost(intake: Intake) -> None:
    intake.put_rows([trade(number) for number in range(11)])
    for number in range(5):
        for symbol in ("X", "Y"):
            intake.put_state((symbol,), price(f"{symbol} {number}"))

    first, second = rows(intake.take(1)), rows(intake.take(1))

    assert first == [f"trade {number}" for number in range(10)]
    assert second == ["trade 10", "X 4", "Y 4"]


def test_a_state_already_taken_is_not_replaced(intake: Intake) -> None:
    intake.put_state(("X",), price("old"))
    intake.put_rows([trade(number) for number in range(25)])
    assert rows(intake.take(1))[0] == "old"

    intake.put_state(("X",), price("new"))

    assert rows(intake.take(1) + intake.take(1))[-1] == "new"


def test_reading_pauses_when_full_and_resumes_when_there_is_room(intake: Intake) -> None:
    async def scenario() -> None:
        intake.put_rows([trade(number) for number in range(40)])
        waiting = asyncio.create_task(intake.room())
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        intake.take(1)
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())


def test_after_closing_everything_is_taken_without_waiting(intake: Intake) -> None:
    intake.put_rows([trade(number) for number in range(25)])
    intake.close()

    taken = []
    while not intake.done:
        taken += rows(intake.take(1))

    assert taken == [f"trade {number}" for number in range(25)]
