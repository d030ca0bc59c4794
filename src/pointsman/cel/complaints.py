"""The library's complaints about a text, said to a person: what stands there, and what to write."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pointsman.cel.check import Rejected
from pointsman.cel.functions.catalog import FUNCTIONS
from pointsman.cel.problems import Problem
from pointsman.cel.pythonisms import METHODS, pythonisms
from pointsman.cel.resolve import NAMESPACES
from pointsman.cel.tokens import tokenize, too_deep

__all__ = ["MACROS", "clash", "nearest", "translate"]

MACROS: Final = (
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "optMap",
    "optFlatMap",
    "existsOne",
    "transformList",
    "transformMap",
    "transformMapEntry",
    "cel.bind",
    "math.greatest",
    "math.least",
)

_FUNCTIONS: Final = frozenset(
    [name for name in FUNCTIONS if name.replace(".", "").isalnum()] + ["or", "orValue", *MACROS]
)

_ORDER: Final = ("_<_", "_<=_", "_>_", "_>=_")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that `name` looks like, if there is one."""
    by_lower = {other.lower(): other for other in sorted(known, reverse=True)}
    found = difflib.get_close_matches(name.lower(), list(by_lower), 1, 0.7)
    return by_lower[found[0]] if found else None


def translate(
    text: str, rejected: Rejected, roots: Collection[str], aliases: Mapping[str, tuple[str, str]]
) -> list[Problem]:
    """Returns what is wrong with a text that the library refuses.

    Args:
        text: The expression.
        rejected: The refusal.
        roots: The names of the roots in scope.
        aliases: The other names in scope, and the member of a root that each stands for.
    """
    names = {**{name: name for name in roots}, **{name: ".".join(path) for name, path in aliases.items()}}
    syntax = any("Syntax error" in words or "reserved id" in words for _, words in rejected.complaints)
    foreign = pythonisms(text, names, broken=syntax)
    if foreign and syntax:
        return foreign
    covered = [(problem.offset, problem.offset + problem.length) for problem in foreign]
    problems = list(foreign)
    for offset, words in rejected.complaints:
        if any(start <= offset < end for start, end in covered):
            continue
        problem = _Complaint(text, max(offset, 0), names).problem(words)
        if problem is not None:
            problems.append(problem)
        if "Syntax error" in words or "recursion" in words:
            break  # what follows the first is mostly its consequence
    if any(problem.code == "E302" and problem.message.endswith(_MISCALLED) for problem in problems):
        problems = [problem for problem in problems if problem.code != "E301"]  # a macro's own names
    if own := _names_of_foreign_macros(text, problems):
        problems = [p for p in problems if not (p.code == "E301" and _first_name(text, p) in own)]
    return problems or [Problem(0, 1, "E300", "the expression cannot be read")]


def _names_of_foreign_macros(text: str, problems: Iterable[Problem]) -> set[str]:
    """The names that macros of other languages, `any(x, x > 1)`, give to their elements."""
    calls = (text[p.offset :] for p in problems if p.code == "E301" and p.hint.startswith("write items."))
    return {found[1] for call in calls if (found := re.match(r"\w+\s*\(\s*(\w+)\s*,", call))}


def _first_name(text: str, problem: Problem) -> str:
    return text[problem.offset : problem.offset + problem.length].partition(".")[0]


_MISCALLED: Final = "is not called like this"


@dataclass(frozen=True, slots=True)
class _Complaint:
    """One complaint and where it stands."""

    text: str
    offset: int
    names: Mapping[str, str]

    def problem(self, words: str) -> Problem | None:
        """Returns the problem; the library's own words where none of ours fit; None for an echo."""
        if "recursion" in words:
            return too_deep(self.offset)
        for pattern, write in _WRITERS:
            found = pattern.search(words)
            if found is not None:
                return write(self, *found.groups())
        return self.make("E302" if "type" in words else "E300", words.rstrip("."))

    def make(self, code: str, message: str, hint: str = "", length: int | None = None) -> Problem:
        if length is None:
            length = next((len(t.text) for t in tokenize(self.text) if t.at == self.offset), 1)
        start = min(self.offset, max(len(self.text) - 1, 0))
        return Problem(start, max(min(length, len(self.text) - start), 1), code, message, hint)

    # -- syntax

    def ends_early(self) -> Problem:
        last = self.text.rstrip()
        if not tokenize(last):
            return Problem(0, 1, "E300", "the expression is empty")
        message = f"the expression ends too early: something is missing after '{last[-20:]}'"
        return Problem(len(last) - 1, 1, "E300", message)

    def missing(self, what: str, before: str) -> Problem:
        if before == "<EOF>":
            at = len(self.text.rstrip())
            return Problem(max(at - 1, 0), 1, "E300", f"a '{what}' is missing at the end")
        return self.make("E300", f"a '{what}' is missing before '{before}'")

    def unexpected(self, what: str) -> Problem:
        if what == "<EOF>":
            return self.ends_early()
        hint = ""
        if what in (")", "]", "}"):
            hint = f"no bracket is open that this '{what}' could close"
        elif what == ":":
            hint = "a slice is x.substring(1, 2); a condition is 'c ? a : b'"
        elif what[:1] == "." and what[1:].isalpha():
            hint = f'a member of this name is reached as x["{what[1:]}"]'
        elif what == "for":
            hint = "write items.map(i, …) or items.filter(i, …) in place of a comprehension"
        elif what[0].isalnum() or what[0] in "_'\"":
            hint = "is an operator such as && missing before it?"
        return self.make("E300", f"'{what}' is not expected here", hint, len(what))

    def not_a_token(self, what: str) -> Problem:
        what = what.strip(" ")
        if what[:1] in ("'", '"'):
            escape = re.search(r"\\[^abfnrtvxXuU0-7\\?\"'`]", what)
            if escape is not None:
                hint = f"write \\\\ for a backslash, or r{what[0]}…{what[0]} for a string without escapes"
                return self.make("E300", f"'{escape[0]}' is not an escape in a string", hint, len(what))
            return self.make("E300", "the string that begins here is not closed", "", len(what))
        shown = what if what.isprintable() else f"U+{ord(what[0]):04X}"
        return self.make("E300", f"'{shown}' is not part of CEL", "", len(what))

    def reserved(self, name: str) -> Problem:
        hint = f'a field of this name is reached as event["{name}"]'
        return self.make("E300", f"'{name}' is a reserved word", hint, len(name))

    def not_numbers(self, name: str) -> Problem:
        return self.make("E302", f"{name}() takes numbers, or one list of them", f"write {name}(a, b)")

    def bad_integer(self, kind: str) -> Problem:
        hint = "write it with a fraction, as a double" if kind == "int" else ""
        return self.make("E300", f"the {kind} does not fit 64 bits", hint)

    def has_needs_member(self) -> Problem:
        behind = [token for token in tokenize(self.text) if token.at >= self.offset]
        at = next((n for n, token in enumerate(behind) if token.kind == "name"), None)
        path = "event.x" if at is None else self.names.get(behind[at].text, "event.x")
        hint = f"write has({path if '.' in path else path + '.x'})"
        if at is not None and len(behind) > at + 2 and behind[at + 1].text == ".":
            hint = f'a member of this name is tested as "{behind[at + 2].text}" in {behind[at].text}'
        elif len(behind) > 1 and behind[0].text == "[" and behind[1].kind == "string":
            hint = f"such a member is tested as {behind[1].text} in event"
        return self.make("E300", "has() takes a member: something with a dot", hint)

    # -- names

    def undeclared(self, name: str) -> Problem | None:
        if name in NAMESPACES and self.text.startswith(f"{name}.", self.offset):
            return None  # `optional.of()`: the function is complained about as well
        at = self.text.rfind(name, 0, self.offset + len(name))
        if self.text[self.offset : self.offset + 1] == "(":
            at = self.text.rfind(name, 0, self.offset)
            return self.no_function(name, max(at, 0))
        if self.text[at + len(name) :].lstrip().startswith("("):
            return self.no_function(name, max(at, 0))
        message = f"'{name}' is not a field of the event or its metadata"
        similar = nearest(name, self.names)
        hint = f"did you mean '{similar}'? " if similar else ""
        return Problem(
            max(at, 0), len(name), "E301", message, hint + "declare new fields under source.fields"
        )

    def no_function(self, name: str, at: int) -> Problem:
        if name in _FUNCTIONS or any(full.endswith(f".{name}") for full in _FUNCTIONS):
            hint = _USES.get(name, "see the list of functions for what it takes")
            return Problem(at, len(name), "E302", f"{name}() {_MISCALLED}", hint)
        if name in METHODS:
            return Problem(at, len(name), "E301", f"there is no function {name}()", f"write {METHODS[name]}")
        similar = nearest(name, _FUNCTIONS)
        hint = f"did you mean {similar}()?" if similar else ""
        return Problem(at, len(name), "E301", f"there is no function {name}()", hint)

    # -- types

    def no_overload(self, function: str, kinds: str) -> Problem:
        names = [_plain(kind) for kind in _split(kinds)]
        code, message, hint = clash(function, names)
        return self.make(code, message, hint)

    def no_members(self, kind: str) -> Problem:
        kind = _plain(kind)
        return self.make("E302", f"{_an(kind)} has no members", "methods take brackets: x.trim()")

    def no_range(self, kind: str) -> Problem:
        message = f"a macro runs over a list or a map, not {_an(_plain(kind))}"
        return self.make("E302", message)

    def needs_name(self, macro: str) -> Problem:
        macro = macro.removesuffix("()")
        hint = f"write items.{macro}(i, …)" if "." not in macro else f"write {macro}(name, value, …)"
        return self.make("E300", f"{macro}() takes a plain name first", hint)


_USES: Final = {
    "all": "write items.all(i, condition)",
    "exists": "write items.exists(i, condition)",
    "exists_one": "write items.exists_one(i, condition)",
    "existsOne": "write items.exists_one(i, condition)",
    "filter": "write items.filter(i, condition)",
    "map": "write items.map(i, value)",
    "optMap": "write event.?x.optMap(v, value)",
    "has": "write has(event.x)",
    "size": "write size(x) or x.size()",
    "contains": 'write x.contains("part")',
    "startsWith": 'write x.startsWith("a")',
    "endsWith": 'write x.endsWith("z")',
    "matches": 'write x.matches("^a+$")',
    "split": 'write x.split(",")',
    "replace": 'write x.replace("a", "b")',
    "of": "write optional.of(x)",
    "format": 'write "%s and %d".format([a, b])',
}


_ANY: Final = "value of any type"


def _plain(kind: str) -> str:
    """Returns the library's name of a type as we say it."""
    kind = kind.strip().removeprefix("wrapper(").rstrip(")") if kind.startswith("wrapper(") else kind.strip()
    kind = kind.partition("(")[0].partition("<")[0]
    kind = kind.removeprefix("google.protobuf.").removesuffix("_type").lower()
    return _ANY if kind == "dyn" else kind


def _split(kinds: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(kinds):
        depth += (char in "(<") - (char in ")>")
        if char == "," and depth == 0:
            parts.append(kinds[start:at])
            start = at + 1
    return [*parts, kinds[start:]]


def _an(kind: str) -> str:
    if kind == "null":
        return kind
    return f"{'an' if kind[:1] in 'aeio' else 'a'} {kind}"


_SPOKEN: Final = {"_+_": "added", "_-_": "subtracted", "_*_": "multiplied", "_/_": "divided"}


def clash(function: str, kinds: list[str]) -> tuple[str, str, str]:
    """Returns code, message and hint for an operator or function on kinds of values that it does not take."""
    both = " and ".join(map(_an, kinds[:2]))
    numbers = {"int", "uint", "double"}
    if function in (*_ORDER, "_==_", "_!=_") and set(kinds) <= numbers:
        return "E303", f"{both} cannot be compared", "write both alike: 2.0 in place of 2, or double(x)"
    if function in ("_==_", "_!=_"):
        answer = "false" if function == "_==_" else "true"
        return "E303", f"{both} are never equal: this is always {answer}", _convert(kinds)
    if function in _ORDER:
        hint = _convert(kinds)
        if kinds[0] == "bool" and kinds[1] in numbers:
            hint = "comparisons do not chain: write a > 1 && a < 5 in place of 1 < a < 5"
        return "E303", f"{both} cannot be compared", hint
    if function in _SPOKEN:
        hint = _convert(kinds)
        if set(kinds) == {"int", "double"}:
            hint = "write the number with a fraction (2.0), or double(x)"
        return "E302", f"{both} cannot be {_SPOKEN[function]}", hint
    if function == "_%_":
        if kinds[0] == "string":
            return "E302", "a string has no %", 'write "%s and %d".format([a, b])'
        return "E302", f"% takes two ints, not {' and '.join(map(_an, kinds))}", "write int(x) % 2"
    if function in ("_&&_", "_||_", "!_", "_?_:_"):
        known = [kind for kind in kinds if kind not in ("bool", _ANY)]
        if function == "_?_:_" and kinds[0] in ("bool", _ANY):
            return "E302", "the two results of '? :' have different types", "write dyn(a) if both are meant"
        wrong = known[0] if known else kinds[0]
        hint = "write x != 0" if wrong in numbers else 'write x != ""' if wrong == "string" else ""
        return "E302", f"a condition is a bool, not {_an(wrong)}", hint
    if function == "@in":
        if kinds[1] == "string":
            return "E302", "'in' does not look inside a string", 'write x.contains("part")'
        if kinds[1] not in ("list", "map"):
            return "E302", f"'in' looks inside a list or the keys of a map, not {_an(kinds[1])}", ""
        return "E303", f"no element of this list can be {_an(kinds[0])}: 'in' is always false", ""
    if function == "-_":
        return "E302", f"{_an(kinds[0])} cannot be negated", ""
    if function == "_[_]":
        hint = "write x.charAt(0) or x.substring(0, 2)" if kinds[0] == "string" else ""
        return "E302", f"{_an(kinds[0])} has no elements", hint
    return _function(function, kinds)


def _function(function: str, kinds: list[str]) -> tuple[str, str, str]:
    hint = ""
    if function.startswith("get") and "string" in kinds[:1]:
        hint = f"write timestamp(x).{function}()"
    elif kinds[:1] and kinds[0] in ("int", "uint", "double") and function in FUNCTIONS:
        hint = (
            "write string(x) to use a number as text"
            if FUNCTIONS[function].result != "double"
            else "write double(x)"
        )
    return "E302", f"{function}() does not take {' and '.join(map(_an, kinds))}", hint


def _convert(kinds: list[str]) -> str:
    pair = set(kinds)
    if "string" in pair and pair & {"int", "uint", "double"}:
        return "take the quotes off a number, or convert: double(text), string(number)"
    if "type" in pair:
        return (
            'a field called like a type is reached as event["type"]; types have no quotes: type(x) == string'
        )
    if "string" in pair and "timestamp" in pair:
        return 'write timestamp("2026-01-31T00:00:00Z")'
    if "string" in pair and "duration" in pair:
        return 'write duration("1h30m")'
    if "string" in pair and "bool" in pair:
        return "write true or false without quotes"
    if "optional" in pair:
        return "write .orValue(default) behind the optional value"
    return ""


_Writer = Callable[..., Problem | None]
_WRITERS: Final[tuple[tuple[re.Pattern[str], _Writer], ...]] = (
    (re.compile(r"missing '(.+?)' at '(.*)'"), _Complaint.missing),
    (re.compile(r"(?:mismatched|extraneous) input '(.+?)' expecting"), _Complaint.unexpected),
    (re.compile(r"no viable alternative at input '(.+?)'"), _Complaint.unexpected),
    (re.compile(r"token recognition error at: '(.*)'$", re.DOTALL), _Complaint.not_a_token),
    (re.compile(r"reserved identifier: (\w+)"), _Complaint.reserved),
    (re.compile(r"invalid (\w+) literal"), _Complaint.bad_integer),
    (re.compile(r"has\(\) argument must be"), _Complaint.has_needs_member),
    (re.compile(r"(math\.\w+)\(\) (?:requires|invalid|simple)"), _Complaint.not_numbers),
    (re.compile(r"undeclared reference to '([^']*)'"), _Complaint.undeclared),
    (re.compile(r"no matching overload for '([^']*)' applied to '\((.*)\)'"), _Complaint.no_overload),
    (re.compile(r"expression of type '(.*)' cannot be the operand of a select"), _Complaint.no_members),
    (re.compile(r"expression of type '(.*)' cannot be the range"), _Complaint.no_range),
    (re.compile(r"([\w.]+)\(\) (?:first |second )?variable name must be"), _Complaint.needs_name),
)
