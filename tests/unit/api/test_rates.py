"""The rate limit: a burst, then a steady rate, for each client by itself."""

from __future__ import annotations

from cryptocdc_api.requests.rates import BURST_S, CLIENTS, RateLimit


def test_after_a_burst_only_the_rate_passes() -> None:
    now = 0.0
    limit = RateLimit(10, lambda: now)
    assert [limit.wait_s("a") for _ in range(int(10 * BURST_S))] == [0] * 20
    assert limit.wait_s("a") == 0.1
    now = 0.1
    assert limit.wait_s("a") == 0
    assert limit.wait_s("a") > 0


def test_one_client_takes_nothing_from_another() -> None:
    limit = RateLimit(1, lambda: 0.0)
    while limit.wait_s("a") == 0:
        pass
    assert limit.wait_s("b") == 0


def test_it_remembers_a_bounded_number_of_clients() -> None:
    limit = RateLimit(1, lambda: 0.0)
    for client in range(CLIENTS + 100):
        limit.wait_s(str(client))
    assert len(limit._clients) == CLIENTS


def test_less_than_one_request_a_second_lets_one_through() -> None:
    assert RateLimit(0.1, lambda: 0.0).wait_s("a") == 0
