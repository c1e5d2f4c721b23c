"""An explanation in plain sentences: the few things that whoever asks wants to know first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Part = Mapping[str, Any]
FEW = 3
_NOT_SERVED = {
    "reading": "waits for its first good reading: nothing that it points at could be read yet",
    "stitching": "was read and is served in a moment",
    "unstitchable": "is valid but cannot be served: two of its keys differ in their case only",
    "unknown": "does not exist, and no source ever described it",
}
_ABSENT = {
    "invalid": "described, but never validly",
    "deleted": "deleted",
    "unknown": "described by no source",
}


def summary(answer: Part) -> Iterator[str]:
    """Say what the parts of an explanation come to."""
    yield from _state(answer)
    yield from _problems(answer)
    yield from _conflict(answer)
    yield from _dangling(answer)
    yield from _reading(answer)


def _state(answer: Part) -> Iterator[str]:
    ref, state = answer["ref"], answer["state"]
    claims: Sequence[Part] = answer["claims"]
    holder = next((c for c in claims if c["role"] in {"served", "outdated"}), None)
    if state in {"served", "orphan"} and holder:
        yield f"{ref} is served as {_place(holder)} describes it{_way(holder)}."
    if state == "orphan":
        yield f"It is an orphan{_since(answer)}: no Location and no source emits it any more."
    elif state == "invalid":
        places = _few([_place(claim) for claim in claims])
        yield f"{ref} is not served: it is described by {places}, but never was valid."
    elif state in _NOT_SERVED:
        yield f"{ref} {_NOT_SERVED[state]}."
    yield from _absence(answer)
    if holder and holder["role"] == "outdated":
        yield "What was read since then is not valid, so its last valid content stays."


def _since(answer: Part) -> str:
    change = (answer["orphan"] or {}).get("change")
    return f" since {change['at']} (change {change['seq']}{_cause(change)})" if change else ""


def _absence(answer: Part) -> Iterator[str]:
    """Say what is known of a ref although it is not served."""
    change = answer["deletion"]
    if change:
        name = answer["ref"] if answer["state"] == "deleted" else "It"
        yield f"{name} was deleted at {change['at']} (change {change['seq']}{_cause(change)})."
    if answer["mentionedBy"]:
        names = list(dict.fromkeys(writer["ref"] for writer in answer["mentionedBy"]))
        yield f"It is named by {_few(names, is_complete=answer['relationsComplete'])}."


def _problems(answer: Part) -> Iterator[str]:
    for problem in answer["problems"][: FEW + 2]:
        place = _at(problem)
        message = f"{problem['name']}: {problem['message']}"
        if problem["about"] == "file":
            yield f"Its file cannot be read today, what it said before stays; at {place}: {message}"
        elif problem["about"] == "location":
            yield f"{problem['ref']}, which leads to it, has a problem at {place}: {message}"
        elif problem["about"] == "duplicate":
            yield f"It is described more than once; at {place}: {problem['message']}."
        else:
            yield f"At {place}: {message}"
    more = len(answer["problems"]) - FEW - 2
    if more > 0:
        yield f"There are {more} more problems."


def _conflict(answer: Part) -> Iterator[str]:
    conflict = answer["conflict"]
    if conflict:
        held = conflict["heldBy"]
        waiting = _few([_place(claim) for claim in conflict["waiting"]])
        yield (
            f"{waiting} also describes it and has to wait: the name is held by {_place(held)} "
            f"since {held['since']}."
        )


def _dangling(answer: Part) -> Iterator[str]:
    dangling: Sequence[Part] = answer["dangling"]
    if not dangling:
        return
    named = [f"{one['targetRef']} ({one['type']}, {_ABSENT[one['why']]})" for one in dangling]
    count = len(dangling)
    what = "One relation leads" if count == 1 else f"{count} relations lead"
    yield f"{what} to nothing: {_few(named)}."


def _reading(answer: Part) -> Iterator[str]:
    for claim in answer["claims"][:FEW]:
        sentence = "; ".join(_readings(claim))
        if sentence:
            yield f"{_place(claim)}: {sentence}."
    former: Sequence[Part] = answer["formerClaims"]
    if former:
        yield f"It was read from {_few([_place(one) for one in former])} before."


def _readings(claim: Part) -> Iterator[str]:
    if claim["via"]:
        near = claim["via"][0]
        if near["readAt"]:
            yield f"last read when it had changed at {near['readAt']}"
        following = near["next"]
        if following["why"] == "asked":
            yield f"about to be read again, as was asked for at {following['since']}"
        elif following["why"] == "interval":
            yield f"looked at again every {following['everySeconds']:g} s"
    read = claim["read"]
    run = read["lastRun"]
    if run:
        error = f" ({run['error']})" if run["error"] else ""
        what = f"{run['state']}{error}"
        yield f"its source {read['source']} was last run at {run['startedAt']}, {what}"
    if read["nextRunAt"]:
        yield f"next at about {read['nextRunAt']}"


def _place(claim: Part) -> str:
    return f"{claim['location']}:{claim['line']}" if claim["line"] else str(claim["location"])


def _way(claim: Part) -> str:
    source = f"read by the source {claim['read']['source']}"
    if not claim["via"]:
        return f", {source}"
    return f", {source} through {' and '.join(link['ref'] for link in claim['via'][:FEW])}"


def _at(problem: Part) -> str:
    numbers = [problem["line"], problem["column"]] if problem["line"] else []
    return ":".join([problem["location"], *(str(number) for number in numbers if number)])


def _cause(change: Part) -> str:
    cause = change["cause"]
    parts = [f"by {cause['actor']}"] if cause.get("actor") else []
    parts += [f"source {cause['source']}"] if cause.get("source") else []
    parts += [f"because of {cause['by']}"] if cause.get("by") else []
    return "".join(f", {part}" for part in parts)


def _few(names: Sequence[str], *, is_complete: bool = True) -> str:
    shown = ", ".join(names[:FEW])
    left = len(names) - FEW
    if left > 0:
        return f"{shown} and {left}{'' if is_complete else ' or'} more"
    return shown
