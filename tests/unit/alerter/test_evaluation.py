"""When alerts fire and resolve: once, exactly, and the same after every restart."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.alerter.prices import alert, position, run

from cryptocdc_alerter.evaluation import Evaluation, Known, Position
from cryptocdc_alerter.window import Point

DROP = alert(window="10s", dropPercent=5)
RISE = alert(window="10s", risePercent=5)
SWING = alert(window="10s", volatilityPercent=5)
ABOVE = alert(above=100)
BELOW = alert(below=100)


def states(turned):
    return [(t.point.at_ms // 1000, t.firing) for t in turned]


@pytest.mark.parametrize(
    ("watched", "prices", "expected"),
    [
        (DROP, [100, 96, 95.01, 95], [(3, True)]),
        (DROP, [100, 95, 94, 80, 95], [(1, True)]),
        (DROP, [95, 100, 95], [(2, True)]),
        (DROP, [100, 95, 95.4, 95.6, 95], [(1, True), (3, False), (4, True)]),
        (DROP, [100, *[95] * 9, 95], [(1, True), (10, False)]),
        (RISE, [100, 104.99, 105, 104.6, 104.4], [(2, True), (4, False)]),
        (SWING, [100, 102, 97.5, 97.2], []),
        (SWING, [100, 102.5, 97.5], [(2, True)]),
        (ABOVE, [99, 100, 100.01, 99.95, 99.9, 100.1], [(2, True), (4, False), (5, True)]),
        (BELOW, [101, 100, 99.99, 100.05, 100.1, 99], [(2, True), (4, False), (5, True)]),
    ],
)
def test_an_alert_fires_when_its_condition_becomes_true_and_resolves_with_hysteresis(watched, prices, expected):
    assert states(run(Evaluation([watched]), prices)) == expected


def test_the_threshold_is_inclusive():
    hair = "95.000000000000000000000000000000001"
    assert run(Evaluation([DROP]), [100, hair]) == []
    assert len(run(Evaluation([DROP]), [100, "95.000000000000000000000000000000000"])) == 1


def test_a_drop_contains_the_extreme_price_it_was_compared_with():
    (turned,) = run(Evaluation([DROP]), [99, 100, 98, "94.123456"])
    assert turned.compared == (Point(1000, Decimal(100)), Decimal("-5.8765"))
    assert turned.point == Point(3000, Decimal("94.123456"))
    assert (turned.since_ms, turned.position) == (3000, position(3))


def test_a_resolved_alert_contains_when_it_fired():
    fired, resolved = run(Evaluation([ABOVE]), [101, 102, 90])
    assert (fired.since_ms, resolved.since_ms, resolved.compared) == (0, 0, None)


def test_a_price_affects_only_alerts_of_its_symbol():
    evaluation = Evaluation([DROP, alert(symbol="BTCUSDT", window="10s", dropPercent=1)])
    turned = run(evaluation, [100, 90])
    assert [t.alert for t in turned] == [DROP]
    assert not evaluation.watches("SOLUSDT")


def test_a_late_price_corrects_the_window_but_is_not_the_newest():
    evaluation = Evaluation([DROP, ABOVE])
    run(evaluation, [96, 96, 96])
    (turned,) = evaluation.evaluate("ETHUSDT", Point(1500, Decimal(102)), position(3))
    assert (turned.alert, turned.point.price) == (DROP, Decimal(96))


def test_a_price_that_fills_the_window_fires_nothing_and_is_compared_with_later():
    evaluation = Evaluation([DROP])
    evaluation.fill("ETHUSDT", Point(0, Decimal(100)), position(0))
    evaluation.fill("ETHUSDT", Point(1000, Decimal(90)), position(1))
    assert states(run(evaluation, [100, 94], start=2)) == [(3, True)]


PRICES = st.lists(st.integers(85, 115), min_size=2, max_size=60)


@given(prices=PRICES, cut=st.integers(1, 59), committed_back=st.integers(0, 10))
def test_a_restart_changes_nothing(prices, cut, committed_back):
    """Killed after `cut` prices, whose last `committed_back` were not committed; the records had all been written."""
    alerts = [DROP, RISE, SWING, ABOVE, BELOW]
    cut = min(cut, len(prices) - 1)
    whole = run(Evaluation(alerts), prices)

    before = run(Evaluation(alerts), prices[:cut])
    last = {t.alert.id: Known(t.firing, t.position, t.since_ms) for t in before}
    resume = max(0, cut - committed_back)
    again = Evaluation(alerts)
    again.restore(last)
    for at in range(max(0, resume - 11), resume):
        again.fill("ETHUSDT", Point(at * 1000, Decimal(prices[at])), position(at))
    after = run(again, prices[resume:], start=resume)

    assert before + after == whole


def test_offsets_of_a_deleted_topic_do_not_apply_to_the_recreated_one():
    evaluation = Evaluation([ABOVE])
    evaluation.restore({ABOVE.id: Known(False, Position("another.topic", 3, 1000))})
    assert len(run(evaluation, [101])) == 1


def test_a_revoked_partition_is_forgotten_with_its_symbols():
    evaluation = Evaluation([DROP])
    run(evaluation, [100])
    evaluation.remove(3)
    assert run(evaluation, [90], start=1) == []
