"""Installs Python packages that only some commands need, pinned by hash, into a folder of their own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cryptocdc_local.platform.errors import PlatformError
from cryptocdc_local.platform.installation.jars import packaged

_PIP_LIMIT_S = 1200.0
_EXPORT = "export.txt"


def export_packages(lib: Path) -> Path:
    """Return the folder with exactly the pinned packages of `cryptocdc export`; it exists only once it is complete."""
    return lib / f"export-{hashlib.sha256(packaged(_EXPORT).encode()).hexdigest()[:12]}"


def install_export(lib: Path, report: Callable[[str], None]) -> Path:
    """Install pyarrow into a temporary folder and rename it. Raises PlatformError."""
    folder = export_packages(lib)
    if folder.exists():
        return folder
    draft = lib / "export.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    report("pyarrow, 55 MB")
    install_pinned(_EXPORT, draft, "pyarrow", "check the network and the disk, and run the command again")
    draft.rename(folder)
    return folder


def install_pinned(pins: str, target: Path, name: str, remedy: str) -> None:
    """Install what the packaged requirements file `pins` lists. Raises PlatformError, naming the packages `name`."""
    listed = target.with_suffix(".txt")
    listed.write_text(packaged(pins), encoding="utf-8")
    argv = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-cache-dir"]
    argv += ["--require-hashes", "--no-deps", "--no-compile", "--target", str(target), "--requirement", str(listed)]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PIP_LIMIT_S, check=False
        )
        words = (done.stderr.strip()[-1000:] or f"pip exited with {done.returncode}") if done.returncode else ""
    except subprocess.TimeoutExpired:
        words = f"pip has not finished after {_PIP_LIMIT_S:.0f} s"
    finally:
        listed.unlink()
    if words:
        raise PlatformError(f"{name} could not be installed:\n{words}", remedy)
