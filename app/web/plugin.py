"""A plugin's place under `/api`: the same chain in front of the routes of every one.

`plugin_blueprint("catalog", barrier)` answers a blueprint to which a feature adds its routes. It
already serves the plugin's keys and cookie endpoints, and it owns every path below its mount: what
no route knows is an empty 404, but only to callers who may pass the barrier.
"""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import Rule

from app.web.identity import AuthPolicy, Barrier, user_caller
from app.web.requests import auth_cookie, bearer_token
from app.web.responses import empty, json_response, text_response

JWKS_PATH = "/.backstage/auth/v1/jwks.json"
COOKIE_PATH = "/.backstage/auth/v1/cookie"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def plugin_blueprint(
    plugin: str, barrier: Barrier, policies: Iterable[AuthPolicy] = ()
) -> Blueprint:
    """Make the blueprint of `plugin` behind `barrier`; `policies` open some of its paths."""
    mount = f"/api/{plugin}"
    blueprint = Blueprint(plugin, f"{__name__}.{plugin}", url_prefix=mount)
    gate = barrier.gate(plugin, policies)
    keys_endpoint = f"{plugin}.public_keys"

    @blueprint.before_request
    def admit() -> None:
        if request.endpoint == keys_endpoint:
            return
        gate.await_start()
        gate.admit(request.environ)

    @blueprint.get(JWKS_PATH)
    def public_keys() -> Response:
        return json_response({"keys": list(barrier.access.public_keys(plugin))})

    @blueprint.get(COOKIE_PATH)
    def issue_cookie() -> Response:
        user_caller(request)
        environ = request.environ
        token = bearer_token(environ) or auth_cookie(environ) or ""
        cookie = barrier.access.user_cookie(token, auth_cookie(environ))
        headers = {} if cookie.header is None else {"Set-Cookie": cookie.header}
        return json_response({"expiresAt": cookie.expires_at}, headers=headers)

    @blueprint.delete(COOKIE_PATH)
    def clear_cookie() -> Response:
        response = empty(204)
        response.headers["Set-Cookie"] = barrier.access.cleared_cookie()
        return response

    def unknown(**_: str) -> Response:
        if request.method == "OPTIONS":
            return _options(f"{plugin}.unknown")
        return empty(404)

    def own_all_paths(state: BlueprintSetupState) -> None:
        endpoint = f"{plugin}.unknown"
        state.app.view_functions[endpoint] = unknown
        for path in ("", "/<path:rest>"):
            # Without methods a rule takes all of them, also those nobody has heard of.
            state.app.url_map.add(Rule(mount + path, endpoint=endpoint, methods=None))

    blueprint.record(own_all_paths)
    return blueprint


def unserved_plugins(plugins: Iterable[str], barrier: Barrier) -> list[Blueprint]:
    """Stand in for plugins that Backstage has and we do not serve (yet).

    As there, callers without credentials are told so, and others find nothing.
    """
    return [plugin_blueprint(plugin, barrier) for plugin in plugins]


def _options(unknown: str) -> Response:
    """Answer OPTIONS as an Express router does: with the methods that the path has."""
    routes = current_app.create_url_adapter(request)
    allowed = list[str]()
    for method in METHODS:
        # Some rule always matches: the one for what is unknown.
        endpoint = unknown if routes is None else routes.match(method=method)[0]
        if endpoint != unknown:
            allowed += ["GET", "HEAD"] if method == "GET" else [method]
    if not allowed:
        return empty(404)
    response = text_response(",".join(allowed))
    response.headers["Allow"] = ",".join(allowed)
    return response
