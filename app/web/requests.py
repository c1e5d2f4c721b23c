"""What is read from a WSGI request in more than one place: its address as sent, its tokens.

Everything here takes the WSGI environment, not Flask's request: it is asked on every request, also
where Flask is not reached.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

Environ: TypeAlias = dict[str, Any]

API = "/api/"
AUTH_COOKIE = "backstage-auth"
# What may stand unescaped in the path of a request line.
PATH_SAFE = "/:@!$&'()*+,;=-._~"
BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


def raw_url(environ: Environ) -> str:
    """Answer path and query as the client encoded them.

    Servers put the request line's target into `RAW_URI`. Without it the path is encoded anew,
    which may differ from the original in how it is escaped.
    """
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if raw.startswith("/"):
        return str(raw)
    path = quote(environ.get("PATH_INFO", "/").encode("latin-1"), safe=PATH_SAFE)
    query = environ.get("QUERY_STRING", "")
    return f"{path or '/'}?{query}" if query else path or "/"


def relative_url(environ: Environ) -> str:
    """Answer path and query relative to the plugin's mount, as error bodies show them."""
    raw = raw_url(environ)
    if not raw.startswith(API):
        return raw
    path, mark, query = raw.partition("?")
    _, slash, rest = path[len(API) :].partition("/")
    return f"/{rest if slash else ''}{mark}{query}"


def bearer_token(environ: Environ) -> str | None:
    """Answer the token of `Authorization: Bearer …`; another scheme is no credentials."""
    header = environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return None
    found = BEARER.fullmatch(header)
    return None if found is None else found[1]


def auth_cookie(environ: Environ) -> str | None:
    """Answer the limited user token from the cookie; the first one counts if there are several."""
    header: str | None = environ.get("HTTP_COOKIE")
    if header is None or AUTH_COOKIE not in header:
        return None
    for pair in header.split(";"):
        name, equals, value = pair.partition("=")
        if equals and name.strip() == AUTH_COOKIE:
            return unquote(value.strip().strip('"')) or None
    return None
