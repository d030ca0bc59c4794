"""Laws of every enricher; a new one is covered without being asked."""

from __future__ import annotations

import pkgutil
from pathlib import Path
from typing import Any

import pytest

import pointsman.enrich
from pointsman import spec
from pointsman.enrich.base import Batched, Remembers, enrichers, optional_of
from pointsman.state.memory import Memory

NAMES = enrichers.names()

DOCUMENT = """\
version: 1
pipeline: laws
source: {{topics: [events], key: user_id, fields: {{user_id: string, amount: double}}}}
tables:
  customers: {{file: customers.csv, key: user_id}}
enrich:
  made: {enricher}
models:
  baseline: {{python: "laws:predict"}}
routes:
  - {{name: only, use: baseline}}
"""


@pytest.fixture(params=NAMES)
def component(request: pytest.FixtureRequest) -> Any:
    """Each registered enricher."""
    return enrichers.get(request.param)


def built(component: Any, folder: Path) -> Any:
    """The component's example, read from a document and built as the product does."""
    (folder / "laws.py").write_text("def predict(rows): return rows")
    (folder / "customers.csv").write_text("user_id,segment\nU1,gold\n")
    path = folder / "pipeline.yaml"
    path.write_text(DOCUMENT.format(enricher=component.example()))
    (declared,) = spec.load(path).enrich
    assert declared.enricher == component.name
    return component.from_config(declared.config)


def test_the_walk_misses_no_file() -> None:
    """Every file of the room is a registered enricher of its name, but its base and `quality`'s checks."""
    files = {module.name for module in pkgutil.iter_modules(pointsman.enrich.__path__)}
    assert files - {"base", "checks"} == set(NAMES)


def test_the_example_is_a_valid_document(component: Any, tmp_path: Path) -> None:
    """Its example loads, and says which expressions it needs and what type it adds."""
    enricher = built(component, tmp_path)
    assert enricher.inputs or optional_of(enricher) or isinstance(enricher, Batched)
    assert isinstance(enricher.result, str)


def test_it_can_be_bound_to_tables_without_rows(component: Any, tmp_path: Path) -> None:
    """The engine binds while it builds, before a table has a row; a batched one is handed what was opened."""
    made = built(component, tmp_path)
    if isinstance(made, Batched):
        assert callable(made.asks(lambda rows: rows))
    elif isinstance(made, Remembers):
        assert callable(made.recall(made.store(Memory()), {}))
    else:
        bound = made.bind({})
        assert bound is None or callable(bound)
