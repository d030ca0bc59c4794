"""Avro, Protobuf and JSON Schema: what each type becomes, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.registry import StandIn, standing_in
from pointsman.base.errors import Misfit, RecordError
from pointsman.cel.values import Duration, Mistyped, Timestamp
from pointsman.codec.avro import Avro
from pointsman.codec.avro import reader_of as avro_reader
from pointsman.codec.base import codecs
from pointsman.codec.json_schema import JsonSchema
from pointsman.codec.json_schema import reader_of as json_reader
from pointsman.codec.protobuf import Protobuf
from pointsman.codec.protobuf import reader_of as proto_reader
from pointsman.codec.readers import Unusable
from pointsman.codec.registry import Reference, Schema
from pointsman.codec.registry_keys import RegistryKeys

MOMENT = Timestamp(1_769_860_800_123_000_000)
HEAD = b"\0\0\0\0\x01"


@pytest.fixture
def registry() -> Iterator[StandIn]:
    """A stand-in for a Schema Registry."""
    with standing_in() as stand_in:
        yield stand_in


def avro(**fields: Any) -> Schema:
    """A record with these fields."""
    parts = [{"name": name, "type": kind} for name, kind in fields.items()]
    return Schema(1, "AVRO", json.dumps({"type": "record", "name": "E", "fields": parts}))


def proto(body: str, imports: str = "") -> Schema:
    """A schema whose first message is E."""
    return Schema(1, "PROTOBUF", f'syntax = "proto3"; {imports} message E {{ {body} }}')


def refused(read: Any, value: bytes) -> RecordError:
    with pytest.raises(RecordError) as caught:
        read(value)
    return caught.value


def logical(beneath: str, what: str, **more: Any) -> dict[str, Any]:
    return {"type": beneath, "logicalType": what, **more}


# Avro.

DECIMAL = logical("bytes", "decimal", precision=20, scale=2)
UUID = "0b5ee3a5-6c3c-4ef0-a5b7-8dfd7f9a2a11"


@pytest.mark.parametrize(
    ("kind", "declared", "sent", "found"),
    [
        ("long", None, 2**63 - 1, 2**63 - 1),
        ("bytes", None, "AP8=", b"\x00\xff"),
        ({"type": "enum", "name": "Kind", "symbols": ["A", "B"]}, "string", "B", "B"),
        ({"type": "fixed", "name": "Two", "size": 2}, "bytes", "AP8=", b"\x00\xff"),
        (DECIMAL, None, "-1234.56", -1234.56),
        (DECIMAL, "string", "-1234.50", "-1234.50"),
        (DECIMAL, "double", "0.05", 0.05),
        (["null", DECIMAL], "string", "0.05", "0.05"),
        (logical("long", "timestamp-millis"), None, str(MOMENT), MOMENT),
        (logical("long", "timestamp-micros"), "timestamp", str(MOMENT), MOMENT),
        (logical("long", "local-timestamp-nanos"), None, str(MOMENT), MOMENT),
        (logical("long", "timestamp-micros"), "int", str(MOMENT), MOMENT.ms),
        (["null", logical("long", "timestamp-millis")], None, None, None),
        (logical("int", "date"), None, "2026-01-31", Timestamp(1_769_817_600_000_000_000)),
        (logical("int", "date"), "string", "2026-01-31", "2026-01-31"),
        (logical("string", "uuid"), None, UUID, UUID),
        (logical("fixed", "uuid", name="Id", size=16), None, UUID, UUID),
        (logical("int", "time-millis"), None, 1000, 1000),
        (logical("string", "decimal"), None, "as it stands", "as it stands"),
        ({"type": "array", "items": logical("long", "timestamp-millis")}, "list", [str(MOMENT)], [MOMENT]),
        ({"type": "map", "values": DECIMAL}, "map", {"a": "1.5"}, {"a": 1.5}),
        ("double", "int", 3.0, 3),
        ("long", "double", 3, 3.0),
        ("string", "timestamp", str(MOMENT), MOMENT),
        ("string", "bytes", "AP8=", b"\x00\xff"),
    ],
)
def test_avro_types(kind: Any, declared: str | None, sent: Any, found: Any) -> None:
    """Each type has its value in rules; logical types are converted as documented."""
    schema = avro(x=kind)
    _, read = avro_reader(schema, {"x": declared} if declared else {})
    event = read(Avro.encoder(schema)({"x": sent}))
    assert event == {"x": found}
    assert type(event["x"]) is type(found)


def test_avro_records_that_hold_themselves_and_unions_of_records() -> None:
    """Conversions reach every depth, and each branch of a union has its own."""
    at = logical("long", "timestamp-millis")
    paid = {"type": "record", "name": "Paid", "fields": [{"name": "at", "type": at}]}
    gone = {"type": "record", "name": "Gone", "fields": [{"name": "code", "type": "long"}]}
    node = {
        "type": "record",
        "name": "Node",
        "fields": [{"name": "at", "type": at}, {"name": "next", "type": ["null", "Node"]}],
    }
    schema = avro(what=[paid, gone], again={"type": "array", "items": ["null", "Paid", "Gone"]}, node=node)
    _, read = avro_reader(schema, {})
    now = str(MOMENT)
    event = {
        "what": {"code": 5},
        "again": [{"at": now}, None, {"code": 6}],
        "node": {"at": now, "next": {"at": now, "next": None}},
    }
    assert read(Avro.encoder(schema)(event)) == {
        "what": {"code": 5},
        "again": [{"at": MOMENT}, None, {"code": 6}],
        "node": {"at": MOMENT, "next": {"at": MOMENT, "next": None}},
    }


def test_a_moment_of_no_year_is_marked() -> None:
    """A timestamp beyond the year 9999 has no value in rules; the record keeps its number."""
    _, read = avro_reader(avro(x=logical("long", "timestamp-millis")), {})
    value = read(Avro.encoder(avro(x="long"))({"x": 2**60}))["x"]
    assert isinstance(value, Mistyped)
    assert value.value == 2**60


@pytest.mark.parametrize("value", [b"", b"\x02", b"\x04a", b"\x02a\x00", b"\x02\xff", b"\x7f"])
def test_avro_that_is_broken_is_a_dead_letter(value: bytes) -> None:
    """Too short, too long or not UTF-8."""
    _, read = avro_reader(avro(x="string"), {})
    found = refused(read, HEAD + value)
    assert (found.reason, str(found)[:37]) == (
        "undecodable",
        "not a value of the Avro schema 1: " + str(found)[34:37],
    )


SIMPLE = st.sampled_from(["null", "boolean", "long", "double", "string", "bytes"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(),
    "bytes": st.binary(),
}


def kinds(depth: int = 2) -> st.SearchStrategy[Any]:
    """Types of Avro, with the values that they may have."""
    simple = SIMPLE.map(lambda name: (name, VALUES[name]))
    if not depth:
        return simple
    inner = kinds(depth - 1)
    return st.one_of(
        simple,
        inner.map(lambda k: ({"type": "array", "items": k[0]}, st.lists(k[1], max_size=3))),
        inner.map(lambda k: ({"type": "map", "values": k[0]}, st.dictionaries(st.text(), k[1], max_size=3))),
    )


@st.composite
def avro_events(draw: st.DrawFn) -> tuple[Schema, dict[str, Any]]:
    fields = draw(st.lists(kinds(), min_size=1, max_size=5))
    schema = avro(**{f"f{n}": kind for n, (kind, _) in enumerate(fields)})
    return schema, {f"f{n}": draw(values) for n, (_, values) in enumerate(fields)}


@given(avro_events())
def test_avro_comes_back_as_it_was_written(drawn: tuple[Schema, dict[str, Any]]) -> None:
    """Random records of random schemas."""
    schema, event = drawn
    assert avro_reader(schema, {})[1](Avro.encoder(schema)(event)) == event


@given(st.binary(max_size=40))
def test_whatever_comes_is_an_event_or_a_dead_letter(content: bytes) -> None:
    """No bytes make a reader raise anything but RecordError."""
    for read in READS:
        with suppress(RecordError):
            assert isinstance(read(HEAD + content), dict)


READS = (
    avro_reader(avro(a="string", b=["null", DECIMAL], c={"type": "array", "items": "long"}), {})[1],
    proto_reader(proto("string a = 1; repeated int64 b = 2; E c = 3;"), {})[1],
    json_reader(Schema(1, "JSON", '{"required": ["a"]}'), {})[1],
)

# Protobuf.

WELL_KNOWN = "".join(
    f'import "google/protobuf/{name}.proto"; ' for name in ("timestamp", "duration", "struct", "wrappers")
)


@pytest.mark.parametrize(
    ("body", "declared", "sent", "found"),
    [
        ("int64 x = 1;", None, 2**60, 2**60),
        ("int64 x = 1;", None, None, 0),
        ("optional int64 x = 1;", None, None, ...),
        ("optional string x = 1;", None, "", ""),
        ("oneof w { string x = 1; int32 y = 2; }", None, "a", "a"),
        ("enum K { A = 0; B = 1; } K x = 1;", "string", "B", "B"),
        ("bytes x = 1;", None, "AP8=", b"\x00\xff"),
        ("repeated string x = 1;", "list", ["a"], ["a"]),
        ("map<int32, string> x = 1;", "map", {"3": "a"}, {"3": "a"}),
        ("map<bool, E> x = 2; int32 y = 1;", None, {"true": {"y": 4}}, {"true": {"x": {}, "y": 4}}),
        ("uint64 x = 1;", None, 2**63, Mistyped(2**63, "x", "dyn")),
        ("google.protobuf.Timestamp x = 1;", None, str(MOMENT), MOMENT),
        ("google.protobuf.Timestamp x = 1;", "int", str(MOMENT), MOMENT.ms),
        ("google.protobuf.Duration x = 1;", None, "1.5s", Duration(1_500_000_000)),
        ("google.protobuf.Int64Value x = 1;", "int", 0, 0),
        ("google.protobuf.Struct x = 1;", None, {"a": [1, None]}, {"a": [1.0, None]}),
        ("E x = 1;", None, None, ...),
    ],
)
def test_protobuf_types(body: str, declared: str | None, sent: Any, found: Any) -> None:
    """Each type has its value in rules; what has presence and is not set is missing."""
    schema = proto(body, WELL_KNOWN)
    _, read = proto_reader(schema, {"x": declared} if declared else {})
    event = read(Protobuf.encoder(schema)({} if sent is None else {"x": sent}))
    assert repr(event.get("x", ...)) == repr(found)


def test_the_path_names_the_message_type() -> None:
    """Any message of the file, nested ones too; a path that leads nowhere is a dead letter."""
    text = (
        'syntax = "proto3"; message A { message B { int32 b = 1; } int32 a = 1; } message C { int32 c = 1; }'
    )
    _, read = proto_reader(Schema(1, "PROTOBUF", text), {})
    content = b"\x08\x05"
    assert read(HEAD + b"\x00" + content) == {"a": 5}
    assert read(HEAD + b"\x02\x00" + content) == {"a": 5}
    assert read(HEAD + b"\x02\x02" + content) == {"c": 5}
    assert read(HEAD + b"\x04\x00\x00" + content) == {"b": 5}
    assert refused(read, HEAD + b"\x02\x08" + content).reason == "schema"
    for broken in (b"", b"\x02", b"\x01", b"\xff\xff\xff\xff\xff\xff"):
        assert "path" in str(refused(read, HEAD + broken))


@given(
    st.fixed_dictionaries(
        {
            "s": st.text(),
            "n": VALUES["long"],
            "d": st.floats(allow_nan=False),
            "b": st.booleans(),
            "l": st.lists(st.integers(-(2**31), 2**31 - 1)),
            "m": st.dictionaries(st.text(), st.text(), max_size=3),
            "raw": st.binary(),
        }
    )
)
def test_protobuf_comes_back_as_it_was_written(event: dict[str, Any]) -> None:
    """Random messages."""
    sent = event | {"raw": base64.b64encode(event["raw"]).decode()}
    assert READ_ALL(ENCODE_ALL(_json_floats(sent))) == event


def _json_floats(event: dict[str, Any]) -> dict[str, Any]:
    """Infinities as protobuf's JSON writes them."""
    number = event["d"]
    return event | {"d": ("Infinity" if number > 0 else "-Infinity") if number - number != 0 else number}


ALL = proto(
    "string s = 1; int64 n = 2; double d = 3; bool b = 4; repeated int32 l = 5; map<string, string> m = 6; "
    "bytes raw = 7;"
)
READ_ALL, ENCODE_ALL = proto_reader(ALL, {})[1], Protobuf.encoder(ALL)


@pytest.mark.parametrize(
    ("schema", "reader", "says"),
    [
        (Schema(1, "AVRO", '"string"'), avro_reader, "of the type string, and an event is a record"),
        (Schema(1, "AVRO", '{"type": "record"}'), avro_reader, "cannot be parsed"),
        (Schema(1, "PROTOBUF", "message {"), proto_reader, "does not compile"),
        (
            Schema(1, "JSON", '{"type": "string"}'),
            json_reader,
            "of the type string, and an event is an object",
        ),
        (
            Schema(1, "JSON", '{"$ref": "http://localhost:1/x"}'),
            json_reader,
            "not among the schema's references",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(schema: Schema, reader: Any, says: str) -> None:
    """Every record that names it is then a dead letter with these words."""
    with pytest.raises(Unusable, match=says):
        reader(schema, {})


# JSON Schema.


def test_json_is_valid_under_its_schema_or_a_dead_letter() -> None:
    """The complaint names the field; the event's own bytes can be spliced."""
    text = '{"properties": {"n": {"type": "integer"}, "sub": {"$ref": "sub.json"}}, "required": ["n"]}'
    schema = Schema(1, "JSON", text, (Reference("sub.json", '{"type": "string"}'),))
    _, read = json_reader(schema, {"at": "timestamp"})
    assert read(HEAD + f'{{"n": 1, "at": "{MOMENT}"}}'.encode()) == {"n": 1, "at": MOMENT}
    assert str(refused(read, HEAD + b'{"n": 1, "sub": 2}')) == (
        'not valid under the JSON Schema 1: sub: 2 is not of type "string"'
    )
    assert refused(read, HEAD + b'{"n": ').reason == "undecodable"
    with pytest.raises(ValueError, match="required"):
        JsonSchema.encoder(schema)({})


@given(st.dictionaries(st.text(), st.one_of(VALUES["long"], st.text(), st.none(), st.booleans()), max_size=4))
def test_json_comes_back_as_it_was_written(event: dict[str, Any]) -> None:
    """Random objects."""
    assert json_reader(ANY, {})[1](JsonSchema.encoder(ANY)(event)) == event


ANY = Schema(1, "JSON", "{}")

# Declared fields.

HOLDS = {
    "avro": (avro(x="string"), avro_reader),
    "protobuf": (proto("string x = 1;"), proto_reader),
    "json_schema": (Schema(1, "JSON", '{"properties": {"x": {"type": "string"}}}'), json_reader),
}


@pytest.mark.parametrize("form", HOLDS)
def test_a_schema_that_cannot_be_what_is_declared_is_refused(form: str, registry: StandIn) -> None:
    """Where no value could have the declared type, all are dead letters; else each is looked at by itself."""
    schema, _ = HOLDS[form]
    encode = codecs.get(form).encoder(schema)  # type: ignore[attr-defined]  # these have one
    value = encode({"x": "soon"})
    registry.add(schema.text, schema.kind)
    for declared, fits in (("string", True), ("timestamp", True), ("int", False), ("map", False)):
        decoder = codecs.get(form).decoder(["x"], {"x": declared}, RegistryKeys(url=registry.url))
        assert decoder.prepare is not None
        decoder.prepare([value])
        if fits:
            assert isinstance(decoder.decode_whole(value)["x"], str if declared == "string" else Mistyped)
        else:
            found = refused(decoder.decode, value)
            assert found.reason == "schema"
            assert f"x is string, declared {declared}" in str(found)


def test_a_schema_of_another_format_is_refused(registry: StandIn) -> None:
    """The reason says which it is."""
    registry.add("{}", "JSON")
    decoder = codecs.get("avro").decoder([], None, RegistryKeys(url=registry.url))
    assert decoder.prepare is not None
    decoder.prepare([HEAD])
    assert "it is json_schema, source.format says avro" in str(refused(decoder.decode, HEAD))
    assert "looks like JSON" in str(refused(decoder.decode, b'{"a": 1}'))


def test_formats_and_registries_belong_together() -> None:
    """Avro without a registry and JSON with one are mistakes of the document."""
    with pytest.raises(Misfit, match=r"format avro needs source\.registry"):
        codecs.get("avro").decoder([], None, None)
    with pytest.raises(Misfit, match="format json asks no Schema Registry"):
        codecs.get("json").decoder([], None, RegistryKeys(url="http://localhost:1"))
