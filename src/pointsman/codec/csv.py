"""`format: csv`: one line a record; its cells are the declared fields, in the document's order."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import msgspec

from pointsman.base.errors import Misfit, RecordError
from pointsman.cel.fields import fit
from pointsman.cel.values import Mistyped
from pointsman.codec.base import codecs
from pointsman.codec.registry_keys import refuse
from pointsman.codec.whole import WholeDecoder

__all__ = ["Csv"]

csv.field_size_limit(2**31 - 1)  # `limits.bytes` bounds an event, not its cells


@codecs.add("csv")
class Csv:
    """A line of comma-separated cells in UTF-8, quoted with `"`; there is no header line.

    An empty cell is null, a cell that is left out at the end is missing.
    """

    name: ClassVar[str] = "csv"

    @staticmethod
    def decoder(names: Sequence[str], fields: Mapping[str, str] | None, registry: Any = None) -> WholeDecoder:
        """The decoder for a policy that uses the fields `names`.

        Raises:
            Misfit: No fields are declared, so that the cells have no names, or a registry is named.
        """
        refuse("csv", registry)
        if not fields:
            text = "format csv needs source.fields: they name the cells, in order"
            raise Misfit("E431", text, "declare them: fields: {user_id: string, amount: double}", ("format",))
        return WholeDecoder(names, _reader(fields))


def _reader(fields: Mapping[str, str]) -> Callable[[bytes], dict[str, Any]]:
    """What reads a line whose cells are these fields."""
    columns = [(name, declared, _PARSERS.get(declared)) for name, declared in fields.items()]

    def decode_whole(raw: bytes) -> dict[str, Any]:
        cells = _cells(raw)
        if len(cells) > len(columns):
            text = f"the line has {len(cells)} cells, source.fields names {len(columns)}"
            raise RecordError("undecodable", text)
        return {
            name: _value(name, declared, parse, cell)
            for (name, declared, parse), cell in zip(columns, cells, strict=False)
        }

    return decode_whole


def _cells(raw: bytes) -> list[str]:
    """The cells of the one line that a record holds."""
    try:
        lines = list(csv.reader(io.StringIO(raw.decode(), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise RecordError(
            "undecodable", f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}"
        ) from None
    except csv.Error as error:
        raise RecordError("undecodable", f"not a line of CSV: {error}") from None
    if len(lines) != 1 or not lines[0]:
        raise RecordError("undecodable", f"the value has {len(lines)} lines of CSV, not one")
    return lines[0]


def _value(name: str, declared: str, parse: Callable[[str], Any] | None, cell: str) -> Any:
    if not cell:
        return None
    if parse is None:
        return fit(cell, declared, name)
    try:
        return fit(parse(cell), declared, name)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Mistyped(cell, name, declared)


_json = msgspec.json.Decoder().decode


def _moment(cell: str) -> Any:
    return int(cell) if cell.lstrip("-").isdecimal() else cell


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "int": _json,
    "double": _json,
    "bool": _json,
    "list": _json,
    "map": _json,
    "timestamp": _moment,
}
"""How a cell of a type is read before it is converted; others are strings."""
