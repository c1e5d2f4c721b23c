"""A running server keeps the promises of `openapi.yaml`, whatever the contract allows to be sent.

More of it, some minutes:

    FUZZ_EXAMPLES=500 python -m pytest tests/contract/test_schemathesis.py -n 2
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.web.openapi import load_document
from tests.e2e.running import ACCESS, RULES, TOKEN, Platform, component, serving

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# They answer that guests have no use for them, with the status that says so: 501.
NOT_FOR_GUESTS = ["StartGuest", "FinishGuest", "FinishGuestByPost"]
# They do not end by themselves.
STREAMS = ["StreamChanges"]
API = schemathesis.openapi.from_dict(dict(load_document())).exclude(
    operation_id=[*NOT_FOR_GUESTS, *STREAMS]
)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("contract")
    documents = [component("a", "first", owner="b", dependsOn=["component:b"]), component("b")]
    (folder / "catalog-info.yaml").write_text("---\n".join(documents))
    (folder / "app-config.yaml").write_text(
        f"{ACCESS}"
        "auth: {providers: {guest: {dangerouslyAllowOutsideDevelopment: true}}}\n"
        f"catalog:\n  {RULES}\n  locations: [{{type: file, target: ./catalog-info.yaml}}]\n"
    )
    with serving(folder, workers=1) as running:
        yield running


@API.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
def test_what_is_promised_is_kept(case: Case, platform: Platform) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    case.call_and_validate(platform.url, headers=headers, checks=CHECKS, timeout=30)
