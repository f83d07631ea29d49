"""The rate limit: a burst, then a steady rate, for each client separately."""

from __future__ import annotations

from cryptocdc_api.requests.rates import BURST_S, CLIENTS, RateLimit


def test_after_a_burst_requests_are_limited_to_the_rate() -> None:
    now = 0.0
    limit = RateLimit(10, lambda: now)
    assert [limit.wait_s("a") for _ in range(int(10 * BURST_S))] == [0] * 20
    assert limit.wait_s("a") == 0.1
    now = 0.1
    assert limit.wait_s("a") == 0
    assert limit.wait_s("a") > 0


def test_each_client_has_its_own_limit() -> None:
    limit = RateLimit(1, lambda: 0.0)
    while limit.wait_s("a") == 0:
        pass
    assert limit.wait_s("b") == 0


def test_the_number_of_remembered_clients_is_bounded() -> None:
    limit = RateLimit(1, lambda: 0.0)
    for client in range(CLIENTS + 100):
        limit.wait_s(str(client))
    assert len(limit._clients) == CLIENTS


def test_a_rate_below_one_per_second_allows_a_first_request() -> None:
    assert RateLimit(0.1, lambda: 0.0).wait_s("a") == 0
