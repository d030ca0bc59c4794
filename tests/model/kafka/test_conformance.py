"""A model behind topics passes the conformance suite, on the real broker."""

from __future__ import annotations

import asyncio

import pytest

from kafka import Kafka
from model.kafka.stand import SUBJECT, standing
from pointsman.model.testing import BEHAVIOURS, Behaviour, behaviours_of, check


@pytest.mark.parametrize("behaviour", behaviours_of(SUBJECT), ids=str)
def test_behaviour(behaviour: Behaviour, broker: Kafka) -> None:
    """It has every behaviour that it does not say it lacks."""
    asyncio.run(check(behaviour, SUBJECT, standing(broker)))


def test_what_is_lacking_is_a_behaviour() -> None:
    """A reason is given only for what the suite knows."""
    assert set(SUBJECT.lacks) <= set(BEHAVIOURS)
