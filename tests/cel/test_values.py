"""The values that Python does not have, the stand-ins for a field without one, and fields as declared."""

import copy
import math
import operator
import pickle

import msgspec
import pytest

from pointsman.base.errors import EvalError
from pointsman.cel.fields import fit
from pointsman.cel.values import (
    MISSING,
    Duration,
    Mistyped,
    Optional,
    Timestamp,
    TypeValue,
    Uint,
    key_in,
    to_json,
)

ABSENT = [MISSING, Mistyped("x", "amount", "double")]


@pytest.mark.parametrize("absent", ABSENT, ids=repr)
@pytest.mark.parametrize(
    "use",
    [
        lambda x: x == 1,
        lambda x: "a" == x,  # noqa: SIM300  # the reflected comparison is what is tried
        lambda x: x != 1,
        lambda x: x < 1,
        lambda x: 1 < x,  # noqa: SIM300  # the reflected comparison is what is tried
        lambda x: x + "a",
        lambda x: "a" + x,
        lambda x: 2.0 * x,
        lambda x: -x,
        lambda x: not x,
        lambda x: x in {"a"},
        lambda x: x in ("a",),
        lambda x: "a" in x,
        lambda x: x[0],
        lambda x: x.startswith("a"),
        len,
        list,
        float,
        operator.index,
    ],
)
def test_every_use_of_an_absent_value_raises(absent, use):
    """No operation of generated code takes a missing or mistyped field for a value."""
    with pytest.raises((EvalError, TypeError)):
        use(absent)


def test_absent_values_survive_copying():
    """MISSING stays itself through copy and pickle; it is compared by identity."""
    assert copy.deepcopy(MISSING) is MISSING
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING


def test_a_mistyped_field_keeps_its_value_and_says_what_is_wrong():
    """The value goes on as sent; its use tells both types."""
    mistyped = fit([1], "double", "amount")
    assert mistyped.value == [1]
    with pytest.raises(EvalError, match=r"^amount is a list, declared double$"):
        mistyped > 1  # noqa: B015  # raising is the point


@pytest.mark.parametrize(
    ("value", "declared", "fitted"),
    [
        (1020, "double", 1020.0),
        (10**400, "double", math.inf),
        (3.0, "int", 3),
        ("2026-01-31T00:00:00Z", "timestamp", Timestamp.from_ms(1_769_817_600_000)),
        (1_769_817_600_000, "timestamp", Timestamp.from_ms(1_769_817_600_000)),
        ("aGk=", "bytes", b"hi"),
        (None, "string", None),
        ({"a": 1}, "map", {"a": 1}),
        ("x", "dyn", "x"),
    ],
)
def test_what_fits_is_converted(value, declared, fitted):
    """JSON has fewer types than CEL; a declared type picks the one that is meant."""
    found = fit(value, declared)
    assert found == fitted
    assert type(found) is type(fitted)


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        ("1", "double"),
        (True, "double"),
        (True, "int"),
        (1.5, "int"),
        (2**63, "int"),
        (2**63, "dyn"),
        (1, "string"),
        (1, "bool"),
        ("yesterday", "timestamp"),
        ("not base64!", "bytes"),
        ({}, "list"),
        ([], "map"),
    ],
)
def test_what_does_not_fit_is_kept_and_marked(value, declared):
    """A wrong type never refuses the event."""
    found = fit(value, declared, "f")
    assert found.__class__ is Mistyped
    assert found.value is value


def test_json():
    """What CEL knows beyond JSON has one form in it."""
    value = {
        "ts": Timestamp(1_234_567_890_500_000_000),
        "span": Duration(-3_500_000_000),
        "u": Uint(7),
        "opt": Optional(True, [Optional(False)]),
        "type": TypeValue("int"),
        "raw": b"hi",
        "wrong": Mistyped("x", "amount", "double"),
    }
    assert msgspec.json.decode(msgspec.json.encode(value, enc_hook=to_json)) == {
        "ts": "2009-02-13T23:31:30.5Z",
        "span": "-3.5s",
        "u": 7,
        "opt": [None],
        "type": "int",
        "raw": "aGk=",
        "wrong": "x",
    }
    with pytest.raises(EvalError):
        msgspec.json.encode(MISSING, enc_hook=to_json)


def test_times_are_ordered_among_themselves():
    """A timestamp is neither a number nor a duration."""
    assert Timestamp(1) < Timestamp(2) <= Timestamp(2) != Timestamp(3)
    assert Timestamp(1) != Duration(1)
    assert Timestamp(1) != 1
    with pytest.raises(TypeError):
        Timestamp(1) < Duration(2)  # noqa: B015  # raising is the point
    with pytest.raises(EvalError):
        Timestamp.checked(Timestamp.MAX_NS + 1)
    with pytest.raises(EvalError):
        Duration.checked(Duration.LIMIT_NS + 1)


def test_bool_keys_are_not_int_keys():
    """A dict that holds both true and 1 keeps them apart."""
    assert len({key_in(True): "a", key_in(1): "b", key_in(False): "c", key_in(0): "d"}) == 4
