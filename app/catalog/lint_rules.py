"""What the linter can say: its rules with their ids, and one finding of one of them.

The ids are promised to those who filter reports by them; `docs/command-line.md` describes each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by its id: how bad it is to break it, and what it asks for."""

    id: str
    severity: Severity
    summary: str


UNREADABLE = Rule("unreadable-file", "error", "A catalog file can be read.")
SYNTAX = Rule("yaml-syntax", "error", "A catalog file is YAML 1.2, with no key given twice.")
TEMPLATE = Rule("yaml-template", "warning", "A catalog file is YAML, not a template of YAML.")
EMPTY = Rule("empty-file", "warning", "A catalog file holds an entity.")
NOT_AN_ENTITY = Rule("not-an-entity", "error", "Every document of a catalog file is an object.")
SCHEMA = Rule("schema", "error", "Required fields are there, and all have the right type.")
UNKNOWN_FIELD = Rule(
    "unknown-field", "error", "An entity has apiVersion, kind, metadata and spec, and no more."
)
FORMAT = Rule("field-format", "error", "Names, labels, tags and links are well-formed.")
UNKNOWN_KIND = Rule("unknown-kind", "error", "The catalog knows the kind and its apiVersion.")
DUPLICATE_KEY = Rule("duplicate-key", "error", "No two keys differ only in upper and lower case.")
DUPLICATE_ENTITY = Rule("duplicate-entity", "error", "Every entity is defined once.")
REFERENCE = Rule("reference", "error", "References are written as [kind:][namespace/]name.")
WRONG_KIND = Rule("wrong-kind", "warning", "References name an entity of a fitting kind.")
DANGLING = Rule("dangling-reference", "warning", "What is referred to exists.")
PLACEHOLDER = Rule("placeholder", "error", "Files named by $text, $json and $yaml can be used.")
MISSING_TARGET = Rule("missing-target", "error", "Files that a Location names exist.")
OVERWRITTEN = Rule("overwritten-field", "warning", "Fields that the catalog sets are left to it.")

RULES: Mapping[str, Rule] = {
    rule.id: rule
    for rule in (
        UNREADABLE,
        SYNTAX,
        TEMPLATE,
        EMPTY,
        NOT_AN_ENTITY,
        SCHEMA,
        UNKNOWN_FIELD,
        FORMAT,
        UNKNOWN_KIND,
        DUPLICATE_KEY,
        DUPLICATE_ENTITY,
        REFERENCE,
        WRONG_KIND,
        DANGLING,
        PLACEHOLDER,
        MISSING_TARGET,
        OVERWRITTEN,
    )
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong inside an entity, and the JSON pointer of the field to look at."""

    rule: Rule
    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and where; `line` and `column` count from 1, 0 means the whole file."""

    rule: Rule
    message: str
    file: str
    line: int = 0
    column: int = 0
    ref: str = ""
