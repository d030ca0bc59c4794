"""Sticky randomness: the same on every runner, in every release."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

from pointsman.base.hashing import SPACE, bounds, position

TABLE = json.loads(Path(__file__).with_name("hash_table.json").read_text("utf-8"))


def test_positions_are_those_of_the_table() -> None:
    """Every (salt, unit) of the table stands where it always stood."""
    assert len(TABLE["positions"]) >= 40
    for row in TABLE["positions"]:
        assert position(row["salt"], row["unit"]) == int(row["position"]), row


def test_bounds_are_those_of_the_table() -> None:
    """Shares that are no binary fractions are cut the same way everywhere."""
    for row in TABLE["bounds"]:
        shares = [Fraction(share) for share in row["shares"]]
        assert bounds(shares) == tuple(int(bound) for bound in row["bounds"]), row


def test_shares_that_sum_to_one_leave_no_gap() -> None:
    """The last bound is the whole, however the shares are cut."""
    assert bounds([Fraction(1, 3)] * 3)[-1] == SPACE


def test_half_of_a_surrogate_pair_has_a_position() -> None:
    """A unit that is no valid text still stands somewhere."""
    assert 0 <= position("", "\ud800") < SPACE
