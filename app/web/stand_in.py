"""What a web process answers before it can make its app: that it lives, and is not there yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from flask import Blueprint
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import Rule

from app.errors import ServiceUnavailableError
from app.web.lifecycle import Lifecycle
from app.web.requests import API, Environ

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

_ENDPOINT = "stand_in.refuse"


class StandIn:
    """A WSGI app that another one takes the place of while it runs."""

    __slots__ = ("_app",)

    def __init__(self, app: WSGIApplication) -> None:
        """Answer with `app` until then."""
        self._app = app

    def give_way(self, app: WSGIApplication) -> None:
        """Leave what is asked from now on to `app`."""
        self._app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        return self._app(environ, start_response)


def refusing_routes(lifecycle: Lifecycle) -> Blueprint:
    """Answer 503 to whatever is asked of any plugin, with what hinders the process."""
    routes = Blueprint("stand_in", __name__)

    def refuse(**_: str) -> NoReturn:
        raise ServiceUnavailableError(lifecycle.hindrance or "Service has not started up yet")

    def own_all_paths(state: BlueprintSetupState) -> None:
        state.app.view_functions[_ENDPOINT] = refuse
        state.app.url_map.add(Rule(f"{API}<path:rest>", endpoint=_ENDPOINT, methods=None))

    routes.record(own_all_paths)
    return routes
