"""CloudEvents: an envelope becomes its data, and its attributes become headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.base.errors import RecordError
from pointsman.base.records import Batch
from pointsman.codec.cloudevents import opened
from pointsman.runner.host import Host
from pointsman.spec import load

FORM = [("content-type", b"Application/CloudEvents+JSON; charset=UTF-8"), ("mine", b"1")]
TOLD = {"specversion": "1.0", "id": "ce-1", "source": "/here", "type": "paid"}


def envelope(**members: Any) -> bytes:
    return json.dumps(TOLD | members).encode()


def test_attributes_become_headers() -> None:
    """As in binary mode: text, with the data's own type; null is not there."""
    found = opened(
        envelope(data={"n": 1}, flag=True, level=5, subject=None, datacontenttype="text/json"), FORM
    )
    assert found is not None
    assert json.loads(found[0]) == {"n": 1}
    assert dict(found[1]) == {
        "mine": b"1",
        "content-type": b"text/json",
        "ce_specversion": b"1.0",
        "ce_id": b"ce-1",
        "ce_source": b"/here",
        "ce_type": b"paid",
        "ce_flag": b"true",
        "ce_level": b"5",
    }


def test_data_is_spliced_as_it_stands() -> None:
    """Spaces and numbers of the data are the event's."""
    raw = envelope()[:-1] + b', "data": {"n":  1.50, "big": 123456789012345678901234567890}}'
    found = opened(raw, FORM)
    assert found is not None
    assert found[0] == b'{"n":  1.50, "big": 123456789012345678901234567890}'


@pytest.mark.parametrize(
    ("more", "data"), [({}, b"{}"), ({"data": None}, b"{}"), ({"data_base64": "eyJuIjoxfQ=="}, b'{"n":1}')]
)
def test_data_may_be_bytes_or_left_out(more: dict[str, Any], data: bytes) -> None:
    """Without data the event has no fields."""
    found = opened(envelope(**more), FORM)
    assert found is not None
    assert found[0] == data


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (envelope(), None),
        (envelope(), [("content-type", b"application/json")]),
        (envelope(), [("content-type", None)]),
        (b'{"n": 1}', FORM),
    ],
)
def test_anything_else_stays_as_it_is(value: bytes, headers: Any) -> None:
    """The header decides; JSON that looks like an envelope is an event."""
    assert opened(value, headers) is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b'{"specversion": "1.0"', "not a CloudEvent in JSON"),
        (b'{"specversion": "1.0", "x": "\xff"}', "not a CloudEvent in JSON"),
        (b'{"specversion": "1.0", "id": "1", "source": "s"}', "has no type"),
        (b'{"specversion": "1.0", "id": ""}', "has no id"),
        (envelope(data_base64="?"), "not base64"),
        (envelope(data_base64=1), "not base64"),
        (envelope(odd=[1]), "the attribute odd"),
    ],
)
def test_a_broken_envelope_is_a_dead_letter(value: bytes, says: str) -> None:
    """With what is wrong."""
    with pytest.raises(RecordError, match=says) as caught:
        opened(value, FORM)
    assert caught.value.reason == "undecodable"


def test_redaction_reaches_into_the_envelope(tmp_path: Path) -> None:
    """A dead letter of an envelope shows no field that is hidden, whatever killed it."""
    document = {
        "version": 1,
        "pipeline": "p",
        "source": {"topics": ["t"], "fields": {"card": "string"}},
        "models": {"m": {"python": "models:m", "inputs": {"card": "card"}}},
        "routes": [{"name": "none", "when": 'card == ""', "use": "m"}],
        "unmatched": "dead_letter",
        "write": {"redact": {"card": "mask"}},
    }
    (tmp_path / "models.py").write_text("def m(rows):\n    return rows\n")
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(document))
    host = Host.open(load(path))
    values = [envelope(data={"card": "4111"}), b'{"specversion": "1.0", "data": {"card": "4111"}}']
    decided = host.decide(Batch(list(values), [None] * 2, ["t"] * 2, [0] * 2, [0, 1], [1] * 2, [FORM] * 2, 2))
    host.close()
    letters = [letter for _, letter in decided.dead]
    assert [letter.record.value for letter in letters] == [b'{"card":"***"}', None]
    assert [letter.id for letter in letters] == ["ce-1", "t-0-1"]
