"""How the bytes of a record become an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from pointsman.base.records import Headers
from pointsman.base.registry import Registry

__all__ = ["Codec", "EventDecoder", "codecs"]


class EventDecoder(Protocol):
    """Reads values of one format for one policy.

    Attributes:
        attributes: The attribute of what `decode` returns that holds each used field, by the field's name.
        verbatim: Whether a value that decodes holds the event as JSON, so that it may be spliced.
        head: Bytes before that JSON.
        single: Whether `decode` is no quicker than `decode_whole`, of which it then takes its fields.
        open: Takes an event out of an envelope: from a value and its record's headers to the value inside and
            the headers that say what the envelope said; None where there is no envelope. Raises RecordError
            where the envelope is broken. None: the format has no envelopes.
        prepare: Fetches what these values need in order to be read; called before any of them is. Raises
            EnvironmentFault where that cannot be had now. None: nothing is ever needed.
        decode: The used fields of a value, as attributes. A field that is not there is MISSING; one whose
            value has not the declared type is Mistyped. Raises RecordError where the value is not what the
            format says, with the byte where that shows.
        fast: A quicker `decode`, which raises anything for what is out of the ordinary; None: there is none.
        decode_whole: The whole event as a map, its declared fields converted as in `decode`. Raises
            RecordError.
    """

    attributes: Mapping[str, str]
    verbatim: bool
    head: int
    single: bool
    open: Callable[[bytes, Headers | None], tuple[bytes, Headers] | None] | None
    prepare: Callable[[Sequence[bytes | None]], None] | None
    fast: Callable[[bytes], Any] | None
    decode: Callable[[bytes], Any]
    decode_whole: Callable[[bytes], dict[str, Any]]


class Codec(Protocol):
    """A format of events: a class registered under its word in `source.format`."""

    name: ClassVar[str]

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None, registry: Any = None) -> EventDecoder:
        """The decoder for a policy that uses the fields `names`.

        Args:
            names: The top-level fields that expressions use.
            fields: The declared type of each declared field, in the document's order.
            registry: The `RegistryKeys` of the Schema Registry; None where the document names none.

        Raises:
            Misfit: The format cannot be read with these declarations.
            MissingExtra: The package that reads it is not installed.
        """


codecs: Registry[Codec] = Registry("codec", "pointsman.codec")
