"""How much of an event leaves: `write.event` and `write.redact`."""

from __future__ import annotations

import hashlib
import json

import pytest

EVENT = {"user": "U1", "card": "4111", "n": 1.5, "more": {"a": [1]}}

TEXT = """
version: 1
pipeline: p
source: {{topics: [in]}}
models: {{a: {{python: "m:f", inputs: {{}}}}}}
routes: [{{name: r, when: 'has(event.user) && event.card != "none"', use: a}}]
unmatched: dead_letter
write: {write}
"""


@pytest.mark.parametrize(
    ("write", "left"),
    [
        ("{event: none}", {}),
        ("{event: [user, absent, more]}", {"user": "U1", "more": {"a": [1]}}),
        ("{redact: {card: drop}}", {"user": "U1", "n": 1.5, "more": {"a": [1]}}),
        ("{redact: {card: mask, user: mask}}", {**EVENT, "card": "***", "user": "***"}),
        ("{redact: {card: hash}}", {**EVENT, "card": hashlib.sha256(b"4111").hexdigest()}),
        ("{redact: {more: hash}}", {**EVENT, "more": hashlib.sha256(b'{"a": [1]}').hexdigest()}),
        ("{event: [user, card], redact: {card: mask}}", {"user": "U1", "card": "***"}),
    ],
)
def test_what_a_record_carries(case, write, left):
    """Rules see the whole event; the record carries what the document lets it."""
    assert case(TEXT.format(write=write)).record(EVENT)["event"] == left


def test_kept_fields_keep_their_bytes(case):
    """What is not hidden is spliced as it came."""
    (value,) = (
        case(TEXT.format(write="{redact: {card: drop}}"))
        .decide(b'{"user":"U","card":"x", "n": 1.50e1}')
        .values
    )

    assert b'"n":1.50e1' in value


def test_a_dead_letter_hides_the_same_and_is_marked(case):
    """The hidden values are nowhere in the letter, which cannot be sent again."""
    letter = case(TEXT.format(write="{redact: {card: mask}}")).letter({"card": "none", "n": 1})

    assert json.loads(letter.record.value) == {"card": "***", "n": 1}
    assert letter.redacted


def test_what_cannot_be_read_is_left_out_of_the_letter(case):
    """Nobody can say where in a broken value the secret is."""
    letter = case(TEXT.format(write="{redact: {card: mask}}")).letter(b'{"card": "4111"')

    assert letter.record.value is None
    assert letter.redacted


def test_without_redaction_a_letter_is_as_it_came(case):
    """Bytes and all, and it may be sent again."""
    letter = case(TEXT.format(write="{event: none}")).letter(b'{"card": "4111"')

    assert (letter.record.value, letter.redacted) == (b'{"card": "4111"', False)


def test_an_unwritable_decision_names_its_size(case):
    """Its letter has the decision's id and hides what is to be hidden."""
    decided = case(TEXT.format(write="{redact: {card: mask}}")).decide({"user": "U", "card": "4111"})
    letter = decided.unwritable(0)

    assert (letter.id, letter.reason, letter.redacted) == ("in-0-0", "unwritable", True)
    assert f"{len(decided.values[0])} bytes" in letter.message
    assert not decided.dead
