"""The doctor's look at the machine: Python, packages, limits, the data directory, the port."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import yaml
from urllib3.exceptions import HTTPError

from app.cli.doctor_checks import Check, fail, ok, size, warn
from app.errors import ConfigError
from app.scm.http import open_pool
from app.scm.reading import ReadingLimits
from app.serve.listening import UNIX, close_all, listen
from app.settings import Settings, SqliteDatabase

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 38)
FEW_FILES, ENOUGH_FILES = 256, 4096
LITTLE_SPACE, VERY_LITTLE_SPACE = 1_000_000_000, 100_000_000
_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "ceph", "glusterfs")
_LIVENESS = "/.backstage/health/v1/liveness"


def python() -> Iterator[Check]:
    """Look at the interpreter and the packages it has."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        yield fail("Python", found, "Install Python 3.11 or newer")
    else:
        yield ok("Python", found)
    yield _packages()
    if tuple(map(int, sqlite3.sqlite_version.split("."))) < OLDEST_SQLITE:
        yield fail("SQLite", sqlite3.sqlite_version, "Use a Python with SQLite 3.38 or newer")
    if not yaml.__with_libyaml__:
        advice = "Install PyYAML from a wheel, or with libyaml's headers present"
        yield fail("libyaml", "PyYAML was built without it", advice)


def _packages() -> Check:
    try:
        wanted = requires("callboard") or []
    except PackageNotFoundError:
        return warn("packages", "run from a source tree", "Install with: pip install -e .")
    names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in wanted if "extra ==" not in text]
    missing = [name for name in names if _is_missing(name)]
    if missing:
        return fail("packages", f"missing: {', '.join(missing)}", "Install Callboard again")
    return ok("packages", f"Callboard {version('callboard')} and {len(names)} packages")


def _is_missing(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return True
    return False


def open_files() -> Iterator[Check]:
    """Look at how many files a process may have open; every connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = "no limit" if hard == resource.RLIM_INFINITY else f"{hard:,} in a process"
    advice = "Raise the limit: ulimit -Hn, or LimitNOFILE= in a systemd unit"
    if hard == resource.RLIM_INFINITY or hard >= ENOUGH_FILES:
        yield ok("open files", found)
    elif hard >= FEW_FILES:
        yield warn("open files", found, advice)
    else:
        yield fail("open files", found, advice)


def data_directory(settings: Settings) -> Iterator[Check]:
    """Look at where the working files go, and the SQLite file if there is one."""
    folder = settings.callboard.data_directory
    database = settings.backend.database
    folders = [folder, database.path.parent] if isinstance(database, SqliteDatabase) else [folder]
    for path in dict.fromkeys(folders):
        yield _folder(path)
        yield _space(path)
    if isinstance(database, SqliteDatabase):
        kind = _file_system(_existing(database.path.parent))
        if kind.startswith(_NETWORK_FILE_SYSTEMS):
            advice = "Keep the data directory on a local disk, or use PostgreSQL"
            yield fail("file system", f"{kind}: SQLite does not work on a network", advice)


def _folder(path: Path) -> Check:
    existing = _existing(path)
    name = "data directory"
    if not existing.is_dir():
        return fail(name, f"{existing} is not a folder", "Choose another with --data-dir")
    if not os.access(existing, os.W_OK | os.X_OK):
        advice = "Give the user that runs Callboard the right to write there"
        return fail(name, f"{existing} cannot be written to", advice)
    if existing != path:
        return ok(name, f"{path} (will be made)")
    if path.stat().st_mode & stat.S_IWOTH:
        return warn(name, f"{path} can be written to by everybody", f"chmod o-w {path}")
    return ok(name, str(path))


def _space(path: Path) -> Check:
    free = shutil.disk_usage(_existing(path)).free
    advice = "Make room, or choose another place with --data-dir"
    if free < VERY_LITTLE_SPACE:
        return fail("free space", size(free), advice)
    return (
        warn("free space", size(free), advice)
        if free < LITTLE_SPACE
        else ok("free space", size(free))
    )


def _existing(path: Path) -> Path:
    """Go up to what exists."""
    return next((up for up in (path, *path.parents) if up.exists()), Path("/"))


def _file_system(path: Path) -> str:
    """Answer the type of the file system that holds `path`, as Linux tells it."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    rows = [line.split() for line in mounts.read_text().splitlines()]
    above = [(row[1], row[2]) for row in rows if path.resolve().is_relative_to(row[1])]
    return max(above, key=lambda found: len(found[0]), default=("", ""))[1]


def port(settings: Settings) -> Iterator[Check]:
    """Try to listen where the server would."""
    host, number = settings.backend.host, settings.backend.port
    where = host if host.startswith(UNIX) else f"{host}:{number}"
    try:
        close_all(listen(host, number))
    except ConfigError as error:
        if _is_used(host, number):
            yield _user_of(host, number, where)
        else:
            yield fail("port", str(error), "Choose another with backend.listen, or --host, --port")
    else:
        yield ok("port", f"{where} is free")


def _is_used(host: str, number: int) -> bool:
    if host.startswith(UNIX) or not number:
        return False
    try:
        socket.create_connection((_reachable(host), number), timeout=2).close()
    except OSError:
        return False
    return True


def _user_of(host: str, number: int, where: str) -> Check:
    holder = _process_on(number)
    by = f" by {holder}" if holder else ""
    if _is_backstage(host, number):
        advice = "Nothing, if that is meant; or stop it before serve"
        return warn("port", f"{where} is used{by}: a Callboard or Backstage that runs", advice)
    advice = "Stop it, or choose another port with backend.listen.port or --port"
    return fail("port", f"{where} is used{by}", advice)


def _is_backstage(host: str, number: int) -> bool:
    pool = open_pool(ReadingLimits(connect_timeout=2, read_timeout=2))
    shown = f"[{_reachable(host)}]" if ":" in host else _reachable(host)
    try:
        response = pool.request("GET", f"http://{shown}:{number}{_LIVENESS}", redirect=False)
    except HTTPError:
        return False
    return response.status == 200 and b'"ok"' in response.data  # noqa: PLR2004


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _process_on(number: int) -> str:
    """Name the process that listens on a port, as far as Linux lets us see it."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(number)}
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        with suppress(OSError):  # it ended, or is another user's
            if sockets.intersection(_open_files(process)):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _open_files(process: Path) -> Iterator[str]:
    for link in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed
            yield os.readlink(link)  # noqa: PTH115 - the text, whatever it stands for


def _listening_inodes(number: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            is_listening = fields[3] == "0A"
            if is_listening and int(fields[1].rpartition(":")[2], 16) == number:
                yield fields[9]
