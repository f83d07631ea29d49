"""What a link of the fault matrix does to the connections that it carries."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from random import Random

import pytest
from tests.faults.proxy import Link, Proxy
from tests.integration.api_client import free_port
from tests.integration.waiting import wait_for


def echo(server: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    with suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy with one link, "echo", to a server that returns what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with Proxy([Link("echo", free_port(), server.getsockname()[1])]) as running:
            yield running


def connected(proxy: Proxy) -> closing[socket.socket]:
    client = socket.create_connection(("127.0.0.1", proxy.links["echo"].port), timeout=5)
    return closing(client)


def answered(client: socket.socket, data: bytes = b"hello") -> bytes:
    client.sendall(data)
    found = b""
    while len(found) < len(data):
        part = client.recv(65536)
        if not part:
            raise ConnectionError("closed")
        found += part
    return found


def test_a_healthy_link_carries_every_byte_both_ways_and_counts_them(proxy: Proxy) -> None:
    data = bytes(range(256)) * 4096
    with connected(proxy) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        found = b""
        while len(found) < len(data):
            found += client.recv(65536)
        sender.join()
    assert found == data
    assert proxy.links["echo"].forwarded == 2 * len(data)


def test_a_connection_whose_client_has_finished_sending_still_gets_its_answer_and_ends(proxy: Proxy) -> None:
    with connected(proxy) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        found = b""
        while part := client.recv(100):
            found += part
    assert found == b"last words"


def test_a_cut_link_resets_connections_and_refuses_new_ones_until_it_works_again(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert answered(client) == b"hello"
        proxy.set("echo", cut=True)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionError), connected(proxy) as later:
        answered(later)
    proxy.set("echo")
    with connected(proxy) as again:
        assert answered(again) == b"hello"


def test_a_hanging_link_leaves_connections_open_and_silent_for_good_and_serves_later_ones(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert answered(client) == b"hello"
        proxy.set("echo", hanging=True)
        client.settimeout(1)
        client.sendall(b"anybody?")
        with pytest.raises(TimeoutError):
            client.recv(1)
        proxy.set("echo")
        with pytest.raises(TimeoutError):
            client.recv(1)
        with connected(proxy) as later:
            assert answered(later) == b"hello"


def test_a_slow_link_takes_longer_each_way(proxy: Proxy) -> None:
    proxy.set("echo", delay_s=0.2)
    with connected(proxy) as client:
        began = time.monotonic()
        assert answered(client) == b"hello"
        assert time.monotonic() - began >= 0.4


def test_a_narrow_link_carries_so_many_bytes_a_second(proxy: Proxy) -> None:
    proxy.set("echo", bytes_per_s=100_000)
    with connected(proxy) as client:
        began = time.monotonic()
        assert answered(client, b"x" * 50_000) == b"x" * 50_000
        assert time.monotonic() - began >= 0.5


def test_a_link_that_resets_connections_ends_one_after_the_other(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert answered(client) == b"hello"
        proxy.set("echo", reset_share=1.0)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    wait_for("the reset counted", lambda: proxy.links["echo"].resets >= 1, 5)


def test_a_link_that_resets_connections_also_resets_new_ones(proxy: Proxy) -> None:
    """Those that live for less than a second."""
    proxy.set("echo", reset_share=0.5, random=Random(7))
    for _ in range(20):
        with suppress(ConnectionError), connected(proxy) as client:
            answered(client)
    assert 3 < proxy.links["echo"].resets < 17


def test_a_connection_that_its_client_resets_is_not_counted_as_reset_by_the_link(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert answered(client) == b"hello"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with connected(proxy) as later:
        assert answered(later) == b"hello"
    assert proxy.links["echo"].resets == 0
