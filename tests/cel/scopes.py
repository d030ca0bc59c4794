"""A scope as a pipeline of payments has it, and how a host inlines a program."""

from typing import Any

from pointsman.cel.program import Program, Scope
from pointsman.cel.values import MISSING

FIELDS = {
    "amount": "double",
    "count": "int",
    "location": "string",
    "flag": "bool",
    "ts": "timestamp",
    "tags": "list",
}
ROOTS = {
    "event": "map",
    "metadata": "map",
    "headers": "map",
    "key": "dyn",
    "topic": "string",
    "now": "timestamp",
}

TYPED = Scope(
    variables={**ROOTS, "customers": "map"},
    members={"event": FIELDS, "metadata": {"risk_level": "string"}},
    aliases={
        **{name: ("event", name) for name in FIELDS},
        "risk_level": ("metadata", "risk_level"),
    },
)
OPEN = Scope(variables=ROOTS, members={"event": {}, "metadata": {}}, open="event")


def fast(program: Program, values: dict[str, Any]) -> Any:
    """Returns what the fast form gives for slots' values by path, as a host would evaluate it."""
    slots = {path: path.replace(".", "_") for path in program.reads}
    inline = program.inline(slots)
    space = dict(inline.constants)
    space.update({local: values.get(path, MISSING) for path, local in slots.items()})
    return eval(inline.fast, space)


def exact(program: Program, values: dict[str, Any]) -> Any:
    """Returns what the exact form gives, as a host would evaluate it after the fast one raised."""
    slots = {path: path.replace(".", "_") for path in program.reads}
    inline = program.inline(slots)
    assert inline.exact is not None
    space = dict(inline.constants)
    space.update({local: values.get(path, MISSING) for path, local in slots.items()})
    return eval(inline.exact, space)
