"""From `catalog.providers` to sources: one for each entry that an ingestor serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from marshmallow import EXCLUDE, ValidationError, fields

from app.config.place import join
from app.errors import ConfigError, InputError
from app.plugins import Plugin, discover
from app.ports import Ingestor
from app.scm.readers import Readers
from app.settings import Settings, mistakes, parse_duration
from app.sync.service import Source

# How often providers are read by default.
EVERY = timedelta(minutes=30)
PROVIDERS = "catalog.providers"
# What Backstage's schedules have; timeout and scope mean nothing here.
_SCHEDULE = frozenset({"frequency", "initialDelay", "timeout", "scope"})

_Mistake = tuple[str, str]


class _MistakenError(Exception):
    """Mistakes of one entry, each with the path of its key."""

    def __init__(self, *found: _Mistake) -> None:
        super().__init__(*found)
        self.found = found


def provider_sources(settings: Settings, readers: Readers) -> list[Source]:
    """Make every source; raises one `ConfigError` that lists all mistakes, a line for each."""
    sources, found = list[Source](), list[_Mistake]()
    for plugin, name, path, entry in _entries(settings, found):
        try:
            sources.append(_source(plugin, name, path, entry, readers))
        except _MistakenError as error:
            found += error.found
    if found:
        raise ConfigError("\n".join(settings.complaint(path, text) for path, text in found))
    return sources


def provider_warnings(settings: Settings) -> list[str]:
    """Name the keys that mean nothing to an ingestor."""
    return [
        settings.complaint(unknown, "unknown key")
        for plugin, _, path, entry in _entries(settings, [])
        for unknown in _unknown_keys(plugin, path, entry)
    ]


def _entries(
    settings: Settings, found: list[_Mistake]
) -> Iterator[tuple[Plugin, str, str, Mapping[str, Any]]]:
    """Yield every entry that an ingestor serves: one by itself, or several by id."""
    plugins = {
        plugin.id: plugin
        for plugin in discover("ingestors", group="callboard.ingestors")
        if plugin.kind == "ingestor"
    }
    for kind, written in settings.catalog.providers.items():
        plugin, path = plugins.get(kind), join(PROVIDERS, kind)
        if plugin is None or written is None:
            continue
        if not isinstance(written, Mapping):
            found.append((path, "wanted object"))
        elif all(isinstance(entry, Mapping) for entry in written.values()):
            for name, entry in written.items():
                yield plugin, name, join(path, name), entry
        else:
            yield plugin, "default", path, written


def _source(
    plugin: Plugin, name: str, path: str, entry: Mapping[str, Any], readers: Readers
) -> Source:
    entry = {key: value for key, value in entry.items() if value is not None}
    try:
        values = plugin.schema(unknown=EXCLUDE).load(entry)
    except ValidationError as error:
        raise _MistakenError(*mistakes(error.messages, path)) from error
    every, first_after = _schedule(entry.get("schedule", {}), join(path, "schedule"))
    try:
        ingestor: Ingestor = plugin.build(values, readers)
    except ValidationError as error:
        raise _MistakenError(*mistakes(error.messages, path)) from error
    except (ConfigError, InputError) as error:
        raise _MistakenError((path, str(error))) from error
    return Source(f"{plugin.id}:{name}", ingestor, every, first_after)


def _schedule(schedule: Any, path: str) -> tuple[timedelta, timedelta]:
    """Read Backstage's `schedule`: how often, and how long after the start."""
    if not isinstance(schedule, Mapping):
        raise _MistakenError((path, "wanted object"))
    durations = list[timedelta]()
    for key, default in (("frequency", EVERY), ("initialDelay", timedelta(0))):
        try:
            written = schedule.get(key)
            durations.append(default if written is None else parse_duration(written))
        except ValueError as error:
            raise _MistakenError((join(path, key), str(error))) from error
    return durations[0], durations[1]


def _unknown_keys(plugin: Plugin, path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    known = {field.data_key or name: field for name, field in plugin.schema().load_fields.items()}
    for key, value in entry.items():
        field, place = known.get(key), join(path, key)
        if field is None and key != "schedule":
            yield place
        elif key == "schedule" and isinstance(value, Mapping):
            yield from (join(place, inner) for inner in value if inner not in _SCHEDULE)
        elif isinstance(field, fields.Nested) and isinstance(value, Mapping):
            inside = {f.data_key or name for name, f in field.schema.load_fields.items()}
            yield from (join(place, inner) for inner in value if inner not in inside)
