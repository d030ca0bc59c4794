"""Laws of every strategy; a new one is covered without being asked."""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from math import log, sqrt
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

import pointsman.strategy
from pointsman import spec
from pointsman.strategy.base import Strategy, strategies

NAMES = strategies.names()
UNITS = [f"unit-{i}" for i in range(20_000)]
LUCK = 1e-9
"""The chance that a law about frequencies fails although it holds."""

DOCUMENT = """\
version: 1
pipeline: laws
source: {{topics: [events], fields: {{user_id: string}}}}
models:
  stable: {{python: "laws:predict"}}
  candidate: {{python: "laws:predict"}}
routes:
  - name: only
    use:
{use}
"""


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Strategy]:
    """A function that builds the strategy of a route from the YAML of its `use`, as the product does."""

    def built(use: str) -> Strategy:
        (tmp_path / "laws.py").write_text("def predict(rows): return rows")
        path = tmp_path / "pipeline.yaml"
        path.write_text(DOCUMENT.format(use=indent(use, "      ")))
        (route,) = spec.load(path).routes
        made: Any = strategies.get(route.use.strategy)
        strategy: Strategy = made.from_config(route.use.config, route.name)
        return strategy

    return built


@pytest.fixture(params=NAMES)
def strategy(request: pytest.FixtureRequest, build: Callable[[str], Strategy]) -> Strategy:
    """The example of each registered strategy, built."""
    component: Any = strategies.get(request.param)
    made = build(component.example())
    assert made.name == request.param
    return made


def test_the_walk_misses_no_file() -> None:
    """Every file of the room but its base is a registered strategy of the same name."""
    files = {module.name for module in pkgutil.iter_modules(pointsman.strategy.__path__)}
    assert files - {"base"} == set(NAMES)


def test_propensity_is_the_frequency(strategy: Strategy) -> None:
    """The logged propensity is the share really served (Hoeffding, p < 1e-9)."""
    served = Counter(strategy.choose(unit).model for unit in UNITS)
    slack = sqrt(log(2 / LUCK) / (2 * len(UNITS)))
    for model, share in strategy.shares().items():
        assert abs(served[model] / len(UNITS) - share) < slack


def test_a_choice_logs_its_own_share(strategy: Strategy) -> None:
    """The propensity is the picked model's share, and the candidates' probabilities are all shares."""
    shares = {model: float(share) for model, share in strategy.shares().items()}
    for unit in UNITS[:500]:
        choice = strategy.choose(unit)
        assert 0 < choice.propensity <= 1
        assert choice.propensity == shares[choice.model]
        assert choice.candidates is None if len(shares) == 1 else choice.candidates == shares


def test_the_same_unit_gets_the_same_choice(strategy: Strategy) -> None:
    """Asked again, a strategy hands out the very choice it made, which the engine prepares bytes for."""
    for unit in UNITS[:500]:
        assert strategy.choose(unit) is strategy.choose(unit)


def test_nobody_but_a_candidate_is_served(strategy: Strategy) -> None:
    """Whatever the unit is, the model is one of the strategy's."""
    for unit in [*UNITS[:500], "", "\0", "東京", "\ud800", "x" * 10_000]:
        assert strategy.choose(unit).model in strategy.models


def test_the_shares_are_whole(strategy: Strategy) -> None:
    """The shares belong to the strategy's models and sum to exactly 1."""
    shares = strategy.shares()
    assert tuple(shares) == strategy.models
    assert sum(shares.values()) == Fraction(1)


def test_a_strategy_that_does_not_stick_ignores_the_unit(strategy: Strategy) -> None:
    """Where `sticky` is false, all units get one choice."""
    if not strategy.sticky:
        assert len({id(strategy.choose(unit)) for unit in UNITS[:500]}) == 1


def test_a_strategy_built_again_chooses_the_same(
    strategy: Strategy, build: Callable[[str], Strategy]
) -> None:
    """Nothing but the configuration and the unit decides: another worker agrees."""
    component: Any = strategies.get(strategy.name)
    again = build(component.example())
    assert [strategy.choose(unit) for unit in UNITS[:500]] == [again.choose(unit) for unit in UNITS[:500]]
