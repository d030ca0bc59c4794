"""What hosts rely on: reads, inlined text, evaluation, traces."""

import contextlib
import subprocess
import sys

import pytest
from tests.cel.scopes import OPEN, TYPED, exact, fast

from pointsman.base.errors import EvalError
from pointsman.cel.program import compile as cel
from pointsman.cel.program import describe
from pointsman.cel.values import MISSING, Mistyped, Timestamp, Uint


def run(text, event=None, scope=TYPED, want=None, **names):
    return cel(text, scope, want).evaluate({"event": event or {}, **names})


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("amount > 1", {"event.amount"}),
        ("event.amount > 1", {"event.amount"}),
        ('event["amount"] > 1', {"event.amount"}),
        ('event.?amount.orValue(0.0) > 1 && "x" in event', {"event.amount", "event.x"}),
        ("has(event.a.b) && event.c[0] == 1", {"event.a", "event.c"}),
        ("event[topic] == 1", {"event", "topic"}),
        ("size(event) > 2", {"event"}),
        ('risk_level == "high" && metadata.risk_level != "low"', {"metadata.risk_level"}),
        ("customers[location].segment == key", {"customers", "event.location", "key"}),
        ('headers.trace == "x"', {"headers"}),
        ("now.getHours() < 6", {"now"}),
        ("tags.exists(amount, amount == 1)", {"event.tags"}),
    ],
)
def test_reads_are_what_the_host_has_to_bind(text, reads):
    """A static member of a split root is a slot; a root used as a whole, and any other root, is one."""
    assert cel(text, TYPED).reads == reads


def test_an_undeclared_name_is_a_member_of_the_open_root():
    """Without declared fields any bare name is a field of the event; macro variables stay local."""
    program = cel('shade == "red" && items.exists(i, i > limit)', OPEN)
    assert program.reads == {"event.shade", "event.items", "event.limit"}


@pytest.mark.parametrize(
    ("text", "inlined"),
    [
        ("amount > 1000", "(event_amount > 1000)"),
        ('location == "Singapore"', "(event_location == 'Singapore')"),
        (
            'location == "Singapore" && amount > 1000',
            "((event_location == 'Singapore') and (event_amount > 1000))",
        ),
        ('location in ["a", "b"]', "(event_location in {'a', 'b'})"),
        ("amount * 2.0 + 1.0 >= amount", "(((event_amount * 2.0) + 1.0) >= event_amount)"),
        ("has(event.amount)", "(event_amount is not cel_missing)"),
        ('location.startsWith("S")', "event_location.startswith('S')"),
    ],
)
def test_what_python_does_right_is_plain_python(text, inlined):
    """For slots of declared type the fast form has no call and no check."""
    program = cel(text, TYPED, "bool")
    slots = {path: path.replace(".", "_") for path in program.reads}
    assert program.inline(slots).fast == inlined


def test_lambdas_stay_out_of_the_hosts_function():
    """A macro is called, not inlined: a lambda would turn the host's locals into slower cells."""
    inline = cel("tags.exists(t, t == location)", TYPED, "bool").inline(
        {"event.tags": "a", "event.location": "b"}
    )
    assert "lambda" not in inline.fast
    assert inline.fast.endswith("(b, a)")


@pytest.mark.parametrize(
    ("text", "event", "value"),
    [
        ('location == "x" && amount > 1', {"location": "y"}, False),
        ('amount > 1 && location == "x"', {"location": "y"}, False),
        ('amount > 1 || location == "x"', {"location": "x"}, True),
        ('!(amount > 1) || location == "x"', {"amount": "7", "location": "x"}, True),
        ("flag || count > 1", {"count": 2}, True),
        ("tags.all(t, t > 1 && amount > 1)", {"tags": [0, 5]}, False),
    ],
)
def test_the_exact_form_finds_what_the_fast_one_cannot(text, event, value):
    """`&&` and `||` absorb errors: the fast form raises, the exact one decides."""
    program = cel(text, TYPED, "bool")
    values = {f"event.{name}": given for name, given in event.items()}
    if values.get("event.amount") == "7":
        values["event.amount"] = Mistyped("7", "amount", "double")

    assert exact(program, values) is value
    assert program.evaluate({"event": event}) is value
    with contextlib.suppress(EvalError):
        assert fast(program, values) is value


@pytest.mark.parametrize("value", [None, MISSING, Mistyped("7", "amount", "double")])
@pytest.mark.parametrize(
    "text", ["amount > 1", "amount + 1.0 > 1.0", "!(amount < 1)", "amount in [1, 2] || amount > 9"]
)
def test_without_a_number_there_is_no_comparison(text, value):
    """Null, missing and mistyped fields are no numbers: both forms raise."""
    program = cel(text, TYPED, "bool")
    for form in (fast, exact):
        with pytest.raises((EvalError, TypeError)):
            form(program, {"event.amount": value})


def test_null_is_a_value():
    """A field of any declared type may be null, and compares with null."""
    assert run("location == null && amount == null", {"location": None, "amount": None}) is True
    assert run('location == "x"', {"location": None}) is False


def test_declared_types_are_applied_to_what_was_sent():
    """A declared double takes JSON's ints; another type is kept and errs when used."""
    assert run("amount == 1020.0 && type(amount) == double", {"amount": 1020}) is True
    assert run('ts > timestamp("2026-01-01T00:00:00Z")', {"ts": "2026-05-01T00:00:00Z"}) is True
    with pytest.raises(EvalError, match="amount is a string, declared double"):
        run("amount > 1", {"amount": "12"})


def test_a_missing_field_is_named():
    """The error of a missing field says which."""
    with pytest.raises(EvalError, match="no such field: location"):
        run('location == "x"')


def test_an_integer_beyond_64_bits_is_an_error_when_used():
    """Where a field is not declared, an integer is an int, and CEL's are of 64 bits."""
    for text in ("event.n > 1", "event.n == 1", "event.n", "event.inner.n + 1", "n > 1"):
        scope = OPEN if text == "n > 1" else TYPED
        with pytest.raises(EvalError, match="beyond 64 bits"):
            run(text, {"n": 2**64, "inner": {"n": 2**64}}, scope)
    assert run("has(event.n)", {"n": 2**64}) is True


def test_bools_are_no_numbers():
    """Python's bools are ints; CEL's are not."""
    assert run("event.x == 1 || event.x == 0.0", {"x": True}) is False
    with pytest.raises(EvalError):
        run("event.x > 0", {"x": True})


def test_a_wanted_bool_is_a_bool():
    """Compiled for a bool, an expression never gives anything else."""
    program = cel("event.x", TYPED, "bool")
    assert program.evaluate({"event": {"x": True}}) is True
    for value in (None, 1, "true"):
        for form in (fast, exact):
            with pytest.raises(EvalError):
                form(program, {"event.x": value})


def test_times_and_other_roots():
    """Roots are handed in by name; `now` is a timestamp."""
    moment = Timestamp.from_ms(1_760_000_000_000)
    assert run('now > timestamp("2025-01-01T00:00:00Z")', now=moment) is True
    assert run(
        'customers[location].segment == "gold"', {"location": "u1"}, customers={"u1": {"segment": "gold"}}
    )
    assert run("key == 5u", key=Uint(5)) is True


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('location == "a" && amount > 1', [("event.location", {"a"})]),
        ('"a" == location', [("event.location", {"a"})]),
        ('risk_level in ["a", "b"] && topic == "t"', [("metadata.risk_level", {"a", "b"}), ("topic", {"t"})]),
        ('location == "a" || topic == "t"', []),
        ('!(location == "a")', []),
        ("count == 1", []),
        ("location in tags", []),
    ],
)
def test_equalities_serve_a_route_index(text, found):
    """Only a top-level `&&` term that compares a slot with constant strings can make the whole false."""
    assert list(cel(text, TYPED).equalities) == [(path, frozenset(values)) for path, values in found]


def test_a_trace_says_why():
    """Each condition comes with its text, what it gave, and the values it used."""
    text = '(location == "Singapore" && amount > 1000) || flag'
    steps = cel(text, TYPED, "bool").trace({"event": {"location": "Paris", "amount": 7}})

    assert [(step.text, step.value, step.error) for step in steps] == [
        ('location == "Singapore"', False, ""),
        ("amount > 1000", False, ""),
        ("flag", None, "no such field: flag"),
    ]
    assert steps[0].names == {"event.location": "Paris"}
    assert [text[step.offset :].startswith(step.text) for step in steps] == [True] * 3


@pytest.mark.parametrize(
    "part",
    [
        "has(event.amount)",
        '"amount" in event',
        "tags.exists(t, t == 1)",
        'event["amount"] > 1.0',
        "math.greatest(count, 1) > 2",
        "customers[location].vip == true",
        "event.?amount.orValue(0.0) > 1.0",
        "(amount + 1.0) * 2.0 > 1.0",
        "cel.bind(a, amount, a > 1.0)",
    ],
)
def test_a_trace_quotes_the_text(part):
    """The text of a step is the whole part as written, brackets and all."""
    steps = cel(f"flag && ({part})", TYPED, "bool").trace({"event": {}})
    assert steps[1].text == part


def test_programs_do_not_clash():
    """Constants of several programs can share one namespace: a name always stands for the same thing."""
    texts = [
        'location.matches("a+")',
        'location.matches("b+")',
        "tags == [1]",
        "tags.all(t, t > 2)",
        "tags == [1u]",
    ]
    slots = dict.fromkeys(("event.location", "event.tags"), "s")
    space = {}
    for text in texts:
        for name, value in cel(text, TYPED).inline(slots).constants.items():
            known = space.setdefault(name, value)
            assert known == value or known.source == value.source


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EvalError("no such key: a"), "no such key: a"),
        (KeyError("a"), "no such key: a"),
        (RecursionError(), "nested too deeply"),
        (MemoryError(), "too much memory"),
    ],
)
def test_errors_are_told_to_people(error, words):
    """An error is one short sentence, never a Python class name alone."""
    assert words in describe(error)


def test_no_protobuf_code_is_needed():
    """The checked tree is read without protobuf, so that no version of it is asked for."""
    code = (
        "import sys; sys.modules['google.protobuf'] = None;"
        "from tests.cel.scopes import TYPED; from pointsman.cel.program import compile;"
        "print(compile('amount > 1', TYPED).evaluate({'event': {'amount': 2}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
