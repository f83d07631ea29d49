from __future__ import annotations

import pytest

from cryptocdc_simulator.dialects.okx import INSTRUMENTS, of_market
from cryptocdc_simulator.dialects.port import Dialect
from cryptocdc_simulator.faults import Faults
from cryptocdc_simulator.market.market import Market

from ..clients import Ask, Listener, rest_client
from ..conftest import ManualClock


@pytest.fixture
def faults(clock: ManualClock) -> Faults:
    return Faults(clock)


@pytest.fixture
def market(clock: ManualClock) -> Market:
    return Market(7, 8, 1.0, clock, catalogue=INSTRUMENTS)


@pytest.fixture
def dialect(market: Market, faults: Faults) -> Dialect:
    return of_market(market, faults)


@pytest.fixture
def ask(dialect: Dialect, faults: Faults) -> Ask:
    return rest_client(dialect, faults, "/api/v5/")


@pytest.fixture
def listener(dialect: Dialect, clock: ManualClock) -> Listener:
    return Listener(dialect, clock)
