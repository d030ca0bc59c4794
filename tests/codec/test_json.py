"""JSON events: what is accepted may be spliced, what is not says why."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pointsman.base.errors import EvalError, RecordError
from pointsman.cel.values import MISSING, Mistyped, Timestamp
from pointsman.codec.base import codecs
from pointsman.codec.json import JsonDecoder

FIELDS = {
    "amount": "double",
    "user": "string",
    "n": "int",
    "ok": "bool",
    "at": "timestamp",
    "raw": "bytes",
    "tags": "list",
    "extra": "map",
    "any": "dyn",
}


def decoder(*names: str, fields: dict[str, str] | None = FIELDS) -> JsonDecoder:
    return codecs.get("json").decoder(names, fields)  # type: ignore[return-value]  # the class registered as json


def decoded(raw: bytes, name: str, fields: dict[str, str] | None = FIELDS) -> Any:
    """One field of an event, decoded both ways, which must agree."""
    found = decoder(name, fields=fields)
    value = getattr(found.decode(raw), found.attributes[name])
    whole = found.decode_whole(raw).get(name, MISSING)
    if name in (fields or {}):
        assert shown(value) == shown(whole)
    return value


def shown(value: Any) -> Any:
    if value is MISSING:
        return "missing"
    if isinstance(value, Mistyped):
        return ("mistyped", value.value, value.name, value.declared)
    return value.__class__, value


def refused(raw: bytes) -> str:
    """The message, which does not depend on how the event is decoded."""
    found = decoder("amount", "user")
    with pytest.raises(RecordError) as caught:
        found.decode(raw)
    with pytest.raises(RecordError) as again:
        found.decode_whole(raw)
    assert caught.value.reason == again.value.reason == "undecodable"
    assert str(caught.value) == str(again.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ('{"amount":1020}', "amount", 1020.0),
        ('{"amount":-0.5e3}', "amount", -500.0),
        ('{"amount":1e999}', "amount", math.inf),
        ('{"amount":-1e999}', "amount", -math.inf),
        ('{"amount":' + "9" * 400 + "}", "amount", math.inf),
        ('{"amount":' + "9" * 5000 + "}", "amount", math.inf),
        ('{"n":9223372036854775807}', "n", 2**63 - 1),
        ('{"n":3.0}', "n", 3),
        ('{"n":1e3}', "n", 1000),
        ('{"user":"é\\u00e9\\ud83d\\ude00"}', "user", "éé😀"),
        ('{"ok":false}', "ok", False),
        ('{"at":"2025-01-02T03:04:05.678Z"}', "at", Timestamp(1_735_787_045_678_000_000)),
        ('{"at":1735787045678}', "at", Timestamp(1_735_787_045_678_000_000)),
        ('{"at":1735787045678.0}', "at", Timestamp(1_735_787_045_678_000_000)),
        ('{"raw":"AP8="}', "raw", b"\x00\xff"),
        ('{"tags":[1,"a",null]}', "tags", [1, "a", None]),
        ('{"extra":{"a":{"b":1}}}', "extra", {"a": {"b": 1}}),
        ('{"any":1}', "any", 1),
        ('{"any":1.0}', "any", 1.0),
        ('{"any":{"x":[1.5]}}', "any", {"x": [1.5]}),
        ('{"am\\u006funt":1}', "amount", 1.0),
        ('{"amount":"x","amount":2}', "amount", 2.0),
    ],
)
def test_a_value_of_the_declared_type_is_converted(text: str, name: str, value: Any) -> None:
    """Each type takes what JSON can write of it; of a repeated key the last counts."""
    assert shown(decoded(text.encode(), name)) == shown(value)


@pytest.mark.parametrize("name", FIELDS)
def test_null_is_null_and_missing_is_missing(name: str) -> None:
    """null fits every type; a field that is not there is not null."""
    assert decoded(b'{"%s":null}' % name.encode(), name) is None
    assert decoded(b'{"other":1}', name) is MISSING


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"amount":"1020"}', "amount"),
        ('{"amount":true}', "amount"),
        ('{"user":7}', "user"),
        ('{"user":["a"]}', "user"),
        ('{"n":1.5}', "n"),
        ('{"n":9223372036854775808}', "n"),
        ('{"n":-9223372036854775809}', "n"),
        ('{"n":true}', "n"),
        ('{"n":1e999}', "n"),
        ('{"ok":0}', "ok"),
        ('{"at":"yesterday"}', "at"),
        ('{"at":1e300}', "at"),
        ('{"at":[]}', "at"),
        ('{"raw":"not base64!"}', "raw"),
        ('{"raw":1}', "raw"),
        ('{"tags":{}}', "tags"),
        ('{"extra":[]}', "extra"),
        ('{"any":18446744073709551616}', "any"),
    ],
)
def test_a_value_of_another_type_stays_as_sent(text: str, name: str) -> None:
    """It is marked, so that an expression over it errs and a record shows it; the event is not refused."""
    value = decoded(text.encode(), name)
    assert isinstance(value, Mistyped)
    assert (value.value, value.name, value.declared) == (json.loads(text)[name], name, FIELDS[name])
    with pytest.raises(EvalError, match=name):
        _ = value > 1


def test_one_wrong_field_does_not_spoil_the_others() -> None:
    """The other fields of the event are decoded as usual."""
    found = decoder("amount", "user", "at", "n")
    event = found.decode(b'{"amount":"x","user":"U1","at":0,"extra":5}')
    values = [getattr(event, found.attributes[name]) for name in ("user", "at", "n")]
    assert values[:2] == ["U1", Timestamp(0)]
    assert values[2] is MISSING


def test_undeclared_fields_are_taken_as_sent() -> None:
    """Without `source.fields` every field is what JSON says."""
    assert decoded(b'{"x":1,"y":{"z":[]}}', "y", fields=None) == {"z": []}
    assert isinstance(decoded(b'{"x":99999999999999999999}', "x", fields=None), Mistyped)


@pytest.mark.parametrize(
    "name", ["class", "__class__", "a b", "é", "", "f1", "a.b", 'q"', "back\\slash", "\n", "$"]
)
def test_any_name_of_a_field_works(name: str) -> None:
    """Names that are keywords, attributes, spaces or quotes are fields like others."""
    found = codecs.get("json").decoder([name, "f0"], {name: "double"})
    event = found.decode(json.dumps({name: 7, "f0": 8}).encode())
    assert [getattr(event, found.attributes[n]) for n in (name, "f0")] == [7.0, 8]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the value is empty"),
        (b" \n", "the value is empty"),
        (b"hello", "not JSON: invalid character (byte 0)"),
        (b'{"a":1', "the JSON ends too early (byte 6)"),
        (b'{"a":"x', "the JSON ends too early (byte 7)"),
        (b'{"a":NaN}', "not JSON: invalid character (byte 5)"),
        (b'{"a":-Infinity}', "not JSON: invalid character (byte 6)"),
        (b'{"a":01}', "not JSON: invalid number (byte 6)"),
        (b'{"a":"\x01"}', "not JSON: invalid character (byte 6)"),
        (b'{"a":1}{"a":2}', "not JSON: trailing characters (byte 8)"),
        (b'{"a":1}\x00', "not JSON: trailing characters (byte 8)"),
        (b'{"a":1,}', "not JSON: trailing comma in object (byte 7)"),
        (b"{'a':1}", "not JSON: object keys must be strings (byte 1)"),
        (b"[1]", "the value is a JSON array, not a JSON object"),
        (b'"text"', "the value is a JSON string, not a JSON object"),
        (b"null", "the value is null, not a JSON object"),
        (b"true", "the value is true or false, not a JSON object"),
        (b"17", "the value is a number, not a JSON object"),
        (b'{"amount":1e999,"a":NaN}', "not JSON: NaN is not JSON"),
        (b'{"user":1,"a":tru}', "not JSON: invalid character (byte 18)"),
        (b'{"unread":"\xff"}', "not UTF-8: byte 11 is 0xff"),
        (b'{"amount":"\xc3\x28"}', "not UTF-8: byte 11 is 0xc3"),
        (b'{"\xed\xa0\x80":1}', "not UTF-8: byte 2 is 0xed"),
        (b"\xef\xbb\xbf{}", "the value begins with a byte order mark (byte 0)"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8: byte 0 is 0xff"),
        (b'{"unread":"\\ud800"}', "a string holds half of a surrogate pair, which is no character"),
        (b'{"amount":1e999,"a":"\\udc00"}', "a string holds half of a surrogate pair, which is no character"),
        (b'{"unread":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "the JSON is nested too deep"),
        (b'{"user":' + b'{"a":' * 100_000, "the JSON is nested too deep"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_json_object_says_where_and_why(raw: bytes, said: str) -> None:
    """A dead letter names the byte, also where the mistake is in a field that nobody reads."""
    assert refused(raw) == said


def test_a_large_event_is_decoded() -> None:
    """Five megabytes are an event like others."""
    raw = b'{"user":"U1","blob":"' + b"x" * 5_000_000 + b'"}'
    assert decoded(raw, "user") == "U1"


def test_the_value_is_the_event() -> None:
    """Accepted bytes are spliced into the record as they are."""
    assert decoder().verbatim


def spliced(raw: bytes) -> Any:
    """The event as a strict reader of a decision record sees it."""

    def no_constant(name: str) -> Any:
        raise ValueError(name)

    def number(text: str) -> float:
        return float(text) if len(text) > 4000 else int(text)

    record = b'{"event":' + raw + b"}"
    return json.loads(record.decode(), parse_constant=no_constant, parse_int=number)["event"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
events = st.dictionaries(st.sampled_from([*FIELDS, "other", "é"]), json_values, max_size=5)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON of an event, with a few bytes changed, dropped or put in."""
    raw = bytearray(
        json.dumps(draw(events), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from(
                [
                    b"",
                    b"\xff",
                    b'"',
                    b"\\",
                    b"\\u",
                    b"\\ud800",
                    b"e",
                    b"1e999",
                    b"0",
                    b"\x00",
                    b",",
                    b"{",
                    b"\xc3\xa9",
                ]
            )
            | st.binary(max_size=2)
        )
    return bytes(raw)


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=40) | damaged())
@example(b'{"amount":1e999}')
@example(b'{"a":"\\ud83d\\u0041"}')
def test_whatever_comes_in_is_refused_or_may_be_spliced(raw: bytes) -> None:
    """Either a RecordError, or the bytes stand in a record that a strict reader parses to the same event."""
    found = decoder(*FIELDS)
    try:
        event = found.decode(raw)
        whole = found.decode_whole(raw)
    except RecordError:
        return
    read = spliced(raw)
    assert set(whole) == set(read)
    for name in FIELDS:
        value = getattr(event, found.attributes[name])
        assert (value is MISSING) == (name not in read)
        if value is not MISSING:
            assert shown(value) == shown(whole[name])
