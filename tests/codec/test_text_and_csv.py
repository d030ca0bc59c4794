"""Events that are not JSON."""

from __future__ import annotations

import pkgutil
from typing import Any

import pytest

import pointsman.codec
from pointsman.base.errors import Misfit, RecordError
from pointsman.cel.values import MISSING, Mistyped, Timestamp
from pointsman.codec.base import EventDecoder, codecs
from pointsman.codec.registry_keys import RegistryKeys

FIELDS = {
    "user": "string",
    "amount": "double",
    "n": "int",
    "ok": "bool",
    "at": "timestamp",
    "tags": "list",
    "extra": "map",
    "raw": "bytes",
    "any": "dyn",
}
REGISTRY = RegistryKeys(url="http://localhost:1")
"""Is not asked before a value names a schema."""

HELPERS = {
    *("avro_logical", "avro_values", "base", "cloudevents", "fields", "json_objects", "proto_messages"),
    *("protoc", "readers", "registry", "registry_keys", "shape", "values", "whole"),
}


def csv(*names: str, fields: dict[str, str] | None = FIELDS) -> EventDecoder:
    return codecs.get("csv").decoder(names, fields)


def made(name: str, *names: str) -> EventDecoder:
    """The decoder of a format, with the registry that it needs."""
    registry = REGISTRY if name in ("avro", "protobuf", "json_schema") else None
    return codecs.get(name).decoder(names, FIELDS, registry)


def refused(decoder: EventDecoder, raw: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        decoder.decode(raw)
    assert caught.value.reason == "undecodable"
    return str(caught.value)


def test_the_walk_misses_no_file() -> None:
    """Every file of the room but its helpers is a registered codec of the same name."""
    files = {module.name for module in pkgutil.iter_modules(pointsman.codec.__path__)}
    assert files - HELPERS == set(codecs.names())


@pytest.mark.parametrize("name", codecs.names())
def test_every_codec_holds_the_role(name: str) -> None:
    """A decoder says which attribute holds a field, and that of an absent field is MISSING."""
    decoder = made(name, "class", "user")
    assert set(decoder.attributes) == {"class", "user"}
    if decoder.prepare is not None:
        decoder.prepare([None, b"", b"U1"])
        assert "schema" in refused(decoder, b"U1234")
        return
    event = decoder.decode(b"{}" if name == "json" else b"U1")
    assert getattr(event, decoder.attributes["class"]) is MISSING


def test_text_is_one_field() -> None:
    """The event is the text, whatever it is, and is written as JSON."""
    decoder = codecs.get("text").decoder(["text"], None)
    assert decoder.decode_whole('é "quoted"\n'.encode()) == {"text": 'é "quoted"\n'}
    assert getattr(decoder.decode(b""), decoder.attributes["text"]) == ""
    assert not decoder.verbatim


def test_text_that_is_not_utf8_names_the_byte() -> None:
    """It is a dead letter."""
    assert refused(codecs.get("text").decoder(["text"], None), b"ab\xff") == "not UTF-8: byte 2 is 0xff"


def test_cells_are_the_declared_fields_in_order() -> None:
    """Each cell is read as its field's type."""
    raw = b'U1,12.5,7,true,2025-01-02T03:04:05Z,"[1,2]","{""a"":1}",AP8=,5'
    assert csv().decode_whole(raw) == {
        "user": "U1",
        "amount": 12.5,
        "n": 7,
        "ok": True,
        "at": Timestamp(1_735_787_045_000_000_000),
        "tags": [1, 2],
        "extra": {"a": 1},
        "raw": b"\x00\xff",
        "any": "5",
    }


def test_used_fields_are_attributes() -> None:
    """As with JSON, only what expressions use is taken out."""
    decoder = csv("n", "user")
    event = decoder.decode(b"U1,1,2")
    assert [getattr(event, decoder.attributes[name]) for name in ("n", "user")] == [2, "U1"]


def test_an_empty_cell_is_null_and_one_left_out_is_missing() -> None:
    """CSV has no other way to say either."""
    assert csv().decode_whole(b",1") == {"user": None, "amount": 1.0}


@pytest.mark.parametrize(
    ("cell", "name", "value"),
    [
        (b"12a", "amount", "12a"),
        (b"1.5", "n", 1.5),
        (b"yes", "ok", "yes"),
        (b"soon", "at", "soon"),
        (b"NaN", "amount", "NaN"),
    ],
)
def test_a_cell_of_another_type_stays_as_sent(cell: bytes, name: str, value: Any) -> None:
    """It is marked, and the event is not refused."""
    found = csv(fields={name: FIELDS[name]}).decode_whole(cell)[name]
    assert isinstance(found, Mistyped)
    assert (found.value, found.name, found.declared) == (value, name, FIELDS[name])


def test_a_quoted_cell_may_hold_commas_quotes_and_line_breaks() -> None:
    """One record is one line of CSV, which may be several lines of text."""
    assert csv().decode_whole(b'"a, ""b""\nc",1\r\n')["user"] == 'a, "b"\nc'


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "the value has 0 lines of CSV, not one"),
        (b"a\nb", "the value has 2 lines of CSV, not one"),
        (b"\n", "the value has 1 lines of CSV, not one"),
        (b'"a', "not a line of CSV: unexpected end of data"),
        (b"\xff", "not UTF-8: byte 0 is 0xff"),
        (b"1,2,3,4,5,6,7,8,9,10", "the line has 10 cells, source.fields names 9"),
    ],
)
def test_what_is_no_line_of_csv_says_why(raw: bytes, said: str) -> None:
    """It is a dead letter."""
    assert refused(csv(), raw) == said


def test_csv_needs_names_for_its_cells() -> None:
    """Without declared fields the document is wrong."""
    with pytest.raises(Misfit, match=r"format csv needs source.fields") as caught:
        csv(fields=None)
    assert caught.value.code == "E431"


@pytest.mark.parametrize("name", codecs.names())
def test_the_fast_way_gives_the_same_or_raises(name: str) -> None:
    """What the engine calls first never disagrees with `decode` about a value that it takes."""
    decoder = made(name, "user", "amount")
    if decoder.fast is None:
        return
    for raw in (b'{"user":"U1","amount":1}', b"{}", b'{"user":null,"other":[]}'):
        fast, sure = decoder.fast(raw), decoder.decode(raw)
        for attribute in decoder.attributes.values():
            assert repr(getattr(fast, attribute)) == repr(getattr(sure, attribute))
    for raw in (b'{"user":1}', b"[]", b"", b'{"amount":1e999}'):
        with pytest.raises(Exception, match=r"."):
            decoder.fast(raw)
