"""What lint prints: for people, programs, tools that read SARIF, and GitHub's runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import click
import orjson
from rich.text import Text

from app.catalog.lint_rules import RULES, Finding
from app.catalog.linting import LintReport
from app.cli.output import console, note, print_json, printable
from app.cli.release import release

Writer: TypeAlias = Callable[[LintReport], None]
_SARIF_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_COLOURS = {"error": "bold red", "warning": "yellow"}


def write_text(report: LintReport) -> None:
    """Write a line for each finding, in the form that compilers use, and a summary for people."""
    out = console()
    for finding in report.findings:
        line = Text.assemble(
            (printable(_place(finding)), "bold"),
            ": ",
            (finding.rule.severity, _COLOURS[finding.rule.severity]),
            f": {printable(finding.message)} ",
            (f"[{finding.rule.id}]", "dim"),
        )
        if out.is_terminal:
            out.print(line)
        else:
            click.echo(line.plain)
    note(_summary(report))


def write_json(report: LintReport) -> None:
    """Write one object with every finding in it."""
    print_json(
        {
            "files": report.files,
            "entities": len(report.entities),
            "errors": report.count("error"),
            "warnings": report.count("warning"),
            "findings": [
                {
                    "rule": finding.rule.id,
                    "severity": finding.rule.severity,
                    "message": finding.message,
                    "file": finding.file,
                    "line": finding.line,
                    "column": finding.column,
                    "ref": finding.ref or None,
                }
                for finding in report.findings
            ],
        }
    )


def write_github(report: LintReport) -> None:
    """Write the commands that make GitHub's runner put notes on the lines of a change."""
    for finding in report.findings:
        properties = {"file": finding.file, "line": finding.line, "col": finding.column}
        given = [f"{name}={escaped_property(value)}" for name, value in properties.items() if value]
        title = f"title={escaped_property(f'callboard {finding.rule.id}')}"
        values = ",".join([*given, title])
        click.echo(f"::{finding.rule.severity} {values}::{escaped(finding.message)}")
    note(_summary(report))


def write_sarif(report: LintReport) -> None:
    """Write SARIF 2.1.0."""
    click.echo(orjson.dumps(sarif(report), option=orjson.OPT_INDENT_2))


def sarif(report: LintReport) -> Mapping[str, Any]:
    """Make the SARIF log of one run."""
    ids = list(RULES)
    driver = {
        "name": "callboard lint",
        "version": release(),
        "rules": [
            {
                "id": rule.id,
                "shortDescription": {"text": rule.summary},
                "defaultConfiguration": {"level": rule.severity},
            }
            for rule in RULES.values()
        ],
    }
    here = {"uri": f"{Path.cwd().as_uri()}/"}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": here},
        "results": [
            {
                "ruleId": finding.rule.id,
                "ruleIndex": ids.index(finding.rule.id),
                "level": finding.rule.severity,
                "message": {"text": finding.message},
                "locations": [{"physicalLocation": _physical(finding)}],
            }
            for finding in report.findings
        ],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _physical(finding: Finding) -> Mapping[str, Any]:
    path = Path(finding.file)
    artifact = (
        {"uri": path.as_uri()}
        if path.is_absolute()
        else {"uri": quote(path.as_posix()), "uriBaseId": "SRCROOT"}
    )
    if not finding.line:
        return {"artifactLocation": artifact}
    region = {"startLine": finding.line, **({"startColumn": c} if (c := finding.column) else {})}
    return {"artifactLocation": artifact, "region": region}


def _place(finding: Finding) -> str:
    return ":".join([finding.file, *(str(n) for n in (finding.line, finding.column) if n)])


def _summary(report: LintReport) -> str:
    errors, warnings = report.count("error"), report.count("warning")
    what = f"{_number(report.files, 'file')}, {_number(len(report.entities), 'entity', 'entities')}"
    return f"{_number(errors, 'error')}, {_number(warnings, 'warning')} in {what}"


def _number(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def escaped(text: str) -> str:
    """Write a text as the commands of GitHub's runner take it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escaped_property(value: object) -> str:
    """Write the value of a property of such a command."""
    return escaped(str(value)).replace(":", "%3A").replace(",", "%2C")


FORMATS: Mapping[str, Writer] = {
    "text": write_text,
    "json": write_json,
    "sarif": write_sarif,
    "github": write_github,
}
