"""The client of a Schema Registry: what it asks, how long, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from codec.registry import StandIn, standing_in
from pointsman.base.errors import EnvironmentFault, RecordError
from pointsman.codec.avro import Avro
from pointsman.codec.avro import reader_of as avro_reader
from pointsman.codec.json_schema import reader_of as json_reader
from pointsman.codec.readers import Readers
from pointsman.codec.registry import SchemaRegistry, UnknownSchema
from pointsman.codec.registry_keys import RegistryAuthKeys, RegistryKeys, RegistryLoginKeys

HEAD = b"\0\0\0\0\x01"


@pytest.fixture
def registry() -> Iterator[StandIn]:
    """A stand-in for a Schema Registry."""
    with standing_in() as stand_in:
        yield stand_in


class Clock:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def client(stand_in: StandIn, clock: Clock, **keys: Any) -> SchemaRegistry:
    return SchemaRegistry(RegistryKeys(url=stand_in.url, **keys), clock, clock.sleep)


def test_a_registry_that_does_not_answer_is_asked_until_patience_ends(registry: StandIn) -> None:
    """Then the worker stops; it says where it asked."""
    registry.down = True
    clock = Clock()
    with pytest.raises(EnvironmentFault, match="does not answer: not now"):
        client(registry, clock, patience=5.0).schema(1)
    assert 3.0 < clock.now <= 5.0
    assert len(registry.asked) > 3


def test_patience_is_that_of_a_schema_with_all_it_uses(registry: StandIn) -> None:
    """A registry that comes and goes holds a worker up no longer than one that is away."""
    registry.add({"type": "enum", "name": "Currency", "symbols": ["EUR"]}, subject="currency")
    order = {"type": "record", "name": "Order", "fields": [{"name": "in", "type": "Currency"}]}
    number = registry.add(order, references=[{"name": "Currency", "subject": "currency", "version": 1}])
    clock, answer = Clock(), registry.answer

    def late(path: str, *given: Any) -> tuple[int, Any]:
        registry.down = clock.now < 3.0 or "currency" in path
        return answer(path, *given)

    registry.answer = late  # type: ignore[method-assign]  # its one method
    with pytest.raises(EnvironmentFault, match="does not answer"):
        client(registry, clock, patience=5.0).schema(number)
    assert clock.now <= 5.0


def test_an_answer_that_drips_is_none() -> None:
    """A request takes no longer than its time-out, however the bytes come."""
    clock = Clock()

    class Drips:
        def read1(self, _: int) -> bytes:
            clock.now += 0.9
            return b" "

        def __enter__(self) -> Drips:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    registry = SchemaRegistry(
        RegistryKeys(url="http://localhost:1", timeout=2.0, patience=5.0), clock, clock.sleep
    )
    registry._opener = SimpleNamespace(open=lambda *_, **__: Drips())
    with pytest.raises(EnvironmentFault, match="takes too long"):
        registry.schema(1)
    assert clock.now < 8.0


def test_what_is_unknown_is_asked_again_later(registry: StandIn) -> None:
    """An unknown id is remembered for some seconds; a known schema for good."""
    clock = Clock()
    readers = Readers(client(registry, clock), "JSON", lambda s: json_reader(s, {}), {}, clock)
    value = HEAD + b"{}"
    readers.prepare([value, value, None, b"", b"{}"])
    readers.prepare([value])
    assert registry.asked == ["/schemas/ids/1"]
    with pytest.raises(RecordError, match="has no schema with the id 1"):
        readers.read(value)
    registry.add("{}", "JSON")
    clock.now += 11
    readers.prepare([value])
    readers.prepare([value])
    assert readers.read(value) == {}
    assert len(registry.asked) == 2


def test_who_asks_is_shown_and_never_told(registry: StandIn) -> None:
    """Basic and bearer; a refusal names the key to look at and not the secret."""
    number = registry.add("{}", "JSON")
    for auth, header in (
        (RegistryAuthKeys(bearer="t0ps3cret"), "Bearer t0ps3cret"),
        (RegistryAuthKeys(basic=RegistryLoginKeys(user="u", password="t0ps3cret")), "Basic dTp0MHBzM2NyZXQ="),
    ):
        registry.authorization = header
        assert client(registry, Clock(), auth=auth).schema(number).kind == "JSON"
        registry.authorization = "another"
        with pytest.raises(EnvironmentFault, match=r"source\.registry\.auth") as caught:
            client(registry, Clock(), auth=auth).schema(number)
        assert "t0ps3cret" not in f"{caught.value} {auth!r}"


def test_references_come_before_what_uses_them(registry: StandIn) -> None:
    """Those of references too."""
    registry.add({"type": "enum", "name": "Currency", "symbols": ["EUR"]}, subject="currency")
    money = {"type": "record", "name": "Money", "fields": [{"name": "in", "type": "Currency"}]}
    registry.add(
        money, subject="money", references=[{"name": "Currency", "subject": "currency", "version": 1}]
    )
    order = {"type": "record", "name": "Order", "fields": [{"name": "paid", "type": "Money"}]}
    number = registry.add(order, references=[{"name": "Money", "subject": "money", "version": 1}])
    schema = client(registry, Clock()).schema(number)
    assert [reference.name for reference in schema.references] == ["Currency", "Money"]
    event = {"paid": {"in": "EUR"}}
    assert avro_reader(schema, {})[1](Avro.encoder(schema)(event)) == event


def test_an_address_that_is_no_registry_is_told(registry: StandIn) -> None:
    """A page that is not there is another matter than a schema that is not."""
    keys = RegistryKeys(url=registry.url + "/wrong")
    with pytest.raises(EnvironmentFault, match=r"source\.registry\.url has to end"):
        SchemaRegistry(keys).schema(1)
    with pytest.raises(UnknownSchema):
        client(registry, Clock()).latest("nobody")
