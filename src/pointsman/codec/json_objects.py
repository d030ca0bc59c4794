"""Bytes that are one JSON object, as a map."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from pointsman.base.errors import RecordError

__all__ = ["json_object"]

_DIGITS: Final = 4000
"""Integers of more digits are read as doubles; Python refuses to convert longer texts."""

_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


def json_object(raw: bytes) -> dict[str, Any]:
    """The value as a map; raises RecordError where it is not a JSON object."""
    try:
        if not raw.isascii():
            raw.decode()
        return _decode_any(raw)
    except UnicodeDecodeError as error:
        raise RecordError(
            "undecodable", f"not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}"
        ) from None
    except RecursionError:
        raise RecordError("undecodable", "the JSON is nested too deep") from None
    except msgspec.ValidationError:
        return _object_with_any_number(raw)
    except msgspec.DecodeError as error:
        raise RecordError("undecodable", _complaint(raw, str(error))) from None


def _object_with_any_number(raw: bytes) -> dict[str, Any]:
    """The value by the standard library, which takes numbers that msgspec refuses; infinity where out of
    range."""
    try:
        value = json.loads(raw.decode(), parse_int=_any_int, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise RecordError("undecodable", "the JSON is nested too deep") from None
    except UnicodeEncodeError:
        raise RecordError("undecodable", _HALF) from None
    except ValueError as error:
        raise RecordError("undecodable", f"not JSON: {error}") from None
    if not isinstance(value, dict):
        kind = _KINDS.get(value.__class__, "a number")
        raise RecordError("undecodable", f"the value is {kind}, not a JSON object")
    return value


_KINDS: Final = {list: "a JSON array", str: "a JSON string", bool: "true or false", type(None): "null"}
_HALF = "a string holds half of a surrogate pair, which is no character"


def _any_int(text: str) -> int | float:
    return int(text) if len(text) <= _DIGITS else float(text)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _complaint(raw: bytes, error: str) -> str:
    """What is wrong with a value that msgspec refuses."""
    if not raw.strip(b" \t\r\n"):
        return "the value is empty"
    if raw.startswith(b"\xef\xbb\xbf"):
        return "the value begins with a byte order mark (byte 0)"
    if "surrogate" in error or "truncated" in error:
        try:
            json.loads(raw.decode())
        except (ValueError, RecursionError):
            pass
        else:
            return _HALF
    if "truncated" in error:
        return f"the JSON ends too early (byte {len(raw)})"
    return f"not JSON: {error.removeprefix('JSON is malformed: ')}"
