"""Opens a table that is derived from another topic: its expressions compiled, its window empty."""

from __future__ import annotations

from pointsman.engine.reading import reading
from pointsman.spec.tables.base import DECISIONS
from pointsman.spec.tables.derived import Derived, windowed
from pointsman.state.derived import DerivedTable
from pointsman.state.memory import Memory

__all__ = ["derived_table"]


def derived_table(name: str, config: Derived.Config, decisions: str) -> DerivedTable:
    """The table, without a record yet.

    Args:
        name: The table's name.
        decisions: The topic of the pipeline's decisions.
    """
    made, own = windowed(config), config.from_ == DECISIONS
    topic = decisions if own else config.from_
    backing = Memory()
    store = made.store(backing)
    return DerivedTable(
        name,
        topic,
        reading(made.inputs, made.optional, topic, decisions=own),
        store,
        backing,
        lambda: made.recall(store, {}),
        over=made.window.over,
        values=len(made.optional),
        stale_after=None if config.stale_after is None else round(config.stale_after * 1000),
    )
