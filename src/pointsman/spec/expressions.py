"""Compiles the document's expressions in the scope of their place, and tells problems where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pointsman.cel.problems import ExpressionErrors, Problem
from pointsman.cel.program import Program, Scope
from pointsman.cel.program import compile as compile_cel
from pointsman.spec.keys import FIELD_TYPES
from pointsman.spec.node import Node
from pointsman.spec.positions import locate
from pointsman.spec.substitute import scrub
from pointsman.spec.unquoted import quoted

__all__ = ["ROOTS", "Expressions"]

_ALWAYS = {
    "event": "map",
    "metadata": "map",
    "headers": "map",
    "key": "dyn",
    "topic": "string",
    "now": "timestamp",
}
_WORDS = re.compile(r"\w[\w ,.-]*")
"""What looks like a text and not like an expression."""

_RECORD = Scope(
    {name: kind for name, kind in _ALWAYS.items() if name not in ("metadata", "headers")},
    members={"event": {}},
    open="event",
    closed=frozenset(),
)
"""What expressions over a record of another topic see; a bare name is a field of its value."""

_DECISION = Scope(
    {
        **{name: kind for name, kind in _ALWAYS.items() if name != "headers"},
        "decision": "map",
        "result": "map",
    },
    members={name: {} for name in ("event", "metadata", "decision", "result")},
    closed=frozenset(),
)
"""What expressions over a decision record see."""

ROOTS = ("event", "metadata", "headers", "key", "topic", "now", "reply")
"""The names that always exist, and `reply`, which does where a model's outputs are named."""


class Expressions:
    """The names that expressions see, which grow as the document is read, and what was compiled so far.

    Attributes:
        fields: Declared fields and their types; None where any bare name is a field.
        metadata: The metadata fields that stand before, and their types.
        tables: The names of the tables.
        functions: Those of them that are Python functions, which only look-ups read.
        coming: All metadata fields of the document, those that stand further down too.
    """

    def __init__(self) -> None:
        self.coming: frozenset[str] = frozenset()
        self.fields: Mapping[str, str] | None = None
        self.metadata: dict[str, str] = {}
        self.tables: tuple[str, ...] = ()
        self.functions: frozenset[str] = frozenset()
        self._scopes: dict[bool, Scope] = {}
        self._compiled: dict[tuple[int, str, str], Program | None] = {}
        self._kept: list[Node] = []
        self._decisions = False

    def declare(
        self,
        fields: Mapping[str, str] | None,
        tables: tuple[str, ...],
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Sets the names that expressions see from now on."""
        self.fields, self.tables, self.metadata = fields, tables, dict(metadata or {})
        self._scopes.clear()

    @contextmanager
    def over_records(self, *, decisions: bool, here: bool = True) -> Iterator[None]:
        """Within it, expressions see a record of another topic and not the event; where `here` is true.

        Args:
            decisions: Whether the records are decisions: their parts have names of their own.
        """
        before = dict(self._scopes)
        if here:
            self._scopes[False] = _DECISION if decisions else _RECORD
            self._decisions = decisions
        try:
            yield
        finally:
            self._scopes, self._decisions = before, False

    def add(self, name: str, result: str) -> None:
        """Makes a metadata field known to the expressions that follow."""
        self.metadata[name] = result
        self._scopes.clear()

    def scope(self, *, reply: bool = False) -> Scope:
        """The scope of an expression over an event, or over an event and a model's reply."""
        if reply not in self._scopes:
            self._scopes[reply] = self._scope({"reply": "dyn"} if reply else {})
        return self._scopes[reply]

    def _scope(self, more: Mapping[str, str]) -> Scope:
        fields = self.fields or {}
        metadata = {name: kind if kind in FIELD_TYPES else "dyn" for name, kind in self.metadata.items()}
        aliases = {name: ("event", name) for name in fields} | {name: ("metadata", name) for name in metadata}
        return Scope(
            variables={**dict.fromkeys(self.tables, "map"), **_ALWAYS, **more},
            members={"event": fields, "metadata": metadata},
            aliases=aliases,
            open="event" if self.fields is None else None,
        )

    def compile(self, node: Node, over: str, want: str, tell: Callable[..., Any]) -> Program | None:
        """The program of a node's text, or None where it was told what is wrong.

        Args:
            node: A scalar.
            over: The names it sees, as in `config.Expression`.
            want: The type it must have.
            tell: Takes a place, a code, a message, a hint and a severity.
        """
        known = (id(node), over, want)
        if known not in self._compiled:
            self._kept.append(node)  # keeps the id from being given to another node
            self._compiled[known] = self._compile(node, over, want, tell)
        return self._compiled[known]

    def _compile(self, node: Node, over: str, want: str, tell: Callable[..., Any]) -> Program | None:
        try:
            program = compile_cel(
                node.text, self.scope(reply=over == "reply"), None if want == "dyn" else want
            )
        except ExpressionErrors as errors:
            problems = errors.problems
            if node.style == "unquoted":  # what YAML misread was told already
                problems = tuple(
                    one for one in problems if one.code != "E300" and (one.offset or one.code != "E304")
                )
            syntax = [problem for problem in problems if problem.code == "E300"]
            for problem in syntax[:1] or problems:  # what follows a mistake in syntax is its echo
                self._tell(node, problem, tell)
            return None
        for name in sorted(self.functions & {path.partition(".")[0] for path in program.reads}):
            self._direct(node, name, tell)
        program.hidden = tuple((start, end, node.raw[a:b]) for start, end, a, b in node.pieces)
        for problem in program.warnings:
            self._tell(node, problem, tell)
        return program

    def _tell(self, node: Node, problem: Problem, tell: Callable[..., Any]) -> None:
        place = locate(node, problem.offset, problem.length)
        hint = scrub(node, problem.hint)
        if (
            problem.code in ("E300", "E301")
            and node.style in ("single", "double")
            and _WORDS.fullmatch(node.raw)
        ):
            text = quoted(f'"{node.raw}"')
            told = f"{hint}; " if problem.code == "E300" and hint else ""
            hint = f"{told}for the text itself write {text}: YAML takes the outer quotes away"
        name = node.text[problem.offset : problem.offset + problem.length].removeprefix("metadata.")
        if problem.code == "E301" and name.partition(".")[0] in self.coming - set(self.metadata):
            hint = "it is added further down: only what is added before can be used here"
        if problem.code == "E301" and self._decisions:
            hint = f"a decision record has no fields of its own: write event.{name} or metadata.{name}"
        if problem.code == "E300" and node.style == "plain" and "#" in _after(node):
            hint = "YAML takes what follows ' #' for a comment; put the expression in quotes"
        tell(place, problem.code, scrub(node, problem.message), hint, problem.severity)

    def _direct(self, node: Node, name: str, tell: Callable[..., Any]) -> None:
        """Refuses to read a function's rows: what an expression will need cannot be asked for before."""
        found = re.search(rf"\b{name}\b", node.text)
        start = found.start() if found else 0
        tell(
            locate(node, start, len(name)),
            "E240",
            f"the rows of '{name}' come from a Python function: an expression cannot read them",
            f"add a field with enrich: {{FIELD: {{lookup: {name}, key: …, take: …}}}}, and use that field",
            "error",
        )


def _after(node: Node) -> str:
    """What stands behind a plain scalar on its line."""
    rest = node.file.text[node.end : node.end + 200].split("\n", 1)[0]
    return rest if rest.lstrip().startswith("#") else ""
