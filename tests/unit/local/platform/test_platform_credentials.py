import os
import stat
from pathlib import Path

import pytest

from cryptocdc_local.platform import PlatformError
from cryptocdc_local.platform.account import Account, check_reachable
from cryptocdc_local.platform.credentials import Credentials, read, read_or_create

ME = Account(os.geteuid(), os.getegid(), "me")


def test_passwords_survive_a_restart_and_are_readable_only_by_the_owner(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    made = read_or_create(path, ME)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_create(path, ME) == made == read(path)


def test_every_password_is_unique() -> None:
    first, second = vars(Credentials()).values(), vars(Credentials()).values()
    assert len({*first, *second}) == len(first) + len(second)


def test_before_the_first_start_there_are_no_credentials(tmp_path: Path) -> None:
    assert read(tmp_path / "credentials.json") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kafka": "x", "unknown": "y"}'])
def test_a_damaged_file_is_named_and_never_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)
    with pytest.raises(PlatformError, match=r"credentials\.json is damaged"):
        read_or_create(path, ME)
    assert path.read_text() == text


def test_a_home_that_the_servers_user_cannot_enter_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(PlatformError, match="can't enter"):
        check_reachable(closed / "home")
