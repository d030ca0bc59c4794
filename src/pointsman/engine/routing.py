"""Writes the part of the generated function that finds an event's lane: conditions, units and choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pointsman.cel.program import Inline
from pointsman.engine.index import RouteIndex
from pointsman.engine.parts import Parts
from pointsman.engine.policy import RoutePlan

__all__ = ["write_routes"]

CHAIN = 48
"""Up to so many routes are written out one after another; more go through the route index."""


def write_routes(parts: Parts) -> None:
    """Writes what finds the event's lane: routes one after another, or through the index where many."""
    write = parts.code.write
    if any(route.strategy.sticky for route in parts.routes):
        write("unit = None")
    if len(parts.routes) <= CHAIN:
        with write.block("while True:"):
            for route in parts.routes:
                _tried(parts, route)
                if route.when is None and route.python is None:
                    break
            else:
                write("lane = out.unmatched(batch, i, ident, errors)", "break")
    else:
        _indexed(parts)
    with write.block("if lane is None:"):
        write("continue")


def _tried(parts: Parts, route: RoutePlan) -> None:
    """One route written out."""
    code, write = parts.code, parts.code.write
    if route.when is None and route.python is None:
        write(*_taken(parts, route, "default"))
        return
    inline = _condition(parts, route)
    taken = ["    " + line for line in _taken(parts, route, "rule")]
    failed = [f"errors = (errors or Errors()).note({'routes.' + route.name!r}, x)"]
    failed += _on_error(parts, route)
    exact = None if inline.exact is None else [f"if {inline.exact}:", *taken]
    write(*code.guarded([f"if {inline.fast}:", *taken], exact, failed))


def _on_error(parts: Parts, route: RoutePlan) -> list[str]:
    if route.on_error == "match":
        return _taken(parts, route, "on_error")
    if route.on_error == "dead_letter":
        return [f"lane = out.rule_error(batch, i, ident, {route.name!r}, x)", "break"]
    return []


def _condition(parts: Parts, route: RoutePlan) -> Inline:
    code = parts.code
    if route.python is not None:
        return Inline(
            f"verdict({code.bind(f'python{route.number}', route.python)}([{parts.enriched()}]))", None, {}
        )
    assert route.when is not None
    inline = code.inline(route.when)
    if route.when.result == "bool":
        return inline
    return Inline(f"bool_of({inline.fast})", inline.exact and f"bool_of({inline.exact})", {})


def _taken(parts: Parts, route: RoutePlan, reason: str) -> list[str]:
    """The lines that settle the lane of a route that was taken."""
    code, name = parts.code, f"lanes{route.number}_{reason}"
    lanes = parts.lanes(route, reason)
    if not route.strategy.sticky:
        lane = lanes.add(route.strategy.choose(""))
        return [f"lane = {code.bind(f'lane{route.number}_{reason}', lane)}", "break"]
    code.bind(name, lanes)
    choose = code.bind(f"choose{route.number}", route.strategy.choose)
    return [
        *_unit(parts, route),
        f"choice = {choose}(unit)",
        f"lane = {name}.get(id(choice)) or {name}.add(choice)",
        "break",
    ]


def _unit(parts: Parts, route: RoutePlan) -> list[str]:
    """The lines that find what sticks; without a value it is the record's key, and that is noted."""
    if route.unit is None:
        return ["unit = unit_of(okey, ident)"]
    form = "unit = v if (v := {}).__class__ is str else id_of(v)"
    inline = parts.code.inline(route.unit)
    failed = [
        f"errors = (errors or Errors()).note({'routes.' + route.name + '.unit'!r}, x)",
        "unit = unit_of(okey, ident)",
    ]
    return parts.code.guarded(form.format(inline.fast), inline.exact and form.format(inline.exact), failed)


def _indexed(parts: Parts) -> None:
    """Many routes: the index names those that can match, each tried by a function of its own."""
    code, write = parts.code, parts.code.write
    every = [*code.slots.fields.values(), *code.slots.metadata.values(), *code.slots.roots.values()]
    every += ["whole"] if code.slots.whole_event else []
    args = ", ".join(dict.fromkeys(every))
    index = RouteIndex([route.when if route.python is None else None for route in parts.routes])
    code.bind("candidates", index.candidates)
    tries: list[str | None] = []
    exacts: list[str | None] = []
    for route in parts.routes:
        if route.when is None or route.python is not None:
            tries.append(None)
            exacts.append(None)
            continue
        inline = _condition(parts, route)
        tries.append(f"lambda {args}: {inline.fast}")
        exacts.append(inline.exact and f"lambda {args}: {inline.exact}")
    code.bind("tries", _compiled(tries, code.names))
    code.bind("exacts", _compiled(exacts, code.names))
    code.bind("routes", parts.routes)
    reasons = ("rule", "default", "on_error")
    code.bind(
        "lanes", {(route.number, why): parts.lanes(route, why) for route in parts.routes for why in reasons}
    )
    paths = code.slots.paths()
    looked = ", ".join(paths[path] for path in index.paths)
    with write.block(f"for number in candidates({looked}):"):
        write("route = routes[number]", "reason = 'rule'")
        write(*_test_one(parts, args))
        if any(route.strategy.sticky for route in parts.routes):
            with write.block("if route.strategy.sticky:"):
                write("unit = unit_of(okey, ident)")
                with write.block("if route.unit is not None:"):
                    found = f"unit = id_of(route.unit.evaluate({parts.context()}))"
                    noted = "errors = (errors or Errors()).note(f'routes.{route.name}.unit', x)"
                    write(*code.guarded(found, None, [noted]))
            write("choice = route.strategy.choose(unit)")
        else:
            write("choice = route.strategy.choose('')")
        write("taken = lanes[number, reason]", "lane = taken.get(id(choice)) or taken.add(choice)", "break")
    with write.block("else:"):
        write("lane = out.unmatched(batch, i, ident, errors)")


def _test_one(parts: Parts, args: str) -> list[str]:
    """The lines that go on to the next candidate unless `route` is taken; they settle `reason`."""
    return parts.code.guarded(
        [
            "test = tries[number]",
            "if test is not None:",
            f"    if not test({args}):",
            "        continue",
            "elif route.python is not None:",
            f"    if not verdict(route.python([{parts.enriched()}])):",
            "        continue",
            "else:",
            "    reason = 'default'",
        ],
        [
            "test = exacts[number]",
            "if test is None:",
            "    raise",
            f"if not test({args}):",
            "    continue",
        ],
        [
            "errors = (errors or Errors()).note('routes.' + route.name, x)",
            "if route.on_error == 'next':",
            "    continue",
            "if route.on_error == 'dead_letter':",
            "    lane = out.rule_error(batch, i, ident, route.name, x)",
            "    break",
            "reason = 'on_error'",
        ],
    )


def _compiled(texts: Sequence[str | None], names: dict[str, Any]) -> list[Any]:
    body = ",\n".join(text or "None" for text in texts)
    return list(eval(compile(f"[\n{body}\n]", "<routes>", "eval"), names))  # text of our own making
