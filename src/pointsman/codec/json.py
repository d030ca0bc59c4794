"""`format: json`: one JSON object a record, decoded into the used fields only.

A value is decoded by msgspec into a struct that has the used fields with their declared types. What does not
fit there (a wrong type, a number out of range) is decoded once more into a map, and the field is marked. The
value's own bytes become the record's `event`, so whatever is accepted must be valid JSON to the last byte:
msgspec checks the grammar of what it skips, but not its UTF-8, which is therefore checked first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec

from pointsman.base.records import Headers
from pointsman.cel.fields import fit
from pointsman.cel.values import INT_MAX, INT_MIN, MISSING
from pointsman.codec.base import codecs
from pointsman.codec.cloudevents import opened
from pointsman.codec.fields import attributes_of, picker
from pointsman.codec.json_objects import json_object
from pointsman.codec.registry_keys import refuse
from pointsman.codec.values import typed

__all__ = ["Json", "JsonDecoder"]

_Int64 = Annotated[int, msgspec.Meta(ge=INT_MIN, le=INT_MAX)]
_Dyn = _Int64 | float | str | bool | None | list | dict  # type: ignore[type-arg]  # as JSON: members of any type
_TYPES: Final[Mapping[str, Any]] = {
    "string": str | None,
    "int": _Int64 | None,
    "double": float | None,
    "bool": bool | None,
    "timestamp": _Dyn,
    "bytes": bytes | None,
    "list": list | None,
    "map": dict | None,
    "dyn": _Dyn,
}


@codecs.add("json")
class Json:
    """JSON objects in UTF-8."""

    name: ClassVar[str] = "json"

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None, registry: Any = None) -> JsonDecoder:
        """The decoder for a policy that uses the fields `names`.

        Raises:
            Misfit: A registry is named, which this format does not ask.
        """
        refuse("json", registry)
        return JsonDecoder(names, fields or {})


class JsonDecoder:
    """Decodes JSON objects; see `codec.base.EventDecoder`."""

    verbatim: bool = True
    head: int = 0
    single: bool = False
    prepare: Callable[[Sequence[bytes | None]], None] | None = None

    def __init__(self, names: Sequence[str], fields: Mapping[str, str]) -> None:
        """Args:
        names: The used fields.
        fields: The declared types.
        """
        self.attributes: Mapping[str, str] = attributes_of(names)
        self.open: Callable[[bytes, Headers | None], tuple[bytes, Headers] | None] | None = opened
        self.decode_whole: Callable[[bytes], dict[str, Any]] = _whole(fields)
        self.fast: Callable[[bytes], Any] | None
        self.decode: Callable[[bytes], Any]
        self.fast, self.decode = _used(names, fields)


def _whole(fields: Mapping[str, str]) -> Callable[[bytes], dict[str, Any]]:
    """A decoder of the whole event."""

    def decode_whole(raw: bytes) -> dict[str, Any]:
        return typed(json_object(raw), fields)

    return decode_whole


def _used(
    names: Sequence[str], fields: Mapping[str, str]
) -> tuple[Callable[[bytes], Any] | None, Callable[[bytes], Any]]:
    """Decoders of the used fields: the fast one where there is one, and the one for any value."""
    declared = {name: fields.get(name, "dyn") for name in names}
    pick = picker(names)

    def decode_slowly(raw: bytes) -> Any:
        event = json_object(raw)
        return pick({name: fit(event[name], declared[name], name) for name in names if name in event})

    if any(c in '"\\' or c < " " for name in names for c in name):  # msgspec cannot look for these
        return None, decode_slowly
    decode_fast = msgspec.json.Decoder(_struct(declared)).decode
    moments = [(f"f{n}", name) for n, name in enumerate(names) if declared[name] == "timestamp"]

    def decode(raw: bytes) -> Any:
        try:
            if raw.isascii() or raw.decode() is not None:
                return decode_fast(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            pass
        return decode_slowly(raw)

    def decode_with_moments(raw: bytes) -> Any:
        try:
            if raw.isascii() or raw.decode() is not None:
                event = decode_fast(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return decode_slowly(raw)
        for attribute, name in moments:
            value = getattr(event, attribute)
            if value is not MISSING:
                setattr(event, attribute, fit(value, "timestamp", name))
        return event

    return (None, decode_with_moments) if moments else (decode_fast, decode)


def _struct(declared: Mapping[str, str]) -> type[msgspec.Struct]:
    """A struct of the used fields, each with its own default: MISSING."""
    attributes = attributes_of(list(declared))
    members = [
        (attributes[name], _TYPES[kind], msgspec.field(default=MISSING, name=name))
        for name, kind in declared.items()
    ]
    return msgspec.defstruct("Event", members, gc=False)
