"""A decoder for formats whose values are read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pointsman.base.records import Headers
from pointsman.codec.fields import attributes_of, picker

__all__ = ["WholeDecoder"]


class WholeDecoder:
    """Takes the used fields from the whole event; see `codec.base.EventDecoder`."""

    single: bool = True
    fast: Callable[[bytes], Any] | None = None
    open: Callable[[bytes, Headers | None], tuple[bytes, Headers] | None] | None = None

    def __init__(
        self,
        names: Sequence[str],
        decode_whole: Callable[[bytes], dict[str, Any]],
        prepare: Callable[[Sequence[bytes | None]], None] | None = None,
        *,
        verbatim: bool = False,
        head: int = 0,
    ) -> None:
        """Args:
        names: The used fields.
        decode_whole: The event of a value; raises RecordError.
        prepare: Fetches what values need in order to be read.
        verbatim: Whether a value holds the event as JSON.
        head: Bytes before that JSON.
        """
        self.attributes: Mapping[str, str] = attributes_of(names)
        self.verbatim: bool = verbatim
        self.head: int = head
        self.prepare: Callable[[Sequence[bytes | None]], None] | None = prepare
        self.decode_whole: Callable[[bytes], dict[str, Any]] = decode_whole
        pick = picker(names)
        self.decode: Callable[[bytes], Any] = lambda raw: pick(decode_whole(raw))
