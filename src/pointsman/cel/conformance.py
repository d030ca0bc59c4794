"""Runs CEL conformance cases: `python -m pointsman.cel.conformance [FILE]`.

A file has one JSON object a line, as in `../shared/cel/conformance.jsonl`: the cases of the public
specification's own test data. Where neither FILE nor that file is there, our own table of cases is run.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.check import Checker, Overload, Rejected
from pointsman.cel.program import Program, describe
from pointsman.cel.resolve import World, resolve
from pointsman.cel.values import Duration, Optional, Timestamp, TypeValue, Uint, key_in, key_out

__all__ = ["LISTED", "ODD", "OFFERED", "judge", "main"]

OFFERED: Final = frozenset(
    {
        "custom_function",
        "ext:bindings",
        "ext:encoders",
        "ext:math",
        "ext:optional",
        "ext:string",
        "ext:two_var_comprehensions",
        "wk_proto_literal",
        "wk_proto_name",
    }
)
"""What a case may need beyond the core."""

LISTED: Final = {
    "ext:block": "cel.block, cel.index and cel.iterVar are made by optimizers, not written by people",
    "ext:network": "the network extension is not offered",
    "ext:proto": "the proto extension reads protocol buffer extensions; events are JSON",
}
"""What a case needs → why we do not have it."""

ODD: Final = {
    f"parse/bytes_literals/triple_{quotes}_quoted_unescaped_punctuation": "its value has a backslash "
    "that its text lacks; the string case of the same text has none"
    for quotes in ("single", "double")
}
"""Case → why it is listed where it fails."""

_REPOSITORY: Final = Path(__file__).resolve().parents[3]
_SHARED: Final = _REPOSITORY.parent / "shared" / "cel" / "conformance.jsonl"
_OWN: Final = _REPOSITORY / "tests" / "cel" / "cases.jsonl"


def judge(case: Mapping[str, Any]) -> str:
    """Returns why the case fails; empty where it passes."""
    variables = {entry["name"]: entry["type"] for entry in case["type_env"] if "type" in entry}
    functions: list[Overload] = [
        (entry["name"], overload["id"], tuple(overload["params"]), overload["result"], overload["member"])
        for entry in case["type_env"]
        for overload in entry.get("overloads", ())
    ]
    names = {name: _decode(value) for name, value in case["bindings"].items()}
    declared = {**dict.fromkeys(names, "dyn"), **variables}
    try:
        checker = Checker(declared, case["container"], not case["disable_macros"], functions)
        tree = checker.parse(case["expr"]) if case["disable_check"] else checker.check(case["expr"])
    except Rejected as rejected:
        return "" if "expected_error" in case else f"refused: {rejected}"
    deduced = case.get("deduced_type")
    if deduced is not None and tree.type != deduced:
        return f"has type {tree.type}, not {deduced}"
    if case["check_only"]:
        return ""
    world = World(dict.fromkeys(declared, "dyn"), container=case["container"])
    program = Program(case["expr"], resolve(tree, world), None)
    try:
        value = program.evaluate(names)
    except EvalError as error:
        return "" if "expected_error" in case else f"error: {error}"
    if "expected_error" in case:
        return f"gave {value!r}, not an error"
    wrong = _quickly(program, names, value)
    expected = case.get("expected_value")
    if expected is None or (_encode(value) == _normal(expected) and not wrong):
        return wrong
    return wrong or f"gave {value!r}, not {expected['v']!r} ({expected['t']})"


def _quickly(program: Program, names: Mapping[str, Any], value: Any) -> str:
    """Returns what is wrong with the expression's fast form; empty where it agrees or raises."""
    slots = {path: f"n{number}" for number, path in enumerate(sorted(program.reads))}
    inline = program.inline(slots)
    space = dict(inline.constants)
    space.update({local: names.get(path) for path, local in slots.items()})
    try:
        quick = eval(inline.fast, space)
    except Exception:
        return ""
    return (
        "" if _encode(quick) == _encode(value) else f"the fast form gave {quick!r}, the exact one {value!r}"
    )


# ---- values as the file writes them ------------------------------------------------------------------


def _decode(value: Mapping[str, Any]) -> Any:
    content = value["v"]
    match value["t"]:
        case "uint":
            return Uint(content)
        case "double":
            return float(content)
        case "bytes":
            return base64.b64decode(content)
        case "list":
            return [_decode(element) for element in content]
        case "map":
            return {key_in(_decode(key)): _decode(inside) for key, inside in content}
        case "timestamp":
            return Timestamp(_nanos(content))
        case "duration":
            return Duration(_nanos(content))
        case "type":
            return TypeValue(content)
    return content


def _nanos(content: Any) -> int:
    if isinstance(content, Mapping):
        return int(content.get("seconds", 0)) * 1_000_000_000 + int(content.get("nanos", 0))
    seconds, nanos = content
    return int(seconds) * 1_000_000_000 + int(nanos)


def _encode(value: Any) -> Any:
    """Returns a value as nested tuples that Python compares as the cases mean it."""
    if isinstance(value, list):
        return ("list", *map(_encode, value))
    if isinstance(value, Mapping):
        entries = [(_encode(key_out(key)), _encode(content)) for key, content in value.items()]
        return ("map", *sorted(entries, key=repr))
    if isinstance(value, Optional):
        return ("optional", value.present, _encode(value.value))
    if isinstance(value, float):
        return ("double", "NaN" if value != value else value)
    return (type(value).__name__, value)


def _normal(expected: Mapping[str, Any]) -> Any:
    return _encode(_decode(expected))


# ---- the command -------------------------------------------------------------------------------------


_KEYS: Final[dict[str, type]] = {
    **dict.fromkeys(("file", "section", "name", "expr", "container"), str),
    **dict.fromkeys(("disable_macros", "disable_check", "check_only"), bool),
    **dict.fromkeys(("type_env", "needs"), list),
    "bindings": dict,
}
_WORDS: Final = {str: "a string", bool: "true or false", list: "a list", dict: "an object"}


def _cases(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Each line's number, its case, and what keeps it from being one, if anything does."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, {}, f"not JSON: {error}"
        else:
            yield number, case, _misshapen(case)


def _misshapen(case: Any) -> str:
    """Returns what a case lacks; empty where it has all that is needed to judge it."""
    if not isinstance(case, dict):
        return "a case is a JSON object"
    for key, kind in _KEYS.items():
        if key not in case:
            return f"the key '{key}' is missing"
        if not isinstance(case[key], kind):
            return f"'{key}' is not {_WORDS[kind]}"
    if case["check_only"] or case.get("expected_value") is not None or "expected_error" in case:
        return ""
    return "it has neither expected_value nor expected_error"


def main(arguments: list[str]) -> int:
    """Runs the cases of the file in `arguments`, prints what failed and the counts; returns the exit code."""
    path = Path(arguments[0]) if arguments else _SHARED
    if not arguments and not path.exists():
        print(f"{path} is not there; running our own cases, {_OWN.relative_to(_REPOSITORY)}")
        path = _OWN
    if not path.exists():
        print(f"there is no file {path}")
        return 1
    passed = failed = 0
    listed: dict[str, int] = {}
    for number, case, misshapen in _cases(path.read_bytes().split(b"\n")):
        if misshapen:
            failed += 1
            print(f"FAILED {path.name}:{number}: {misshapen}")
            continue
        lacking = next((need for need in case["needs"] if need not in OFFERED), None)
        if lacking is not None:
            listed[lacking] = listed.get(lacking, 0) + 1
            continue
        try:
            why = judge(case)
        except Exception as error:  # a crash of ours is one failed case, not the end of the run
            why = f"crashed: {type(error).__name__}: {describe(error)}"
        name = f"{case['file']}/{case['section']}/{case['name']}"
        if why and name in ODD:
            listed[name] = 1
        elif why:
            failed += 1
            print(f"FAILED {name}: {case['expr']}\n       {why}")
        else:
            passed += 1
    for need, count in sorted(listed.items()):
        print(f"listed {count:4} {need}: {(LISTED | ODD).get(need, 'not offered')}")
    print(f"{passed} passed, {failed} failed, {sum(listed.values())} listed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
