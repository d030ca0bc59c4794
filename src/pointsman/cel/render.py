"""Resolved tree → a Python expression with CEL's exact meaning.

Two renderers walk the same tree. `Exact` writes every operator as a call that knows all of CEL: errors
absorbed by `&&` and `||`, types told apart, messages for people. `Fast` (render_fast.py) overrides what
Python's own operators do equally well, and may raise where `Exact` would still find a value.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.base.errors import EvalError
from pointsman.cel.functions import access, arithmetic, comparison, faults, logic, loops, messages, optional
from pointsman.cel.functions.catalog import FUNCTIONS
from pointsman.cel.functions.strings import matcher
from pointsman.cel.resolve import (
    Bind,
    Build,
    Has,
    Local,
    Logic,
    OptionalSlot,
    Quantifier,
    Slot,
    Unknown,
)
from pointsman.cel.tree import Call, Const, ListNode, MapNode, Message, Node, Select
from pointsman.cel.values import MISSING, Optional, TypeValue, Uint

__all__ = ["Exact", "Function"]

_OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    "_==_": comparison.equal,
    "_!=_": comparison.not_equal,
    "_<_": comparison.less,
    "_<=_": comparison.less_equal,
    "_>_": comparison.greater,
    "_>=_": comparison.greater_equal,
    "_+_": arithmetic.add,
    "_-_": arithmetic.subtract,
    "_*_": arithmetic.multiply,
    "_/_": arithmetic.divide,
    "_%_": arithmetic.modulo,
    "-_": arithmetic.negate,
    "!_": logic.not_true,
    "_[_]": access.index,
    "@in": comparison.contains,
}


_MANY: Final = 16
"""Parts of a literal from which on the size of its value is looked at."""


class Function:
    """Generated source that is compiled when it is first called."""

    __slots__ = ("_code", "_globals", "name", "source")

    def __init__(self, name: str, source: str, constants: Mapping[str, Any]) -> None:
        self.source = source
        self.name = name
        self._globals = constants
        self._code: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        code = self._code
        if code is None:
            space: dict[str, Any] = dict(self._globals)
            exec(compile(self.source, f"<cel {self.name}>", "exec"), space)
            code = self._code = space[self.name]
        return code(*args)


class Exact:
    """Writes one expression.

    Attributes:
        constants: What the written text names, besides slots: functions and values. A name always stands for
            the
            same thing, in whatever expression.
        loops: Whether the text counts steps, and so needs `steps` in scope.
        nested: Whether the text holds lambdas, and so needs a function of its own.
        grows: Whether the value may be far larger than what it is made of.
    """

    def __init__(self, slots: Mapping[str, str]) -> None:
        self.slots = slots
        self.constants: dict[str, Any] = {}
        self.loops = False
        self.grows = False
        self.nested = False
        self._locals: dict[str, str] = {}
        self._count = 0

    # -- names in the generated code

    def helper(self, run: Callable[..., Any]) -> str:
        """Returns the name of a function in generated code."""
        name = f"cel_{run.__module__.rpartition('.')[2]}_{run.__name__}"
        self.constants[name] = run
        return name

    def function(self, cel_name: str) -> str:
        """Returns the name of a CEL function in generated code."""
        name = "cel_fn_" + re.sub(r"\W", "_", cel_name)
        self.constants[name] = FUNCTIONS[cel_name].run
        return name

    def constant(self, value: Any) -> str:
        """Returns the text that gives a constant's value."""
        kind = value.__class__
        if kind is float and not math.isfinite(value):
            name = "cel_nan" if math.isnan(value) else f"cel_{'neg_' if value < 0 else ''}inf"
        elif kind in (str, bytes, bool, float, int) or value is None:
            return repr(value) if not (kind in (int, float) and value < 0) else f"({value!r})"
        elif kind is Uint:
            name = f"cel_uint_{int(value)}"
        elif kind is TypeValue:
            name = f"cel_type_{value.name.replace('.', '_')}"
        else:
            name = f"cel_{kind.__name__.lower()}_{_digest(repr(value))}"
        self.constants[name] = value
        return name

    # -- nodes

    def value(self, node: Node) -> str:
        """Returns text that gives the node's value or raises; never a missing or mistyped field."""
        match node:
            case Const():
                return self.constant(node.value)
            case Slot():
                return self.slot(node)
            case Local():
                return self._locals[node.name]
            case Unknown():
                return f"{self.helper(faults.unknown)}({node.name!r})"
            case Has():
                return self.has_slot(node)
            case OptionalSlot():
                return self.optional_slot(node)
            case Select():
                return self.select(node)
            case Logic():
                return self.logic(node)
            case Call():
                return self.call(node)
            case ListNode():
                return self.list_node(node)
            case MapNode():
                return self.map_node(node)
            case Message():
                return self.message(node)
            case Bind():
                return self.bind(node)
            case Quantifier():
                return self.quantifier(node)
            case Build():
                return self.build(node)
        raise AssertionError(f"{type(node).__name__} has no rendering")

    def boolean(self, node: Node) -> str:
        """Returns text that gives a bool or raises."""
        text = self.value(node)
        return text if self.is_bool(node) else f"{self.helper(logic.boolean)}({text})"

    def is_bool(self, node: Node) -> bool:
        """Returns whether the node's text gives a bool or raises, whatever the slots hold."""
        match node:
            case Const():
                return node.value.__class__ is bool
            case Has() | Logic() | Quantifier():
                return True
            case Select():
                return node.test
            case Call():
                if node.function == "_?_:_":
                    return self.is_bool(node.args[1]) and self.is_bool(node.args[2])
                if node.function in _OPERATORS:
                    return node.function[0] in "!@" or node.function[1] in "=!<>"
                known = FUNCTIONS.get(node.function)
                return known is not None and known.result == "bool"
        return False

    def slot(self, node: Slot) -> str:
        return f"{self.helper(access.need)}({self.slots[node.path]}, {_shown(node.path)!r})"

    def has_slot(self, node: Has) -> str:
        self.missing()
        return f"({self.slots[node.slot.path]} is not cel_missing)"

    def steps(self) -> str:
        """Returns the line that begins a fresh budget of steps."""
        self.constants["cel_steps"] = loops.Steps
        return "steps = cel_steps()"

    def missing(self) -> None:
        """Makes the text `cel_missing` mean a missing field."""
        self.constants["cel_missing"] = MISSING

    def operator(self, name: str) -> Callable[..., Any]:
        """Returns the function behind an operator."""
        return _OPERATORS[name]

    def optional_slot(self, node: OptionalSlot) -> str:
        self.missing()
        self.constants["cel_optional"] = Optional
        local = self.slots[node.slot.path]
        return (
            f"(cel_optional(False) if {local} is cel_missing else cel_optional(True, {self.slot(node.slot)}))"
        )

    def select(self, node: Select) -> str:
        run = access.has if node.test else access.field
        return f"{self.helper(run)}({self.value(node.operand)}, {node.field!r})"

    def logic(self, node: Logic) -> str:
        self.nested = True
        run = logic.all_of if node.word == "_&&_" else logic.any_of
        terms = ", ".join(f"lambda: {self.value(term)}" for term in node.terms)
        return f"{self.helper(run)}({terms})"

    def call(self, node: Call) -> str:
        name, args = node.function, node.args
        if name == "_?_:_":
            test, then, other = self.boolean(args[0]), self.value(args[1]), self.value(args[2])
            return f"({then} if {test} else {other})"
        if name in ("or", "orValue") and len(args) == 2:
            return self.fallback(node)
        if name == "matches" and isinstance(args[-1], Const) and isinstance(args[-1].value, str):
            return f"{self.regex(args[-1].value)}({self.value(args[0])})"
        values = ", ".join(self.value(arg) for arg in args)
        if name in _OPERATORS:
            return f"{self.helper(_OPERATORS[name])}({values})"
        if name in FUNCTIONS:
            return f"{self.function(name)}({values})"
        return f"{self.helper(faults.unbound)}({name!r})"

    def fallback(self, node: Call) -> str:
        """Writes `a.or(b)` or `a.orValue(b)`, where `b` is evaluated only if needed."""
        self.nested = True
        run = optional.or_else if node.function == "or" else optional.or_value
        return f"{self.helper(run)}({self.value(node.args[0])}, lambda: {self.value(node.args[1])})"

    def regex(self, pattern: str) -> str:
        """Returns the name of the compiled pattern; a wrong one raises when it is used, as CEL says."""
        name = f"cel_rx_{_digest(pattern)}"
        try:
            self.constants[name] = matcher(pattern)
        except EvalError as error:
            return f"{self.helper(faults.fail)}({str(error)!r}).match"
        return name

    def list_node(self, node: ListNode) -> str:
        parts = []
        self.grows |= len(node.elements) > _MANY
        for at, element in enumerate(node.elements):
            text = self.value(element)
            if at in node.optional:
                text = f"*{self.helper(access.spread)}({text})"
            parts.append(text)
        return f"[{', '.join(parts)}]"

    def map_node(self, node: MapNode) -> str:
        parts = []
        self.grows |= len(node.entries) > _MANY
        for key, value, maybe in node.entries:
            if maybe:
                run = self.helper(access.spread_entry)
                parts.append(f"*{run}({self.value(key)}, {self.value(value)})")
            else:
                parts.append(f"({self.value(key)}, {self.value(value)})")
        return f"{self.helper(access.make_map)}([{', '.join(parts)}])"

    def message(self, node: Message) -> str:
        fields = ", ".join(f"({name!r}, {self.value(value)})" for name, value in node.entries)
        return f"{self.helper(messages.construct)}({node.name!r}, [{fields}])"

    def result(self, root: Node, boolean: bool) -> str:
        """Returns the text of a whole expression; what it builds is bounded.

        Args:
            root: The whole expression.
            boolean: Whether any other value than a bool is an error.
        """
        if boolean:
            return self.boolean(root)
        text = self.value(root)
        return f"{self.helper(loops.bounded)}({text})" if self.grows and not self.is_bool(root) else text

    def body(self, root: Node, boolean: bool) -> list[str]:
        """Returns the lines of a function that gives the value of a whole expression, as `result` does."""
        if not isinstance(root, Logic):
            return [f"return {self.result(root, boolean)}"]
        decisive = str(root.word == "_||_")
        check, exhausted = self.helper(logic.boolean), "cel_exhausted"
        self.constants[exhausted] = faults.Exhausted
        lines = ["error = None"]
        for term in root.terms:
            lines += [
                "try:",
                f"    if {check}({self.value(term)}) is {decisive}:",
                f"        return {decisive}",
                f"except {exhausted}:",
                "    raise",
                "except Exception as raised:",
                "    error = error or raised",
            ]
        return [*lines, "if error is not None:", "    raise error", f"return {decisive == 'False'}"]

    # -- macros

    def scoped(
        self, names: tuple[str, ...], node: Node, write: Callable[[Node], str], use: str = "{}"
    ) -> str:
        """Returns a lambda of one argument: the element, or the pair that two names stand for.

        Args:
            names: The macro's variables.
            node: Its body.
            write: Writes the body.
            use: How the argument is read.
        """
        self._count += 1
        argument = f"v{self._count}"
        before = self._locals
        if len(names) == 1:
            self._locals = {**before, names[0]: use.format(argument)}
        else:
            self._locals = {**before, names[0]: f"{argument}[0]", names[1]: f"{argument}[1]"}
        body = write(node)
        self._locals = before
        return f"lambda {argument}: {body}"

    def bind(self, node: Bind) -> str:
        self.nested = self.grows = True
        once = f"{self.helper(loops.Once)}(lambda: {self.value(node.value)})"
        return f"({self.scoped((node.name,), node.body, self.value, '{}()')})({once})"

    def quantifier(self, node: Quantifier) -> str:
        run = {"all": loops.every, "exists": loops.some, "exists_one": loops.just_one}[node.word]
        over = self.over(node)
        return f"{self.helper(run)}(steps, {over}, {self.scoped(node.names, node.body, self.value)})"

    def over(self, node: Quantifier | Build) -> str:
        self.nested = self.loops = self.grows = True
        run = loops.items if len(node.names) == 1 else loops.pairs
        return f"{self.helper(run)}({self.value(node.range)})"

    def build(self, node: Build) -> str:
        over = self.over(node)
        keep = "None" if node.keep is None else self.scoped(node.names, node.keep, self.value)
        value = self.scoped(node.names, node.value, self.value)
        if node.what == "list":
            return f"{self.helper(loops.build_list)}(steps, {over}, {keep}, {value})"
        if node.key is None:
            return f"{self.helper(loops.merge_map)}(steps, {over}, {keep}, {value})"
        key = self.scoped(node.names, node.key, self.value)
        return f"{self.helper(loops.build_map)}(steps, {over}, {keep}, {key}, {value})"


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()[:16]


def _shown(path: str) -> str:
    """Returns a slot's path as people write it: a field of the event by its bare name."""
    return path.removeprefix("event.")
