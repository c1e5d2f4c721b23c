"""Where a git repository is and how to get into it: `https`, `ssh` and `file` remotes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from app.errors import ConfigError
from app.scm.addresses import without_userinfo

Scheme = Literal["https", "http", "ssh", "file"]
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]]+\]|[^/:@]+):(?P<path>.+)", re.DOTALL)
_TOKEN_USER = "oauth2"  # noqa: S105 - a user name
"""Any name does for most hosts when the password is a token; GitLab asks for this one."""


@dataclass(frozen=True, slots=True)
class GitRemote:
    """A remote without its secrets in sight: `str()` and `repr()` may go into logs."""

    scheme: Scheme
    host: str
    path: str
    port: int | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    identity_file: str = ""

    @classmethod
    def parse(
        cls, url: str, *, username: str = "", password: str = "", identity_file: str = ""
    ) -> GitRemote:
        """Read a remote as git writes them: a URL, `user@host:path`, or a path on this machine.

        A user name and password inside the URL are taken out of it. Raises `ConfigError` for any
        other transport.
        """
        if "://" not in url:
            scp = None if url.startswith(("/", ".")) else _SCP.fullmatch(url)
            if scp is None:
                return cls("file", "", os.path.abspath(url))  # noqa: PTH100 - it may not exist
            user = username or scp["user"] or ""
            return cls("ssh", scp["host"], scp["path"], None, user, "", identity_file)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigError(f"{without_userinfo(url)} is no URL of a git repository") from None
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        user = username or unquote(parts.username or "")
        if parts.scheme == "file" and host in {"", "localhost"} and parts.path:
            return cls("file", "", os.path.normpath(unquote(parts.path)))
        if parts.scheme == "ssh" and host and parts.path:
            return cls("ssh", host, unquote(parts.path), port, user, "", identity_file)
        if parts.scheme in {"http", "https"} and host and not (parts.query or parts.fragment):
            scheme: Scheme = "https" if parts.scheme == "https" else "http"
            secret = password or unquote(parts.password or "")
            user = user or (_TOKEN_USER if secret else "")
            return cls(scheme, host, parts.path.rstrip("/"), port, user, secret)
        raise ConfigError(
            f"{without_userinfo(url)} is no https, ssh or file URL of a git repository"
        )

    @property
    def url(self) -> str:
        """The remote as a URL, without user name and password."""
        if self.scheme == "file":
            return f"file://{quote(self.path)}"
        port = f":{self.port}" if self.port else ""
        path = self.path if self.scheme != "ssh" else quote("/" + self.path.lstrip("/"), safe="/~")
        return f"{self.scheme}://{self.host}{port}{path}"

    @property
    def web(self) -> str:
        """The URL below which locations name the files of this repository (`…/blob/main/…`)."""
        return self.url.rstrip("/").removesuffix(".git").rstrip("/")

    def __str__(self) -> str:
        return self.url

    def redacted(self, text: str) -> str:
        """Take what is secret out of `text`, such as a message of the other side."""
        return text.replace(self.password, "***") if self.password else text
