"""Names become slots, macros become loops: the tree that the lint and the renderer read.

The library hands over macros as folds with an accumulator, names as text, and chains of `&&` as a balanced
tree. Here each gets its own node again. A *slot* is a value that the host hands in: a root such as `now`, or
a member of a root such as `event.amount`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pointsman.cel.tree import Call, Const, Fold, ListNode, MapNode, Message, Name, Node, Select, Tree
from pointsman.cel.values import TypeValue

__all__ = [
    "NAMESPACES",
    "TYPES",
    "Bind",
    "Build",
    "Has",
    "Local",
    "Logic",
    "OptionalSlot",
    "Quantifier",
    "Slot",
    "Unknown",
    "World",
    "children",
    "names_in",
    "resolve",
]

TYPES: Final = (
    "bool",
    "bytes",
    "double",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
    "optional_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
)
"""The types that are values: `type(x) == int`."""


@dataclass(slots=True)
class Slot(Node):
    """A value that the host hands in; `kind` is its declared type."""

    path: str
    kind: str


@dataclass(slots=True)
class Has(Node):
    """Whether a slot has a value."""

    slot: Slot


@dataclass(slots=True)
class OptionalSlot(Node):
    """`event.?x`: the slot's value, or none where it is missing."""

    slot: Slot


@dataclass(slots=True)
class Local(Node):
    """A macro's variable."""

    name: str


@dataclass(slots=True)
class Unknown(Node):
    """A name without a value, in an expression that was not checked."""

    name: str


@dataclass(slots=True)
class Logic(Node):
    """A whole chain of `&&` or of `||`."""

    word: str
    terms: list[Node]


@dataclass(slots=True)
class Bind(Node):
    """`cel.bind(name, value, body)`, and `optMap`'s inside."""

    name: str
    value: Node
    body: Node


@dataclass(slots=True)
class Quantifier(Node):
    """`all`, `exists` or `exists_one` over the elements or keys of `range`."""

    word: str
    names: tuple[str, ...]
    range: Node
    body: Node


@dataclass(slots=True)
class Build(Node):
    """`map`, `filter` and the transforms: a new list, or a map where `key` or `entry` is meant.

    Attributes:
        what: `list`, `map` (with `key` and `value`) or `entries` (where `value` is a map to merge).
    """

    what: str
    names: tuple[str, ...]
    range: Node
    keep: Node | None
    key: Node | None
    value: Node


@dataclass(frozen=True, slots=True)
class World:
    """What names stand for.

    Attributes:
        variables: Root name → declared type; roots may be qualified names.
        members: Split roots: their static members are slots of their own, with these types.
        aliases: Bare name → (root, member).
        container: The namespace that unchecked names are looked up in.
    """

    variables: Mapping[str, str]
    members: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    container: str = ""

    def slot(self, node: Node, root: str, member: str, at: int | None = None) -> Slot:
        """Returns the slot of a split root's member; `at` is where the root's name stands, if it does."""
        kind = self.members.get(root, {}).get(member, "dyn")
        return Slot(node.id, node.at if at is None else at, f"{root}.{member}", kind)


def children(node: Node) -> tuple[Node, ...]:
    """Returns the nodes directly inside, in the order of evaluation."""
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return tuple(node.args)
        case Logic():
            return tuple(node.terms)
        case ListNode():
            return tuple(node.elements)
        case MapNode():
            return tuple(part for key, value, _ in node.entries for part in (key, value))
        case Message():
            return tuple(value for _, value in node.entries)
        case Bind():
            return (node.value, node.body)
        case Quantifier():
            return (node.range, node.body)
        case Build():
            return tuple(part for part in (node.range, node.keep, node.key, node.value) if part)
        case Has() | OptionalSlot():
            return (node.slot,)
    return ()


def names_in(tree: Tree) -> set[str]:
    """Returns every name in a tree that is not resolved yet, macros' variables included."""
    names: set[str] = set()
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Name):
            names.add(node.name)
        elif isinstance(node, Fold):
            waiting += [node.range, node.init, node.condition, node.step, node.result]
        else:
            waiting += children(node)
    return names


def resolve(tree: Tree, world: World) -> Node:
    """Returns the tree's root with names, macros and chains resolved."""
    return _Resolver(world, tree.checked).node(tree.root, frozenset())


@dataclass(slots=True)
class _Resolver:
    world: World
    checked: bool

    def node(self, node: Node, local: frozenset[str]) -> Node:
        match node:
            case Name():
                return self.name(node, node.name, local)
            case Select():
                return self.select(node, local)
            case Call():
                return self.call(node, local)
            case ListNode():
                node.elements = [self.node(element, local) for element in node.elements]
            case MapNode():
                node.entries = [
                    (self.node(key, local), self.node(value, local), optional)
                    for key, value, optional in node.entries
                ]
            case Message():
                node.entries = [(name, self.node(value, local)) for name, value in node.entries]
            case Fold():
                return self.fold(node, local)
        return node

    # -- names

    def name(self, node: Node, name: str, local: frozenset[str]) -> Node:
        if name in local:
            return Local(node.id, node.at, name)
        return self.qualified(node, name) or Unknown(node.id, node.at, name)

    def qualified(self, node: Node, name: str) -> Node | None:
        """Returns what a full name stands for, looked up from the container outwards."""
        prefix = "" if self.checked or name.startswith(".") else self.world.container
        name = name.removeprefix(".")
        while True:
            full = f"{prefix}.{name}" if prefix else name
            if full in self.world.aliases:
                return self.world.slot(node, *self.world.aliases[full])
            if full in self.world.variables:
                return Slot(node.id, node.at, full, self.world.variables[full])
            if full in TYPES:
                return Const(node.id, node.at, TypeValue(full))
            if not prefix:
                return None
            prefix = prefix.rpartition(".")[0]

    def select(self, node: Select, local: frozenset[str]) -> Node:
        if not node.test:
            dotted = _dotted(node)
            if dotted is not None and dotted.removeprefix(".").split(".")[0] not in (
                local if not dotted.startswith(".") else ()
            ):
                found = self.qualified(node, dotted)
                if found is not None:
                    return found
        operand = self.node(node.operand, local)
        if isinstance(operand, Slot) and operand.path in self.world.members:
            slot = self.world.slot(node, operand.path, node.field, operand.at)
            return Has(node.id, node.at, slot) if node.test else slot
        node.operand = operand
        return node

    # -- calls

    def call(self, node: Call, local: frozenset[str]) -> Node:
        if node.function in ("_&&_", "_||_"):
            return Logic(node.id, node.at, node.function, self.chain(node, local))
        if node.member and not self.checked:  # `base64.encode(x)` reads as a method when unchecked
            dotted = _dotted(node.args[0])
            if dotted is not None and dotted in NAMESPACES:
                rest = [self.node(arg, local) for arg in node.args[1:]]
                return Call(node.id, node.at, f"{dotted}.{node.function}", rest, False)
        node.args = [self.node(arg, local) for arg in node.args]
        return self.member_of_slot(node) or node

    def member_of_slot(self, node: Call) -> Node | None:
        """Returns the slot or its test where the call reads one static member of a split root."""
        if node.function == "@in":
            key, root = node.args
        elif node.function in ("_[_]", "_?._", "_[?_]"):
            root, key = node.args
        else:
            return None
        if not (isinstance(root, Slot) and root.path in self.world.members):
            return None
        if not (isinstance(key, Const) and isinstance(key.value, str)):
            return None
        slot = self.world.slot(node, root.path, key.value, root.at)
        if node.function == "_[_]":
            return slot
        if node.function == "@in":
            return Has(node.id, node.at, slot)
        return OptionalSlot(node.id, node.at, slot)

    def chain(self, node: Call, local: frozenset[str]) -> list[Node]:
        terms: list[Node] = []
        for arg in node.args:
            if isinstance(arg, Call) and arg.function == node.function:
                terms.extend(self.chain(arg, local))
            else:
                terms.append(self.node(arg, local))
        return terms

    # -- macros

    def fold(self, node: Fold, local: frozenset[str]) -> Node:
        made = (node.id, node.at)
        if node.var == "#unused":
            inner = local | {node.accu}
            return Bind(*made, node.accu, self.node(node.init, local), self.node(node.result, inner))
        names = (node.var, node.var2) if node.var2 else (node.var,)
        outer = self.node(node.range, local)
        inner = local | set(names)
        step, init = node.step, node.init
        assert isinstance(step, Call), "every macro's step is a call"
        if isinstance(init, Const):
            if step.function == "_?_:_":
                return Quantifier(*made, "exists_one", names, outer, self.node(step.args[0], inner))
            word = "all" if init.value is True else "exists"
            return Quantifier(*made, word, names, outer, self.node(step.args[1], inner))
        keep = None
        if step.function == "_?_:_":
            keep = self.node(step.args[0], inner)
            step = step.args[1]
            assert isinstance(step, Call), "a filter chooses between two steps"
        if step.function == "_+_":
            (element,) = step.args[1].elements  # type: ignore[attr-defined]  # a macro adds a list of one
            return Build(*made, "list", names, outer, keep, None, self.node(element, inner))
        parts = [self.node(arg, inner) for arg in step.args[1:]]
        if len(parts) == 1:
            return Build(*made, "entries", names, outer, keep, None, parts[0])
        return Build(*made, "map", names, outer, keep, parts[0], parts[1])


NAMESPACES: Final = frozenset({"base64", "math", "optional", "strings", "cel"})
"""Words in front of a dot that are part of a function's name."""


def _dotted(node: Node) -> str | None:
    """Returns `a.b.c` for a chain of names, None for anything else."""
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Select) and not node.test:
        inner = _dotted(node.operand)
        return None if inner is None else f"{inner}.{node.field}"
    return None
