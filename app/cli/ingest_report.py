"""What `callboard ingest` says at the end: counts by source and kind, and problems by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import click
from rich.text import Text

from app.catalog.emission import Counts
from app.cli.ingest_store import SourceStore, StandingProblem
from app.cli.output import console, is_terminal, print_json, print_table, printable
from app.db.engine import Database
from app.db.statements import Statements

# A terminal shows no more problems than this of one file; --json and pipes have them all.
AT_ONE_PLACE = 10
COUNTS = ("read", "written", "unchanged", "invalid", "conflicts", "removed")


@dataclass(slots=True)
class Outcome:
    """What came of one source: counts of the run, and how the graph stands now."""

    source: str
    state: str = "done"
    counts: Counts = field(default_factory=Counts)
    error: str = ""
    left_out: Sequence[str] = ()
    kinds: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[StandingProblem] = ()

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong with what the source holds."""
        return not (self.error or self.problems)

    def look(self, database: Database) -> None:
        """Read how the graph stands."""
        with database.snapshot() as connection:
            store = SourceStore(Statements.on(connection))
            self.kinds = store.kinds(self.source)
            found = [*store.problems(self.source), *store.conflicts(self.source)]
        self.problems = sorted(found, key=lambda p: (p.location, p.line, p.column))


@dataclass(frozen=True, slots=True)
class Summary:
    """All outcomes, how long they took, and how kinds are written."""

    outcomes: Sequence[Outcome]
    seconds: float
    spelling: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong."""
        return all(outcome.is_good for outcome in self.outcomes)

    @property
    def kinds(self) -> Mapping[str, int]:
        """Count entities by kind, the most frequent first."""
        total = Counter[str]()
        for outcome in self.outcomes:
            total.update(outcome.kinds)
        return {self.spelling.get(kind, kind): count for kind, count in total.most_common()}

    @property
    def total(self) -> Counts:
        """Add up the counts of all sources."""
        total = Counts()
        total.add(outcome.counts for outcome in self.outcomes)
        return total

    @property
    def problems(self) -> int:
        """Count what is wrong."""
        return sum(len(outcome.problems) + bool(outcome.error) for outcome in self.outcomes)


def write_json(summary: Summary) -> None:
    """Write everything as one object."""
    print_json(
        {
            "ok": summary.is_good,
            "seconds": round(summary.seconds, 3),
            "counts": summary.total.as_dict(),
            "kinds": summary.kinds,
            "sources": [_as_json(outcome) for outcome in summary.outcomes],
        }
    )


def _as_json(outcome: Outcome) -> Mapping[str, Any]:
    return {
        "source": outcome.source,
        "state": outcome.state,
        "counts": outcome.counts.as_dict(),
        "kinds": dict(outcome.kinds),
        "error": outcome.error or None,
        "leftOut": list(outcome.left_out),
        "problems": [
            {
                "location": problem.location,
                "line": problem.line,
                "column": problem.column,
                "ref": problem.ref,
                "message": problem.message,
            }
            for problem in outcome.problems
        ],
    }


def write_text(summary: Summary) -> None:
    """Write tables for people, or a line for every fact in a pipe."""
    if is_terminal():
        _write_for_people(summary)
        return
    for outcome in summary.outcomes:
        counts = outcome.counts.as_dict()
        row = ["source", outcome.source, outcome.state, *(f"{n}={counts[n]}" for n in COUNTS)]
        click.echo("\t".join(row))
    for kind, count in summary.kinds.items():
        click.echo(f"kind\t{kind}\t{count}")
    for outcome in summary.outcomes:
        for place, ref, message in _facts(outcome):
            click.echo("\t".join(map(printable, ("problem", place, ref, message))))
        for name in outcome.left_out:
            click.echo(f"left out\t{printable(name)}\ta template of a catalog file")


def _facts(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    if outcome.error:
        yield outcome.source, "", outcome.error
    for problem in outcome.problems:
        place = ":".join(filter(None, (problem.location, problem.place)))
        yield place, problem.ref, problem.message


def _write_for_people(summary: Summary) -> None:
    rows = [
        [o.source, o.state, *(f"{o.counts.as_dict()[name]:,}" for name in COUNTS)]
        for o in summary.outcomes
    ]
    print_table(["source", "", *COUNTS], rows)
    print_table(["kind", "entities"], [[kind, f"{n:,}"] for kind, n in summary.kinds.items()])
    for outcome in summary.outcomes:
        _write_problems(outcome)
    read = summary.total.read
    rate = f" ({read / summary.seconds:,.0f}/s)" if summary.seconds > 1 else ""
    problems = f"{summary.problems:,} problem{'' if summary.problems == 1 else 's'}"
    out = console()
    out.print(
        Text.assemble(
            f"{read:,} entities read in {summary.seconds:.1f} s{rate}, ",
            (problems, "bold red" if summary.problems else "green"),
        )
    )
    if any("not of an allowed kind" in p.message for o in summary.outcomes for p in o.problems):
        out.print("Which kinds files may hold is said by catalog.rules in the configuration.")


def _write_problems(outcome: Outcome) -> None:
    out = console()
    if outcome.error:
        out.print(Text.assemble((printable(outcome.source), "bold")))
        out.print(Text.assemble("  ", (printable(outcome.error), "red")))
    for location, group in groupby(outcome.problems, lambda problem: problem.location):
        problems = list(group)
        out.print(Text(printable(location), "bold"))
        for problem in problems[:AT_ONE_PLACE]:
            out.print(
                Text.assemble(
                    (f"  {problem.place:>8}  ", "cyan"),
                    (f"{printable(problem.ref)}  ", "dim"),
                    printable(problem.message),
                )
            )
        if len(problems) > AT_ONE_PLACE:
            out.print(Text(f"            and {len(problems) - AT_ONE_PLACE} more", "dim"))
    if outcome.left_out:
        count = len(outcome.left_out)
        what = (
            "a template of a catalog file was"
            if count == 1
            else (f"{count} templates of catalog files were")
        )
        out.print(Text(f"{what} left out, {printable(outcome.left_out[0])} first", "dim"))
