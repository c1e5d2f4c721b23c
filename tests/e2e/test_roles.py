"""Web processes and the worker as services of their own, on one database of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.running import ACCESS, RULES, Platform, component, seconds_until, serving

A = "component:default/a"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answer a folder whose configuration names a new database."""
    folder = tmp_path_factory.mktemp(request.param)
    connection = f"client: better-sqlite3, connection: {{filename: {folder}/shared.sqlite}}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        connection = f"client: pg, connection: {{connectionString: '{server}', database: roles}}"
    (folder / "app-config.yaml").write_text(
        f"{ACCESS}  database: {{{connection}}}\n"
        f"catalog:\n  {RULES}\n  locations: [{{type: file, target: './*.entity.yaml'}}]\n"
    )
    (folder / "a.entity.yaml").write_text(component("a", "first"))
    return folder


@pytest.fixture(scope="module")
def webs(folder: Path) -> Iterator[tuple[Platform, Platform]]:
    """Answer two services that only answer, beside one that only works.

    They start on an empty database at nearly the same time, each with a data directory of its own.
    """
    with ExitStack() as stack:
        one, other, _ = (
            stack.enter_context(
                serving(folder, "--data-dir", folder / name, role=name.split("-")[0], workers=1)
            )
            for name in ("web-one", "web-other", "worker")
        )
        seconds_until(lambda: one.entity(A))
        yield one, other


def test_each_runs_what_its_role_says(webs):
    assert [set(web.children()) for web in webs] == [{"web-1"}, {"web-1"}]


def test_what_the_worker_writes_is_seen_by_every_web_process_at_once(webs, folder):
    for turn in range(6):
        first, second = webs if turn % 2 else reversed(webs)
        text = f"turn {turn}"
        (folder / "a.entity.yaml").write_text(component("a", text))
        second.refresh(A)
        took = seconds_until(lambda web=first, text=text: web.description(A) == text)

        # The very next answer of the other one, not some later one.
        assert second.description(A) == text
        assert len(second.entities(filter=f"metadata.description={text}")) == 1
        assert took < 8.0


def test_what_a_web_process_writes_is_seen_by_the_other_at_once(webs, folder):
    (folder / "b.entity.yaml").write_text(component("b"))
    webs[0].refresh(A)
    seconds_until(lambda: webs[0].entity("component:default/b"))
    uid = webs[0].entity("component:default/b")["metadata"]["uid"]

    deleted = webs[0].ask(f"/api/catalog/entities/by-uid/{uid}", method="DELETE")
    after = webs[1].ask(f"/api/catalog/entities/by-uid/{uid}")

    assert (deleted.status, after.status) == (204, 404)
    # Its file still holds it, so it comes again, as another one.
    seconds_until(lambda: webs[1].entity("component:default/b"))
    assert webs[1].entity("component:default/b")["metadata"]["uid"] != uid


def test_one_token_is_good_for_all(webs):
    assert [web.ask("/api/catalog/entities").status for web in webs] == [200, 200]
    assert webs[0].entities() == webs[1].entities()


def test_what_is_refreshed_through_one_service_is_read_by_the_worker_of_another(webs, folder):
    (folder / "a.entity.yaml").write_text(component("a", "asked for"))
    webs[1].refresh(A)

    assert seconds_until(lambda: webs[1].description(A) == "asked for") < 4.0
