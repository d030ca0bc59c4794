"""Resolved tree → the fast Python expression: right, or it raises.

What Python's operators do as CEL does, given what is known of the operands, is written with them: `amount >
1000` for a declared double is just that. A slot may also hold null, a missing or a mistyped field: on these
Python's operators raise by themselves, or give what CEL gives. For an undeclared field a class check stands
before what Python would get wrong, bools being ints to it. Whatever raises is evaluated again by the exact
expression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pointsman.cel.functions import arithmetic, logic
from pointsman.cel.kinds import NUMBERS, kind_of
from pointsman.cel.render import Exact
from pointsman.cel.resolve import Bind, Local, Logic, OptionalSlot, Slot
from pointsman.cel.tree import Call, Const, ListNode, Node, Select
from pointsman.cel.values import Uint

__all__ = ["Fast"]

_ORDER: Final = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_SUMS: Final = {"_+_": "+", "_-_": "-", "_*_": "*"}
_METHODS: Final = {"startsWith": "startswith", "endsWith": "endswith"}

_SELF_ORDERED: Final = frozenset({"string", "bytes", "timestamp", "duration"})
"""Kinds that Python orders among themselves only, and raises otherwise."""

_SELF_EQUAL: Final = frozenset({"string", "bytes", "null", "timestamp", "duration", "type"})
"""Kinds that Python finds equal to nothing of another kind."""

_EXACT: Final = 2**53
"""Below it, an int and the double of it are the same number, and Python compares as CEL does."""

_GUARD: Final = (
    "({x} {op} {y} if {first}.__class__ is float or {x}.__class__ is int"
    " and -0x8000000000000000 <= {x} <= 0x7fffffffffffffff else {slow}({x}, {y}))"
)


class Fast(Exact):
    """Writes one expression the fast way."""

    def __init__(self, slots: Any) -> None:
        super().__init__(slots)
        self._kinds: dict[str, str] = {}
        self._temporaries = 0

    def kind(self, node: Node) -> str:
        """Returns the kind of value the node gives."""
        return kind_of(node, self._kinds)

    def operand(self, node: Node) -> str:
        """Returns text for an operand of what raises on missing and mistyped fields by itself."""
        return self.slots[node.path] if isinstance(node, Slot) else self.value(node)

    def slot(self, node: Slot) -> str:
        local = self.slots[node.path]
        exact = super().slot(node)
        match node.kind:
            case "string" | "int" | "bytes" | "list" | "map":
                python = {"string": "str", "list": "list", "map": "dict"}.get(node.kind, node.kind)
                return f"({local} if {local}.__class__ is {python} else {exact})"
            case "double":
                return f"({local} if {local}.__class__ is float else {exact})"
            case "bool":
                return f"({local} if {local} is True or {local} is False else {exact})"
        return exact

    def boolean(self, node: Node) -> str:
        if isinstance(node, Slot):
            local = self.slots[node.path]
            return f"({local} is True or {local} is not False and {self.helper(logic.boolean)}({local}))"
        return super().boolean(node)

    def body(self, root: Node, boolean: bool) -> list[str]:
        return [f"return {self.result(root, boolean)}"]

    def logic(self, node: Logic) -> str:
        word = " and " if node.word == "_&&_" else " or "
        return f"({word.join(self.boolean(term) for term in node.terms)})"

    def select(self, node: Select) -> str:
        if node.test:
            return super().select(node)
        return f"{self.operand(node.operand)}[{node.field!r}]"

    def bind(self, node: Bind) -> str:
        self.nested = self.grows = True
        kind = self.kind(node.value)
        text = self.value(node.value)

        def body(inner: Node) -> str:
            self._kinds[node.name] = kind
            return self.value(inner)

        return f"({self.scoped((node.name,), node.body, body)})({text})"

    def scoped(
        self, names: tuple[str, ...], node: Node, write: Callable[[Node], str], use: str = "{}"
    ) -> str:
        before = self._kinds
        self._kinds = {name: kind for name, kind in before.items() if name not in names}
        text = super().scoped(names, node, write, use)
        self._kinds = before
        return text

    def call(self, node: Call) -> str:
        name, args = node.function, node.args
        if name in _ORDER:
            return self.order(node)
        if name in ("_==_", "_!=_"):
            return self.equality(node)
        if name == "@in":
            return self.membership(node)
        if name in _SUMS and [self.kind(arg) for arg in args] == ["double", "double"]:
            return f"({self.operand(args[0])} {_SUMS[name]} {self.operand(args[1])})"
        if name == "_/_" and [self.kind(arg) for arg in args] == ["double", "double"]:
            if isinstance(args[1], Const) and args[1].value:
                return f"({self.operand(args[0])} / {self.operand(args[1])})"
            return f"{self.helper(arithmetic.ratio)}({self.operand(args[0])}, {self.operand(args[1])})"
        if name == "-_" and self.kind(args[0]) == "double":
            return f"(-{self.operand(args[0])})"
        if name == "!_" and (self.is_bool(args[0]) or isinstance(args[0], Slot)):
            return f"(not {self.boolean(args[0])})"
        if name in _METHODS and len(args) == 2 and all(self.kind(arg) == "string" for arg in args):
            return f"{self.operand(args[0])}.{_METHODS[name]}({self.value(args[1])})"
        if name == "contains" and len(args) == 2 and all(self.kind(arg) == "string" for arg in args):
            return f"({self.value(args[1])} in {self.operand(args[0])})"
        if name == "size" and len(args) == 1 and self.kind(args[0]) in ("string", "list", "map", "bytes"):
            return f"len({self.operand(args[0])})"
        return super().call(node)

    def fallback(self, node: Call) -> str:
        """Writes `event.?x.orValue(constant)` without an optional value in between."""
        found, other = node.args
        if node.function == "orValue" and isinstance(found, OptionalSlot) and isinstance(other, Const):
            self.missing()
            local = self.slots[found.slot.path]
            return f"({self.value(other)} if {local} is cel_missing else {self.slot(found.slot)})"
        return super().fallback(node)

    # -- comparison

    def order(self, node: Call) -> str:
        left, right = node.args
        op = _ORDER[node.function]
        kinds = {self.kind(left), self.kind(right)}
        plain = f"({self.operand(left)} {op} {self.operand(right)})"
        if self.alike(left, right) or kinds & _SELF_ORDERED or kinds == {"bool"}:
            return plain
        return self.guarded(node, op) or super().call(node)

    def equality(self, node: Call) -> str:
        left, right = node.args
        op = node.function.strip("_")
        kinds = {self.kind(left), self.kind(right)}
        if self.alike(left, right) or kinds & _SELF_EQUAL or kinds == {"bool"}:
            return f"({self.operand(left)} {op} {self.operand(right)})"
        return self.guarded(node, op) or super().call(node)

    def alike(self, left: Node, right: Node) -> bool:
        """Returns whether both are numbers that Python compares as CEL does."""
        kinds = {self.kind(left), self.kind(right)}
        if not kinds <= NUMBERS:
            return False
        return "double" not in kinds or kinds == {"double"} or _small(left) or _small(right)

    def guarded(self, node: Call, op: str) -> str | None:
        """Writes a comparison of an undeclared field with a number; None where it is another comparison."""
        left, right = node.args
        slow = self.helper(self.operator(node.function))
        if self.kind(left) == "dyn" and _small(right):
            return self.guard(left, op, right, slow)
        if self.kind(right) == "dyn" and _small(left):
            swapped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
            slow = self.helper(self.operator(f"_{swapped.get(op, op)}_"))
            return self.guard(right, swapped.get(op, op), left, slow)
        return None

    def guard(self, node: Node, op: str, literal: Node, slow: str) -> str:
        text = name = self.operand(node)
        if not isinstance(node, Slot | Local):
            self._temporaries += 1
            name = f"cel_t{self._temporaries}"
            text = f"({name} := {text})"
        return _GUARD.format(first=text, x=name, op=op, y=self.value(literal), slow=slow)

    def membership(self, node: Call) -> str:
        element, container = node.args
        if isinstance(container, ListNode) and container.elements and not container.optional:
            values = [part.value if isinstance(part, Const) else ... for part in container.elements]
            kind = self.kind(element)
            if all(value.__class__ is str for value in values):
                texts = ", ".join(map(repr, values))
                if kind == "string":
                    return f"({self.operand(element)} in {{{texts}}})"
                return f"({self.operand(element)} in ({texts},))"
            if kind in NUMBERS and all(map(_small, container.elements)):
                return f"({self.operand(element)} in {{{', '.join(map(self.constant, values))}}})"
        return super().call(node)


def _small(node: Node) -> bool:
    """Returns whether the node is a number's literal that is the same as int and as double."""
    if not (isinstance(node, Const) and node.value.__class__ in (int, Uint, float)):
        return False
    return bool(-_EXACT < node.value < _EXACT)
