"""The effect of changed files as Markdown, to be shown where they are reviewed.

Names and messages come from the files, so none of them is taken for markup, a mention or a link.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

# A comment on GitHub has at most 65,536 characters.
LONGEST = 60_000
MOST = 50
_VALUE = 120
_SIGNS = {"create": "+", "update": "~", "delete": "-"}
Place = Callable[[str], str]


def effect_markdown(effect: Mapping[str, Any], place: Place = str) -> str:
    """Write the JSON of an effect as Markdown; `place` writes locations as readers know them."""
    sections = [
        _section("Problems", [_problem(p, place) for p in effect["problems"]], is_open=True),
        _section("Ownership", [_ownership(change) for change in effect["ownership"]], is_open=True),
        _section("References to nothing", list(map(_relation, effect["dangling"])), is_open=True),
        _section("Entities", [line for entity in effect["entities"] for line in _entity(entity)]),
        _section("Relations", _relations(effect["relations"])),
        _section("Files", list(_files(effect["files"], place))),
    ]
    head = f"### Catalog preview\n\n{_summary(effect['summary'])}\n"
    text = "\n".join([head, *filter(None, sections)])
    if len(text) <= LONGEST:
        return text
    end = text.rfind("\n", 0, LONGEST)
    closed = (
        "\n\n</details>" if text.count("<details", 0, end) > text.count("</details", 0, end) else ""
    )
    return f"{text[:end]}{closed}\n\n*There is more, too much to be shown here.*\n"


def _summary(summary: Mapping[str, int]) -> str:
    counts = [f"{summary[name]} {name}" for name in ("created", "updated", "deleted")]
    worries = [
        f"**{summary[name]} {said}**"
        for name, said in (
            ("errors", "new problems"),
            ("conflicts", "names in conflict"),
            ("ownership", "entities lose their owner"),
            ("dangling", "references to nothing"),
        )
        if summary[name]
    ]
    if not any(summary[name] for name in ("created", "updated", "deleted")):
        counts = ["No entity changes"]
    if summary["hidden"]:
        counts.append(f"{summary['hidden']} that you may not see")
    return " · ".join([*counts, *worries])


def _section(title: str, lines: Sequence[str], *, is_open: bool = False) -> str:
    if not lines:
        return ""
    shown = list(lines[:MOST])
    if len(lines) > MOST:
        shown.append(f"- … and {len(lines) - MOST} more")
    opened = " open" if is_open else ""
    body = "\n".join(shown)
    return f"<details{opened}><summary>{title} ({len(lines)})</summary>\n\n{body}\n\n</details>\n"


def _problem(problem: Mapping[str, Any], place: Place) -> str:
    where = ":".join(
        str(part)
        for part in (place(problem["location"]), problem["line"], problem["column"])
        if part
    )
    before = "" if problem["isNew"] else " (as before)"
    return f"- {_code(where)} {plain(problem['message'])}{before}"


def _ownership(change: Mapping[str, Any]) -> str:
    before, after = (", ".join(map(_code, change[name])) for name in ("before", "after"))
    return f"- {_code(change['ref'])}: {before} → {after or '**nobody**'}"


def _relation(relation: Mapping[str, str]) -> str:
    return f"- {_code(relation['source'])} {relation['type']} {_code(relation['target'])}"


def _relations(relations: Mapping[str, Sequence[Mapping[str, str]]]) -> list[str]:
    return [
        _relation(relation).replace("- ", f"- {sign} ", 1)
        for name, sign in (("added", "+"), ("removed", "-"))
        for relation in relations[name]
    ]


def _entity(entity: Mapping[str, Any]) -> Iterable[str]:
    yield f"- {_SIGNS[entity['operation']]} {_code(entity['ref'])}"
    for change in entity["changes"]:
        if change.get("isLong"):
            said = "changed, and is long"
        elif change["operation"] == "add":
            said = f"is {_value(change['after'])} now"
        elif change["operation"] == "remove":
            said = f"was {_value(change['before'])}"
        else:
            said = f"{_value(change['before'])} → {_value(change['after'])}"
        yield f"  - {_code(change['pointer'])} {said}"


def _files(files: Mapping[str, Sequence[str]], place: Place) -> Iterable[str]:
    for location in files["unknown"]:
        left_out = "left out" if location in files["skipped"] else "shown as if it were registered"
        yield f"- {_code(place(location))} is read by no source; {left_out}"


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return _code(text if len(text) <= _VALUE else f"{text[:_VALUE]}…")


def _code(text: str) -> str:
    """Write text as code, in which nothing but backticks means anything."""
    text = " ".join(text.split())
    if not text:
        return "``\N{NO-BREAK SPACE}``"
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def plain(text: str) -> str:
    """Write text so that none of it is markup."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~@$&-])", r"\\\1", " ".join(text.split()))
