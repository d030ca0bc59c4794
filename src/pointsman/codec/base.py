"""How the bytes of a record become an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from pointsman.base.registry import Registry

__all__ = ["Codec", "EventDecoder", "codecs"]


class EventDecoder(Protocol):
    """Reads values of one format for one policy.

    Attributes:
        attributes: The attribute of what `decode` returns that holds each used field, by the field's name.
        verbatim: Whether a value that decodes is itself the event as JSON, so that it may be spliced. decode:
        The used fields of a value, as attributes. A field that is not there is MISSING; one whose value
            has not the declared type is Mistyped. Raises RecordError where the value is not what the format
            says, with the byte where that shows.
        decode_whole: The whole event as a map, its declared fields converted as in `decode`. Raises
        RecordError.
    """

    attributes: Mapping[str, str]
    verbatim: bool
    fast: Callable[[bytes], Any] | None
    decode: Callable[[bytes], Any]
    decode_whole: Callable[[bytes], dict[str, Any]]


class Codec(Protocol):
    """A format of events: a class registered under its word in `source.format`."""

    name: ClassVar[str]

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None) -> EventDecoder:
        """The decoder for a policy that uses the fields `names`.

        Args:
            names: The top-level fields that expressions use.
            fields: The declared type of each declared field, in the document's order.

        Raises:
            Misfit: The format cannot be read with these declarations.
        """


codecs: Registry[Codec] = Registry("codec", "pointsman.codec")
