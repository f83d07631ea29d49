"""Installs the servers' jars with Maven from the pinned poms next to this file, and checks them against `jars.sha256`;
builds Connect's plugins of our own.

Maven itself only warns if a checksum differs, and a mirror may have none. After changing a pom, regenerate the list in
the folder that Maven filled: `cd jars.new && sha256sum */*.jar */*.tar.gz`.
"""

from __future__ import annotations

import hashlib
import os
import selectors
import shutil
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from cryptocdc_local.platform.errors import PlatformError

_POMS = ("pom.xml", "kafka.xml", "debezium.xml", "cassandra.xml", "exporter.xml", "sink.xml")
_CHECKSUMS = "jars.sha256"
_PLUGINS = {"cassandra-sink": "sink_sources", "flat-json-converter": "converter_sources"}
"""Our plugins' sources, by the plugin's folder: those of sinks/connect and of sources/connect."""
_COMPILER = "cassandra/ecj-*.jar"
"""Cassandra's own Java compiler: the runtime, which is all that is installed, has none."""
_SILENCE_LIMIT = 300.0  # seconds without output from Maven, as when a mirror hangs


def packaged(name: str) -> str:
    """Return the text of a file next to this one."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def checksums(name: str) -> dict[str, str]:
    """Return the SHA-256 of every file, by path below the jars' folder, from one of the lists."""
    return {path: digest for digest, path in (line.split() for line in packaged(name).splitlines())}


def jars_folder(lib: Path) -> Path:
    """Return the folder of the jars for exactly these poms; it exists only once it is complete."""
    stamp = hashlib.sha256("".join(map(packaged, (*_POMS, _CHECKSUMS))).encode()).hexdigest()[:12]
    return lib / f"jars-{stamp}"


def install_jars(lib: Path, maven: Path, java: Path, report: Callable[[str], None]) -> Path:
    """Download into a temporary folder and rename it, so that a killed set-up leaves nothing incomplete.

    `report` is called with a few words at each step.
    """
    target = jars_folder(lib)
    if target.exists():
        return target
    draft = lib / "jars.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    poms = draft / "poms"
    poms.mkdir()
    for name in _POMS:
        (poms / name).write_text(packaged(name), encoding="utf-8")
    run_maven(maven, java, poms / "pom.xml", draft, report)
    report("checking the jars")
    check_files(draft, checksums(_CHECKSUMS))
    _unpack_plugin(draft / "debezium")
    draft.rename(target)
    return target


def run_maven(maven: Path, java: Path, pom: Path, jars: Path, report: Callable[[str], None]) -> None:
    """Let Maven copy a pom's jars to `jars`. Raises PlatformError."""
    argv = [str(maven), "--batch-mode", "--file", str(pom), f"-Djars={jars}"]
    argv += ["dependency:copy-dependencies"]
    env = {**os.environ, "JAVA_HOME": str(java.resolve().parent.parent)}
    process = subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if process.stdout is None:
        raise AssertionError("stdout is a pipe")
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ)
    os.set_blocking(process.stdout.fileno(), False)
    downloaded, errors, rest = 0, list[str](), b""
    heard = time.monotonic()
    try:
        while True:
            if selector.select(timeout=1.0):
                chunk = process.stdout.read()
                if chunk == b"":
                    break
                heard = time.monotonic()
                *lines, rest = (rest + (chunk or b"")).split(b"\n")
                for line in (raw.decode("utf-8", "replace") for raw in lines):
                    if "Downloaded from" in line:
                        downloaded += 1
                        report(f"{downloaded} files downloaded")
                    elif "ERROR" in line:
                        errors.append(line.partition("ERROR]")[2].strip() or line)
            elif time.monotonic() - heard > _SILENCE_LIMIT:
                raise PlatformError(
                    f"Maven has printed nothing for {_SILENCE_LIMIT:.0f} s",
                    "check the network and run the command again",
                )
        if process.wait() != 0:
            words = "\n".join(f"    {line}" for line in errors[:6])
            raise PlatformError(
                f"Maven could not download the servers' jars:\n{words}",
                "check the network, or set a mirror in ~/.m2/settings.xml, then run the command again",
            )
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        process.stdout.close()


def check_files(folder: Path, expected: Mapping[str, str]) -> None:
    """Raise PlatformError unless the folder's jars and archives are exactly the expected ones."""
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*/*")
        if path.suffix in (".jar", ".gz")
    }
    wrong = sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
    if wrong:
        raise PlatformError(
            f"Maven's downloads do not match their checksums: {', '.join(wrong[:5])}{' …' if len(wrong) > 5 else ''}",
            "remove ~/.m2/repository, which may contain a damaged download, and run the command again",
        )


def _unpack_plugin(folder: Path) -> None:
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            # Its checksum was verified; `filter` needs Python 3.11.4, and Debian 12 has 3.11.2.
            tar.extractall(folder)  # noqa: S202
        archive.unlink()


def plugins_folder(lib: Path) -> Path:
    """Return the folder of Connect's plugins for exactly these sources and jars."""
    stamp = hashlib.sha256(jars_folder(lib).name.encode())
    for name, sources in _PLUGINS.items():
        for path, content in sorted(_sources(resources.files(__package__) / sources)):
            stamp.update(f"{name}/{path}".encode() + b"\0" + content)
    return lib / f"plugins-{stamp.hexdigest()[:12]}"


def install_plugins(lib: Path, java: Path) -> Path:
    """Compile our plugins next to the jars that they need; the jars must be installed. Raises PlatformError."""
    target = plugins_folder(lib)
    if target.exists():
        return target
    draft = lib / "plugins.new"
    shutil.rmtree(draft, ignore_errors=True)
    for name, sources in _PLUGINS.items():
        _compile(jars_folder(lib), java, draft / name, resources.files(__package__) / sources)
    draft.rename(target)
    return target


def _compile(jars: Path, java: Path, plugin: Path, module: Traversable) -> None:
    """Make a plugin's folder: the jars that it has in `jars`, and that of its sources."""
    if (bundled := jars / plugin.name).exists():
        shutil.copytree(bundled, plugin)
    else:
        plugin.mkdir(parents=True)
    sources, classes = plugin / "sources", plugin / "classes"
    for path, content in _sources(module):
        root, _, below = path.partition("/")  # java or resources
        file = (sources if root == "java" else classes) / below
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    compiler = next(jars.glob(_COMPILER))
    needed = os.pathsep.join(map(str, [*jars.glob("kafka/*.jar"), *plugin.glob("*.jar")]))
    done = subprocess.run(
        [java, "-jar", compiler, "-source", "17", "-target", "17", "-nowarn", "-d", classes, "-cp", needed, sources],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise PlatformError(f"{plugin.name} does not compile:\n{done.stderr[-1500:]}", "undo changes of its sources")
    with zipfile.ZipFile(plugin / f"{plugin.name}.jar", "w", zipfile.ZIP_DEFLATED) as jar:
        for file in sorted(path for path in classes.rglob("*") if path.is_file()):
            jar.write(file, file.relative_to(classes))
    for folder in (sources, classes):
        shutil.rmtree(folder)


def _sources(folder: Traversable, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield each file below a folder: its path from there, and its content."""
    for entry in folder.iterdir():
        below = f"{path}/{entry.name}" if path else entry.name
        if entry.is_dir():
            yield from _sources(entry, below)
        else:
            yield below, entry.read_bytes()
