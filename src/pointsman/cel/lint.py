"""What the declared types show to be wrong in an expression that the library accepts.

To the library every field is `dyn`, because JSON does not tell int from double and null is allowed
everywhere. So `amount + "x"` passes it, and would err on every event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from pointsman.base.errors import EvalError
from pointsman.cel.complaints import clash, nearest
from pointsman.cel.functions import strings, time
from pointsman.cel.kinds import NUMBERS, kind_of
from pointsman.cel.problems import Problem
from pointsman.cel.resolve import Bind, Build, Logic, Quantifier, Slot, children
from pointsman.cel.spans import spans
from pointsman.cel.tree import Call, Const, ListNode, Node, Select
from pointsman.cel.values import article

__all__ = ["lint"]

_ORDER: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_"})
_ORDERED: Final = frozenset({"string", "bytes", "bool", "timestamp", "duration"})
_ARITHMETIC: Final = frozenset({"_+_", "_-_", "_*_", "_/_", "_%_"})
_TEXT: Final = frozenset(strings.FUNCTIONS) - {"join", "strings.quote", "base64.encode", "base64.decode"}
_COMMENT: Final = "// begins a comment: everything behind it is left out"
_MEMBERS: Final = frozenset({"map", "optional", "dyn"})
_TAKES: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(_TEXT, frozenset({"string"})),
    **{name: frozenset({"timestamp", "duration"}) for name in time.FUNCTIONS if name.startswith("get")},
    "-_": frozenset({"int", "double"}),
    "_[_]": _MEMBERS | {"list"},
    "size": frozenset({"string", "bytes", "list", "map"}),
}
"""Function → the kinds that its first argument may have."""

_LITERALS: Final = {"matches": 1, "timestamp": 0, "duration": 0}
"""Functions that a literal argument can be tried with → which argument."""


def lint(
    text: str,
    root: Node,
    members: Mapping[str, Mapping[str, str]],
    closed: frozenset[str],
    want: str | None,
) -> list[Problem]:
    """Returns what is wrong or odd, in the order of the tree.

    Args:
        text: The expression.
        root: Its resolved tree.
        members: Split roots and their declared members.
        closed: Roots that have no other members than the declared ones.
        want: The type that the expression must give, if any.
    """
    found = _Lint(text, root, members, closed)
    found.visit(root, {})
    kind = kind_of(root, {})
    if want is not None and want != "dyn" and kind not in (want, "dyn") and not found.problems:
        found.wanted(root, kind, want)
    return found.problems


@dataclass(slots=True)
class _Lint:
    text: str
    root: Node
    members: Mapping[str, Mapping[str, str]]
    closed: frozenset[str]
    problems: list[Problem] = field(default_factory=list)

    def add(self, node: Node, code: str, message: str, hint: str = "") -> None:
        start, end = spans(self.text, self.root)[node.id]
        severity: Literal["error", "warning"] = "warning" if code[0] == "W" else "error"
        self.problems.append(Problem(start, max(end - start, 1), code, message, hint, severity))

    def visit(self, node: Node, local: dict[str, str]) -> None:
        match node:
            case Slot():
                self.slot(node)
            case Call():
                self.call(node, local)
            case Select():
                kind = kind_of(node.operand, local)
                if kind not in _MEMBERS:
                    self.add(
                        node, "E302", f"{article(kind)} has no members", "methods take brackets: x.trim()"
                    )
            case Logic():
                for term in node.terms:
                    self.condition(node.word, term, local)
            case Bind():
                self.visit(node.value, local)
                self.visit(node.body, {**local, node.name: kind_of(node.value, local)})
                return
            case Quantifier() | Build():
                kind = kind_of(node.range, local)
                if kind not in ("list", "map", "dyn"):
                    self.add(
                        node.range, "E302", f"a macro runs over a list or a map, not over {article(kind)}"
                    )
                self.visit(node.range, local)
                inner = {name: kind for name, kind in local.items() if name not in node.names}
                for part in children(node)[1:]:
                    self.visit(part, inner)
                return
        for child in children(node):
            self.visit(child, local)

    def wanted(self, root: Node, kind: str, want: str) -> None:
        hint = ""
        if "//" in self.text:
            hint = _COMMENT
        elif want == "bool":
            hint = "compare it with something: x == 1"
        elif want == "string":
            hint = "write string(…)"
        self.add(root, "E307", f"the expression gives {article(kind)}, {article(want)} is needed here", hint)

    # -- names

    def slot(self, node: Slot) -> None:
        root, _, member = node.path.partition(".")
        declared = self.members.get(root)
        if not member:
            for of, fields in self.members.items():
                if root in fields:
                    text = f"'{root}' is not the field of {of} here, but a name that always exists"
                    self.add(node, "W309", text, f'write {of}["{root}"] for the field')
        if not member or declared is None or member in declared:
            return
        similar = nearest(member, declared)
        hint = f"did you mean '{similar}'?" if similar else ""
        if root in self.closed:
            self.add(node, "E301", f"'{member}' is not a field of {root}", hint)
        elif similar and declared:
            self.add(node, "W308", f"'{member}' is not declared, but '{similar}' is", hint)

    # -- types

    def condition(self, word: str, node: Node, local: dict[str, str]) -> None:
        kind = kind_of(node, local)
        if kind not in ("bool", "dyn"):
            code, message, hint = clash(word, [kind])
            self.add(node, code, message, _COMMENT if "//" in self.text else hint)

    def call(self, node: Call, local: dict[str, str]) -> None:
        name, args = node.function, node.args
        kinds = [kind_of(arg, local) for arg in args]
        if name in ("!_", "_?_:_"):
            self.condition(name, args[0], local)
        elif name == "@in":
            self.membership(node, kinds)
        elif self.refused(node, kinds, local):
            self.add(node, *clash(name, kinds))
        if name in _LITERALS:
            self.literal(node, name)

    def refused(self, node: Call, kinds: list[str], local: dict[str, str]) -> bool:
        """Returns whether an operator or function is certain not to take these kinds."""
        name, first = node.function, kinds[0] if kinds else "dyn"
        if name in ("_==_", "_!=_"):
            return _never_equal(first, kinds[1])
        if name in _ORDER:
            return not _comparable(first, kinds[1])
        if name in _ARITHMETIC:
            return "dyn" not in kinds and kind_of(node, local) == "dyn"
        takes = _TAKES.get(name)
        return takes is not None and first != "dyn" and first not in takes

    def membership(self, node: Call, kinds: list[str]) -> None:
        element, container = kinds
        if container not in ("list", "map", "dyn"):
            self.add(node, *clash("@in", kinds))
            return
        listed = node.args[1]
        if isinstance(listed, ListNode) and listed.elements and element != "dyn":
            inside = {kind_of(part, {}) for part in listed.elements}
            if all(_never_equal(element, other) for other in inside):
                self.add(node, *clash("@in", kinds))

    def literal(self, node: Call, name: str) -> None:
        """Tries a literal pattern, timestamp or duration now, so that no event has to."""
        at = _LITERALS[name]
        argument = node.args[at] if len(node.args) > at else None
        if isinstance(argument, Const) and isinstance(argument.value, str):
            run = strings.matcher if name == "matches" else time.FUNCTIONS[name][0]
            try:
                run(argument.value)
            except EvalError as error:
                self.add(argument, "E306", str(error))


def _never_equal(left: str, right: str) -> bool:
    if "dyn" in (left, right) or "null" in (left, right) or left == right:
        return False
    return not {left, right} <= NUMBERS


def _comparable(left: str, right: str) -> bool:
    if "null" in (left, right):
        return False
    if left == "dyn" or right == "dyn":
        return {left, right} - {"dyn"} <= NUMBERS | _ORDERED
    return {left, right} <= NUMBERS or (left == right and left in _ORDERED)
