"""Declaring the keys of a component."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pointsman.base.config import ListOf, Number, Text, key, keys_of


@dataclass(frozen=True, slots=True)
class Config:
    name: str = key(Text(), "A name.", example="x")
    size: float = key(Number(0), "A size.", default=1.5, step=2)
    parts: Sequence[str] = key(ListOf(Text()), "Parts.", default=[])


def test_a_key_is_declared_once_with_all_that_is_said_of_it() -> None:
    """Kind, meaning, example, step, and whether it must be given."""
    name, size, _ = keys_of(Config).values()
    assert (name.kind, name.meaning, name.example, name.required) == (Text(), "A name.", "x", True)
    assert (size.kind, size.step, size.required, size.default) == (Number(0), 2, False, 1.5)


def test_a_required_key_has_to_be_given() -> None:
    """Building the config without it is a mistake of the caller."""
    with pytest.raises(TypeError, match="name"):
        Config()  # type: ignore[call-arg]  # what is tested


def test_a_default_that_can_change_is_not_shared() -> None:
    """Two configs do not have the same list."""
    one, two = Config(name="a"), Config(name="b")
    assert one.parts == two.parts
    assert one.parts is not two.parts
