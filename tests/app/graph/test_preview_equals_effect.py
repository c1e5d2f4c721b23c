"""What is applied later equals what was previewed, in pull requests made by chance.

Each is previewed, merged, and read by sources, worker and callers as they do; then every row of the
history that this wrote, and all that is wrong, is held against what the preview said. More of them:

    PREVIEW_EXAMPLES=500 python -m pytest tests/app/graph/test_preview_equals_effect.py
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict

import orjson
import pytest

from app.catalog.clashes import is_conflict, kept_by
from app.catalog.processing import ORIGIN
from app.graph.differences import differences
from tests.app.graph.pull_requests import Author
from tests.app.graph.repository import RepositoryPlatform

EXAMPLES = int(os.environ.get("PREVIEW_EXAMPLES", "15"))
SEED = int(os.environ.get("PREVIEW_SEED", "1"))


class State:
    """What is served, who says what, and all that is known to be wrong."""

    def __init__(self, platform):
        self.served = {ref: without_uid(entity) for ref, entity in platform.served().items()}
        self.emissions = platform.rows(
            "SELECT r.ref, e.parent, e.source, e.location, e.claimed, e.document IS NOT NULL "
            "FROM emission e JOIN ref r ON r.id = e.ref_id"
        )
        self.problems = {
            tuple(row)
            for row in platform.rows('SELECT location, line, "column", error FROM problem')
        }
        self.holders = {ref: place for ref, _, _, place, claimed, _ in self.emissions if claimed}
        self.waiting = {
            (ref, e) for ref, _, _, e, claimed, valid in self.emissions if valid and not claimed
        }
        counts = Counter((ref, place) for ref, _, _, place, _, _ in self.emissions)
        self.shared = {ref for (ref, _), count in counts.items() if count > 1}
        told = {(orjson.loads(e).get("ref"), place) for place, _, _, e in self.problems}
        self.places = told | {
            (ref, place) for ref, _, _, place, _, valid in self.emissions if valid
        }
        (self.newest,) = platform.rows("SELECT coalesce(max(seq), 0) FROM change")[0]

    def raced_for(self, before):
        """Answer the names that were free and that several new places describe."""
        new = self.places - before.places
        counts = Counter(ref for ref, _ in new)
        return {ref for ref, place in new if counts[ref] > 1 and self.holders.get(ref) == place}


def without_uid(entity):
    metadata = {k: v for k, v in entity["metadata"].items() if k != "uid"}
    return {**entity, "metadata": metadata}


def written(platform, before, after):
    """Answer what the history says since then: of each ref, how it began and where it ended."""
    sql = (
        "SELECT r.ref, c.operation, c.etag FROM change c JOIN ref r ON r.id = c.entity_id "
        "WHERE c.seq > ? ORDER BY c.seq"
    )
    rows = defaultdict(list)
    for ref, operation, etag in platform.rows(sql, before.newest):
        rows[ref].append((operation, etag))
    found = {}
    for ref, steps in rows.items():
        is_new, is_gone = steps[0][0] == "create", steps[-1][0] == "delete"
        assert (is_new, is_gone) == (ref not in before.served, ref not in after.served)
        net = "create" if is_new else "delete" if is_gone else "update"
        if not (is_new and is_gone) and before.served.get(ref) != after.served.get(ref):
            found[ref] = (net, steps[-1][1], after.served.get(ref))
    return found


def foretold(found):
    """Answer the same as a preview says it."""
    rows = {}
    for change in found.changes:
        assert change.ref not in rows
        document = found.after.get(change.ref)
        etag = orjson.loads(document or found.before[change.ref])["metadata"]["etag"]
        after = without_uid(orjson.loads(document)) if document else None
        rows[change.ref] = (change.operation, etag, after)
    return rows


def blurred(rows, shared):
    """Leave out of what several trees of Locations find in one place which of them found it."""
    return {
        ref: (what, "", without_origin(entity))
        if ref in shared and entity
        else (what, etag, entity)
        for ref, (what, etag, entity) in rows.items()
    }


def without_origin(entity):
    metadata = {k: v for k, v in entity["metadata"].items() if k != "etag"}
    metadata["annotations"] = {**metadata["annotations"], ORIGIN: ""}
    return {**entity, "metadata": metadata}


def flawed(flaws):
    return {(f.problem.location, f.problem.line, f.problem.column, error(f)) for f in flaws}


def error(flaw):
    return orjson.dumps(flaw.error).decode()


def lasting(flaws, state):
    """Answer the conflicts among flaws that are there in the end, by who has the name then."""
    met = {(f.problem.ref, f.problem.location): f for f in flaws if is_conflict(f)}
    return flawed(
        kept_by(flaw, state.holders[ref])
        for (ref, place), flaw in met.items()
        if (ref, place) in state.waiting and state.holders.get(ref) != place
    )


@pytest.mark.parametrize("keeps_orphans", [False, True])
def test_preview_equals_effect(database, tmp_path, keeps_orphans):
    platform = RepositoryPlatform(database, tmp_path, keeps_orphans=keeps_orphans)
    author = Author(SEED + keeps_orphans)
    files = platform.repository.files
    files |= author.repository()
    platform.provide()
    platform.root("root.yaml")
    platform.work()
    bad = order = 0
    for number in range(EXAMPLES):
        request = author.pull_request(files)
        everything, before = platform.everything(), State(platform)
        found = platform.rehearse(request.changed)
        assert platform.everything() == everything, f"preview {number} left something behind"

        flaws = apply(platform, request.changed, found)
        after = State(platform)
        expected, applied = foretold(found), written(platform, before, after)
        wrong = {
            ref: [*differences(expected.get(ref), applied.get(ref))]
            for ref in expected.keys() | applied.keys()
            if expected.get(ref) != applied.get(ref)
        }
        told = flawed(found.flaws)
        known = {f for f in told if (f[0], f[3]) in found.known_flaws}
        assert {(f[0], f[3]) for f in known} <= {(p[0], p[3]) for p in after.problems}
        new = told - known
        effect = (after.problems - before.problems) | lasting(flaws, after)
        unsaid, false = effect - new, new - effect
        unsaid = {f for f in unsaid if (f[0], f[3]) not in found.known_flaws}
        shared = before.shared | after.shared
        if wrong and blurred(expected, shared) == blurred(applied, shared) and not unsaid | false:
            order += 1
        elif wrong or unsaid or false:
            raced = after.raced_for(before)
            bad += 1
            print("=====", number, request.what, raced)
            for p, t in request.changed.items():
                print("--", p, "\n", t)
            print("unknown", found.unknown, found.skipped)
            for r, w in wrong.items():
                print(
                    "WRONG",
                    r,
                    expected.get(r, (None,))[0],
                    applied.get(r, (None,))[0],
                    [
                        (d.pointer, d.before, d.after)
                        for d in differences(
                            (expected.get(r) or (0, 0, 0))[2], (applied.get(r) or (0, 0, 0))[2]
                        )
                    ][:4],
                )
            for f in unsaid:
                print("UNSAID", f)
            for f in false:
                print("FALSE", f)
    print("ORDER", order)
    platform.snapshots.close()
    assert not bad, bad


def apply(platform, changed, found):
    """Merge a pull request, and have it read as sources, worker and callers do."""
    files = platform.repository.files
    for path, text in changed.items():
        files.pop(path, None)
        if text is not None:
            files[path] = text
    flaws = [*platform.provide().flaws, *platform.work()]
    for place in found.unknown:
        if place not in found.skipped:
            platform.registered.register("url", place.removeprefix("url:"), "refresh")
    return [*flaws, *platform.work()]
