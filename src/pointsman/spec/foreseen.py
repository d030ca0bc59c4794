"""Which metadata is known before a batch is decided, so that a table's Python function can be asked first.

The function is asked once for all the keys that a batch will look up, and deciding never waits. So the key of
such a look-up may use the event, expressions and other look-ups, but nothing that is only known while events
are decided in order, such as a window.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pointsman.cel.program import Program
from pointsman.spec.document import Enrich
from pointsman.spec.node import Node
from pointsman.spec.read import Reader

__all__ = ["lookups_ahead", "unforeseen"]

_FORESEEN = ("expr", "lookup")
"""The enrichers whose fields depend on nothing but the event and the tables."""


def lookups_ahead(enrich: Sequence[Enrich], functions: Collection[str]) -> list[Enrich]:
    """The look-ups in `functions` and the fields that their keys are made of, in the document's order.

    Args:
        enrich: All metadata fields.
        functions: The tables that are Python functions.
    """
    by_field = {one.field: one for one in enrich}
    wanted = [one for one in enrich if getattr(one.config, "lookup", None) in functions]
    needed: dict[str, Enrich] = {}
    while wanted:
        one = wanted.pop()
        needed[one.field] = one
        wanted += [by_field[name] for name in _fields_read(one, by_field) if name not in needed]
    return [one for one in enrich if one.field in needed]


def unforeseen(reader: Reader, node: Node, made: Enrich, before: Iterable[Enrich]) -> None:
    """Refuses the key of a look-up in a Python function that is not known before the batch is decided."""
    if getattr(made.config, "lookup", None) not in reader.expressions.functions:
        return
    fields = {one.field: one for one in before}
    left, seen = _fields_read(made, fields), set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        if fields[name].enricher not in _FORESEEN:
            reader.tell(
                node.members.get("key", node),
                "E241",
                f"the key needs '{name}', which is known only while the event is decided, and the function "
                f"of '{made.config.lookup}' is asked before",
                "make the key of fields of the event, expressions and look-ups",
            )
            return
        left += _fields_read(fields[name], fields)


def _fields_read(one: Enrich, known: Mapping[str, Enrich]) -> list[str]:
    """The metadata fields that an enricher reads."""
    found: list[str] = []
    for name in ("expr", "key"):
        program = getattr(one.config, name, None)
        if not isinstance(program, Program):
            continue
        for path in program.reads:
            root, _, member = path.partition(".")
            if root == "metadata":
                found += [member.partition(".")[0]] if member else list(known)
    return [name for name in found if name in known]
