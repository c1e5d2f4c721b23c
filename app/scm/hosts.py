"""Which plain web addresses may be read: the list at `backend.reading.allow`, empty by default."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ada_url import URL

from app.errors import ConfigError

_DEFAULT_PORTS = {"http:": 80, "https:": 443}


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One entry: an exact host name or `*.suffix`, its ports, and the paths that may be read.

    Without ports only the default port of the scheme is allowed, without paths every path.
    """

    hostname: str
    ports: tuple[int, int] | None = None
    paths: tuple[str, ...] = ()

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> AllowedHost:
        """Read `{host, paths}`; the host may end in `:port` or `:first-last`."""
        host = str(entry["host"]).strip().lower()
        at = host.find(":", host.find("]") + 1)
        name, ports = (host, None) if at < 0 else (host[:at], _ports(host, host[at + 1 :]))
        if not name or "*" in name.removeprefix("*."):
            raise ConfigError(
                f"backend.reading.allow: {entry['host']!r} is neither a host name nor '*.' and one"
            )
        return cls(name, ports, tuple(entry.get("paths") or ()))

    def permits(self, url: URL) -> bool:
        """Tell whether `url` is covered by this entry."""
        if self.hostname.startswith("*."):
            if not url.hostname.endswith(self.hostname[1:]):
                return False
        elif url.hostname != self.hostname:
            return False
        return self._permits_port(url) and self._permits_path(url)

    def _permits_port(self, url: URL) -> bool:
        if self.ports is None:
            return not url.port
        port = int(url.port) if url.port else _DEFAULT_PORTS.get(url.protocol, 0)
        return self.ports[0] <= port <= self.ports[1]

    def _permits_path(self, url: URL) -> bool:
        if not self.paths:
            return True
        path = posixpath.normpath("/" + url.pathname.lstrip("/"))
        path += "/" if url.pathname.endswith("/") and path != "/" else ""
        return path.startswith(self.paths)


@dataclass(frozen=True, slots=True)
class AllowList:
    """The whole list."""

    hosts: tuple[AllowedHost, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[Mapping[str, Any]]) -> AllowList:
        """Read the value of `backend.reading.allow`."""
        return cls(tuple(AllowedHost.parse(entry) for entry in entries))

    def permits(self, url: URL) -> bool:
        """Tell whether some entry covers `url`; only `http` and `https` are ever covered."""
        return url.protocol in _DEFAULT_PORTS and any(host.permits(url) for host in self.hosts)


def _ports(host: str, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        ports = int(first), int(last if dash else first)
    except ValueError:
        ports = (0, 0)
    if not 0 < ports[0] <= ports[1] < 1 << 16:
        raise ConfigError(f"backend.reading.allow: Port range is not valid: {host!r}")
    return ports
