"""Linting catalog files before they are committed: what is wrong with them, each with its place.

`lint_files` looks at files one by one and then at all of them together; `dangling` holds the
references that were found against what is known to exist. Nothing is read here but the neighbours
that a file names, and nothing is written.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.catalog.lint_entities import EntityChecks
from app.catalog.lint_neighbours import (
    MARKS,
    Filled,
    Folder,
    fill_placeholders,
    missing_targets,
)
from app.catalog.lint_references import Mention, references
from app.catalog.lint_rules import (
    DANGLING,
    DUPLICATE_ENTITY,
    EMPTY,
    NOT_AN_ENTITY,
    SYNTAX,
    TEMPLATE,
    Complaint,
    Finding,
)
from app.model import documents
from app.model.documents import Limits
from app.model.entity import Entity
from app.model.kinds import KindRegistry
from app.model.problem import Problem
from app.model.ref import EntityRef

# So many findings of one document get a place of their own.
PLACED = 200
_LOCATION = "this file"
# Where expressions of the template languages in use begin.
_EXPRESSION = re.compile(r"\{\{|\{%|\{#")
_IS_TEMPLATE = re.compile(r"kind:\s*[\"']?Template\b")
_PARSER = "YAMLParseError: "
_PLACE_IN_MESSAGE = re.compile(r" at line \d+, column \d+:?\s*\Z")
_TYPE_ERROR = "Expected object at root"


@dataclass(frozen=True, slots=True)
class CatalogText:
    """A file to be linted: what it is called in findings, its content, and where it is on disk."""

    name: str
    data: bytes
    path: Path | None = None


@dataclass(slots=True)
class Places:
    """Finds the places of fields; the text is only cut into lines if there is something to find."""

    file: CatalogText
    starts: Sequence[int]
    _lines: list[str] | None = None
    _asked: Counter[int] = field(default_factory=Counter)

    @property
    def lines(self) -> list[str]:
        """The lines of the file."""
        if self._lines is None:
            encoding = "utf-16" if self.file.data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
            self._lines = self.file.data.decode(encoding, "replace").split("\n")
        return self._lines

    def place(self, start: int, pointer: str) -> tuple[int, int]:
        """Find the line and column of a field in the document that starts on line `start`.

        Each time the document is read again: beyond `PLACED` times its start has to do.
        """
        self._asked[start] += 1
        if self._asked[start] > PLACED:
            return start, 1
        end = next((line for line in self.starts if line > start), len(self.lines) + 1)
        document = "\n".join(self.lines[start - 1 : end - 1]).encode()
        line, column = documents.position_in(document, 1, pointer)
        return (start + line - 1, column) if line else (start, 1)

    def finding(self, complaint: Complaint, start: int, ref: str) -> Finding:
        """Make a finding of a complaint about the document that starts on line `start`."""
        line, column = self.place(start, complaint.pointer)
        return Finding(complaint.rule, complaint.message, self.file.name, line, column, ref)

    def has_expression(self, line: int, *, back: bool = False) -> bool:
        """Tell whether a template expression begins on a line, or on the one before it."""
        there = self.lines[max(line - 1 - back, 0) : line]
        return any(map(_EXPRESSION.search, there))

    def first_expression(self) -> tuple[int, int]:
        """Find the first template expression; (0, 0) if there is none."""
        for number, line in enumerate(self.lines, 1):
            found = _EXPRESSION.search(line)
            if found:
                dollar = line[found.start() - 1 : found.start()] == "$"
                return number, found.start() + (0 if dollar else 1)
        return 0, 0


@dataclass(frozen=True, slots=True)
class LintedEntity:
    """An entity that was found: what it is called, where it stands, and what it refers to."""

    ref: str
    line: int
    places: Places
    mentions: tuple[Mention, ...] = ()

    @property
    def file(self) -> str:
        """The name of the file it stands in."""
        return self.places.file.name


@dataclass(slots=True)
class LintReport:
    """What came of linting some files."""

    files: int = 0
    entities: list[LintedEntity] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def refs(self) -> set[str]:
        """The refs of all entities, valid or not."""
        return {entity.ref for entity in self.entities}

    @property
    def is_template(self) -> bool:
        """Tell whether a file turned out to be a template of a catalog file."""
        return any(finding.rule is TEMPLATE for finding in self.findings)

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings, keeping them in the order of files and lines."""
        self.findings += findings
        self.findings.sort(key=lambda f: (f.file, f.line, f.column, f.rule.id))

    def count(self, severity: str) -> int:
        """Count the findings of one severity."""
        return sum(finding.rule.severity == severity for finding in self.findings)


@dataclass(slots=True)
class Linter:
    """Lints files against a set of kinds."""

    kinds: KindRegistry
    limits: Limits = field(default_factory=Limits)
    _checks: EntityChecks = field(init=False)

    def __post_init__(self) -> None:
        self._checks = EntityChecks(self.kinds)

    def lint_files(self, files: Iterable[CatalogText]) -> LintReport:
        """Lint every file, and then look for entities that are defined twice."""
        report = LintReport()
        for file in files:
            found = self.lint_file(file)
            report.files += 1
            report.entities += found.entities
            report.findings += found.findings
        report.add(_duplicates(report.entities))
        return report

    def lint_file(self, file: CatalogText) -> LintReport:
        """Lint one file by itself."""
        items = documents.parse(file.data, _LOCATION, self.limits)
        starts = [item.line for item in items if isinstance(item, Entity)]
        folder = Folder.of(file.path) if file.path else None
        is_marked = any(mark in file.data for mark in MARKS)
        text = Places(file, starts)
        report = LintReport(1)
        for item in items:
            if isinstance(item, Problem):
                report.findings.append(_unreadable(file.name, item))
            else:
                filled = _filled(item, folder, is_marked=is_marked)
                self._lint_entity(item.line, filled, text, report)
        if not items:
            report.findings.append(Finding(EMPTY, "there is no entity in it", file.name, 1, 1))
        return _as_template(report, text) or report

    def _lint_entity(self, line: int, filled: Filled, text: Places, report: LintReport) -> None:
        complaints = [*filled.complaints, *self._checks.check(filled.data, filled.unknown)]
        ref = _ref(filled.data)
        kind = self._checks.kind_of(filled.data)
        mentions = list[Mention]()
        if ref and kind is not None:
            for found in references(kind, filled.data):
                if isinstance(found, Mention):
                    mentions.append(found)
                else:
                    complaints.append(found)
        report.findings += (text.finding(complaint, line, ref) for complaint in complaints)
        if ref:
            report.entities.append(LintedEntity(ref, line, text, tuple(mentions)))


def dangling(report: LintReport, known: Container[str]) -> Iterator[Finding]:
    """Yield the references to entities that are neither in the files nor `known`."""
    own = report.refs
    for entity in report.entities:
        for mention in entity.mentions:
            target = str(mention.target)
            if target not in own and target not in known:
                message = f"{mention.field}: there is no {target}"
                complaint = Complaint(DANGLING, mention.pointer, message)
                yield entity.places.finding(complaint, entity.line, entity.ref)


def targets(report: LintReport) -> list[str]:
    """List what the files refer to and do not hold themselves, each once."""
    found = (str(m.target) for entity in report.entities for m in entity.mentions)
    own = report.refs
    return [ref for ref in dict.fromkeys(found) if ref not in own]


def _filled(entity: Entity, folder: Folder | None, *, is_marked: bool) -> Filled:
    """Look at what an entity says about other files, and fill in what they hold."""
    filled = fill_placeholders(entity.data, folder) if is_marked else Filled(entity.data)
    if folder is not None:
        filled.complaints += missing_targets(filled.data, folder)
    return filled


def _unreadable(name: str, problem: Problem) -> Finding:
    message = problem.message.removeprefix(f"YAML error at {_LOCATION}, ")
    # Without what the finding says anyway: the name of the error, the place, the line's text.
    message = _PLACE_IN_MESSAGE.sub("", message.partition("\n")[0].removeprefix(_PARSER))
    if message.startswith(_TYPE_ERROR):
        message = "a document of a catalog file has to be an object, and this is none"
        return Finding(NOT_AN_ENTITY, message, name, problem.line, problem.column)
    return Finding(SYNTAX, message, name, problem.line, problem.column)


def _as_template(report: LintReport, text: Places) -> LintReport | None:
    """Say one thing instead of many about a file that is to be filled in before it is used.

    It is taken for one if what is wrong with it stands where template expressions are. Expressions
    alone mean nothing: Templates are full of them, and so may be the definition of an API.
    """
    errors = [finding for finding in report.findings if finding.rule.severity == "error"]
    if not errors or any(_IS_TEMPLATE.match(line) for line in text.lines):
        return None
    line, column = text.first_expression()
    # What is not YAML is often noticed on the next line only.
    if not any(text.has_expression(f.line, back=f.rule is SYNTAX) for f in errors):
        return None
    message = "it is a template of a catalog file, to be filled in first; nothing else was checked"
    return LintReport(1, [], [Finding(TEMPLATE, message, text.file.name, line, column)])


def _ref(data: Any) -> str:
    metadata = data.get("metadata")
    parts = [data.get("kind"), metadata.get("name") if isinstance(metadata, dict) else None]
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    if not all(isinstance(part, str) and part for part in parts):
        return ""
    if namespace is not None and not isinstance(namespace, str):
        return ""
    return str(EntityRef.of(str(parts[0]), namespace, str(parts[1])))


def _duplicates(entities: Iterable[LintedEntity]) -> Iterator[Finding]:
    by_ref = defaultdict[str, list[LintedEntity]](list)
    for entity in entities:
        by_ref[entity.ref].append(entity)
    for ref, (first, *others) in by_ref.items():
        for entity in others:
            message = f"{ref} is defined already, in {first.file}:{first.line}"
            yield Finding(DUPLICATE_ENTITY, message, entity.file, entity.line, 1, ref)
