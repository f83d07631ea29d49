"""The account the servers run as: the caller, or the system user `cryptocdc` if the caller is root."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from cryptocdc_local.platform.errors import PlatformError

SYSTEM_USER = "cryptocdc"


class DropPrivileges(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int
    name: str

    @property
    def popen(self) -> DropPrivileges:
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Change the owner of the path to this account, unless it is the caller's own."""
        if os.geteuid() != self.uid:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def make_folder(self, path: Path, mode: int = 0o700) -> None:
        """Create a folder owned by this account. Raises PlatformError if the caller may not."""
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
            path.chmod(mode)
            self.own(path)
        except OSError as error:
            raise PlatformError(
                f"{path}: {error.strerror}", "choose a folder of your own with CRYPTOCDC_HOME"
            ) from error

    def write(self, path: Path, text: str) -> None:
        """Write a file that only this account can read, atomically."""
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.own(draft)
        draft.replace(path)


def account_for(home: Path) -> Account:
    """Return the account that owns `home` and runs the servers; as root, create it if it is missing."""
    if os.geteuid() != 0:
        uid = os.geteuid()
        return Account(uid, os.getegid(), pwd.getpwuid(uid).pw_name)
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _create_system_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    check_reachable(home)
    return Account(entry.pw_uid, entry.pw_gid, SYSTEM_USER)


def check_reachable(home: Path) -> None:
    """Raise PlatformError if another user can't reach `home`, e.g. below `/root`, whose mode is 0700."""
    for parent in home.absolute().parents:
        if parent.exists() and not parent.stat().st_mode & stat.S_IXOTH:
            raise PlatformError(
                f"the servers run as the user {SYSTEM_USER} (PostgreSQL refuses root), which can't enter {parent}",
                f"unset CRYPTOCDC_HOME (root's default is /var/lib/cryptocdc) or choose a folder outside {parent}",
            )


def _create_system_user() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise PlatformError("there is no useradd to create the user that PostgreSQL runs as", "apt-get install passwd")
    argv = [useradd, "--system", "--no-create-home", "--home-dir", "/var/lib/cryptocdc", "--shell", "/usr/sbin/nologin"]
    try:
        grp.getgrnam(SYSTEM_USER)
        argv += ["--gid", SYSTEM_USER]
    except KeyError:
        argv += ["--user-group"]
    done = subprocess.run([*argv, SYSTEM_USER], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 9):  # 9: another start created it in the meantime
        raise PlatformError(f"useradd: {done.stderr.strip()}", f"create the system user {SYSTEM_USER} by hand")
