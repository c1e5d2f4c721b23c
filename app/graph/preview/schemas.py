"""The wire names of what a preview is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import RAISE, Schema, fields

from app.errors import InputError
from app.graph.preview.rehearsal import GivenFile
from app.scm.addresses import is_url

MAX_LOCATION = 2000


class PreviewFile(Schema):
    """One changed file."""

    class Meta(Schema.Meta):
        """Nothing but these."""

        unknown = RAISE

    location = fields.String(required=True)
    content = fields.String(required=True, allow_none=True)
    if_unknown = fields.String(data_key="ifUnknown", load_default="register")


class PreviewBody(Schema):
    """The body of `POST /preview`."""

    class Meta(Schema.Meta):
        """Nothing but these."""

        unknown = RAISE

    files = fields.List(fields.Nested(PreviewFile), required=True)


def given_files(files: Sequence[Mapping[str, Any]]) -> list[GivenFile]:
    """Make the files of a `PreviewBody`; raises `InputError`."""
    return [_given(file, f"request/body/files/{number}") for number, file in enumerate(files)]


def _given(file: Mapping[str, Any], path: str) -> GivenFile:
    location, content = file["location"], file["content"]
    kind, _, target = location.partition(":")
    is_fine = is_url(target) if kind == "url" else kind == "file" and target.startswith("/")
    if not is_fine or "\0" in target or len(location.encode()) > MAX_LOCATION:
        raise InputError(
            f"{path}/location must be a location ref such as url:https://host/path/file.yaml, "
            f"of at most {MAX_LOCATION} bytes"
        )
    if file["if_unknown"] not in {"register", "ignore"}:
        raise InputError(f"{path}/ifUnknown must be register or ignore")
    data = None if content is None else content.encode()
    return GivenFile(location, data, file["if_unknown"] == "ignore")
