"""The element types of tensors as servers name them, in the document's words."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["dtype_of"]

_ODD: Final = {
    "BYTES": "string",
    "STR": "string",
    "DT_STRING": "string",
    "DT_HALF": "float16",
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "BOOLEAN": "bool",
}
_PLAIN: Final = re.compile(r"(?:DT_|TYPE_)?(U?INT(?:8|16|32|64)|BOOL|STRING)")
_FLOAT: Final = re.compile(r"(?:TYPE_)?(?:FP|FLOAT)(16|32|64)")


def dtype_of(said: str) -> str:
    """The dtype of the document that a server means, or what it said where that is none.

    Examples:
        >>> [dtype_of(name) for name in ("FP32", "BYTES", "DT_FLOAT", "DT_INT64", "TYPE_STRING", "float64")]
        ['float32', 'string', 'float32', 'int64', 'string', 'float64']
        >>> dtype_of("BF16")
        'BF16'
    """
    upper = said.upper()
    if upper in _ODD:
        return _ODD[upper]
    if found := _PLAIN.fullmatch(upper):
        return found[1].lower()
    if found := _FLOAT.fullmatch(upper):
        return f"float{found[1]}"
    return said
