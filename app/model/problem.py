"""A place that could not be read: a record, not an exception."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one item of many, and where.

    `location` is a location ref (`file:/…`, `url:https://…`). `line` and `column` count from 1;
    0 means unknown. `pointer` is a JSON pointer inside the document. `name` is the error's class
    name in Backstage's words (`InputError`, `NotFoundError`, …); it and `message` are what the
    status of the entity shows.
    """

    location: str
    message: str
    name: str = "InputError"
    line: int = 0
    column: int = 0
    pointer: str = ""
    ref: str = ""

    @property
    def place(self) -> str:
        """`location:line:column`, as far as it is known."""
        return ":".join([self.location, *(str(n) for n in (self.line, self.column) if n)])

    def __str__(self) -> str:
        return f"{self.place}: {self.name}: {self.message}"
