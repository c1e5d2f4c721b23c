"""SQL's LIKE as the full-text filter meets it: `value LIKE '%term%'`, wildcards not escaped.

`_` in a term stands for any one character, `%` for any number of them, and a backslash takes the
special meaning from the character that follows. That is what the reference implementation does on
PostgreSQL, and what people who type `_` into a search box get.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.index.text import LONGEST

_ANY_ONE = "_"
_ANY_MANY = "%"
_ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class LikePattern:
    """A parsed `%term%`: the pieces between the `%`s, to be found one after the other.

    `literal` is set if the term has no wildcard and so is just a substring. `is_anchored`: a
    backslash at the end of the term has made the last `%` an ordinary character, and the last piece
    has to be at the end.
    """

    literal: str | None
    pieces: tuple[re.Pattern[str], ...] = ()
    is_anchored: bool = False

    def matches(self, value: str) -> bool:
        """Tell whether a value matches; linear in its length for every piece.

        Taking the first place where a piece fits leaves the most for the pieces after it, so there
        is no need to try another.
        """
        if self.literal is not None:
            return self.literal in value
        start = 0
        floating = self.pieces[:-1] if self.is_anchored else self.pieces
        for piece in floating:
            found = piece.search(value, start)
            if found is None:
                return False
            start = found.end()
        if not self.is_anchored:
            return True
        return any(
            self.pieces[-1].fullmatch(value, place) for place in range(start, len(value) + 1)
        )


_NOTHING = LikePattern(None, (re.compile("(?!)"),))


def like(term: str) -> LikePattern:
    """Parse the term of a full-text filter."""
    if not any(special in term for special in (_ANY_ONE, _ANY_MANY, _ESCAPE)):
        return LikePattern(term)
    if _least(term) > LONGEST:
        return _NOTHING
    pieces = [""]
    characters = iter(f"{term}{_ANY_MANY}")
    is_anchored = True
    for character in characters:
        is_anchored = True
        if character == _ANY_MANY:
            pieces.append("")
            is_anchored = False
        elif character == _ANY_ONE:
            pieces[-1] += "."
        elif character == _ESCAPE:
            pieces[-1] += re.escape(next(characters, _ESCAPE))
        else:
            pieces[-1] += re.escape(character)
    compiled = tuple(re.compile(piece, re.DOTALL) for piece in pieces if piece)
    return LikePattern(None, compiled, is_anchored and bool(compiled))


def _least(term: str) -> int:
    """Count how many characters a value has to have to match, at least."""
    escaped = len(re.findall(r"\\.", term, re.DOTALL))
    return len(term) - escaped - term.count(_ANY_MANY) - term.endswith(_ESCAPE)
