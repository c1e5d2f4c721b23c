"""What becomes of a pull request: what a preview foretells, and what was written once it is merged.

Both are a row for each entity that changes (what is done, the etag, the entity without its uid) and
all that is wrong now and was not before.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from app.catalog.processing import ORIGIN
from app.graph.preview.rehearsed import known_as

Row = tuple[str, str, Any]
_ORIGINATED = re.compile(r"originated at [^ ]+")


@dataclass(frozen=True)
class Outcome:
    """What changes, by ref, and what is wrong: place, line, column and error."""

    rows: dict[str, Row]
    flaws: set[tuple[str, int, int, str]]


class State:
    """What is served, who says what, and all that is wrong."""

    def __init__(self, platform):
        self.served = {ref: _without_uid(entity) for ref, entity in platform.served().items()}
        (self.newest,) = platform.rows("SELECT coalesce(max(seq), 0) FROM change")[0]
        self.problems = set(
            platform.rows('SELECT location, line, "column", error FROM problem ORDER BY id')
        )
        self.emissions = platform.rows(
            "SELECT r.ref, coalesce(p.ref, ''), e.location, e.line, e.claimed FROM emission e "
            "JOIN ref r ON r.id = e.ref_id LEFT JOIN ref p ON p.id = e.parent "
            "WHERE e.document IS NOT NULL"
        )
        self.holders = {ref: place for ref, _, place, _, claimed in self.emissions if claimed}

    def conflicts(self):
        """Answer who waits for a name that another place has: the line, and that place."""
        return {
            (ref, place): (line, self.holders[ref])
            for ref, _, place, line, _ in self.emissions
            if self.holders.get(ref, place) != place
        }

    def places(self):
        """Answer where each name is described, whether or not it is the one that counts."""
        lost = {(orjson.loads(error).get("ref"), place) for place, _, _, error in self.problems}
        return lost | {(ref, place) for ref, _, place, _, _ in self.emissions}

    def of_several_trees(self):
        """Answer what several trees of Locations find in one place, and all below that."""
        counts = Counter((ref, place) for ref, _, place, _, _ in self.emissions)
        found, more = set(), {ref for (ref, _), count in counts.items() if count > 1}
        while more:
            found |= more
            more = {ref for ref, parent, *_ in self.emissions if parent in more} - found
        return found


def foretold(found) -> Outcome:
    """Answer what a preview says."""
    rows = dict[str, Row]()
    for change in found.changes:
        assert change.ref not in rows, "a preview tells of an entity once"
        there, gone = found.after.get(change.ref), found.before.get(change.ref)
        assert {"create": there and not gone, "delete": gone and not there}.get(
            change.operation, there and gone
        )
        entity = orjson.loads(there or gone)
        after = _without_uid(entity) if there else None
        rows[change.ref] = (change.operation, entity["metadata"]["etag"], after)
    new = (flaw for flaw in found.flaws if known_as(flaw) not in found.known_flaws)
    flaws = ((f.problem, known_as(f)) for f in new)
    return Outcome(rows, {(p.location, p.line, p.column, error) for p, (_, error) in flaws})


def written(platform, before: State, after: State) -> Outcome:
    """Answer what the history and the problems say.

    An entity that several steps changed counts by where they began and ended.
    """
    sql = (
        "SELECT r.ref, c.operation, c.etag FROM change c JOIN ref r ON r.id = c.entity_id "
        "WHERE c.seq > ? ORDER BY c.seq"
    )
    steps = dict[str, list[tuple[str, str]]]()
    for ref, operation, etag in platform.rows(sql, before.newest):
        steps.setdefault(ref, []).append((operation, etag))
    rows = {
        ref: row for ref, one in steps.items() if (row := _net(one, ref, before, after)) is not None
    }
    unlogged = {ref for ref in before.served.keys() | after.served.keys() if ref not in steps}
    assert all(before.served.get(ref) == after.served.get(ref) for ref in unlogged)
    return Outcome(rows, _flaws(before, after))


def _net(steps, ref, before, after) -> Row | None:
    was, now = before.served.get(ref), after.served.get(ref)
    is_new, is_gone = steps[0][0] == "create", steps[-1][0] == "delete"
    assert (is_new, is_gone) == (was is None, now is None)
    if was == now:
        return None
    if now is None:
        return ("delete", was["metadata"]["etag"], None)
    return ("create" if is_new else "update", steps[-1][1], now)


def _flaws(before, after):
    known = {(place, error) for place, _, _, error in before.problems}
    found = {row for row in after.problems if (row[0], row[3]) not in known}
    waited = before.conflicts()
    for (ref, place), (line, holder) in after.conflicts().items():
        if (ref, place) not in waited:
            message = f"{ref} is already described by {holder}, which keeps the name"
            error = orjson.dumps({"name": "ConflictError", "message": message}).decode()
            found.add((place, line, 1, error))
    return found


# -- what cannot be told ---------------------------------------------------------------------------


def raced_for(before: State, after: State) -> set[str]:
    """Answer the names that several new places describe, one of which has it now."""
    new = after.places() - before.places()
    counts = Counter(ref for ref, _ in new)
    return {ref for ref, place in new if counts[ref] > 1 and after.holders.get(ref) == place}


def without_origins(outcome: Outcome, before: State, after: State) -> Outcome:
    """Leave out from which tree comes what several trees find in one place."""
    shared = before.of_several_trees() | after.of_several_trees()
    rows = dict[str, Row]()
    for ref, (operation, etag, entity) in outcome.rows.items():
        if ref not in shared or entity is None:
            rows[ref] = (operation, etag, entity)
            continue
        plain = _without_origin(entity)
        if operation != "update" or _without_origin(before.served[ref]) != plain:
            rows[ref] = (operation, "", plain)
    # An error may name the origin as well.
    flaws = {(*where, _ORIGINATED.sub("", error)) for *where, error in outcome.flaws}
    return Outcome(rows, flaws)


def _without_uid(entity):
    metadata = {k: v for k, v in entity["metadata"].items() if k != "uid"}
    return {**entity, "metadata": metadata}


def _without_origin(entity):
    metadata = {k: v for k, v in entity["metadata"].items() if k != "etag"}
    metadata["annotations"] = {**metadata["annotations"], ORIGIN: ""}
    return {**entity, "metadata": metadata}
