"""Entity references: `kind:namespace/name`, canonically in lower case (CONTRACT 1.2)."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import InputError

DEFAULT_NAMESPACE = "default"
_FORM = "[<kind>:][<namespace>/]<name>"


@dataclass(frozen=True, slots=True, order=True)
class EntityRef:
    """The identity of an entity; every part is lower case.

    `str(ref)` is the canonical text form used in the database, in relations and on the wire.
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.namespace}/{self.name}"

    @classmethod
    def of(cls, kind: str, namespace: str | None, name: str) -> EntityRef:
        """Make a ref from the parts of an entity, whatever their case."""
        return cls(kind.lower(), (namespace or DEFAULT_NAMESPACE).lower(), name.lower())

    @classmethod
    def parse(
        cls, text: str, *, kind: str | None = None, namespace: str = DEFAULT_NAMESPACE
    ) -> EntityRef:
        """Read the text form; `kind` and `namespace` fill in what the text leaves out.

        Raises `InputError` in Backstage's words when a part is empty or the kind is unknown.
        """
        found_kind, found_namespace, name = split_ref(text)
        found_kind = found_kind or kind
        if not found_kind:
            raise InputError(
                f'Entity reference "{text}" had missing or empty kind '
                '(e.g. did not start with "component:" or similar)'
            )
        return cls.of(found_kind, found_namespace or namespace, name)


def split_ref(text: str) -> tuple[str | None, str | None, str]:
    """Split into kind, namespace and name as written; parts left out are None.

    A `/` before the first `:` means that there is no kind and the rest is the name.
    """
    colon, slash = text.find(":"), text.find("/")
    if 0 <= slash < colon:
        colon = -1
    kind = text[:colon] if colon >= 0 else None
    namespace = text[colon + 1 : slash] if slash >= 0 else None
    name = text[max(colon, slash) + 1 :]
    if kind == "" or namespace == "" or not name:
        raise InputError(f'Entity reference "{text}" was not on the form {_FORM}')
    return kind, namespace, name
