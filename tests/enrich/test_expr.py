"""A metadata field that is an expression."""

from __future__ import annotations

from pointsman.cel import program as cel
from pointsman.enrich.expr import Expr


def test_the_input_is_the_value() -> None:
    """The engine evaluates the expression itself; there is nothing to call."""
    program = cel.compile('amount > 5.0 ? "high" : "low"', cel.Scope({"amount": "double"}))
    enricher = Expr.from_config(Expr.Config(expr=program))
    assert enricher.inputs == (program,)
    assert enricher.bind({}) is None


def test_it_knows_the_type_of_what_it_adds() -> None:
    """Later expressions are checked against the type of the field."""
    assert Expr(cel.compile('"a" + "b"', cel.Scope({}))).result == "string"
