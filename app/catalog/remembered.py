"""Answers of the newest revision, kept for whoever asks the same.

Everybody who opens the catalog asks for the same first page and the same facets. An answer is good
for one revision of the graph and one kind of sight, so it is never stale: a later revision is asked
for anew, and finds nothing here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from app.catalog.reading import Reply

ROOM = 8 * 1024 * 1024
LARGEST = 256 * 1024


@dataclass(slots=True)
class Remembered:
    """The answers used last, up to `room` bytes; shared by threads."""

    room: int = ROOM
    largest: int = LARGEST
    _answers: OrderedDict[Hashable, Reply] = field(default_factory=OrderedDict)
    _size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, question: Hashable, revision: int) -> Reply | None:
        """Answer what was kept for this question and revision."""
        with self._lock:
            reply = self._answers.get(question)
            if reply is None:
                return None
            if reply.revision != revision:
                self._forget(question)
                return None
            self._answers.move_to_end(question)
            return reply

    def keep(self, question: Hashable, reply: Reply) -> None:
        """Keep an answer, if it is whole and not too large."""
        body = reply.body
        if not isinstance(body, bytes) or len(body) > self.largest:
            return
        with self._lock:
            if question in self._answers:
                self._forget(question)
            self._answers[question] = reply
            self._size += len(body)
            while self._size > self.room:
                self._forget(next(iter(self._answers)))

    def _forget(self, question: Hashable) -> None:
        body = self._answers.pop(question).body
        self._size -= len(body) if isinstance(body, bytes) else 0
