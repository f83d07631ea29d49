"""Passwords of the servers: generated once, stored in one file that only their account can read."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.errors import PlatformError


def _password() -> str:
    # Letters and digits only, so that it needs no escaping in JAAS, YAML, properties and URLs.
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Credentials:
    """One password per role, 128 bits each."""

    postgres_superuser: str = field(default_factory=_password)
    postgres_owner: str = field(default_factory=_password)
    postgres_replication: str = field(default_factory=_password)
    kafka: str = field(default_factory=_password)
    connect: str = field(default_factory=_password)
    cassandra: str = field(default_factory=_password)
    reader: str = field(default_factory=_password)
    """For the role in PostgreSQL and Cassandra that reads everything and changes nothing."""


def read(path: Path) -> Credentials | None:
    """Return the passwords, or None before the first set-up. Raises PlatformError if the file is unreadable or
    damaged."""
    try:
        return Credentials(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise PlatformError(f"{path} belongs to another user", "run the command as the user that started it") from error
    except (ValueError, TypeError) as error:
        raise PlatformError(
            f"{path} is damaged: {error}", "run `make clean`: without its passwords the data can't be opened"
        ) from error


def read_or_create(path: Path, account: Account) -> Credentials:
    """Return the passwords, and add those of roles that a newer version has introduced."""
    made = read(path) or Credentials()
    if not path.exists() or json.loads(path.read_text(encoding="utf-8")) != asdict(made):
        account.write(path, json.dumps(asdict(made), indent=2) + "\n")
    return made
