"""What every entity is held to, whatever its kind: envelope, known fields, field formats.

Each check has a quick way that says yes to what is plainly right, and a careful one that finds the
first mistake in the order and the words of Backstage (CONTRACT 1.1). The functions that change an
entity return a copy of the parts that change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from app.model.ajv import first_error
from app.model.formats import (
    NAME,
    Format,
    is_annotation_key,
    is_api_version,
    is_kind,
    is_label_value,
    is_namespace,
    is_non_empty,
    is_object_name,
    is_tag,
    is_url,
)
from app.model.kinds import ref_text
from app.model.processing_error import ProcessingError
from app.model.ref import DEFAULT_NAMESPACE
from app.model.schemas import ENTITY, ENVELOPE

