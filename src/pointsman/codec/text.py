"""`format: text`: the record's value is the event's one field, `text`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pointsman.base.errors import RecordError
from pointsman.codec.base import codecs
from pointsman.codec.fields import attributes_of, picker

__all__ = ["Text", "TextDecoder"]


@codecs.add("text")
class Text:
    """Text in UTF-8; the event is `{"text": …}`."""

    name: ClassVar[str] = "text"

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None) -> TextDecoder:  # noqa: ARG004  # there is one field
        """The decoder for a policy that uses the fields `names`."""
        return TextDecoder(names)


class TextDecoder:
    """Decodes text; see `codec.base.EventDecoder`."""

    verbatim: bool = False
    fast: Callable[[bytes], Any] | None = None

    def __init__(self, names: Sequence[str]) -> None:
        """Args:
        names: The used fields.
        """
        self.attributes: Mapping[str, str] = attributes_of(names)
        self.decode_whole: Callable[[bytes], dict[str, Any]] = _whole
        pick = picker(names)
        self.decode: Callable[[bytes], Any] = lambda raw: pick(_whole(raw))


def _whole(raw: bytes) -> dict[str, Any]:
    try:
        return {"text": raw.decode()}
    except UnicodeDecodeError as error:
        raise RecordError(
            "undecodable", f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}"
        ) from None
