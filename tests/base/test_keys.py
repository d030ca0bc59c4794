"""How a value names a row."""

from __future__ import annotations

import doctest

import pytest

from pointsman.base import keys
from pointsman.base.keys import key_text


def test_the_examples_run() -> None:
    """What the docstring says is so."""
    found = doctest.testmod(keys)
    assert (found.attempted, found.failed) == (1, 0)


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), None, [], {}, b"x"])
def test_what_has_no_text_names_no_row(value: object) -> None:
    """Fractions, bytes, null and containers name no row."""
    assert key_text(value) is None
