"""Finding components."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from pointsman.base import registry
from pointsman.base.registry import Registry
from pointsman.strategy.base import Strategy, strategies


def test_components_are_found_by_the_files_of_their_room() -> None:
    """The room's files are imported at the first look-up, whoever asks."""
    fresh: Registry[Strategy] = Registry("strategy", "pointsman.strategy")
    fresh._found = strategies._found
    assert "split" in fresh
    assert [name for name, _ in fresh] == fresh.names()


def test_a_name_that_is_not_there_is_a_key_error() -> None:
    """The loader says it in its own words."""
    with pytest.raises(KeyError):
        strategies.get("no such strategy")


def test_two_components_of_one_name_are_refused() -> None:
    """A plugin's mistake shows when it is imported, not when an event comes."""
    fresh: Registry[object] = Registry("thing", "pointsman.strategy")
    fresh.add("same")(type("First", (), {}))
    with pytest.raises(ValueError, match="two thing components are called 'same'"):
        fresh.add("same")(type("Second", (), {}))


def test_another_package_adds_a_component_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found like our own, and cannot take the name of one of ours."""
    points = [
        EntryPoint("mine", "collections:OrderedDict", "pointsman.thing"),
        EntryPoint("ours", "collections:OrderedDict", "pointsman.thing"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "pointsman.thing" else [])
    fresh: Registry[object] = Registry("thing", "pointsman.strategy")
    ours = fresh.add("ours")(type("Ours", (), {}))
    assert fresh.get("mine").__name__ == "OrderedDict"
    assert fresh.get("ours") is ours
