"""The values that CEL knows and Python does not, and how a value leaves as JSON.

int, float, str, bytes, bool, None, list and dict stand for themselves. The rest is here: `Uint`,
`Timestamp`, `Duration`, `Optional`, `TypeValue`, and the two stand-ins for a field without a usable
value, `MISSING` and `Mistyped`, on which every operation of generated code raises.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from pointsman.base.errors import EvalError

__all__ = [
    "FALSE_KEY",
    "INT_MAX",
    "INT_MIN",
    "MISSING",
    "NONE",
    "TRUE_KEY",
    "UINT_MAX",
    "BoolKey",
    "Duration",
    "Missing",
    "Mistyped",
    "Optional",
    "Timestamp",
    "TypeValue",
    "Uint",
    "article",
    "key_in",
    "key_out",
    "to_json",
    "type_name",
]

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1
SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""
_EPOCH: Final = datetime.datetime(1970, 1, 1)


class _Raises:
    """Raises on every operation that generated code performs on a value."""

    __slots__ = ()

    def complaint(self) -> str:
        """Returns the sentence that every operation raises with."""
        raise NotImplementedError

    def _fail(self, *_: object) -> NoReturn:
        raise EvalError(self.complaint())

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _fail
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _fail
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __neg__ = _fail
    __bool__ = __hash__ = __len__ = __iter__ = __contains__ = __getitem__ = _fail
    __int__ = __float__ = __index__ = __call__ = _fail

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python's own protocols, such as copying, ask for these
            raise AttributeError(name)
        raise EvalError(self.complaint())


class Missing(_Raises):
    """The class of `MISSING`: a name that has no value. Missing is not null."""

    __slots__ = ()

    def complaint(self) -> str:
        """Returns the sentence that every operation raises with."""
        return "no such field"

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Mistyped(_Raises):
    """A declared field whose JSON value has another type.

    Attributes:
        value: The value as sent.
        name: The field.
        declared: The type it was declared with.
    """

    __slots__ = ("declared", "name", "value")

    def __init__(self, value: Any, name: str = "", declared: str = "") -> None:
        self.value = value
        self.name = name
        self.declared = declared

    def complaint(self) -> str:
        """Returns the sentence that every operation raises with."""
        if self.value.__class__ is int and self.declared in ("int", "dyn", ""):
            return f"{self.name or 'the value'} is an integer beyond 64 bits"
        found = article(type_name(self.value))
        return f"{self.name or 'the value'} is {found}, declared {self.declared or 'otherwise'}"

    def __repr__(self) -> str:
        return f"Mistyped({self.value!r}, {self.name!r}, {self.declared!r})"


class Uint(int):
    """CEL's unsigned 64-bit integer; equal to an int or double of the same value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


class _Ordered:
    """A count of nanoseconds, ordered among its own class only."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __eq__(self, other: object) -> bool:
        return other.ns == self.ns if isinstance(other, self.__class__) else NotImplemented

    def __lt__(self, other: Any) -> bool:
        return self.ns < other.ns if other.__class__ is self.__class__ else NotImplemented

    def __le__(self, other: Any) -> bool:
        return self.ns <= other.ns if other.__class__ is self.__class__ else NotImplemented

    def __gt__(self, other: Any) -> bool:
        return self.ns > other.ns if other.__class__ is self.__class__ else NotImplemented

    def __ge__(self, other: Any) -> bool:
        return self.ns >= other.ns if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self) -> int:
        return hash((self.__class__, self.ns))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self})"


class Timestamp(_Ordered):
    """A moment, in nanoseconds since 1970-01-01T00:00:00Z, of the years 1 to 9999.

    Attributes:
        ns: Nanoseconds since the epoch; negative before it.
    """

    __slots__ = ()
    MIN_NS: Final = -62_135_596_800 * SECOND
    MAX_NS: Final = 253_402_300_800 * SECOND - 1

    @classmethod
    def checked(cls, ns: int) -> Timestamp:
        """Returns the moment, or raises `EvalError` outside the years 1 to 9999."""
        if cls.MIN_NS <= ns <= cls.MAX_NS:
            return cls(ns)
        raise EvalError("timestamp out of range: years 1 to 9999")

    @classmethod
    def from_ms(cls, ms: int) -> Timestamp:
        """Returns the moment `ms` milliseconds after the epoch."""
        return cls.checked(ms * 1_000_000)

    @property
    def ms(self) -> int:
        """Milliseconds since the epoch, rounded down."""
        return self.ns // 1_000_000

    def __str__(self) -> str:
        seconds, nanos = divmod(self.ns, SECOND)
        moment = _EPOCH + datetime.timedelta(seconds=seconds)
        fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
        return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}{fraction}Z"


class Duration(_Ordered):
    """A span of time, in nanoseconds, of at most 10,000 years either way.

    Attributes:
        ns: Its length; negative backwards.
    """

    __slots__ = ()
    LIMIT_NS: Final = 315_576_000_000 * SECOND

    @classmethod
    def checked(cls, ns: int) -> Duration:
        """Returns the span, or raises `EvalError` beyond 10,000 years."""
        if -cls.LIMIT_NS <= ns <= cls.LIMIT_NS:
            return cls(ns)
        raise EvalError("duration out of range: 10,000 years")

    def __str__(self) -> str:
        seconds, nanos = divmod(abs(self.ns), SECOND)
        fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
        return f"{'-' if self.ns < 0 else ''}{seconds}{fraction}s"


class Optional:
    """A value that may be absent, as `event.?x` gives it.

    Attributes:
        present: Whether there is a value.
        value: The value; None where there is none.
    """

    __slots__ = ("present", "value")

    def __init__(self, present: bool, value: Any = None) -> None:
        self.present = present
        self.value = value

    def __repr__(self) -> str:
        return f"optional.of({self.value!r})" if self.present else "optional.none()"


NONE: Final = Optional(False)


class TypeValue:
    """A type as a value, such as `int` or what `type(x)` gives.

    Attributes:
        name: As CEL spells it, without parameters.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypeValue) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


class BoolKey:
    """A bool as the key of a map: in a dict, Python would take `True` for `1`."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "true" if self.value else "false"


TRUE_KEY: Final = BoolKey(True)
FALSE_KEY: Final = BoolKey(False)


def key_in(key: Any) -> Any:
    """Returns `key` as a dict keeps it."""
    if key is True:
        return TRUE_KEY
    return FALSE_KEY if key is False else key


def key_out(key: Any) -> Any:
    """Returns the CEL value of a dict's `key`."""
    return key.value if key.__class__ is BoolKey else key


_NAMES: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    tuple: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    Optional: "optional_type",
    TypeValue: "type",
}


def type_name(value: Any) -> str:
    """Returns the CEL type of `value`, without parameters."""
    found = _NAMES.get(value.__class__)
    if found is not None:
        return found
    if isinstance(value, _Raises):
        raise EvalError(value.complaint())
    if isinstance(value, Mapping):
        return "map"
    return type(value).__name__


_FOR_PEOPLE: Final = {
    "null_type": "null",
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
    "optional_type": "optional",
}


def article(kind: str) -> str:
    """Returns the type's name in a sentence: 'a string', 'an int', 'null'."""
    kind = _FOR_PEOPLE.get(kind, kind)
    if kind == "null":
        return kind
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def to_json(value: Any) -> Any:
    """Returns what stands for `value` in JSON; the `enc_hook` of an encoder.

    Raises:
        EvalError: It has no form in JSON, or is a missing field.
    """
    if isinstance(value, Timestamp | Duration):
        return str(value)
    if isinstance(value, Mistyped):
        return value.value
    if isinstance(value, Optional):
        return value.value
    if isinstance(value, TypeValue):
        return value.name
    if isinstance(value, BoolKey):
        return repr(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return dict(value)
    raise EvalError(f"{article(type_name(value))} has no form in JSON")
