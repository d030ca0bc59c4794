"""The page of cases and hosts."""

from __future__ import annotations

from parity.page import PAGE, page


def test_the_page_is_that_of_the_cases() -> None:
    """`make generate` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()
