"""Open interest, which is polled, and liquidations, which are sporadic."""

from __future__ import annotations

from cryptocdc_core.catalogue.streams import LIQUIDATIONS, OPEN_INTEREST
from cryptocdc_core.rows.typed import LiquidationsRow, OpenInterestRow
from cryptocdc_producer.streams.handler import Handler, Round


class OpenInterest(Handler[OpenInterestRow]):
    stream = OPEN_INTEREST

    def take(self, row: OpenInterestRow, _: int = 0) -> None:
        self._write(row)

    async def poll(self, polling: Round) -> bool:
        async def one(symbol: str) -> None:
            for row in await polling.requests.open_interest(symbol):
                self.take(row)

        return await polling.each(one, self.has)


class Liquidations(Handler[LiquidationsRow]):
    stream = LIQUIDATIONS
    sporadic = True

    def key(self, _: LiquidationsRow) -> None:
        """Return None: liquidations are never conflated."""

    def take(self, row: LiquidationsRow, _: int) -> None:
        self._write(row)
