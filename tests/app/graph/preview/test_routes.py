"""`POST /api/graph/preview`: its forms, what it refuses and whom."""

from __future__ import annotations

import pytest

from app.graph.preview.rehearsal import PreviewLimits
from app.graph.preview.routes import BODY_LIMIT
from app.model.query import NOTHING
from tests.app.graph.preview.repository import BASE, document
from tests.app.graph.write_api import WriteApi
from tests.app.web.plugins import USER, error_of

PATH = "/api/graph/preview"


@pytest.fixture
def api(database, tmp_path):
    api = WriteApi(database, tmp_path, limits=PreviewLimits(files=2, patience=0.1))
    api.platform.repository.files["web.yaml"] = document("web")
    api.platform.root("web.yaml")
    yield api
    api.close()


def file(path="web.yaml", content="", **more):
    return {"location": f"url:{BASE}{path}", "content": content, **more}


OLD = file(content=document("web", lifecycle="old"))


def test_the_effect_is_answered_as_json(api):
    response = api.preview(OLD)
    assert (response.status_code, response.content_type) == (
        200, "application/json; charset=utf-8",
    )  # fmt: skip
    effect = response.get_json()
    assert [(e["ref"], e["operation"]) for e in effect["entities"]] == [
        ("component:default/web", "update")
    ]
    assert effect["summary"]["updated"] == 1
    assert api.platform.served()["component:default/web"]["spec"]["lifecycle"] == "production"


@pytest.mark.parametrize(
    ("accept", "content_type", "start"),
    [
        ("text/markdown", "text/markdown; charset=utf-8", "### Catalog preview"),
        ("text/html, text/markdown;q=0.5", "text/markdown; charset=utf-8", "### Catalog"),
        ("application/sarif+json", "application/sarif+json", '{"$schema":'),
        ("*/*", "application/json; charset=utf-8", '{"summary":'),
        ("image/png", "application/json; charset=utf-8", '{"summary":'),
    ],
)
def test_accept_chooses_the_form(api, accept, content_type, start):
    response = api.preview(OLD, accept=accept)
    assert (response.status_code, response.content_type) == (200, content_type)
    assert response.text.startswith(start)


def test_a_file_that_will_be_gone_and_one_that_may_be_left_out(api):
    gone, text = file(content=None), file("notes.txt", "no YAML: [", ifUnknown="ignore")
    effect = api.preview(gone, text).get_json()
    assert effect["files"] == {
        "unknown": [f"url:{BASE}notes.txt"],
        "skipped": [f"url:{BASE}notes.txt"],
    }
    assert [problem["kind"] for problem in effect["problems"]] == ["unreadable"]


def test_what_a_caller_may_not_see_is_counted(api):
    api.seen = NOTHING
    effect = api.preview(OLD).get_json()
    assert (effect["entities"], effect["summary"]["hidden"]) == ([], 1)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([{"content": ""}], "request/body/files/0 must have required property 'location'"),
        (
            [{"location": f"url:{BASE}a"}],
            "request/body/files/0 must have required property 'content'",
        ),
        ([file(content=7)], "request/body/files/0/content must be"),
        ([file(more=1)], "request/body/files/0 must NOT have additional properties"),
        ([file(ifUnknown="fail")], "request/body/files/0/ifUnknown must be register or ignore"),
        ([{"location": "web.yaml", "content": ""}], "request/body/files/0/location must be a loc"),
        ([{"location": "file:web.yaml", "content": ""}], "files/0/location must be a location"),
        ([file(), file("x" * 2000)], "request/body/files/1/location must be a location ref"),
        ([file("a"), file("b"), file("c")], "at most 2 files"),
        ([file("a"), file("a")], "each file once"),
    ],
)
def test_what_is_no_change_of_files_is_refused(api, files, message):
    status, name, said = error_of(api.preview(*files))
    assert (status, name) == (400, "InputError")
    assert message in said


def test_bodies_and_queries_are_read_as_everywhere(api):
    def refused(**how):
        return error_of(api.client.post(PATH, headers=USER, **how))[::2]

    assert refused(json={}) == (400, "request/body must have required property 'files'")
    assert refused(data="a: b", content_type="text/yaml") == (
        400, "unsupported media type text/yaml"
    )  # fmt: skip
    assert refused(json={"files": []}, query_string="dry=true") == (
        400, "Unknown query parameter 'dry'"
    )  # fmt: skip
    status, said = refused(data=b" " * (BODY_LIMIT + 1), content_type="application/json")
    assert (status, "too large" in said) == (400, True)


def test_who_is_nobody_or_may_not_is_refused(api):
    assert error_of(api.client.post(PATH, json={"files": []}))[0] == 401
    api.may = False
    assert error_of(api.preview(OLD))[:2] == (403, "NotAllowedError")


def test_a_graph_that_is_written_to_all_the_time_is_said_to_be_busy(api):
    with api.platform.writer.begin():
        status, name, said = error_of(api.preview(OLD))
    assert (status, name) == (503, "ServiceUnavailableError")
    assert "written to without a pause" in said
