"""Reading server-sent events, as far as our own server writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


def read_events(pieces: Iterable[bytes]) -> Iterator[Mapping[str, str]]:
    """Yield the fields of each event in a stream that comes in any pieces; comments are not any."""
    rest = b""
    for piece in pieces:
        *blocks, rest = (rest + piece).split(b"\n\n")
        for block in blocks:
            event: dict[str, list[str]] = {}
            for line in block.decode(errors="replace").split("\n"):
                name, colon, value = line.partition(":")
                if name and colon:
                    event.setdefault(name, []).append(value.removeprefix(" "))
            if event:
                yield {name: "\n".join(values) for name, values in event.items()}
