"""Expressions and values made to hurt: an error in bounded time and memory, at compile or at evaluation."""

import resource

import pytest
from tests.cel.scopes import OPEN

from pointsman.base.errors import EvalError
from pointsman.cel.problems import ExpressionErrors
from pointsman.cel.program import compile as cel


def nested(head, inside, tail, depth):
    return "".join(head.format(i=i, j=i - 1) for i in range(depth)) + inside + tail * depth


@pytest.fixture(autouse=True)
def _memory_stays():
    """No test of this file takes 200 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "1" + ")" * 10_000,
        "(" * 5_000 + "1" + ")" * 5_000,
        "[" * 9_000,
        "!" * 19_000 + "x",
        "-" * 19_000 + "x",
        "x" + ".a" * 9_000,
        "x" + "[0]" * 6_000,
        "x ? x : " * 2_000 + "x",
        "+".join(["x"] * 5_000),
        "1+" * 500_000 + "1",
        '"' + "a" * 1_000_000 + '"',
        "{" * 500,
        "x.all(y, " * 500,
        '"\0"',
        '"\ud800"',
        'x.matches("((a{1,100}){1,100}){1,100}")',
    ],
    ids=lambda text: text[:12],
)
def test_text_is_refused(text):
    """Too long, too deep, or no text at all."""
    with pytest.raises(ExpressionErrors) as raised:
        cel(text, OPEN)
    assert raised.value.problems[0].code in ("E300", "E305", "E306")


TEN = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"


@pytest.mark.parametrize(
    "text",
    [
        nested(TEN + ".all(a{i}, ", "true", ")", 12),
        nested(TEN + ".map(a{i}, ", "1", ")", 12),
        "cel.bind(b, x, " + nested("cel.bind(b, b + b, ", "b", ")", 28) + ")",
        "cel.bind(b, {'a': 1}, " + nested("cel.bind(b, {{'a': b, 'b': b}}, ", "b", ")", 28) + ")",
        "cel.bind(b, [1], " + nested("cel.bind(b, [b, b], ", "b", ")", 28) + ")",
        "cel.bind(b, [1], " + nested("cel.bind(b, [b, b], ", "b == b", ")", 28) + ")",
        "cel.bind(b, [1], " + nested("cel.bind(b, [b, b], ", "'%s'.format([b])", ")", 28) + ")",
        "x" + ".replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 20,
        "l.map(i, l.map(j, x).join('')).join('')",
        "l.map(i, x)",
        "x.split('')",
        "'%.1001f'.format([1.0])",
    ],
    ids=lambda text: text[:24],
)
def test_work_is_bounded(text):
    """What multiplies itself runs out of its budget of steps, elements or characters."""
    program = cel(text, OPEN)
    event = {"x": "a" * 2_000_000, "l": list(range(1_000))}
    with pytest.raises(EvalError):
        program.evaluate({"event": event})


def test_an_exhausted_budget_is_not_absorbed():
    """`|| true` does not hide that an expression takes too long."""
    program = cel(nested(TEN + ".all(a{i}, ", "true", ")", 8) + " || true", OPEN)
    with pytest.raises(EvalError, match="steps"):
        program.evaluate({"event": {}})


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|a)*$", "(.*)(.*)(.*)(.*)(.*)x", "(a?){500}a{500}"])
def test_regular_expressions_take_linear_time(pattern):
    """Patterns that take Python's own engine for ever take RE2 a moment."""
    program = cel(f'x.matches("{pattern}")', OPEN)
    assert program.evaluate({"event": {"x": "a" * 20_000 + "b"}}) is ("500" in pattern)


def test_deep_values_are_an_error():
    """Comparing values nested beyond Python's own depth says so."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    program = cel("x == y", OPEN)
    with pytest.raises(EvalError, match="nested too deeply"):
        program.evaluate({"event": {"x": deep, "y": [deep]}})
    while deep:  # taken apart by hand: freeing it at once would recurse as deep
        deep = deep.pop()


@pytest.mark.parametrize(
    "text", ["int(x)", "double(x)", "timestamp(x)", "duration(x)", "uint(x)", "base64.decode(x)"]
)
def test_long_text_is_not_converted(text):
    """A megabyte of digits is no number."""
    with pytest.raises(EvalError):
        cel(text, OPEN).evaluate({"event": {"x": "9" * 1_000_001}})


def test_the_deepest_text_that_is_read_compiles():
    """What the limit lets through is also written as Python that Python reads."""
    for text in ("(x > 1) == (" * 15 + "true" + ")" * 15, "[" * 31 + "x" + "]" * 31, "x ? x : " * 30 + "x"):
        program = cel(text, OPEN)
        assert program.inline(dict.fromkeys(program.reads, "s")).fast
        program.evaluate({"event": {"x": True}}) if "?" in text or "[" in text else None
