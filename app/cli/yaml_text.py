"""Writing entities as YAML for people: long texts as blocks, nothing that reads back otherwise."""

from __future__ import annotations

from typing import Any

import yaml

from app.model.yaml_scalars import plain_value

# Lines end with these in YAML 1.1 and do not in YAML 1.2; written escaped, both read the same.
_BREAKS = frozenset("\x85\u2028\u2029")


class _Dumper(yaml.SafeDumper):
    """Writes what YAML 1.1 and YAML 1.2 both read as it was."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - no anchors for equal parts
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if not _BREAKS.isdisjoint(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif not isinstance(plain_value(text), str):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def yaml_text(value: Any) -> str:
    """Write a JSON value as one YAML document."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def scalar_text(value: Any) -> str:
    """Write a scalar, or an empty collection, on one line."""
    has_lines = isinstance(value, str) and "\n" in value
    text: str = yaml.dump(
        value,
        Dumper=yaml.SafeDumper if has_lines else _Dumper,
        default_style='"' if has_lines else None,
        default_flow_style=True,
        allow_unicode=True,
        width=float("inf"),
    )
    return text.removesuffix("\n").removesuffix("\n...")
