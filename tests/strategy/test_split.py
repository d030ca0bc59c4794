"""The A/B split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from pointsman.base.errors import Misfit
from pointsman.strategy.split import Split

UNITS = [f"unit-{i}" for i in range(5_000)]


def split(shares: Mapping[str, str], salt: str = "otherwise") -> Split:
    return Split({model: Fraction(share) / 100 for model, share in shares.items()}, salt)


def arms(of: Split) -> list[str]:
    return [of.choose(unit).model for unit in UNITS]


def test_units_stand_where_the_table_says() -> None:
    """The arms of a 90:9:1 split are those pinned for every release and language."""
    table = json.loads((Path(__file__).parents[1] / "base" / "hash_table.json").read_text("utf-8"))
    for row in table["positions"]:
        arms = split({"stable": "90", "candidate": "9", "probe": "1"}, row["salt"])
        assert arms.choose(row["unit"]).model == row["arm"], row


@pytest.mark.parametrize(("before", "after"), [("1", "5"), ("5", "50"), ("50", "100"), ("0", "0.5")])
def test_a_raised_share_only_moves_units_into_the_growing_arm(before: str, after: str) -> None:
    """Of two arms, a unit that the growing one serves stays there."""
    old = arms(split({"stable": str(100 - Fraction(before)), "candidate": before}))
    new = arms(split({"stable": str(100 - Fraction(after)), "candidate": after}))
    moved = {(was, now) for was, now in zip(old, new, strict=True) if was != now}
    assert moved == {("stable", "candidate")}


def test_an_arm_that_grows_at_a_neighbours_cost_moves_nobody_else() -> None:
    """With more arms, moving one border moves units across that border only, and one way."""
    old = arms(split({"a": "40", "b": "30", "c": "30"}))
    new = arms(split({"a": "40", "b": "40", "c": "20"}))
    assert {(was, now) for was, now in zip(old, new, strict=True) if was != now} == {("c", "b")}


def test_a_share_of_nothing_is_never_served() -> None:
    """An arm at 0% serves nobody, stands among the candidates, and leaves the others whole."""
    paused = split({"off": "0", "on": "100", "last": "0"})
    assert set(arms(paused)) == {"on"}
    assert paused.choose("x").candidates == {"off": 0.0, "on": 1.0, "last": 0.0}


def test_another_salt_draws_anew() -> None:
    """Under another salt, being in one arm says nothing about the other experiment's arm."""
    first, second = arms(split({"a": "50", "b": "50"}, "one")), arms(split({"a": "50", "b": "50"}, "two"))
    both = sum(x == y for x, y in zip(first, second, strict=True)) / len(UNITS)
    assert abs(both - 0.5) < 0.0464  # Hoeffding: sqrt(log(2 / 1e-9) / (2 * 5000))


def test_the_route_is_the_salt_where_none_is_given() -> None:
    """A document's `salt` wins over the route's name."""
    shares = {"a": Fraction(1, 2), "b": Fraction(1, 2)}
    named = Split.from_config(Split.Config(split=shares, salt="mine"), "route")
    left_out = Split.from_config(Split.Config(split=shares), "route")
    assert arms(named) == arms(Split(shares, "mine"))
    assert arms(left_out) == arms(Split(shares, "route"))


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    """The finding says what they sum to, and stands at the shares."""
    with pytest.raises(Misfit) as caught:
        split({"a": "50", "b": "49.5"})
    assert (caught.value.code, str(caught.value)) == ("E211", "the shares sum to 99.5%, not 100%")
    assert caught.value.path == ("split",)
