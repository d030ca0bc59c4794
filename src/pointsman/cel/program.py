"""One expression, from text to Python: compile it, inline it, evaluate it, explain it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pointsman.base.errors import EvalError, ModelError
from pointsman.cel.check import Checker, Rejected
from pointsman.cel.complaints import translate
from pointsman.cel.fields import fit
from pointsman.cel.kinds import kind_of
from pointsman.cel.lint import lint
from pointsman.cel.problems import ExpressionErrors, Problem
from pointsman.cel.pythonisms import CONSTANTS
from pointsman.cel.render import Exact, Function
from pointsman.cel.render_fast import Fast
from pointsman.cel.resolve import NAMESPACES, TYPES, Logic, Slot, World, children, names_in, resolve
from pointsman.cel.tokens import limits, too_deep
from pointsman.cel.tree import Call, Const, ListNode, Node, Tree
from pointsman.cel.values import MISSING

__all__ = ["Inline", "Program", "Scope", "Step", "compile", "describe"]


@dataclass(frozen=True)
class Scope:
    """The names that an expression may use.

    Attributes:
        variables: Root name → type: `string int double bool timestamp bytes list map dyn`.
        members: Root → its declared members and their types. The static members of a root named here, even
            with
            no member declared, are slots of their own: `event.amount`. Other roots are read whole.
        aliases: Bare name → (root, member).
        open: The root to which an undeclared bare name resolves; None where that is a mistake.
        closed: Roots that have no other members than the declared ones.
    """

    variables: Mapping[str, str]
    members: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    open: str | None = None
    closed: frozenset[str] = frozenset({"metadata"})

    @cached_property
    def world(self) -> World:
        """What the names stand for."""
        members = dict(self.members)
        if self.open is not None:
            members.setdefault(self.open, {})
        aliases = {
            name: path
            for name, path in self.aliases.items()
            if name not in self.variables and name not in TYPES and name.isidentifier() and name.isascii()
        }
        return World(self.variables, members, aliases)

    @cached_property
    def names(self) -> dict[str, str]:
        """Every name and the type that the library is told."""
        told = {name: _TOLD.get(kind, "dyn") for name, kind in self.variables.items()}
        return {**dict.fromkeys(self.world.aliases, "dyn"), **told}


_TOLD: Final = {
    "string": "string",
    "timestamp": "timestamp",
    "bytes": "bytes",
    "list": "list(dyn)",
    "map": "map(string,dyn)",
}
"""Types that JSON tells apart; numbers are `dyn` to the library, and so is what may be null."""


@dataclass(slots=True)
class Inline:
    """An expression as text for a generated function.

    Attributes:
        fast: A Python expression over the slots' locals: right, or it raises.
        exact: The expression to evaluate after `fast` raised; None where it could only raise again.
        constants: Names in both texts besides the slots, for the generated function's globals. A name stands
            for
            the same thing in every program.
    """

    fast: str
    exact: str | None
    constants: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One part of an expression and what came of it.

    Attributes:
        offset: Characters before the part, from 0.
        text: The part as written.
        value: What it gave; None where `error` is set.
        error: Why it gave nothing; empty where it did.
        names: The values of the slots in it, by path; `MISSING` where there is none.
    """

    offset: int
    text: str
    value: Any
    error: str
    names: dict[str, Any]


class Program:
    """A compiled expression.

    Attributes:
        text: As written.
        result: The kind of value it gives, or `dyn` where that is not certain before the event is there.
        reads: The slots it uses: `event.amount` for a member, `event` for a whole root.
        equalities: Top-level `&&` terms `path == "a"` and `path in ["a", "b"]`, as (path, constants): if the
            slot
            holds another string, the whole is false.
        warnings: What the lint finds odd without refusing it.
        hidden: Parts of the text that may be secret: start, end, and what people are shown in their place.
    """

    hidden: tuple[tuple[int, int, str], ...] = ()

    def __init__(self, text: str, root: Node, want: str | None, warnings: tuple[Problem, ...] = ()) -> None:
        self.text = text
        self.root = root
        self.warnings = warnings
        self.result = kind_of(root, {})
        self._want = want
        self._slots = {slot.path: slot.kind for slot in _slots(root)}
        self.reads = frozenset(self._slots)
        self.equalities = tuple(_equalities(root))

    def shown(self, start: int = 0, end: int | None = None) -> str:
        """Returns the text between two offsets as people may read it."""
        parts, at, end = [], start, len(self.text) if end is None else end
        for first, last, name in self.hidden:
            if at < last and first < end:
                parts += [self.text[at:first], name]
                at = last
        return "".join([*parts, self.text[at:end]])

    def inline(self, slots: Mapping[str, str]) -> Inline:
        """Returns the expression as text over the locals that hold the slots.

        Args:
            slots: Every path in `reads` → the name of a local.
        """
        fast = Fast(slots)
        text = fast.result(self.root, self._want == "bool")
        constants = fast.constants
        if fast.nested:  # lambdas would make cells of the host's locals: a function of its own instead
            fast = Fast(self._parameters)
            text, constants = self._wrapped(fast, slots)
        exact, more = (
            self._wrapped(Exact(self._parameters), slots) if self.reads or fast.nested else (None, {})
        )
        return Inline(text, exact, constants | more)

    @cached_property
    def _parameters(self) -> dict[str, str]:
        return {path: f"s{number}" for number, path in enumerate(sorted(self.reads))}

    def _wrapped(self, writer: Exact, slots: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """Returns the call of a function that holds the expression, and the constants with that function."""
        function = _function(writer, self.root, self._parameters.values(), self._want == "bool")
        name = function.name
        arguments = ", ".join(slots[path] for path in self._parameters)
        return f"{name}({arguments})", {name: function}

    @cached_property
    def _exact(self) -> Function:
        return _function(Exact(self._parameters), self.root, self._parameters.values(), self._want == "bool")

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """Returns the value for these names, by root; raises `EvalError` where there is none."""
        try:
            return self._exact(*self._values(names).values())
        except EvalError:
            raise
        except Exception as error:
            raise EvalError(describe(error)) from error

    def _values(self, names: Mapping[str, Any]) -> dict[str, Any]:
        return {path: _lookup(names, path, self._slots[path]) for path in self._parameters}

    def trace(self, names: Mapping[str, Any]) -> list[Step]:
        """Returns the conditions inside, each with what it gave for these names."""
        from pointsman.cel.spans import spans

        values = self._values(names)
        where = spans(self.text, self.root)
        steps = []
        for leaf in _leaves(self.root):
            start, end = where[leaf.id]
            run = _function(Exact(self._parameters), leaf, self._parameters.values(), False)
            value, error = None, ""
            try:
                value = run(*values.values())
            except Exception as raised:
                error = describe(raised)
            used = {slot.path: values[slot.path] for slot in _slots(leaf)}
            steps.append(Step(start, self.shown(start, end), value, error, used))
        return steps


def compile(  # noqa: A001  # CEL has no other word for it, and callers import it by name
    text: str, scope: Scope, want: str | None = None
) -> Program:
    """Returns the compiled expression.

    Args:
        text: CEL.
        scope: The names it may use.
        want: The type it must give: `bool`, `string`, …; None where any will do. With `bool`, any other value
            at
            run time is an error.

    Raises:
        ExpressionErrors: With every mistake found.
    """
    problem = limits(text)
    if problem is not None:
        raise ExpressionErrors(text, [problem])
    tree, world = _check(text, scope)
    try:
        root = resolve(tree, world)
        problems = lint(text, root, world.members, scope.closed, want)
        errors = [problem for problem in problems if problem.severity == "error"]
        if errors:
            raise ExpressionErrors(text, errors)
        return Program(text, root, want, tuple(problems))
    except RecursionError:
        raise ExpressionErrors(text, [too_deep()]) from None


def _check(text: str, scope: Scope) -> tuple[Tree, World]:
    """Returns the tree, and the world with what undeclared names stand for in an open scope."""
    try:
        return Checker(scope.names).check(text), scope.world
    except Rejected as rejected:
        refused = rejected
    world = scope.world
    if scope.open is not None and any("undeclared" in words for _, words in refused.complaints):
        known = {*scope.names, *NAMESPACES, *TYPES, *CONSTANTS}
        try:
            free = names_in(Checker(scope.names).parse(text)) - known
            fresh = {name: (scope.open, name) for name in free}
            world = World(world.variables, world.members, {**world.aliases, **fresh})
            return Checker({**scope.names, **dict.fromkeys(fresh, "dyn")}).check(text), world
        except Rejected as rejected:
            refused = rejected
    raise ExpressionErrors(text, translate(text, refused, scope.variables, world.aliases))


def describe(error: BaseException) -> str:
    """Returns one short sentence for a person: why an expression has no value."""
    if isinstance(error, EvalError | ModelError):
        return str(error)
    if isinstance(error, KeyError):
        return f"no such key: {error.args[0] if error.args else ''}"
    if isinstance(error, RecursionError):
        return "the value is nested too deeply"
    if isinstance(error, MemoryError):
        return "the expression needs too much memory"
    return f"the values do not fit the expression: {error}"


def _function(writer: Exact, root: Node, parameters: Any, boolean: bool) -> Function:
    lines = writer.body(root, boolean)
    if writer.loops:
        lines.insert(0, writer.steps())
    body = f"({', '.join(parameters)}):\n" + "".join(f"    {line}\n" for line in lines)
    name = "cel_" + hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()[:20]
    return Function(name, f"def {name}{body}", writer.constants)


def _lookup(names: Mapping[str, Any], path: str, declared: str) -> Any:
    if path in names:
        return fit(names[path], declared, path)
    root, _, member = path.partition(".")
    if not member or root not in names:
        return MISSING
    inside = names[root]
    value = inside.get(member, MISSING) if isinstance(inside, Mapping) else MISSING
    return fit(value, declared, member)


def _slots(node: Node) -> list[Slot]:
    if isinstance(node, Slot):
        return [node]
    return [slot for child in children(node) for slot in _slots(child)]


def _leaves(node: Node) -> list[Node]:
    """Returns the conditions that `&&`, `||`, `!` and `? :` combine."""
    if isinstance(node, Logic) or (isinstance(node, Call) and node.function in ("!_", "_?_:_")):
        return [leaf for child in children(node) for leaf in _leaves(child)]
    return [] if isinstance(node, Const) else [node]


def _equalities(root: Node) -> list[tuple[str, frozenset[str]]]:
    terms = root.terms if isinstance(root, Logic) and root.word == "_&&_" else [root]
    found = []
    for term in terms:
        if not (isinstance(term, Call) and len(term.args) == 2):
            continue
        left, right = term.args
        if term.function == "_==_" and isinstance(left, Const):
            left, right = right, left
        if not isinstance(left, Slot):
            continue
        if term.function == "_==_" and isinstance(right, Const) and right.value.__class__ is str:
            found.append((left.path, frozenset({right.value})))
        elif term.function == "@in" and isinstance(right, ListNode) and not right.optional:
            values = [part.value for part in right.elements if isinstance(part, Const)]
            if len(values) == len(right.elements) and all(value.__class__ is str for value in values):
                found.append((left.path, frozenset(values)))
    return found
