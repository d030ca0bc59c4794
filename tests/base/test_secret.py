"""Secrets are used and not seen."""

from __future__ import annotations

import doctest

from pointsman.base import secret


def test_examples_are_right() -> None:
    """The examples of the documentation hold."""
    found = doctest.testmod(secret)

    assert found.attempted
    assert not found.failed
