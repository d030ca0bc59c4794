"""Looking up a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pointsman.base.errors import EvalError
from pointsman.cel import program as cel
from pointsman.cel.values import MISSING
from pointsman.enrich.lookup import Lookup

KEY = cel.compile("key", cel.Scope({"key": "dyn"}))
TABLES = {
    "customers": {
        "U1": {"segment": "gold", "age": 41},
        "17": {"segment": "whole"},
        "true": {"segment": "yes"},
    }
}


def bound(**keys: Any) -> Callable[[Any], Any]:
    return Lookup.from_config(Lookup.Config(lookup="customers", key=KEY, **keys)).bind(TABLES)


def test_a_column_is_taken() -> None:
    """`take` gives one column of the row."""
    assert bound(take="segment")("U1") == "gold"


def test_without_take_the_whole_row_is_added() -> None:
    """The field is then a map."""
    assert bound()("U1") == {"segment": "gold", "age": 41}


@pytest.mark.parametrize(("key", "segment"), [(17, "whole"), (17.0, "whole"), ("17", "whole"), (True, "yes")])
def test_numbers_and_bools_are_looked_up_by_their_text(key: object, segment: str) -> None:
    """JSON does not tell 17 from 17.0, and a file may write either."""
    assert bound(take="segment")(key) == segment


@pytest.mark.parametrize("key", ["U2", None, 1.5, [1], b"U1", MISSING], ids=repr)
def test_no_row_gives_the_default(key: object) -> None:
    """An unknown key, null, a key that can name no row or has no value gives the default."""
    assert bound(take="segment", default="new")(key) == "new"


def test_null_is_a_default() -> None:
    """`default: null` is not the same as none."""
    assert bound(take="segment", default=None)("U2") is None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("U2", "no row for 'U2' in table 'customers'"),
        (None, "no row for null in table 'customers'"),
        (1.5, "no row for a double in table 'customers'"),
        (MISSING, "no row for a key without value in table 'customers'"),
    ],
)
def test_no_row_and_no_default_is_an_error_that_says_so(key: object, said: str) -> None:
    """The field is then absent and the record names this."""
    with pytest.raises(EvalError, match=said):
        bound(take="segment")(key)


def test_a_long_key_is_cut_in_the_message() -> None:
    """A record is not filled with a key of a megabyte."""
    with pytest.raises(EvalError) as caught:
        bound(take="segment")("x" * 1_000_000)
    assert len(str(caught.value)) < 120


def test_a_row_without_the_column_gives_the_default_or_an_error() -> None:
    """Rows of JSON lines may differ in their columns."""
    assert bound(take="age", default=0)("17") == 0
    with pytest.raises(EvalError, match="the row of '17' in table 'customers' has no 'age'"):
        bound(take="age")("17")


def test_it_is_bound_to_the_rows_of_one_batch() -> None:
    """Rows that change later are seen by the next binding only."""
    lookup = Lookup("customers", KEY, "segment")
    before = lookup.bind(TABLES)
    after = lookup.bind({"customers": {"U1": {"segment": "silver"}}})
    assert (before("U1"), after("U1")) == ("gold", "silver")
