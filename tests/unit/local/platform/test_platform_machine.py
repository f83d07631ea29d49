"""What prevents a start, and how doctor reports it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptocdc_adapters.exchange.reach import NotAnExchange, Pong
from cryptocdc_adapters.exchange.rest import ExchangeUnreachable
from cryptocdc_local.platform import HaltError, PlatformError, PlatformSettings, Ports, doctor, machine

GIB = 2**30


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_named_with_its_holder_and_the_setting(taken: int) -> None:
    with pytest.raises(PlatformError, match=f"port {taken} is in use by .*pid") as refusal:
        machine.check_port("CRYPTOCDC_KAFKA_PORT", taken)
    assert "CRYPTOCDC_KAFKA_PORT" in refusal.value.remedy


def test_a_python_program_is_named_by_its_script(tmp_path: Path) -> None:
    """A long interpreter path, or one with a space, hides its name from the kernel."""
    script = tmp_path / "cryptocdc-api"
    script.write_text(
        "import socket, time\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "print(server.getsockname()[1], flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            assert machine.port_holder(port).startswith(f"cryptocdc-api (pid {process.pid}")
        finally:
            process.kill()


def test_a_port_with_connections_in_time_wait_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server's side closes first and stays in TIME_WAIT
        client.close()
    assert machine.port_is_free(port)


def test_a_full_disk_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "free_disk", lambda _: GIB)
    with pytest.raises(PlatformError, match=r"only 1\.0 GiB") as refusal:
        machine.check_disk(tmp_path)
    assert "CRYPTOCDC_HOME" in refusal.value.remedy


def test_a_disk_that_fills_up_halts_before_it_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "free_disk", lambda _: GIB // 2 - 1)
    with pytest.raises(HaltError, match="only 511 MiB are left"):
        machine.check_disk_left(tmp_path)
    monkeypatch.setattr(machine, "free_disk", lambda _: GIB // 2)
    machine.check_disk_left(tmp_path)


def test_free_disk_space_is_known_for_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert machine.free_disk(tmp_path / "not" / "there") > 0


def test_doctor_names_each_taken_port(taken: int, tmp_path: Path) -> None:
    check = doctor.check_ports(PlatformSettings(tmp_path / "home", Ports(connect=taken)))
    assert not check.ok
    assert f"{taken} (connect)" in check.found
    assert "CRYPTOCDC_CONNECT_PORT" in check.remedy


def test_doctor_creates_no_files(tmp_path: Path) -> None:
    doctor.check_ports(PlatformSettings(tmp_path / "home"))
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("check", "ok"),
    [
        (doctor.check_disk(3 * GIB, "/x"), True),
        (doctor.check_disk(1 * GIB, "/x"), False),
        (doctor.check_memory(3 * GIB, running=False), True),
        (doctor.check_memory(1 * GIB, running=False), False),
        (doctor.check_memory(1 * GIB, running=True), True),
        (doctor.check_exchange("u", Pong(80.0, 0.1)), True),
        (doctor.check_exchange("u", NotAnExchange("u: it answers 451: restricted location")), False),
        (doctor.check_exchange("u", ExchangeUnreachable("u: timed out")), False),
        (doctor.check_clock(Pong(80.0, 0.4)), True),
        (doctor.check_clock(Pong(80.0, -90.0)), False),
        (doctor.check_clock(Pong(80.0, None)), True),
        (doctor.check_clock(ExchangeUnreachable("u: timed out")), True),
    ],
)
def test_doctor_gives_one_remedy_exactly_where_something_is_wrong(check: doctor.Check, ok: bool) -> None:
    assert check.ok is ok
    assert bool(check.remedy) is not ok
    assert check.found


def test_doctor_reports_the_difference_to_the_exchanges_clock() -> None:
    assert "90.0 s behind" in doctor.check_clock(Pong(80.0, -90.0)).found
    assert "90.0 s ahead" in doctor.check_clock(Pong(80.0, 90.0)).found
