"""The Flask app that all blueprints are mounted on, set up to behave as Backstage's router does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, Request, Response, request
from flask.sessions import SessionInterface, SessionMixin

from app.settings import CorsSettings
from app.web.chain import Chain
from app.web.cors import Cors
from app.web.errors import register_errors
from app.web.metrics import RequestMetrics
from app.web.responses import ROUTE, OrjsonProvider, finish_response
from app.web.segments import use_segments


def make_application(
    blueprints: Iterable[Blueprint], *, cors: CorsSettings | None, metrics: RequestMetrics
) -> Flask:
    """Mount `blueprints` behind the chain that every request passes."""
    app = Flask("app", static_folder=None)
    # Flask's own answers to OPTIONS, missing slashes and doubled slashes are not Express'.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    use_segments(app.url_map)
    app.session_interface = _NoSessions()
    app.json = OrjsonProvider(app)
    # Views and hooks are never coroutines; looking each time costs more than calling them.
    app.ensure_sync = _as_it_is  # type: ignore[method-assign, assignment]
    register_errors(app)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)

    @app.after_request
    def finish(response: Response) -> Response:
        environ, rule = request.environ, request.url_rule
        environ[ROUTE] = None if rule is None else rule.rule
        return finish_response(environ, response)

    app.wsgi_app = Chain(app.wsgi_app, Cors(cors), metrics)  # type: ignore[method-assign]
    return app


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


class _NoSessions(SessionInterface):
    """Sign-ins are tokens; there are no sessions to open or to save."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin:  # noqa: ARG002
        return _NO_SESSION

    def is_null_session(self, obj: object) -> bool:
        return obj is _NO_SESSION

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save nothing."""


_NO_SESSION: SessionMixin = _NoSessions().make_null_session(Flask("app", static_folder=None))
