"""Compressed documents: zstandard frames with dictionaries kept in the database.

Catalog entities of one organisation repeat each other; a dictionary trained on some hundred of them
makes a frame three times smaller than one without. One is trained on the first that come, and
better ones as there are thousands to choose from. Every frame names its dictionary, dictionaries
are only ever added, and a frame without one can always be read.

A document that is much like an earlier one is smaller still when that is its dictionary
(`pack_against`); whoever stores such a frame remembers which document it needs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import zstandard

from app.db.engine import Database
from app.db.statements import Statements
from app.db.tables import dictionary

LEVEL = 3
DICTIONARY_BYTES = 32 * 1024
SAMPLES = 400
FIRST = 1
# A frame that claims to hold more than this is not one of ours.
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class DocumentCodec:
    """Packs and unpacks documents; may be shared by threads. One that never `trains` only reads."""

    database: Database
    trains: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _packer: zstandard.ZstdCompressor = field(
        default_factory=lambda: zstandard.ZstdCompressor(level=LEVEL)
    )
    _unpackers: dict[int, zstandard.ZstdDecompressor] = field(
        default_factory=lambda: {0: zstandard.ZstdDecompressor()}
    )
    _newest: int = 0

    def pack(self, document: bytes) -> bytes:
        """Compress with the newest dictionary that is known."""
        with self._lock:
            return self._packer.compress(document)

    def unpack(self, frame: bytes) -> bytes:
        """Decompress a frame, fetching its dictionary if this process has not seen it."""
        name = zstandard.get_frame_parameters(frame).dict_id
        with self._lock:
            if name not in self._unpackers:
                self._load()
            return self._unpackers[name].decompress(frame, max_output_size=MAX_DOCUMENT_BYTES)

    def wants(self, number: int) -> bool:
        """Tell whether the dictionary `number`, or a better one, is still to be trained."""
        if not self.trains:
            return False
        with self._lock:
            if self._newest < number:
                self._load()
            return self._newest < number

    def learn(self, samples: Sequence[bytes], number: int = FIRST) -> None:
        """Train and store a dictionary if it is wanted and the samples suffice."""
        if len(samples) < SAMPLES or not self.wants(number):
            return
        trained = zstandard.train_dictionary(
            DICTIONARY_BYTES, list(samples[: 4 * SAMPLES]), dict_id=number, d=8, k=200
        )
        row = (number, trained.as_bytes())
        with self.database.begin() as connection:
            Statements.on(connection).insert(
                dictionary, ["id", "content"], [row], conflict="DO NOTHING"
            )
        with self._lock:
            self._load()

    def _load(self) -> None:
        with self.database.snapshot() as connection:
            found = Statements.on(connection).rows("SELECT id, content FROM dictionary ORDER BY id")
        for name, content in found:
            trained = zstandard.ZstdCompressionDict(bytes(content))
            self._unpackers[name] = zstandard.ZstdDecompressor(dict_data=trained)
            self._packer = zstandard.ZstdCompressor(level=LEVEL, dict_data=trained)
            self._newest = name


def pack_against(document: bytes, base: bytes) -> bytes:
    """Compress what differs from `base`."""
    return zstandard.ZstdCompressor(level=LEVEL, dict_data=_raw(base)).compress(document)


def unpack_against(frame: bytes, base: bytes) -> bytes:
    """Decompress a frame that `pack_against` wrote with the same `base`."""
    unpacker = zstandard.ZstdDecompressor(dict_data=_raw(base))
    return unpacker.decompress(frame, max_output_size=MAX_DOCUMENT_BYTES)


def _raw(document: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(document, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
