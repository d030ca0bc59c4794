"""`format: text`: the record's value is the event's one field, `text`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pointsman.base.errors import RecordError
from pointsman.codec.base import codecs
from pointsman.codec.registry_keys import refuse
from pointsman.codec.whole import WholeDecoder

__all__ = ["Text"]


@codecs.add("text")
class Text:
    """Text in UTF-8; the event is `{"text": …}`."""

    name: ClassVar[str] = "text"

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None, registry: Any = None) -> WholeDecoder:  # noqa: ARG004  # there is one field
        """The decoder for a policy that uses the fields `names`.

        Raises:
            Misfit: A registry is named, which this format does not ask.
        """
        refuse("text", registry)
        return WholeDecoder(names, _whole)


def _whole(raw: bytes) -> dict[str, Any]:
    try:
        return {"text": raw.decode()}
    except UnicodeDecodeError as error:
        raise RecordError(
            "undecodable", f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}"
        ) from None
