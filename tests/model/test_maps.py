"""Rows as maps by name."""

from __future__ import annotations

import doctest

from pointsman.model import maps
from pointsman.model.maps import mapper


def test_the_examples_run() -> None:
    """What the docstring says is so."""
    found = doctest.testmod(maps)
    assert found.attempted > 0
    assert found.failed == 0


def test_names_are_never_code() -> None:
    """A name with quotes and braces is only a name."""
    name = "'\\\"}]; raise SystemExit\n{x}"
    assert mapper([name, "é"])([(1, 2)]) == [{name: 1, "é": 2}]
