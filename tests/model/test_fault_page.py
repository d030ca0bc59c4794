"""Faults of servers, each seen from the event to its record."""

from __future__ import annotations

import asyncio

from model.fault_page import PAGE, page


def test_the_page_of_faults_is_what_happens() -> None:
    """docs/faults.md is up to date: every fault has its class, its attempts, and a fallback that answers.

    `make generate` writes it.
    """
    assert PAGE.read_text("utf-8") == asyncio.run(page())
