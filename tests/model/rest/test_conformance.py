"""Every REST protocol passes the conformance suite at a server that misbehaves."""

from __future__ import annotations

import asyncio

import pytest

from model.protocols import PAGE, page
from model.rest.subjects import SUBJECTS
from pointsman.model.testing import BEHAVIOURS, Behaviour, behaviours_of, check

PAIRS = [(name, one) for name, (subject, _) in SUBJECTS.items() for one in behaviours_of(subject)]


@pytest.mark.parametrize(("name", "behaviour"), PAIRS, ids=[f"{name}-{one}" for name, one in PAIRS])
def test_behaviour(name: str, behaviour: Behaviour) -> None:
    """A protocol has every behaviour that it does not say it lacks."""
    subject, stand = SUBJECTS[name]
    asyncio.run(check(behaviour, subject, stand))


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_is_lacking_is_a_behaviour(name: str) -> None:
    """A reason is given only for what the suite knows."""
    assert set(SUBJECTS[name][0].lacks) <= set(BEHAVIOURS)


def test_the_page_is_what_the_suite_says() -> None:
    """docs/protocols.md is up to date; `make generate` writes it."""
    assert PAGE.read_text("utf-8") == page()
