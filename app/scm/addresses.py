"""URLs as Backstage understands them: WHATWG parsing, and targets relative to a file's URL."""

from __future__ import annotations

from ada_url import URL

from app.errors import InputError

_FILE_MARKS = ("raw", "src", "blob", "tree", "edit")
_NAME_ENDS_BEFORE = ("-", "blob", "issues", "tree", "commit", "src", "raw", "edit")


def parse_url(text: str, base: str | None = None) -> URL:
    """Parse an absolute URL, or one relative to `base`; raises `InputError` as JavaScript does."""
    try:
        return URL(text, base)
    except (ValueError, UnicodeError):
        raise InputError("Invalid URL") from None


def is_url(text: str) -> bool:
    """Tell whether `text` is an absolute URL."""
    try:
        return bool(URL.can_parse(text))
    except UnicodeError:
        return False


def resolve_url(target: str, base: str) -> str:
    """Make `target` absolute as Backstage does for hosts it knows nothing of.

    A leading slash stands for the root of the repository that `base` looks like it is in; where it
    looks like none, that root is `base` itself. The query of `base` is kept.
    """
    if is_url(target):
        return target
    origin = parse_url(base)
    if target.startswith("/"):
        path = origin.pathname
        root = path[: len(path) - len(_repository_path(path))].rstrip("/")
        resolved = parse_url(base)
        resolved.pathname = root + target
    else:
        resolved = parse_url(target, base)
    resolved.search = origin.search
    return resolved.href


def without_userinfo(text: str) -> str:
    """Write a URL without the user name and password it may hold."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _repository_path(pathname: str) -> str:
    """Guess which end of a URL's path names a file in a repository (`…/blob/main/<this>`)."""
    parts = pathname.strip("/").split("/")
    name_at = len(parts) - 1
    marks = {mark: parts.index(mark, 2) for mark in _NAME_ENDS_BEFORE if mark in parts[2:]}
    if "-" not in marks and "blob" in marks and "tree" in marks:
        name_at = min(marks["blob"], marks["tree"]) - 1
    else:
        name_at = next((marks[mark] - 1 for mark in _NAME_ENDS_BEFORE if mark in marks), name_at)
    if parts[name_at + 1 : name_at + 2] == ["-"]:
        name_at += 1
    if len(parts) > name_at + 3 and parts[name_at + 1] in _FILE_MARKS:
        return "/".join(parts[name_at + 3 :])
    return ""
