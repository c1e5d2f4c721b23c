"""The doctor's look at what the configuration names elsewhere: hosts, locations, sources.

Only what is configured is asked, redirects are not followed, and every question has a time limit.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TypeAlias

from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from app.bootstrap.catalog import configured_sources
from app.cli.doctor_checks import Check, fail, ok
from app.cli.doctor_database import clock_check
from app.errors import CallboardError, ConfigError
from app.ports import Fingerprinted
from app.scm.git_cache import GitLimits
from app.scm.globs import has_magic
from app.scm.http import open_pool, why
from app.scm.readers import Readers, ReaderSettings, open_readers
from app.scm.reading import ReadingLimits
from app.settings import Settings
from app.settings.integrations import PUBLIC_HOSTS

SECONDS = 5.0
GIT_SECONDS = 20.0
AT_ONCE = 8
Question: TypeAlias = Callable[[], Check]


def reachability(settings: Settings) -> Iterator[Check]:
    """Ask every host and source that the configuration names, several at once."""
    with tempfile.TemporaryDirectory(prefix="callboard-") as spare:
        inquiry = Inquiry(settings, _readers(settings, Path(spare)), open_pool(_limits(settings)))
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="doctor") as threads:
            yield from threads.map(lambda ask: ask(), list(inquiry.questions()))
        inquiry.readers.git.cancel()
    if inquiry.clocks:
        yield min(inquiry.clocks, key=lambda check: ("ok", "warn", "fail").index(check.status))


@dataclass(slots=True)
class Inquiry:
    """What is asked, and the clocks that were seen on the way."""

    settings: Settings
    readers: Readers
    pool: PoolManager
    clocks: list[Check] = field(default_factory=list)

    def questions(self) -> Iterator[Question]:
        """Yield one question for each thing to ask."""
        for host in hosts(self.settings):
            yield partial(self._host, host)
        for location in self.settings.catalog.locations:
            yield partial(self._location, location.type, location.target)
        try:
            sources = configured_sources(self.settings, self.readers)
        except ConfigError as error:
            yield partial(fail, "sources", str(error), "Mend it; callboard check-config says where")
            return
        for name, source in sources.items():
            if isinstance(source.ingestor, Fingerprinted):
                yield partial(self._source, name, source.ingestor.fingerprint)

    def _host(self, address: str) -> Check:
        name = f"host {address}"
        reason = ""
        for scheme in ("https", "http"):
            try:
                response = self.pool.request("HEAD", f"{scheme}://{address}/", redirect=False)
            except HTTPError as error:
                reason = reason or why(error)
                continue
            self._note_clock(address, response.headers)
            return ok(name, f"answers over {scheme}")
        return fail(name, reason, "Look at the network, a proxy, or the name in the configuration")

    def _note_clock(self, address: str, headers: Mapping[str, str]) -> None:
        try:
            self.clocks.append(clock_check(address, parsedate_to_datetime(headers.get("date", ""))))
        except (TypeError, ValueError):
            return  # it says nothing about the time

    def _location(self, kind: str, target: str) -> Check:
        name = f"location {target}"
        if kind == "file":
            return _file(name, target)
        try:
            self.readers.of(kind).read(target)
        except CallboardError as error:
            return fail(name, str(error), "Look at catalog.locations and backend.reading.allow")
        return ok(name, "can be read")

    def _source(self, name: str, ask: Callable[[], str]) -> Check:
        try:
            sign = ask()
        except CallboardError as error:
            return fail(f"source {name}", str(error), "Look at its address and its credentials")
        found = f"answers, now at {sign[:12]}" if sign.strip() else "answers, and is empty"
        return ok(f"source {name}", found)


def hosts(settings: Settings) -> list[str]:
    """List the hosts that the configuration names; patterns of hosts cannot be asked."""
    allowed = [
        re.sub(r"(:\d+)-\d+\Z", r"\1", rule.host)
        for rule in settings.backend.reading
        if "*" not in rule.host
    ]
    integrated = [
        entry.get("host", PUBLIC_HOSTS.get(kind))
        for kind, entries in settings.integrations.raw.items()
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
    ]
    return list(dict.fromkeys([*allowed, *(str(host) for host in integrated if host)]))


def _file(name: str, target: str) -> Check:
    advice = "Look at catalog.locations; relative paths start at the working directory"
    if has_magic(target):
        fixed = Path(*takewhile(lambda part: not has_magic(part), Path(target).parts))
        return ok(name, "a pattern") if fixed.is_dir() else fail(name, f"no folder {fixed}", advice)
    path = Path(target)
    if not path.is_file():
        return fail(name, "there is no such file", advice)
    if not os.access(path, os.R_OK):
        return fail(name, "it may not be read", "Give the user that runs Callboard the right to")
    return ok(name, "can be read")


def _limits(settings: Settings) -> ReadingLimits:
    return ReadingLimits(
        max_bytes=settings.catalog.limits.max_file_bytes,
        connect_timeout=SECONDS,
        read_timeout=SECONDS,
        total_timeout=2 * SECONDS,
    )


def _readers(settings: Settings, spare: Path) -> Readers:
    """Open readers with short patience, on the caches that are there or in a folder to spare."""
    caches = settings.callboard.data_directory / "git"
    is_usable = caches.is_dir() and os.access(caches, os.W_OK)
    allow = [
        {"host": rule.host, **({} if rule.paths is None else {"paths": list(rule.paths)})}
        for rule in settings.backend.reading
    ]
    git = GitLimits(timeout=GIT_SECONDS)
    folder = settings.callboard.data_directory if is_usable else spare
    return open_readers(ReaderSettings(folder, allow=allow, reading=_limits(settings), git=git))
