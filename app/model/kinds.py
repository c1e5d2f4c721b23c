"""The kinds that the catalog recognises, Backstage's own and those a configuration adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.errors import ConfigError
from app.model.json_schema import CompiledSchema
from app.model.policies import ref_text
from app.model.processing_error import ProcessingError
from app.model.relations import REVERSE, RULES, Relation, RelationRule, relations_by
from app.model.schemas import ENTITY, SPECS, TEMPLATE_SPEC, Schema, kind_schema

BUILTIN_API_VERSIONS = ("backstage.io/v1alpha1", "backstage.io/v1beta1")
TEMPLATE_API_VERSION = "scaffolder.backstage.io/v1beta3"
_RESOURCES = {"Entity": ENTITY}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entity: what it is called, what it must look like, which edges it draws.

    `schema` is the JSON Schema (draft-07) of the whole entity, and may refer to Backstage's
    `Entity`. `reverse` names the opposites of relation types that Backstage does not know.
    `processor` is who speaks in error messages.
    """

    name: str
    api_versions: tuple[str, ...]
    schema: Schema
    relations: tuple[RelationRule, ...] = ()
    reverse: Mapping[str, str] = field(default_factory=dict)
    processor: str = "ModelProcessor"


BUILTIN_KINDS: tuple[Kind, ...] = (
    *(
        Kind(
            name=name,
            api_versions=BUILTIN_API_VERSIONS,
            schema=kind_schema(spec),
            relations=RULES[name],
            processor="BuiltinKindsEntityProcessor",
        )
        for name, spec in SPECS.items()
    ),
    Kind(
        name="Template",
        api_versions=(TEMPLATE_API_VERSION,),
        schema=kind_schema(TEMPLATE_SPEC),
        relations=RULES["Template"],
        processor="ScaffolderEntitiesProcessor",
    ),
)


class KindRegistry:
    """Backstage's kinds and more; compiled once, used by everybody."""

    def __init__(self, custom: Iterable[Kind] = ()) -> None:
        """Compile the schemas of all kinds.

        Raises `ConfigError` if a schema is not one, if two kinds claim the same name and version,
        or if a relation has no reverse.
        """
        self.kinds: tuple[Kind, ...] = (*BUILTIN_KINDS, *custom)
        self.reverse: Mapping[str, str] = _reverses(self.kinds)
        self._by_version: dict[tuple[str, str], tuple[Kind, CompiledSchema]] = {}
        for kind in self.kinds:
            try:
                schema = CompiledSchema(kind.schema, _RESOURCES)
            except ConfigError as error:
                raise ConfigError(f"kind {kind.name}: {error}") from error
            for version in kind.api_versions:
                if (kind.name, version) in self._by_version:
                    raise ConfigError(f"kind {kind.name} of {version} is there already")
                self._by_version[kind.name, version] = kind, schema

    def find(self, data: Mapping[str, Any]) -> Kind | None:
        """Find the kind of an entity; case matters."""
        found = self._by_version.get((data["kind"], data["apiVersion"]))
        return found[0] if found else None

    def validate(self, data: Mapping[str, Any]) -> ProcessingError | None:
        """Hold an entity whose envelope is sound to the schema of its kind."""
        found = self._by_version.get((data["kind"], data["apiVersion"]))
        if found is None:
            return ProcessingError(
                "InputError",
                f"No processor recognized the entity {ref_text(data)} as valid, "
                "possibly caused by a foreign kind or apiVersion",
                "/kind",
            )
        kind, schema = found
        if schema.is_valid(data):
            return None
        error = schema.first_error(data)
        if error is None:
            return None
        return ProcessingError.caused(
            "InputError",
            f"Processor {kind.processor} threw an error while validating the entity "
            f"{ref_text(data)}",
            ProcessingError("TypeError", error.text_with_params, error.pointer),
        )

    def relations_of(self, data: Mapping[str, Any]) -> list[Relation] | ProcessingError:
        """Answer the edges that a valid entity draws, each once, or what is wrong with one."""
        kind = self.find(data)
        if kind is None:
            return []
        found = relations_by(kind.relations, data)
        if isinstance(found, ProcessingError):
            message = f"Processor {kind.processor} threw an error while postprocessing"
            return ProcessingError.caused("InputError", message, found)
        return found


def _reverses(kinds: Iterable[Kind]) -> dict[str, str]:
    reverse = dict(REVERSE)
    for kind in kinds:
        for forward, backward in kind.reverse.items():
            if reverse.get(forward, backward) != backward:
                known = reverse[forward]
                raise ConfigError(
                    f"kind {kind.name}: the reverse of {forward} is {known}, not {backward}"
                )
            reverse[forward] = backward
            reverse.setdefault(backward, forward)
    for kind in kinds:
        for rule in kind.relations:
            if rule.type not in reverse:
                raise ConfigError(f"kind {kind.name}: the relation {rule.type} has no reverse")
    return reverse
