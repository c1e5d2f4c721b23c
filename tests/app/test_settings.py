"""What the sections mean, how mistakes in them are told, and that every key is documented."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields

from app.config import load_config
from app.errors import ConfigError
from app.model.ref import EntityRef
from app.settings import (
    AccessRestriction,
    AllowedKind,
    CatalogLocation,
    CatalogRule,
    CorsSettings,
    DatabaseSsl,
    JwksAccess,
    LegacyAccess,
    LocationMatch,
    PostgresDatabase,
    ReadingRule,
    RelationRule,
    SqliteDatabase,
    StaticAccess,
    parse_duration,
    read_settings,
)
from app.settings.access import OPTIONS
from app.settings.fields import Named
from app.settings.read import _GUEST, _SECTIONS
from app.settings.scalars import to_boolean, to_number
from app.settings.section import Section
from app.settings.sign_in import GuestSchema

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

TYPICAL = """
app: {title: Scaffolded App, baseUrl: 'http://localhost:3000', packages: all, extensions: []}
organization: {name: My Company}
backend:
  baseUrl: http://localhost:7007
  listen: {port: 7007}
  csp: {connect-src: ["'self'", 'http:', 'https:']}
  cors:
    origin: http://localhost:3000
    methods: [GET, HEAD, PATCH, POST, PUT, DELETE]
    credentials: true
  database: {client: better-sqlite3, connection: ':memory:'}
integrations:
  github: [{host: github.com, token: '${GITHUB_TOKEN}'}]
proxy: {endpoints: {/test: 'https://example.com'}}
techdocs: {builder: local, generator: {runIn: docker}, publisher: {type: local}}
auth: {providers: {guest: {}}}
scaffolder: {}
catalog:
  import: {entityFilename: catalog-info.yaml, pullRequestBranchName: backstage-integration}
  rules: [{allow: [Component, System, API, Resource, Location]}]
  locations:
    - {type: file, target: ../../examples/entities.yaml}
    - {type: file, target: ./org.yaml, rules: [{allow: [User, Group]}]}
    - {type: url, target: 'https://example.com/all.yaml'}
kubernetes:
permission: {enabled: true}
"""

DEPLOYED = """
app: {baseUrl: '${APP_BASE_URL}'}
backend:
  baseUrl: ${BASE_URL}
  listen: {host: 127.0.0.1, port: '${PORT}'}
  database:
    client: pg
    prefix: ${PREFIX}
    connection: {host: '${HOST}', port: '${PG_PORT}', user: '${USER}', password: '${PASSWORD}'}
  auth:
    externalAccess:
      - {type: static, options: {token: '${TOKEN}', subject: conformance}}
      - type: static
        options: {token: '${TOKEN}-catalog-only', subject: restricted}
        accessRestrictions: [{plugin: catalog}]
  reading: {allow: [{host: '127.0.0.1:8719'}]}
integrations: {}
auth:
  providers:
    guest: {dangerouslyAllowOutsideDevelopment: true, userEntityRef: user:default/ines.ferreira}
search:
  collators: {catalog: {schedule: {frequency: {seconds: 10}, timeout: {minutes: 2}}}}
catalog: {processingInterval: {seconds: 60}, orphanStrategy: keep}
"""
ENVIRONMENT = {
    "APP_BASE_URL": "https://portal.example.com",
    "BASE_URL": "https://backend.example.com",
    "PORT": "7100",
    "PREFIX": "x_",
    "HOST": "db",
    "PG_PORT": "5433",
    "USER": "ada",
    "PASSWORD": "hunter2",
    "TOKEN": "hunter2-token",
}


@pytest.fixture
def settings(tmp_path):
    def settings(text="", environment=None):
        (tmp_path / "app-config.yaml").write_text(text, encoding="utf-8")
        return read_settings(load_config((), environment or {}, tmp_path))

    return settings


@pytest.fixture
def mistakes(settings):
    def mistakes(text, environment=None):
        with pytest.raises(ConfigError) as error:
            settings(text, environment)
        return [line.replace(" (app-config.yaml:1)", "") for line in str(error.value).splitlines()]

    return mistakes


# Whole files


def test_a_typical_configuration_of_a_new_backstage_app_works_unchanged(settings, tmp_path):
    read = settings(TYPICAL)

    assert read.app.title == "Scaffolded App"
    assert read.organization.name == "My Company"
    assert (read.backend.host, read.backend.port) == ("127.0.0.1", 7007)
    assert read.backend.database == SqliteDatabase(tmp_path / ".callboard/callboard.sqlite")
    assert read.permission.is_enabled
    assert read.auth.guest.user == EntityRef("user", "development", "guest")
    assert read.warnings == ()
    assert [notice.partition(":")[0] for notice in read.notices] == [
        "backend.database",
        "integrations.github[0].token",
    ]


def test_a_deployment_with_variables_works_unchanged(settings):
    read = settings(DEPLOYED, ENVIRONMENT)

    assert read.app.base_url == "https://portal.example.com"
    assert read.backend.port == 7100
    assert read.backend.database == PostgresDatabase(
        host="db", port=5433, user="ada", password="hunter2", database="x_callboard"
    )
    assert read.backend.auth.external_access == (
        StaticAccess("hunter2-token", "conformance"),
        StaticAccess("hunter2-token-catalog-only", "restricted", (AccessRestriction("catalog"),)),
    )
    assert read.backend.reading == (ReadingRule("127.0.0.1:8719"),)
    assert read.catalog.orphan_strategy == "keep"
    assert read.catalog.processing_interval == timedelta(minutes=1)
    assert (read.warnings, read.notices) == ((), ())


def test_printing_settings_shows_no_secrets(settings):
    text = DEPLOYED + "callboard: {}\n"

    assert "hunter2" not in repr(settings(text, ENVIRONMENT))


def test_without_configuration_the_defaults_serve_this_machine(settings, tmp_path):
    read = settings()

    assert read.backend.base_url == "http://localhost:7007"
    assert (read.backend.host, read.backend.port) == ("127.0.0.1", 7007)
    assert read.backend.cors is None
    assert read.backend.database == SqliteDatabase(tmp_path / ".callboard/callboard.sqlite")
    assert read.catalog.rules == (
        CatalogRule((AllowedKind("Component"), AllowedKind("API"), AllowedKind("Location"))),
    )
    assert read.auth.guest is None
    assert read.auth.token_lifetime == timedelta(hours=1)
    assert read.callboard.data_directory == tmp_path / ".callboard"
    assert read.callboard.logging.level == "info"


# Mistakes


def test_all_mistakes_are_told_at_once_with_their_places(settings):
    text = (
        "backend:\n"
        "  listen:\n"
        "    port: abc\n"
        "  cors: {methods: [GET, 3]}\n"
        "  auth:\n"
        "    externalAccess:\n"
        "    - type: static\n"
        "      options:\n"
        "        token: ${TOKEN}\n"
        "catalog:\n"
        "  locations:\n"
        "  - type: file\n"
        "  - 5\n"
    )

    with pytest.raises(ConfigError) as error:
        settings(text)

    access = "backend.auth.externalAccess[0].options"
    assert str(error.value).splitlines() == [
        "backend.listen.port: wanted number, got a text that is none (app-config.yaml:3)",
        "backend.cors.methods[1]: wanted string, got number (app-config.yaml:4)",
        f"{access}.token: required (TOKEN is not set) (app-config.yaml:9)",
        f"{access}.subject: required (app-config.yaml:8)",
        "catalog.locations[0].target: required (app-config.yaml:12)",
        "catalog.locations[1]: wanted object, got number (app-config.yaml:13)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app: {title: 5}", "app.title: wanted string, got number"),
        ("app: {title: ''}", "app.title: wanted string, got empty string"),
        ("app: {baseUrl: here}", "app.baseUrl: wanted a URL that starts with http:// or https://"),
        ("backend: []", "backend: wanted object, got list"),
        ("backend: {listen: here}", "backend.listen: wanted <port> or <host>:<port>"),
        ("backend: {listen: ':70000'}", "backend.listen: wanted <port> or <host>:<port>"),
        ("backend: {listen: {port: 1.5}}", "backend.listen.port: wanted a whole number"),
        ("backend: {listen: {port: -1}}", "backend.listen.port: must be between 0 and 65535"),
        ("backend: {cors: true}", "backend.cors: wanted object, got boolean"),
        (
            "backend: {cors: {origin: true}}",
            "backend.cors.origin: wanted string or list of strings, got boolean",
        ),
        (
            "backend: {cors: {credentials: maybe}}",
            "backend.cors.credentials: wanted boolean, got neither true nor false",
        ),
        ("backend: {reading: {allow: {}}}", "backend.reading.allow: wanted list, got object"),
        (
            "backend: {reading: {allow: [{host: 'http://x/y'}]}}",
            "backend.reading.allow[0].host: wanted a host such as example.com, *.example.com",
        ),
        (
            "backend: {health: {headers: {x: 5}}}",
            "backend.health.headers.x: wanted string, got number",
        ),
        (
            "backend: {health: {headers: {'a b': c}}}",
            "backend.health.headers.a b: not a possible header name",
        ),
        ("backend: {logger: {level: loud}}", "backend.logger.level: wanted one of: debug, info, "),
        (
            "auth: {backstageTokenExpiration: 60}",
            "auth.backstageTokenExpiration: wanted a duration such as {minutes: 5}, 'PT5M' or",
        ),
        ("auth: {identityTokenAlgorithm: HS256}", "auth.identityTokenAlgorithm: wanted one of: "),
        ("auth: {providers: 5}", "auth.providers: wanted object, got number"),
        (
            "auth: {providers: {guest: {userEntityRef: guest}}}",
            'auth.providers.guest.userEntityRef: Entity reference "guest" had missing or empty',
        ),
        ("permission: {enabled: 2}", "permission.enabled: wanted boolean, got neither true nor"),
        ("catalog: {rules: [{allow: Component}]}", "catalog.rules[0].allow: wanted list, got str"),
        ("catalog: {rules: [{}]}", "catalog.rules[0].allow: required"),
        (
            "catalog: {rules: [{allow: [5]}]}",
            "catalog.rules[0].allow[0]: wanted object, got number",
        ),
        (
            "catalog: {rules: [{allow: [A], locations: [{type: a, exact: b, pattern: c}]}]}",
            "catalog.rules[0].locations[0].pattern: cannot stand beside exact",
        ),
        ("catalog: {orphanStrategy: drop}", "catalog.orphanStrategy: wanted one of: keep, delete"),
        ("catalog: {processingInterval: true}", "catalog.processingInterval: wanted a duration"),
        ("catalog: {massRemoval: {share: 2}}", "catalog.massRemoval.share: must be between 0"),
        ("catalog: {limits: {maxDepth: 9999}}", "catalog.limits.maxDepth: must be between 5 and"),
        ("catalog: {limits: {maxNodes: 0}}", "catalog.limits.maxNodes: must be at least 100"),
        (
            "catalog: {kinds: [{kind: A-B, apiVersions: a/v1}]}",
            "catalog.kinds[0].kind: wanted letters and digits, at most 63",
        ),
        (
            "catalog: {kinds: [{kind: X, apiVersions: []}]}",
            "catalog.kinds[0].apiVersions: wanted one or more of the form example.com/v1",
        ),
        (
            "catalog: {kinds: [{kind: X, apiVersions: a/v1}, {kind: x, apiVersions: a/v1}]}",
            "catalog.kinds: a kind and apiVersion are given twice",
        ),
        ("integrations: {github: [5]}", "integrations.github[0]: wanted object"),
        ("integrations: {gitlab: [{host: 5}]}", "integrations.gitlab[0].host: wanted string"),
        ("callboard: {workers: 0}", "callboard.workers: must be between 1 and 256"),
        (
            "callboard: {runs: {longest: 0s}}",
            "callboard.runs.longest: wanted a duration of a second or more",
        ),
        (
            "callboard: {webhooks: {ci: {secret: a-secret-of-some-length}}}",
            "callboard.webhooks.ci.url: required",
        ),
        (
            "callboard: {webhooks: {ci: {url: 'http://x', secret: short}}}",
            "callboard.webhooks.ci.secret: must have at least 16 characters",
        ),
        (
            "callboard: {webhooks: {ci: {url: 'ftp://x', secret: a-secret-of-some-length}}}",
            "callboard.webhooks.ci.url: wanted a URL that starts with http:// or https://",
        ),
        (
            (
                "callboard: {webhooks: {ci: {url: 'http://x', secret: a-secret-of-some-length,"
                " timeout: 1h}}}"
            ),
            "callboard.webhooks.ci.timeout: must be between 1 second and 2 minutes",
        ),
        (
            (
                "callboard: {webhooks: {ci: {url: 'http://x', secret: a-secret-of-some-length,"
                ' headers: {X-A: "ä"}}}}'
            ),
            "callboard.webhooks.ci.headers.X-A: wanted the name and value of an HTTP header",
        ),
        (
            (
                "callboard: {webhooks: {ci: {url: 'http://x', secret: a-secret-of-some-length,"
                " headers: {Content-Type: text/plain}}}}"
            ),
            "callboard.webhooks.ci.headers.Content-Type: this header is set by Callboard",
        ),
        (
            "callboard: {webhooks: {'a b': {url: 'http://x', secret: a-secret-of-some-length}}}",
            "callboard.webhooks.a b: wanted a name of up to 63 letters",
        ),
        ("callboard: {logging: {format: xml}}", "callboard.logging.format: wanted one of: logfmt"),
    ],
)
def test_a_mistake_is_told_with_its_path(mistakes, text, message):
    [found] = mistakes(text)

    assert found.startswith(message)


def test_unknown_keys_in_our_sections_are_warnings(settings):
    read = settings(
        "backend:\n  listen: {port: 1, hots: x}\n  foo: 1\n"
        "  auth: {externalAccess: [{type: jwks, options: {url: 'https://x/y', algorithms: A}}]}\n"
        "auth: {providers: {guest: {foo: 1}, github: {foo: 1}}}\n"
        "catalog: {rules: [{allow: [{kind: A, spec.typo: b}]}], providers: {foo: {bar: 1}}}\n"
        "callbord: {}\n"
    )

    assert read.warnings == (
        "backend.listen.hots: unknown key (app-config.yaml:2)",
        "backend.foo: unknown key (app-config.yaml:3)",
        "backend.auth.externalAccess[0].options.algorithms: unknown key (app-config.yaml:4)",
        "catalog.rules[0].allow[0].spec.typo: unknown key (app-config.yaml:6)",
        "auth.providers.guest.foo: unknown key (app-config.yaml:5)",
    )


def test_null_is_absent_everywhere(settings):
    read = settings(
        "app: {title: ~}\nbackend: {cors: ~, listen: {host: ~}, auth: {externalAccess: ~}}\n"
        "auth: {providers: {guest: ~}}\ncatalog: {locations: ~, kinds: ~}\nintegrations: ~\n"
        "organization:\n"
    )

    assert read.app.title == "Callboard"
    assert read.backend.cors is None
    assert read.auth.guest is None


# backend


@pytest.mark.parametrize(
    ("listen", "base_url", "host", "port"),
    [
        ("':7100'", "http://localhost:1", "0.0.0.0", 7100),  # noqa: S104
        ("7100", "http://localhost:1", "0.0.0.0", 7100),  # noqa: S104
        ("'7100'", "http://localhost:1", "0.0.0.0", 7100),  # noqa: S104
        ("'10.0.0.1:7100'", "http://localhost:1", "10.0.0.1", 7100),
        ("'[::1]:7100'", "http://localhost:1", "::1", 7100),
        ("{port: '7100'}", "http://localhost:1", "127.0.0.1", 7100),
        ("{port: 7100}", "http://127.0.0.1:1", "127.0.0.1", 7100),
        ("{port: 7100}", "https://example.com", "0.0.0.0", 7100),  # noqa: S104
        ("{host: 0.0.0.0}", "http://localhost:1", "0.0.0.0", 7007),  # noqa: S104
    ],
)
def test_the_address_to_listen_on(settings, listen, base_url, host, port):
    read = settings(f"backend: {{listen: {listen}, baseUrl: '{base_url}'}}").backend

    assert (read.host, read.port) == (host, port)


@pytest.mark.parametrize(
    ("listen", "base_url"),
    [
        ("':7100'", "http://localhost:7100"),
        ("{port: 7100}", "http://localhost:7100"),
        ("'10.0.0.1:7100'", "http://10.0.0.1:7100"),
        ("'[::1]:7100'", "http://[::1]:7100"),
    ],
)
def test_a_base_url_that_is_left_out_follows_from_the_address(settings, listen, base_url):
    assert settings(f"backend: {{listen: {listen}}}").backend.base_url == base_url


def test_a_base_url_is_not_made_up_if_its_variable_is_missing(mistakes):
    assert mistakes("backend: {baseUrl: '${BASE_URL}'}") == [
        "backend.baseUrl: required (BASE_URL is not set)"
    ]


def test_a_default_for_a_missing_variable_is_noticed(settings):
    assert settings("backend: {listen: {port: '${PORT}'}}").notices == (
        "backend.listen.port: left out, PORT is not set (app-config.yaml:1)",
    )


def test_missing_variables_of_others_are_not_our_business(settings):
    assert settings("techdocs: {x: '${NOPE}'}").notices == ()


def test_cors_takes_texts_for_lists(settings):
    read = settings(
        "backend: {cors: {origin: 'http://*.example.com', methods: GET, allowedHeaders: [A, B],"
        " exposedHeaders: C, credentials: 'true', maxAge: '60', preflightContinue: 0,"
        " optionsSuccessStatus: 200}}"
    )

    assert read.backend.cors == CorsSettings(
        origin=("http://*.example.com",),
        methods=("GET",),
        allowed_headers=("A", "B"),
        exposed_headers=("C",),
        credentials=True,
        max_age=60,
        preflight_continue=False,
        options_success_status=200,
    )


def test_health_headers_and_lifecycle(settings):
    read = settings(
        "backend: {health: {headers: {X-From: callboard}}, rateLimit: true,"
        " lifecycle: {startupRequestPauseTimeout: 2s, serverShutdownDelay: {minutes: 1}}}"
    ).backend

    assert read.health_headers == {"X-From": "callboard"}
    assert read.rate_limit is True
    assert read.lifecycle.startup_request_pause_timeout == timedelta(seconds=2)
    assert read.lifecycle.server_shutdown_delay == timedelta(minutes=1)


def test_https_is_noticed_as_ignored(settings):
    [notice] = settings("backend: {https: true}").notices

    assert notice.startswith("backend.https: ignored, the server speaks plain HTTP")


def test_the_log_level_of_the_backend_counts_unless_ours_is_set(settings):
    quiet = "backend: {logger: {level: warn}}\n"

    assert settings(quiet).callboard.logging.level == "warn"
    loud = settings(quiet + "callboard: {logging: {level: debug, format: json}}").callboard.logging
    assert (loud.level, loud.format) == ("debug", "json")


# backend.auth


def test_access_for_programs(settings):
    read = settings(
        "backend:\n"
        "  auth:\n"
        "    dangerouslyDisableDefaultAuthPolicy: true\n"
        "    keys: [{secret: aGVsbG8}]\n"
        "    externalAccess:\n"
        "    - {type: legacy, options: {secret: aGVs-G8_, subject: old}}\n"
        "    - type: jwks\n"
        "      options: {url: 'https://x/y', algorithm: RS256, issuer: 'a, b', audience: [c, d],\n"
        "        subjectPrefix: p}\n"
        "      accessRestrictions:\n"
        "      - {plugin: catalog, permission: 'a.b c.d,a.b',\n"
        "         permissionAttribute: {action: [read, create]}}\n"
        "      - {plugin: search, permission: []}\n"
    ).backend.auth

    assert read.is_default_policy_disabled
    assert read.external_access == (
        LegacyAccess(b"hel\xf8o?", "old"),
        JwksAccess(
            "https://x/y",
            ("RS256",),
            ("a", "b"),
            ("c", "d"),
            "p",
            (
                AccessRestriction("catalog", ("a.b", "c.d"), ("read", "create")),
                AccessRestriction("search"),
            ),
        ),
        LegacyAccess(b"hello", "external:backstage-plugin"),
    )


JWKS = "{type: jwks, options: {url: 'https://x'}, accessRestrictions: "


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{options: {}}", "type: required"),
        ("{type: static}", "options: required"),
        ("{type: odd, options: {}}", "type: wanted one of: static, legacy, jwks"),
        (
            "{type: static, options: {token: short, subject: x}}",
            "options.token: must have at least 8 characters",
        ),
        (
            "{type: static, options: {token: 'long enough', subject: x}}",
            "options.token: may not hold white space",
        ),
        ("{type: legacy, options: {secret: '!', subject: x}}", "options.secret: wanted base64"),
        ("{type: jwks, options: {url: x}}", "options.url: wanted a URL"),
        (
            JWKS + "[{plugn: x}]}",
            "accessRestrictions[0].plugin: required",
        ),
        (
            JWKS + "[{plugin: x, permissions: y}]}",
            "accessRestrictions[0].permissions: unknown key",
        ),
        (
            JWKS + "[{plugin: x, permissionAttribute: {action: fly}}]}",
            "accessRestrictions[0].permissionAttribute.action: wanted one or more of: create",
        ),
        (
            JWKS + "[{plugin: x}, {plugin: x}]}",
            "accessRestrictions: names a plugin twice",
        ),
    ],
)
def test_mistakes_in_access_for_programs(mistakes, entry, message):
    found = mistakes(f"backend: {{auth: {{externalAccess: [{entry}]}}}}")

    assert any(m.startswith(f"backend.auth.externalAccess[0].{message}") for m in found)


# backend.database


@pytest.mark.parametrize(
    ("database", "path"),
    [
        ("{client: better-sqlite3, connection: ':memory:'}", ".callboard/callboard.sqlite"),
        (
            "{client: better-sqlite3, connection: {filename: ':memory:'}}",
            ".callboard/callboard.sqlite",
        ),
        ("{client: embedded-postgres, connection: {}}", ".callboard/callboard.sqlite"),
        ("{client: sqlite3, connection: {directory: ../data}}", "../data/callboard.sqlite"),
        ("{client: better-sqlite3, connection: {directory: /data}}", "/data/callboard.sqlite"),
        ("{client: better-sqlite3, connection: some.sqlite}", "some.sqlite"),
        ("{client: better-sqlite3, connection: {filename: a/b.sqlite}}", "a/b.sqlite"),
        ("{client: better-sqlite3}", ".callboard/callboard.sqlite"),
        ("{prefix: x_}", ".callboard/callboard.sqlite"),
        ("~", ".callboard/callboard.sqlite"),
    ],
)
def test_sqlite_is_one_file(settings, tmp_path, database, path):
    read = settings(f"backend: {{database: {database}}}")

    assert read.backend.database == SqliteDatabase(tmp_path / path)
    is_unusual = ":memory:" in database or "embedded" in database
    assert bool(read.notices) is is_unusual


def test_the_data_directory_is_where_sqlite_is_kept(settings):
    read = settings("callboard: {dataDirectory: /srv/callboard}")

    assert read.backend.database == SqliteDatabase(Path("/srv/callboard/callboard.sqlite"))


POSTGRES = PostgresDatabase(database="backstage_plugin_callboard")


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        ("connection: {}", POSTGRES),
        ("connection: {database: mine}", replace(POSTGRES, database="mine")),
        (
            "connection: {user: 1, password: 2, port: '5433'}, prefix: p_, ensureExists: false",
            PostgresDatabase(
                user="1", password="2", port=5433, database="p_callboard", should_create=False
            ),
        ),
        (
            "connection: 'postgresql://a%40b:p%2Fw@h:5433/d?sslmode=require&application_name=x'",
            PostgresDatabase(
                host="h",
                port=5433,
                user="a@b",
                password="p/w",
                database="d",
                options={"sslmode": "require", "application_name": "x"},
            ),
        ),
        ("connection: 'postgres://h'", replace(POSTGRES, host="h")),
        ("connection: 'postgresql:///?host=/run/pg'", replace(POSTGRES, host="/run/pg")),
        (
            "connection: {connectionString: 'postgresql://h/d', password: s}",
            PostgresDatabase(host="h", database="d", password="s"),
        ),
        ("connection: {ssl: true}", replace(POSTGRES, ssl=DatabaseSsl())),
        ("connection: {ssl: false}", POSTGRES),
        (
            "connection: {ssl: {rejectUnauthorized: false, ca: A, cert: B, key: C}}",
            replace(POSTGRES, ssl=DatabaseSsl(is_verified=False, ca="A", cert="B", key="C")),
        ),
        (
            "connection: {database: d}, pluginDivisionMode: schema, schemaPrefix: p_, role: r",
            PostgresDatabase(
                database="d", schema="p_callboard", role="r", should_create_schema=True
            ),
        ),
        (
            "connection: {}, pluginDivisionMode: schema, ensureExists: false",
            PostgresDatabase(schema="callboard", should_create=False),
        ),
    ],
)
def test_postgresql_is_one_database(settings, database, expected):
    read = settings(f"backend: {{database: {{client: pg, {database}}}}}")

    assert read.backend.database == expected


def test_a_file_that_changes_to_sqlite_leaves_the_rest_of_the_connection_unused(settings, tmp_path):
    (tmp_path / "app-config.local.yaml").write_text(
        "backend: {database: {client: better-sqlite3, connection: {directory: d}}}"
    )

    read = settings(DEPLOYED, ENVIRONMENT)

    assert read.backend.database == SqliteDatabase(tmp_path / "d/callboard.sqlite")
    assert read.warnings == ()


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ("{client: mysql2, connection: x}", "client: wanted one of: better-sqlite3, sqlite3, pg"),
        ("{client: pg}", "connection: required"),
        ("{connection: x}", "client: required"),
        ("{client: pg, connection: 'mysql://x'}", "connection: wanted a URL such as postgresql:"),
        ("{client: pg, connection: 'postgresql://x:abc'}", "connection: wanted a URL such as"),
        ("{client: pg, connection: {type: rds}}", "connection.type: 'rds' is not supported"),
        ("{client: pg, connection: {port: 0}}", "connection.port: must be between 1 and 65535"),
        ("{client: pg, connection: {user: [a]}}", "connection.user: wanted string, got list"),
        ("{schemaPrefix: 1x}", "schemaPrefix: wanted a letter or _, then letters, digits or _"),
        (f"{{schemaPrefix: {'x' * 60}}}", "schemaPrefix: too long for the name of a schema"),
        ("{pluginDivisionMode: table}", "pluginDivisionMode: wanted one of: database, schema"),
    ],
)
def test_mistakes_in_the_database(mistakes, database, message):
    [found] = mistakes(f"backend: {{database: {database}}}")

    assert found.startswith(f"backend.database.{message}")


def test_databases_per_plugin_are_noticed_as_ignored(settings):
    [notice] = settings("backend: {database: {plugin: {auth: {client: pg}}}}").notices

    assert notice.startswith("backend.database.plugin: ignored, one database serves every plugin")


# auth


@pytest.mark.parametrize(
    ("written", "lifetime"),
    [
        ("{hours: 2}", timedelta(hours=2)),
        ("5m", timedelta(minutes=10)),
        ("P2D", timedelta(hours=24)),
    ],
)
def test_token_lifetimes_are_held_between_ten_minutes_and_a_day(settings, written, lifetime):
    read = settings(f"auth: {{backstageTokenExpiration: {written}}}")

    assert read.auth.token_lifetime == lifetime


def test_the_guest_owns_itself_unless_ownership_is_given(settings):
    guest = "auth: {providers: {guest: {userEntityRef: 'user:default/Ada'"

    ada = EntityRef("user", "default", "ada")
    assert settings(guest + "}}}").auth.guest.ownership == (ada,)
    owned = settings(guest + ", ownershipEntityRefs: ['group:default/x']}}}").auth.guest
    assert owned.ownership == (EntityRef("group", "default", "x"),)
    assert settings(guest + ", ownershipEntityRefs: []}}}").auth.guest.ownership == ()


def test_providers_and_later_options_are_passed_on_as_written(settings):
    read = settings(
        "auth: {environment: development, session: {secret: s}, keyStore: {provider: memory},"
        " experimentalExtraAllowedOrigins: 'http://*.x', experimentalDynamicClientRegistration:"
        " {enabled: true}, providers: {github: {development: {clientId: x}}}}"
    ).auth

    assert read.environment == "development"
    assert read.extra_allowed_origins == ("http://*.x",)
    assert read.raw["providers"]["github"]["development"] == {"clientId": "x"}
    assert read.raw["experimentalDynamicClientRegistration"] == {"enabled": True}


# catalog


def test_rules_of_a_location_are_rules_for_exactly_that_location(settings, tmp_path):
    read = settings(
        "catalog:\n"
        "  rules:\n"
        "  - allow: [API, {kind: Resource, spec.type: database}]\n"
        "    locations: [{type: url, pattern: 'https://x/**'}, {type: file, exact: /a}]\n"
        "  locations:\n"
        "  - {type: file, target: ./a/../b/*.yaml, rules: [{allow: [User]}, {allow: [Group]}]}\n"
        "  - {type: url, target: 'https://x/y', rules: [{allow: [Template]}]}\n"
    ).catalog

    file, url = f"{tmp_path}/b/*.yaml", "https://x/y"
    assert read.locations == (CatalogLocation("file", file), CatalogLocation("url", url))
    assert read.rules == (
        CatalogRule(
            (AllowedKind("API"), AllowedKind("Resource", "database")),
            (LocationMatch("url", pattern="https://x/**"), LocationMatch("file", exact="/a")),
        ),
        CatalogRule((AllowedKind("User"),), (LocationMatch("file", exact=file),)),
        CatalogRule((AllowedKind("Group"),), (LocationMatch("file", exact=file),)),
        CatalogRule((AllowedKind("Template"),), (LocationMatch("url", exact=url),)),
    )


def test_an_empty_list_of_rules_allows_nothing(settings):
    assert settings("catalog: {rules: []}").catalog.rules == ()


def test_durations_do_not_add_up_with_the_shipped_default(settings):
    read = settings("auth: {backstageTokenExpiration: {minutes: 30}}")

    assert read.auth.token_lifetime == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("written", "interval"),
    [
        ("false", None),
        ("PT5M", timedelta(minutes=5)),
        ("{milliseconds: 5}", timedelta(seconds=1)),
        ("~", timedelta(seconds=100)),
    ],
)
def test_the_processing_interval(settings, written, interval):
    read = settings(f"catalog: {{processingInterval: {written}}}")

    assert read.catalog.processing_interval == interval


def test_a_run_takes_three_hours_at_most_unless_something_else_is_said(settings):
    assert settings().callboard.longest_run == timedelta(hours=3)
    text = "callboard: {runs: {longest: {minutes: 20}}}"
    assert settings(text).callboard.longest_run == timedelta(minutes=20)


def test_kinds_of_ones_own(settings, tmp_path):
    (tmp_path / "schema.json").write_text('{"type": "object", "required": ["spec"]}')

    [kind] = settings(
        "catalog: {kinds: [{kind: Database, apiVersions: example.com/v1,"
        " schema: {$include: schema.json}, relations:"
        " [{field: spec.owner, type: ownedBy, reverse: ownerOf, defaultKind: Group}]}]}"
    ).catalog.kinds

    assert kind.api_versions == ("example.com/v1",)
    assert kind.schema == {"type": "object", "required": ["spec"]}
    assert kind.relations == (RelationRule("spec.owner", "ownedBy", "ownerOf", "Group"),)


def test_limits_may_be_set_one_by_one(settings):
    read = settings(
        "catalog: {limits: {maxDepth: '50'}, massRemoval: {share: '0.2'}, providers: {x: {y: 1}}}"
    ).catalog

    assert (read.limits.max_depth, read.limits.max_documents_per_file) == (50, 20_000)
    assert (read.mass_removal.share, read.mass_removal.minimum) == (0.2, 100)
    assert read.providers == {"x": {"y": 1}}


# integrations


def test_hosts_are_the_public_ones_and_those_configured(settings):
    read = settings(
        "integrations: {github: [{token: x}, {host: ghe.example.com}], gitlab: [{host: git.x}],"
        " awsS3: [{accessKeyId: x}], odd: {}}"
    ).integrations

    assert read.hosts["github.com"] == read.hosts["ghe.example.com"] == "github"
    assert read.hosts["git.x"] == read.hosts["gitlab.com"] == "gitlab"
    assert read.raw["github"][0] == {"token": "x"}


# Values


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"minutes": 5}, timedelta(minutes=5)),
        ({"hours": "1", "milliseconds": 1.5}, timedelta(hours=1, milliseconds=1.5)),
        ({"years": 1, "months": 1, "weeks": 1}, timedelta(days=365 + 30 + 7)),
        ("PT5M", timedelta(minutes=5)),
        ("P1Y2M3W4DT5H6M7.5S", timedelta(days=365 + 60 + 21 + 4, hours=5, minutes=6, seconds=7.5)),
        ("PT0S", timedelta()),
        ("5m", timedelta(minutes=5)),
        (" 2 Days ", timedelta(days=2)),
        ("1.5 hrs", timedelta(minutes=90)),
        ("100ms", timedelta(milliseconds=100)),
        ("0s", timedelta()),
    ],
)
def test_durations_come_in_three_forms(written, expected):
    assert parse_duration(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        5,
        None,
        True,
        [],
        {},
        {"minute": 5},
        {"minutes": "x"},
        {"minutes": -1},
        {"years": 10**9},
        "",
        "5",
        "-5m",
        "5 moons",
        "P",
        "PT",
        "P5",
        "P-1D",
        "1h30m",
        "PT5M5",
        "\u0665m",
    ],
)
def test_other_durations_are_refused(written):
    with pytest.raises(ValueError, match=r"wanted|cannot be"):
        parse_duration(written)


@given(st.integers(0, 10**6), st.sampled_from(["days", "hours", "minutes", "seconds"]))
def test_the_three_forms_agree(number, unit):
    iso = f"P{number}D" if unit == "days" else f"PT{number}{unit[0].upper()}"

    assert parse_duration({unit: number}) == parse_duration(f"{number} {unit}")
    assert parse_duration({unit: number}) == parse_duration(iso)


@given(st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False))
def test_texts_that_are_numbers_are_taken_for_them(number):
    assert to_number(number) == number
    assert to_number(f" {number} ") == number


@pytest.mark.parametrize(("text", "number"), [("0x1f", 31), ("010", 10), (".5", 0.5), ("+1.", 1)])
def test_numbers_are_read_as_in_javascript(text, number):
    assert to_number(text) == number


@pytest.mark.parametrize(
    "value", ["", " ", "x", "1_0", "inf", "NaN", "1,5", "\u0665", None, True, []]
)
def test_other_values_are_no_numbers(value):
    with pytest.raises(ValueError, match="wanted number"):
        to_number(value)


@pytest.mark.parametrize("value", [True, "true", "YES", "y", " on ", "1", 1])
def test_what_means_true(value):
    assert to_boolean(value) is True


@pytest.mark.parametrize("value", [False, "false", "No", "n", "off", "0", 0])
def test_what_means_false(value):
    assert to_boolean(value) is False


@pytest.mark.parametrize("value", ["", "ja", 2, None, [], {}])
def test_what_is_neither(value):
    with pytest.raises(ValueError, match="wanted boolean"):
        to_boolean(value)


# Documentation


def schema_keys(schema, path):
    """Yield every key of a schema with its full path, and those that are ignored."""
    for name, field in schema.load_fields.items():
        place = f"{path}.{field.data_key or name}"
        yield place
        if isinstance(field, fields.List):
            field, place = field.inner, place + "[]"  # noqa: PLW2901
        if isinstance(field, Named):
            place += ".<name>"
        if isinstance(field, fields.Nested | Named):
            yield from schema_keys(field.schema, place)
    for name in schema.ignored if isinstance(schema, Section) else ():
        yield f"{path}.{name}"


def all_keys():
    for name, schema in _SECTIONS.items():
        yield from schema_keys(schema(), name)
    yield _GUEST
    yield from schema_keys(GuestSchema(), _GUEST)
    for options in OPTIONS.values():
        yield from schema_keys(options(), "backend.auth.externalAccess[].options")


ROWS = dict(re.findall(r"^\| `([^`]+)` \|[^|]*\| ([^|]*) \|", DOCUMENT, re.MULTILINE))


@pytest.mark.parametrize("key", sorted(set(all_keys())))
def test_every_key_is_documented(key):
    assert f"`{key}`" in DOCUMENT


def test_every_documented_key_exists():
    sections = set(_SECTIONS) | {"backend.cors", "auth.providers.guest"}
    known = set(all_keys()) | sections

    documented = {key for key in ROWS if key.partition(".")[0] in _SECTIONS}
    assert documented - known == set()
    assert len(documented) > 100


def default_leaves(value, path=""):
    for key, child in value.items():
        place = f"{path}.{key}" if path else key
        if isinstance(child, dict):
            yield from default_leaves(child, place)
        else:
            yield place, child


SHIPPED = yaml.safe_load((ROOT / "app" / "defaults.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("key", "value"), list(default_leaves(SHIPPED)))
def test_shipped_defaults_are_documented(key, value):
    assert yaml.safe_load(ROWS[key].strip("`")) == value


def test_left_to_itself_it_reads_the_process_environment_and_working_directory(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APP_CONFIG_app_title", "From here")

    read = read_settings(load_config())

    assert read.app.title == "From here"
    assert read.callboard.data_directory == Path(os.path.realpath(tmp_path)) / ".callboard"


# Webhooks


def test_webhooks_have_names_and_defaults(settings):
    text = TYPICAL + (
        "callboard:\n  webhooks:\n"
        "    ci: {url: 'https://ada:hunter22@x/y?z', secret: a-secret-of-some-length,"
        " filter: kind=api}\n"
        "    gone: ~\n"
    )

    webhooks = settings(text).callboard.webhooks

    assert list(webhooks) == ["ci"]
    assert webhooks["ci"].filter == ("kind=api",)
    assert (webhooks["ci"].timeout.seconds, webhooks["ci"].max_attempts) == (10, 15)
    assert "secret" not in repr(webhooks["ci"])
    assert "hunter22" not in repr(webhooks["ci"])


def test_keys_of_webhooks_that_nobody_knows_are_warned_about(settings):
    text = TYPICAL + (
        "callboard: {webhooks: {ci: {url: 'https://x', secret: a-secret-of-some-length, retry: 1}}}"
    )

    (warning,) = settings(text).warnings

    assert warning.startswith("callboard.webhooks.ci.retry: unknown key")
