"""Random expressions and events, evaluated by us and by the library.

`python -m tests.cel.differential [N] [SEED]` prints what differs. The library is Google's C++ CEL, which
parses and checks our texts but whose evaluator we do not use. A difference is a mistake of ours, or stands
in `explained`.
"""

from __future__ import annotations

import ctypes
import math
import random
import sys
from collections.abc import Mapping
from typing import Any

from pointsman.base.errors import EvalError
from pointsman.cel.check import Checker, Rejected, _environment
from pointsman.cel.fields import fit
from pointsman.cel.program import Program
from pointsman.cel.resolve import World, resolve
from pointsman.cel.values import MISSING, Duration, Timestamp, TypeValue, Uint, key_out

FIELDS = {
    "amount": "double",
    "count": "int",
    "location": "string",
    "flag": "bool",
    "tags": "list",
    "owner": "map",
    "price": "dyn",
    "name": "dyn",
    "on": "dyn",
    "items": "dyn",
    "extra": "dyn",
}
"""Fields of the event; the library is told `dyn` for each."""

WORLD = World(
    {"event": "map"},
    {"event": FIELDS},
    {name: ("event", name) for name in FIELDS},
)
TOLD = {**dict.fromkeys(FIELDS, "dyn"), "event": "map(string,dyn)"}

STRINGS = [
    "",
    "a",
    "ab",
    "Singapore",
    "iOS",
    "é",
    "😀b",
    "A b",
    "1",
    "2.5",
    "true",
    "a,b,,c",
    " x\t",
    "banana",
]
INTS = [0, 1, -1, 2, 3, 5, 7, 100, -7, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
DOUBLES = [0.0, -0.0, 1.0, 1.5, -2.5, 100.0, 1e10, 1e-3, 2.0**53, 9.3e18, -9.3e18, 1e300, 2.0, 3.0]


CLAUSES = [
    ("int", "%d"),
    ("int", "%x"),
    ("uint", "%o"),
    ("bool", "%b"),
    ("double", "%.2f"),
    ("double", "%e"),
    ("string", "%s"),
    ("bytes", "%X"),
]
CONSTANT_LISTS = [
    '["a", "iOS", "Singapore"]',
    '[""]',
    "[0, 1, 2]",
    "[1.0, 2.5, 100.0]",
    "[1, 2.0, 3u]",
    "[9007199254740993, 2]",
    "[9007199254740992.0]",
    '["a", 1, true, null]',
    "[true]",
    "[null]",
]


class Draw:
    """Draws texts of a wanted type; `dyn` may be anything."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.local: list[tuple[str, str]] = []

    def pick(self, *options: Any) -> Any:
        return self.chance.choice(options)

    def text(self, kind: str, depth: int) -> str:
        if depth <= 0 or self.chance.random() < 0.1:
            return self.leaf(kind)
        make = getattr(self, f"a_{kind}")
        return str(make(depth - 1))

    def leaf(self, kind: str) -> str:
        names = [name for name, its in self.local if its in (kind, "dyn")]
        if names and self.chance.random() < 0.6:
            return str(self.chance.choice(names))
        if self.chance.random() < 0.5:
            fields = [n for n, declared in FIELDS.items() if declared in (kind, "dyn") or kind == "dyn"]
            if fields:
                name = self.chance.choice(fields)
                return str(self.pick(name, name, f"event.{name}", f'event["{name}"]', f"event.{name}"))
        match kind:
            case "bool":
                return str(self.pick("true", "false"))
            case "int":
                return str(self.pick(*INTS))
            case "uint":
                return str(self.pick("0u", "1u", "2u", "7u", "18446744073709551615u"))
            case "double":
                return repr(self.pick(*DOUBLES))
            case "string":
                return quoted(self.pick(*STRINGS))
            case "bytes":
                return "b" + quoted(self.pick(*STRINGS))
            case "null":
                return "null"
            case "timestamp":
                return f'timestamp("{self.pick(*TIMES)}")'
            case "duration":
                return f'duration("{self.pick("1s", "-1.5s", "1h30m", "100ms", "86400s", "0s", "1ns")}")'
            case "list":
                return str(self.pick("[]", "[1, 2, 3]", '["a", "b"]', "[1.5, 2.0]", "[true]", "[[1], []]"))
            case "map":
                return str(
                    self.pick("{}", '{"a": 1}', '{"a": 1, "b": "x"}', "{1: 2}", "{true: 1}", "{1u: 2.0}")
                )
            case "optional":
                return str(self.pick("optional.none()", "optional.of(1)", 'optional.of("a")', "event.?price"))
        return self.leaf(self.pick("bool", "int", "double", "string", "null", "list", "map", "uint"))

    # -- what gives a value of a type

    def a_bool(self, d: int) -> str:
        kind = self.pick(
            "int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration", "dyn", "dyn"
        )
        match self.chance.randrange(20):
            case 0 | 1:
                op = self.pick("<", "<=", ">", ">=")
                return f"({self.text(kind, d)} {op} {self.text(kind, d)})"
            case 2 | 3:
                other = self.pick(kind, kind, "dyn")
                return f"(dyn({self.text(kind, d)}) {self.pick('==', '!=')} {self.text(other, d)})"
            case 4:
                return f"({self.text('bool', d)} && {self.text('bool', d)})"
            case 5:
                return f"({self.text('bool', d)} || {self.text('bool', d)})"
            case 6:
                return (
                    f"({self.pick(*FIELDS)} {self.pick('<', '==', '>', '!=', '>=', '<=')} {self.leaf(kind)})"
                )
            case 7:
                return f"!{self.text('bool', d)}"
            case 8:
                name = self.pick(*FIELDS, "absent")
                return str(self.pick(f"has(event.{name})", f'("{name}" in event)', f"has(owner.{name})"))
            case 9:
                container = self.pick(self.text("list", d), self.text("map", d), "items")
                return f"({self.text('dyn', d)} in {container})"
            case 10:
                method = self.pick("startsWith", "endsWith", "contains")
                return f"{self.text('string', d)}.{method}({self.text('string', d)})"
            case 11:
                pattern = self.pick("a+", "^S", "b$", "[0-9]", "é", "(a|b)*c?")
                return f"{self.text('string', d)}.matches({quoted(pattern)})"
            case 12 | 13:
                return self.quantifier(d)
            case 14:
                return f"{self.text('optional', d)}.hasValue()"
            case 15:
                return f"({self.pick(*FIELDS)} in {self.pick(*CONSTANT_LISTS)})"
            case 16:
                return (
                    f"(type({self.text('dyn', d)}) == {self.pick('int', 'double', 'string', 'list', 'map')})"
                )
            case 17:
                self.local += [("k", "dyn"), ("v", "dyn")]
                body = self.text("bool", d)
                del self.local[-2:]
                target = self.pick(self.text("list", d), "items", "owner", '{"a": 1}')
                return f"{target}.{self.pick('all', 'exists', 'existsOne')}(k, v, {body})"
            case 18:
                return f"({self.text('list', d)} {self.pick('==', '!=')} {self.text('list', d)})"
        return self.choice("bool", d)

    def a_int(self, d: int) -> str:
        match self.chance.randrange(9):
            case 7:
                name = self.pick("bitAnd", "bitOr", "bitXor", "bitShiftLeft", "bitShiftRight")
                return f"math.{name}({self.text('int', d)}, {self.text('int', d)})"
            case 0 | 1 | 2:
                op = self.pick("+", "-", "*", "/", "%")
                return f"({self.text('int', d)} {op} {self.text('int', d)})"
            case 3:
                return f"size({self.text(self.pick('string', 'list', 'map', 'bytes', 'dyn'), d)})"
            case 4:
                return (
                    f"int({self.text(self.pick('double', 'uint', 'string', 'int', 'dyn', 'timestamp'), d)})"
                )
            case 5:
                part = self.pick(
                    "getHours", "getMinutes", "getFullYear", "getMonth", "getDayOfWeek", "getDayOfYear"
                )
                zone = self.pick(
                    "", '"Asia/Singapore"', '"America/New_York"', '"+05:30"', '"UTC"', '"-02:00"'
                )
                return f"{self.text('timestamp', d)}.{part}({zone})"
            case 6:
                return f"-({self.text('int', d)})"
        return self.choice("int", d)

    def a_uint(self, d: int) -> str:
        if self.chance.random() < 0.5:
            return f"({self.text('uint', d)} {self.pick('+', '-', '*', '/', '%')} {self.text('uint', d)})"
        return f"uint({self.text(self.pick('int', 'double', 'string'), d)})"

    def a_double(self, d: int) -> str:
        match self.chance.randrange(5):
            case 0 | 1:
                op = self.pick("+", "-", "*", "/")
                return f"({self.text('double', d)} {op} {self.text('double', d)})"
            case 2:
                return f"double({self.text(self.pick('int', 'uint', 'string', 'dyn'), d)})"
            case 3:
                name = self.pick("ceil", "floor", "round", "trunc", "abs", "sign")
                return f"math.{name}({self.text('double', d)})"
        return self.choice("double", d)

    def a_string(self, d: int) -> str:
        text = self.text("string", d)
        match self.chance.randrange(12):
            case 0 | 1:
                return f"({text} + {self.text('string', d)})"
            case 2:
                return f"string({self.text(self.pick('int', 'uint', 'bool', 'double', 'bytes'), d)})"
            case 3:
                return f"{text}.{self.pick('lowerAscii', 'upperAscii', 'trim', 'reverse')}()"
            case 4:
                return f"{text}.substring({self.pick(0, 1, 2, -1)}{self.pick('', ', 1', ', 3')})"
            case 5:
                limit = self.pick("", ", 1", ", 0")
                return f"{text}.replace({self.text('string', d)}, {self.text('string', d)}{limit})"
            case 6:
                return f"{text}.charAt({self.pick(0, 1, 5)})"
            case 7:
                between = quoted(self.pick(",", "", "a", "an"))
                return f"{text}.split({between}{self.pick('', ', 2', ', 0')}).join('-')"
            case 8:
                return f"strings.quote({text})"
            case 9:
                return f"base64.encode({self.text('bytes', d)})"
            case 10:
                # `%s` of a double: the library's has six digits, ours all that are needed to read it back.
                kind, clause = self.pick(*CLAUSES)
                return f"'<{clause}>'.format([{self.text(kind, d)}])"
        return self.choice("string", d)

    def a_bytes(self, d: int) -> str:
        return str(
            self.pick(f"bytes({self.text('string', d)})", f"({self.leaf('bytes')} + {self.text('bytes', d)})")
        )

    def a_null(self, d: int) -> str:
        return f"({self.text('bool', d)} ? null : null)"

    def a_timestamp(self, d: int) -> str:
        op = self.pick("+", "-")
        return str(
            self.pick(
                f"({self.leaf('timestamp')} {op} {self.text('duration', d)})",
                f"timestamp({self.pick(0, 1700000000, -1, 253402300800)})",
                self.leaf("timestamp"),
            )
        )

    def a_duration(self, d: int) -> str:
        return str(
            self.pick(
                f"({self.leaf('duration')} {self.pick('+', '-')} {self.text('duration', d)})",
                f"({self.leaf('timestamp')} - {self.text('timestamp', d)})",
            )
        )

    def a_list(self, d: int) -> str:
        match self.chance.randrange(7):
            case 6:
                self.local += [("k", "dyn"), ("v", "dyn")]
                body = self.text("dyn", d)
                del self.local[-2:]
                return f"{self.text('list', d)}.transformList(k, v, {body})"
            case 0:
                return f"({self.text('list', d)} + {self.text('list', d)})"
            case 1:
                return f"[{', '.join(self.text('dyn', d) for _ in range(self.chance.randrange(4)))}]"
            case 2:
                return self.over(d, lambda v: f"map({v}, {self.text('dyn', d)})")
            case 3:
                return self.over(d, lambda v: f"map({v}, {self.text('bool', d)}, {self.text('int', d)})")
            case 4:
                return self.over(d, lambda v: f"filter({v}, {self.text('bool', d)})")
        return f"[?{self.text('optional', d)}, {self.text('int', d)}]"

    def a_map(self, d: int) -> str:
        keys = [self.pick('"a"', '"b"', "1", "2u", "true", "location", "count", "flag") for _ in range(2)]
        entries = ", ".join(f"{key}: {self.text('dyn', d)}" for key in keys[: self.chance.randrange(3)])
        return f"{{{entries}}}"

    def a_optional(self, d: int) -> str:
        match self.chance.randrange(6):
            case 0:
                return f"event.?{self.pick(*FIELDS, 'absent')}"
            case 1:
                return f"{self.text('map', d)}[?{self.text(self.pick('string', 'int', 'bool'), d)}]"
            case 2:
                return f"{self.text('list', d)}[?{self.pick(0, 1, 9, -1)}]"
            case 3:
                return f"optional.ofNonZeroValue({self.text('dyn', d)})"
            case 4:
                return f"{self.text('optional', d)}.or({self.text('optional', d)})"
        self.local.append(("o", "dyn"))
        body = self.text("dyn", d)
        self.local.pop()
        return f"{self.text('optional', d)}.optMap(o, {body})"

    def a_dyn(self, d: int) -> str:
        match self.chance.randrange(8):
            case 0:
                return f"{self.text('list', d)}[{self.text('int', 0)}]"
            case 1:
                return f"{self.text('map', d)}[{self.text(self.pick('string', 'int', 'bool'), 0)}]"
            case 2:
                return f"{self.text('optional', d)}.orValue({self.text('dyn', d)})"
            case 3:
                return f"{self.pick('owner', 'extra', 'event')}.{self.pick('a', 'b', 'age', 'absent')}"
            case 4:
                return (
                    f"math.{self.pick('greatest', 'least')}({self.text('int', d)}, {self.text('double', d)})"
                )
            case 5:
                return f"cel.bind(b, {self.text('dyn', d)}, {self.bound(d)})"
            case 6:
                return f"(dyn({self.text('dyn', d)}) {self.pick('+', '-', '*', '/')} {self.text('dyn', d)})"
        kind = self.pick("bool", "int", "double", "string", "list", "map", "timestamp", "duration", "uint")
        return self.text(kind, d)

    # -- helpers

    def bound(self, d: int) -> str:
        self.local.append(("b", "dyn"))
        body = self.text("dyn", d)
        self.local.pop()
        return body

    def choice(self, kind: str, d: int) -> str:
        return f"({self.text('bool', d)} ? {self.text(kind, d)} : {self.text(kind, d)})"

    def over(self, d: int, write: Any) -> str:
        target = self.pick(self.text("list", d), "items", "tags", '{"a": 1}', "owner")
        name = self.pick("i", "j", "amount")
        self.local.append((name, "dyn"))
        text = f"{target}.{write(name)}"
        self.local.pop()
        return text

    def quantifier(self, d: int) -> str:
        word = self.pick("all", "exists", "exists_one")
        return self.over(d, lambda v: f"{word}({v}, {self.text('bool', d)})")


TIMES = [
    "2026-01-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "2009-02-13T23:31:30.123456789Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2024-03-10T09:30:00+08:00",
]


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\t", "\\t")
    return f"'{escaped}'"


def draw_event(chance: random.Random, *, wrong: bool) -> dict[str, Any]:
    """Draws an event; where `wrong`, declared fields may have values of other types.

    Maps have one entry at most: the library runs over them in an order of its own.
    """

    def scalar() -> Any:
        return chance.choice([None, True, False, *INTS, *DOUBLES, *STRINGS])

    def anything(depth: int) -> Any:
        if depth and chance.random() < 0.3:
            return [anything(depth - 1) for _ in range(chance.randrange(4))]
        if depth and chance.random() < 0.3:
            return {
                key: anything(depth - 1) for key in chance.sample(["a", "b", "age", "i"], chance.randrange(2))
            }
        return scalar()

    plain = {
        "double": lambda: chance.choice(DOUBLES),
        "int": lambda: chance.choice(INTS),
        "string": lambda: chance.choice(STRINGS),
        "bool": lambda: chance.random() < 0.5,
        "list": lambda: [anything(1) for _ in range(chance.randrange(4))],
        "map": lambda: {key: anything(1) for key in chance.sample(["a", "b", "age"], chance.randrange(2))},
        "dyn": lambda: anything(2),
    }
    event: dict[str, Any] = {}
    for name, declared in FIELDS.items():
        luck = chance.random()
        if luck < 0.1:
            continue
        event[name] = None if luck < 0.15 else scalar() if wrong and luck < 0.3 else plain[declared]()
    return event


# ---- two evaluators ----------------------------------------------------------------------------------


def ours(value: Any) -> Any:
    """Returns one of our values in a form that compares types and values."""
    if isinstance(value, list):
        return ("list", [ours(element) for element in value])
    if isinstance(value, Mapping):
        entries = [(_key(key_out(key)), ours(inside)) for key, inside in value.items()]
        return ("map", sorted(entries, key=repr))
    if isinstance(value, str):
        return ("string", value.replace("-nan", "nan"))  # the library prints NaN's sign, which means nothing
    if isinstance(value, float):
        return ("double", "nan" if math.isnan(value) else repr(value))
    if isinstance(value, Timestamp | Duration):
        return (type(value).__name__.lower(), _micros(value))
    if isinstance(value, TypeValue):
        return ("type", value.name)
    kind = {bool: "bool", int: "int", Uint: "uint", str: "string", bytes: "bytes", type(None): "null"}
    return (kind.get(type(value), "optional"), None if type(value) not in kind else value)


def _micros(value: Timestamp | Duration) -> int:
    """Returns microseconds, as far as the library's binding sees: of a duration, rounded towards zero."""
    if isinstance(value, Duration) and value.ns < 0:
        return -(-value.ns // 1000)
    return int(value.ns // 1000)


def _key(key: Any) -> Any:
    """Returns a map's key; the library's binding gives uint keys as ints."""
    return ours(int(key) if isinstance(key, Uint) else key)


def theirs(value: Any) -> Any:
    """Returns one of the library's values in the same form."""
    import datetime

    kind = value.type().name().partition("<")[0]
    inside = value.value()
    match kind:
        case "LIST":
            return ("list", [theirs(element) for element in inside])
        case "MAP":
            return (
                "map",
                sorted(((_key(key), theirs(content)) for key, content in inside.items()), key=repr),
            )
        case "DOUBLE":
            return ("double", "nan" if math.isnan(inside) else repr(inside))
        case "TIMESTAMP":
            span = inside - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
            return ("timestamp", span // datetime.timedelta(microseconds=1))
        case "DURATION":
            return ("duration", inside // datetime.timedelta(microseconds=1))
        case "TYPE":
            return ("type", str(inside))
        case "BYTES":
            return ("bytes", bytes(inside))
        case "NULL" | "NULL_TYPE":
            return ("null", None)
        case "STRING":
            return ours(inside)
        case "INT" | "BOOL" | "UINT":
            return (kind.lower(), inside)
    return ("optional", None)


def differences(text: str, event: dict[str, Any], *, wrong: bool) -> str | None:
    """Returns how the evaluators differ; empty where they agree, None where the checker refuses the text."""
    try:
        tree = Checker(TOLD).check(text)
    except Rejected:
        return None
    program = Program(text, resolve(tree, WORLD), None)
    values = {name: fit(event.get(name, MISSING), declared, name) for name, declared in FIELDS.items()}
    try:
        mine: Any = ours(program.evaluate({"event": event}))
    except EvalError as error:
        mine = ("error", str(error))
    quick = _quick(program, event, values)
    if quick is not None and quick != mine:
        return f"the fast form gave {quick}, the exact one {mine}\n  {program.inline(_slots(program)).fast}"
    if wrong:
        return ""
    environment = _environment(tuple(sorted(TOLD.items())), "", True, ())
    try:
        result = environment.compile(text).eval(data={**event, "event": event})
        failed = result.type().name() == "ERROR"
        other = ("error", _words(result)) if failed else theirs(result)
    except RuntimeError as error:
        failed, other = True, ("error", str(error))
    if (mine[0] == "error") == failed and (failed or mine == other):
        return ""
    if failed and not other[1] and "optional" in str(mine):
        return None
    return "" if explained(mine, other) else f"we gave {mine}, the library {other}"


def _words(result: Any) -> str:
    try:
        return str(result.value())
    except TypeError:  # some of its errors have no form in Python
        return ""


def explained(mine: Any, other: Any) -> bool:
    """Returns whether a difference is known and meant."""
    if other[0] == "error":
        return (
            # It refuses a substring up to the very end, which the specification allows.
            "<end> is greater than <string>.size()" in other[1]
            # It does not absorb the error of a repeated key.
            or "duplicate key in map" in other[1]
        )
    if mine[0] == "error":
        # It keeps 2 and 2u apart as keys, though they are equal and either finds the other.
        return "Failed with repeated key" in mine[1]
    # Its binding hands maps over as dicts, where Python takes True for 1.
    both = (("('bool', True)", "('int', 1)"), ("('bool', False)", "('int', 0)"))
    return any(a in str(mine) and b in str(mine) for a, b in both) and mine[0] == "map"


def _slots(program: Program) -> dict[str, str]:
    return {path: path.replace(".", "_") for path in program.reads}


def _quick(program: Program, event: dict[str, Any], values: dict[str, Any]) -> Any:
    slots = _slots(program)
    inline = program.inline(slots)
    space = dict(inline.constants)
    for path, local in slots.items():
        space[local] = event if path == "event" else values.get(path.removeprefix("event."), MISSING)
        if path not in ("event",) and path.removeprefix("event.") not in FIELDS:
            space[local] = event.get(path.removeprefix("event."), MISSING)
    try:
        return ours(eval(inline.fast, space))
    except Exception:
        return None


def _keep_none() -> None:
    """Takes references to None, which the library's binding gives back too often; at 0 Python ends."""
    for _ in range(20):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))


def run(count: int, seed: int) -> tuple[int, list[str]]:
    """Returns how many of `count` draws were compared, and the differences found."""
    chance = random.Random(seed)
    compared, found = 0, []
    for _ in range(count):
        _keep_none()
        wrong = chance.random() < 0.2
        kind = chance.choice(
            ["bool", "bool", "bool", "int", "double", "string", "list", "map", "dyn", "optional"]
        )
        text = Draw(chance).text(kind, chance.choice([1, 2, 2, 3, 4]))
        if kind == "optional":  # the library's binding cannot hand one over
            text = f"{text}.orValue('none')"
        event = draw_event(chance, wrong=wrong)
        difference = differences(text, event, wrong=wrong)
        compared += difference is not None
        if difference:
            found.append(f"{text}\n  {difference}\n  event: {event}")
    return compared, found


if __name__ == "__main__":
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    done, unexplained = run(total, int(sys.argv[2]) if len(sys.argv) > 2 else 20_260_131)
    for entry in unexplained[:40]:
        print(entry)
    print(f"{total} drawn, {done} compared, {len(unexplained)} unexplained differences")
    sys.exit(1 if unexplained else 0)
