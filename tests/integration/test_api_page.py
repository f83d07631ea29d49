"""The live page in a real browser: Debian's chromium."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, WebSocketRoute, expect, sync_playwright

from cryptocdc_local.platform import Platform
from cryptocdc_local.running.run import Run
from tests.integration.api_client import healthy, served
from tests.integration.conftest import CAPTURED, feed_document, starter
from tests.integration.waiting import wait_for

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.platform,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; Debian's package chromium has it"),
]
LIMIT_MS = 60_000
ANALYTICS = {"bars": ["5s", "3s", "1m"], "volatility": ["3s"], "anomalies": ["3s"], "forecasts": ["3s"]}
WARM_MS = 180_000
"""Within which a forecast has the 30 windows that it needs."""
expect.set_options(timeout=LIMIT_MS)  # five seconds by default, which a machine that does other things too exceeds


@pytest.fixture(scope="module")
def it(platform: Platform, simulator_port: int) -> Iterator[Run]:
    with (
        pytest.MonkeyPatch.context() as patch,
        starter(platform, simulator_port, patch) as start,
        start(feed_document("page", 12, analytics=ANALYTICS)) as run,
    ):
        wait_for("the API", lambda: healthy(run.address))
        wait_for("statistics", lambda: len(requests.get(f"{run.address}/top?by=trades", timeout=5).json()) == 10)
        yield run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Root, as in CI's containers, has no sandbox.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def with_url(message: ConsoleMessage) -> str:
    return f"{message.text} {message.location['url']}"


class Watched:
    """A page, with its console errors and its requests."""

    def __init__(self, browser: Browser, **context: object) -> None:
        self.context = browser.new_context(**context)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(LIMIT_MS)
        self.errors: list[str] = []
        self.urls: list[str] = []
        self.page.on(
            "console", lambda message: self.errors.append(with_url(message)) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.urls.append(request.url))


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    made = Watched(browser, viewport={"width": 1360, "height": 900})
    yield made
    made.context.close()


def is_live(page: Page) -> None:
    expect(page.locator("#connection")).to_have_attribute("data-state", "live", timeout=LIMIT_MS)


def moves(page: Page) -> None:
    """New trades come, and the clock of the newest goes on."""
    first = page.locator("#trades tr").first
    expect(first).to_be_visible(timeout=LIMIT_MS)
    before = first.inner_text()
    expect(first).not_to_have_text(before, timeout=LIMIT_MS)


def is_drawn(page: Page, selector: str) -> bool:
    """Whether a canvas has pixels of more than one colour."""
    return bool(
        page.evaluate(
            """selector => [...document.querySelectorAll(selector)].some(canvas => {
                const pixels = new Uint32Array(
                    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)
                return new Set(pixels).size > 8 })""",
            selector,
        )
    )


def test_the_page_shows_every_part_and_marks_the_data_as_simulated(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    expect(page.locator("#source")).to_have_text("SIMULATED DATA")
    expect(page.locator("#source")).to_be_in_viewport()
    expect(page.locator("#price")).to_contain_text(".")
    expect(page.locator("#change")).to_contain_text("%")
    for words in ("24 h trades", "Volatility", "24 h volume"):
        expect(page.locator("#figures")).to_contain_text(words)
    expect(page.locator("#traded tr")).to_have_count(10)
    gained = requests.get(f"{it.address}/top?by=gain&n=5", timeout=5).json()
    expect(page.locator("#gains tr")).to_have_count(len(gained))
    for rows in ("#asks tr", "#bids tr", "#trades tr"):
        expect(page.locator(rows).first).to_be_visible()
    for canvas in ("#candles canvas", "#line canvas", "#heat"):
        wait_for(f"{canvas} drawn", lambda canvas=canvas: is_drawn(page, canvas))  # type: ignore[misc]
    expect(page.locator("#hops li")).to_have_count(4)
    expect(page.locator("#streams tr")).to_have_count(len(it.plan.streams))
    for words in ("Lag", "Latency", "Gaps open", "Dead letters"):
        expect(page.locator("#faults")).to_contain_text(words)
    expect(page.locator("#proof")).to_contain_text("proven equal through", timeout=LIMIT_MS)
    moves(page)
    assert watched.errors == []
    assert all(url.startswith((it.address, it.address.replace("http", "ws"), "data:")) for url in watched.urls)


def test_the_content_security_policy_allows_nothing_external_or_inline(it: Run) -> None:
    policy = requests.get(it.address, timeout=5).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


def test_the_chosen_symbol_and_interval_are_shown_and_kept_in_the_url(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    other = page.locator("#traded button").nth(4).inner_text()
    page.locator("#traded button").nth(4).click()
    expect(page.get_by_role("combobox", name="Symbol")).to_have_value(other)
    assert f"symbol={other}" in page.url
    page.reload()
    expect(page.get_by_role("combobox", name="Symbol")).to_have_value(other)
    is_live(page)
    moves(page)
    assert watched.errors == []


def test_bars_can_be_chosen_instead_of_candles_and_are_updated(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    page.locator("#bars label", has_text="5s").click()
    expect(page.locator("#candle")).to_contain_text("close")
    assert "bars=5s" in page.url
    expect(page.locator("#trace-candle")).to_be_hidden()
    expect(page.locator("#candle")).not_to_have_text(page.locator("#candle").inner_text())
    page.reload()
    expect(page.locator("#bars input").first).to_be_checked()
    page.locator("#intervals label").first.click()
    expect(page.locator("#trace-candle")).to_be_visible()
    expect(page).to_have_url(re.compile("interval="))
    assert watched.errors == []


def test_a_forecast_and_an_anomaly_are_shown_as_they_change(it: Run, watched: Watched) -> None:
    page, anomaly, tables = watched.page, [True], set[str]()

    def push(socket: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            rows = json.loads(message)
            if isinstance(rows, list):
                tables.update(row["table"] for row in rows if row.get("interval") == "3s")
                # The newest bar, which the page describes, is compared only once it is over.
                found = {"table": "anomalies", "kind": "price", "anomaly": anomaly[0], "reason": "price change 0.01"}
                rows += [row | found for row in rows if row["table"] == "bars"]
            socket.send(json.dumps(rows))

        socket.connect_to_server().on_message(pass_on)

    page.route_web_socket("**/live*", push)
    page.goto(it.address)
    is_live(page)
    page.locator("#bars label", has_text="3s").click()
    expect(page.locator("#candle")).to_contain_text("! price change 0.01")
    anomaly[0] = False
    expect(page.locator("#candle")).not_to_contain_text("!")
    shown = page.locator("#forecast")
    expect(shown).to_contain_text("forecast of the current 3s: volatility", timeout=WARM_MS)
    expect(shown).to_contain_text("%, return between", timeout=WARM_MS)
    expect(shown).not_to_have_text(shown.inner_text())
    assert {"bars", "anomalies", "forecasts"} <= tables
    page.locator("#intervals label").first.click()
    expect(shown).to_be_hidden()
    assert watched.errors == []


def test_nothing_is_requested_before_the_symbols_are_known(it: Run, watched: Watched) -> None:
    page, held, symbols = watched.page, list[Route](), re.compile(r"/symbols\?")
    page.route(symbols, lambda route: held.append(route))
    with page.expect_request(symbols):
        page.goto(it.address)
    page.locator("#bars label", has_text="5s").click()
    expect(page.locator("#bars input").first).to_be_checked()
    assert not page.locator("#symbol option").count()
    for route in held:
        route.continue_()
    page.unroute(symbols)
    is_live(page)
    assert "bars=5s" in page.url
    assert not [url for url in watched.urls if "undefined" in url]
    assert watched.errors == []


def test_a_dropped_connection_is_reestablished(it: Run, watched: Watched) -> None:
    page, sockets = watched.page, list[WebSocketRoute]()

    def through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    page.route_web_socket("**/live**", through)
    page.goto(it.address)
    is_live(page)
    sockets[-1].close(code=1011, reason="cut")
    expect(page.locator("#connection")).to_contain_text("connection lost")
    is_live(page)
    assert len(sockets) == 2
    moves(page)


def test_the_page_survives_a_restart_of_the_api(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    it.programs.kill(f"{it.plan.names.fid}-api-0")
    expect(page.locator("#connection")).to_have_attribute("data-state", "away")
    is_live(page)
    moves(page)
    # What is asked for again and again goes on as well.
    expect(page.locator("#hops")).not_to_have_text(page.locator("#hops").inner_text(), timeout=LIMIT_MS)


def test_the_page_can_be_used_without_a_mouse(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the market")).to_be_focused()
    for role, name in (
        ("main", None), ("banner", None), ("contentinfo", None), ("combobox", "Symbol"), ("region", "Order book"),
        ("table", "Recent trades, newest first"), ("group", "Candles"), ("status", None),
    ):  # fmt: skip
        expect(page.get_by_role(role, name=name).first).to_be_attached()  # type: ignore[arg-type]
    assert page.locator("h1").count() == 1
    page.get_by_role("combobox", name="Symbol").focus()
    before = page.get_by_role("combobox", name="Symbol").input_value()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("combobox", name="Symbol")).not_to_have_value(before)


def is_traced(page: Page, title: str) -> None:
    """A dialog with every hop and its time, from Kafka and Cassandra, which agree; it has the keyboard."""
    dialog = page.get_by_role("dialog", name=title)
    expect(dialog.locator("#trace-hops li")).to_have_count(5)
    expect(dialog.locator("#trace-hops li[data-state=there]")).to_have_count(5)
    expect(dialog.locator("#trace-verdict")).to_contain_text("have the same row, digit by digit")
    for words in ("LSN", "topic", "partition", "offset", "WRITETIME", "ms"):
        expect(dialog.locator("#trace-hops")).to_contain_text(words)
    expect(dialog.locator("#trace-proof")).to_contain_text("proven")
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()


def test_a_clicked_row_is_traced_through_every_hop(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    for selector, title in (
        ("#trades tr:nth-child(3) td:nth-child(2)", "A trade of"), ("#bids tr:first-child", "An order book of"),
        ("#price", "A price of"), ("#change", "24-hour statistics of"), ("#candles", "A candle of"),
    ):  # fmt: skip
        place = page.locator(selector).first
        expect(place).to_be_visible()
        # The newest candle stands at the right of its chart.
        if selector == "#candles":
            page.evaluate("document.querySelector('#candles').scrollIntoView({block: 'center'})")
            box = place.bounding_box()
            assert box is not None
            page.mouse.click(box["x"] + box["width"] - 110, box["y"] + box["height"] / 2)
        else:
            place.click()
        is_traced(page, title)
        page.get_by_role("button", name="Close").click()
        expect(page.locator("#trace")).not_to_be_visible()
    assert watched.errors == []


def test_a_row_is_traced_by_keyboard_and_escape_returns(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    expect(page.locator("#trades tr").nth(5)).to_be_visible()
    for name, title in (
        ("trace this price", "A price of"), ("trace these statistics", "24-hour statistics of"),
        ("Trace this candle", "A candle of"), ("trace this order book", "An order book of"),
    ):  # fmt: skip
        button = page.get_by_role("button", name=name)
        button.focus()
        page.keyboard.press("Enter")
        is_traced(page, title)
        page.keyboard.press("Escape")
        expect(button).to_be_focused()
    # Arrows choose among the trades, which stand still meanwhile; Tab leaves the list at once.
    # Found and focused in one step: a trade that comes between the two would move the row down.
    page.evaluate("document.querySelector(\"#trades button[tabindex='0']\").focus()")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    third = page.locator("#trades tr").nth(2).get_by_role("button")
    expect(third).to_be_focused()
    expect(page.locator("#tape-note")).to_contain_text("paused")
    page.keyboard.press("Enter")
    is_traced(page, "A trade of")
    page.keyboard.press("Escape")
    expect(third).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#trades :focus")).to_have_count(0)
    expect(page.locator("#tape-note")).to_be_empty()
    moves(page)
    # Within the dialog Tab goes round: it never reaches the page below.
    page.get_by_role("button", name="trace this price").focus()
    page.keyboard.press("Enter")
    is_traced(page, "A price of")
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('#trace')")
    assert watched.errors == []


def test_arrow_keys_select_an_earlier_candle(it: Run, watched: Watched) -> None:
    page = watched.page
    page.goto(it.address)
    is_live(page)
    wait_for("two candles", lambda: len(requests.get(f"{it.address}/klines?symbol=BTCUSDT", timeout=5).json()) > 1, 150)
    page.reload()
    is_live(page)
    button = page.get_by_role("button", name="Trace this candle")
    button.focus()

    def moved() -> bool:
        """Candles are read once the page is live: until then there is none to go to."""
        page.keyboard.press("ArrowLeft")
        return ":" in page.locator("#candle").inner_text()

    wait_for("an earlier candle is chosen", moved)
    chosen = page.locator("#candle").inner_text()[11:16]
    page.keyboard.press("Enter")
    is_traced(page, "A candle of")
    expect(page.locator("#trace-key")).to_contain_text(chosen)


def test_a_row_that_is_not_in_cassandra_yet_is_reported_and_requested_again(it: Run, watched: Watched) -> None:
    page = watched.page
    answers: list[Any] = []

    def late(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        if not answers:
            found |= {"compared": ["kafka"], "equal": False}
            found["hops"][4] |= {"at": None, "at_ms": None, "after_ms": None, "note": "not found", "facts": {}}
        answers.append(found)
        route.fulfill(response=answer, json=found)

    page.route("**/trace?*", late)
    page.goto(it.address)
    is_live(page)
    page.locator("#trades tr").nth(1).click()
    expect(page.locator("#trace-verdict")).to_have_text("It is in Kafka but not in Cassandra.")
    expect(page.locator("#trace-hops li[data-state=unknown]")).to_have_count(1)
    is_traced(page, "A trade of")
    assert len(answers) == 2


def test_unreported_figures_are_shown_as_a_dash_and_never_as_0(it: Run, watched: Watched) -> None:
    nulls = {stream.table: {column.name: None for column in stream.nullable} for stream in CAPTURED}

    def answer(route: Route) -> None:
        table = route.request.url.partition("?")[0].rpartition("/")[2]
        fetched = route.fetch()
        route.fulfill(response=fetched, json=[row | nulls[table] for row in fetched.json()])

    def push(socket: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            rows = json.loads(message)
            if isinstance(rows, list):
                rows = [row | nulls.get(row["table"], {}) for row in rows]
            socket.send(json.dumps(rows))

        socket.connect_to_server().on_message(pass_on)

    page = watched.page
    page.route_web_socket("**/live*", push)
    page.route("**/top?*", lambda route: route.fulfill(json=[]))  # as the API ranks such statistics
    for table in ("crypto_24h_stats", "klines", "recent_trades"):
        page.route(f"**/{table}?*", answer)
    page.goto(it.address)
    is_live(page)
    expect(page.locator("#change")).to_have_text("–")
    expect(page.locator("#change")).to_have_accessible_name("change not reported in 24 hours, trace these statistics")
    for name in ("24 h quote volume", "24 h trades"):
        expect(page.locator("#figures")).to_contain_text(f"{name}–")
    expect(page.locator("#candle")).to_contain_text("trades –")
    expect(page.locator("#traded")).to_have_text("The exchange does not report numbers of trades.")
    expect(page.locator("#gains")).to_have_text("The exchange does not report changes of the price.")
    moves(page)
    assert watched.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 820])
def test_the_page_fits_a_phone_and_a_tablet_in_light_and_dark_mode(
    it: Run, browser: Browser, scheme: str, width: int
) -> None:
    watched = Watched(browser, viewport={"width": width, "height": 800}, color_scheme=scheme)
    watched.page.goto(it.address)
    is_live(watched.page)
    assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    background = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) > 384) == (scheme == "light")
    watched.page.locator("#trades tr").first.click()
    is_traced(watched.page, "A trade of")
    assert watched.page.evaluate("document.querySelector('#trace').scrollWidth <= innerWidth")
    assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert watched.errors == []
    watched.context.close()


def test_the_page_prompts_for_a_required_token(it: Run, watched: Watched) -> None:
    with served(it, api_token="s3cret") as url:
        page = watched.page
        page.goto(url)
        page.get_by_role("textbox", name="Token").fill("s3cret")
        page.get_by_role("button", name="Continue").click()
        is_live(page)
        moves(page)
