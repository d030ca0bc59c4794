"""What an event in JSON is as a value of an Avro schema without logical types, for writing it."""

from __future__ import annotations

import base64
import datetime
import decimal
import uuid
from collections.abc import Mapping
from typing import Any

from pointsman.base.errors import EvalError
from pointsman.cel.functions.time import parse_timestamp

__all__ = ["avro_value"]

_EPOCH = datetime.date(1970, 1, 1).toordinal()


def avro_value(value: Any, schema: Any, named: Mapping[str, Any]) -> Any:
    """The value with texts as bytes, moments, days and decimals where the schema asks for them.

    Args:
        value: As JSON has it.
        schema: As fastavro parses it.
        named: Its named types.

    Raises:
        ValueError: A text is not what the schema asks for.
    """
    if isinstance(schema, str):
        if schema in named:
            return avro_value(value, named[schema], named)
        return (
            base64.b64decode(value, validate=True) if schema == "bytes" and isinstance(value, str) else value
        )
    if isinstance(schema, list):
        return _branch(value, schema, named)
    kind = schema["type"]
    if isinstance(kind, (dict, list)):
        return avro_value(value, kind, named)
    if kind in ("record", "error") and isinstance(value, dict):
        types = {field["name"]: field["type"] for field in schema["fields"]}
        return {n: avro_value(v, types[n], named) if n in types else v for n, v in value.items()}
    if kind == "array" and isinstance(value, list):
        return [avro_value(member, schema["items"], named) for member in value]
    if kind == "map" and isinstance(value, dict):
        return {name: avro_value(member, schema["values"], named) for name, member in value.items()}
    return _leaf(value, schema)


def _branch(value: Any, union: list[Any], named: Mapping[str, Any]) -> Any:
    """The value as the first branch of the union has it that takes it, other than null."""
    if value is None:
        return None
    problem = None
    for branch in union:
        if branch == "null":
            continue
        try:
            return avro_value(value, branch, named)
        except (ValueError, TypeError) as error:
            problem = error
    raise ValueError(str(problem))


def _leaf(value: Any, schema: Mapping[str, Any]) -> Any:
    kind, logical = schema["type"], str(schema.get("logicalType", ""))
    if logical == "decimal" and kind in ("bytes", "fixed") and isinstance(value, (int, float, str)):
        return _unscaled(value, schema)
    if logical == "uuid" and kind == "fixed" and isinstance(value, str):
        return uuid.UUID(value).bytes
    if kind in ("bytes", "fixed") and isinstance(value, str):
        return base64.b64decode(value, validate=True)
    if not isinstance(value, str):
        return value
    if logical == "date":
        return datetime.date.fromisoformat(value[:10]).toordinal() - _EPOCH
    unit = {"millis": 1_000_000, "micros": 1_000, "nanos": 1}.get(logical.rpartition("timestamp-")[2])
    if unit is None:
        return value
    try:
        return parse_timestamp(value).ns // unit
    except EvalError as error:
        raise ValueError(str(error)) from None


def _unscaled(value: Any, schema: Mapping[str, Any]) -> bytes:
    """A decimal as the bytes of its unscaled number."""
    scale = int(schema.get("scale", 0))
    try:
        number = int(
            decimal.Decimal(str(value)).scaleb(scale).quantize(decimal.Decimal(1), decimal.ROUND_HALF_EVEN)
        )
    except decimal.InvalidOperation:
        raise ValueError(f"'{value}' is no decimal of scale {scale}") from None
    size = int(schema.get("size", (number.bit_length() + 8) // 8))
    return number.to_bytes(size, signed=True)
