"""Events that go on by another key: what they take along, and that parts of the way make the whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.base.records import Batch
from pointsman.cel.values import FALSE_KEY, MISSING, TRUE_KEY, Duration, Mistyped, Optional, Timestamp, Uint
from pointsman.engine.build import build
from pointsman.engine.decide import Decided, decide
from pointsman.engine.finish import finish
from pointsman.engine.hops import HOP, Arrived, Moved, arrived
from pointsman.engine.policy import Policy
from pointsman.engine.support import Errors
from pointsman.spec import load
from pointsman.state.memory import Memory

INTS = st.integers(-(2**63), 2**63 - 1)
PLAIN = st.none() | st.booleans() | INTS | st.floats(allow_nan=False) | st.text() | st.binary()
CEL = (
    PLAIN
    | st.builds(Uint, st.integers(0, 2**64 - 1))
    | st.builds(Timestamp, INTS)
    | st.builds(Duration, INTS)
)
VALUES = st.recursive(
    CEL,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | INTS | st.sampled_from([TRUE_KEY, FALSE_KEY]), inner, max_size=3)
    ),
    max_leaves=8,
)
HEADERS = st.none() | st.lists(
    st.tuples(st.text(max_size=5) | st.just(HOP), st.none() | st.binary(max_size=5)), min_size=1, max_size=4
)


def sent(moved: Moved, batch: Batch, **columns: Any) -> Batch:
    """What was moved, as its records come from the topic."""
    count = len(moved.indices)
    return Batch(
        values=[batch.values[index] for index in moved.indices],
        keys=list(moved.keys),
        topics=[f"p.by.{moved.name}"] * count,
        partitions=[3] * count,
        offsets=list(range(100, 100 + count)),
        timestamps=[1] * count,
        headers=columns.get("headers", moved.headers(batch)),
        now_ms=batch.now_ms,
    )


@given(
    metadata=st.dictionaries(st.text(), VALUES, max_size=4),
    ident=st.text(),
    key=st.none() | st.binary(),
    order=st.none() | st.binary() | st.text(),
    headers=HEADERS,
    numbers=st.tuples(st.integers(0, 2**31), st.integers(0, 2**62), st.integers(-1, 2**50), INTS),
)
def test_what_an_event_takes_along_comes_back(
    metadata: dict[str, Any], ident: str, key: bytes | None, order: Any, headers: Any, numbers: Any
) -> None:
    """Id, key, source, time, headers and every value of CEL are what they were."""
    partition, offset, timestamp, time = numbers
    came = Batch([b"v"], [key], ["in"], [partition], [offset], [timestamp], [headers], 5)
    moved = Moved("w")
    fields = [*metadata.items(), ("absent", MISSING)]
    errors = Errors().note("enrich.absent", ValueError("why"))
    source = (key, "in", partition, offset)
    moved.add(came, 0, "by", ident, time, order, source, -1, True, fields, errors)
    found = arrived(sent(moved, came))
    (hop,) = found.hops
    assert found.record(0) == came.record(0)
    assert found.keys == [key]
    assert moved.keys == [b"by"]
    assert moved.ident(0) == ident
    assert (hop.id, hop.time, hop.order, hop.counts, hop.repeat) == (ident, time, order, -1, True)
    assert hop.metadata == metadata
    assert repr(hop.metadata) == repr(metadata)
    noted = hop.noted()
    assert noted is not None
    assert (noted.first, noted.names) == (errors.first, errors.names)


def test_stand_ins_come_back() -> None:
    """A field of a wrong type, and an optional one, are the same for the fields of the next part."""
    came = Batch([b"v"], [None], ["in"], [0], [0], [7], [None], 5)
    moved = Moved("w")
    fields = [("a", Mistyped("x", "f", "int")), ("b", Optional(True, 1)), ("c", Optional(False))]
    moved.add(came, 0, MISSING, "e", 1, None, (None, "in", 0, 0), 1, False, fields, None)
    (hop,) = arrived(sent(moved, came)).hops
    assert repr(hop.metadata) == repr(dict(fields))
    assert moved.keys == [None]


@pytest.mark.parametrize(
    "headers", [None, [("a", b"1")], [(HOP, None)], [(HOP, b"\x91\x01")], [(HOP, b"\x91\x63")]]
)
def test_what_is_not_ours_is_a_dead_letter(headers: Any, tmp_path: Path) -> None:
    """A record that somebody else wrote to the topic is dead; it says where it lies."""
    policy = policy_of(tmp_path)
    batch = Batch([b"{}"], [None], ["p.by.m"], [0], [9], [1], [headers], 5)
    decided = decide(arrived(batch), {}, policy.stages[1], Stores(policy))
    ((_, letter),) = decided.dead
    assert letter.reason == "undecodable"
    assert HOP in letter.message
    assert (letter.record.topic, letter.record.offset, letter.id) == ("p.by.m", 9, "p.by.m-0-9")


DOCUMENT = """
version: 1
pipeline: p
source: {topics: [in], key: user, id: id, time: t, dedupe: {key: id, within: 1h}}
enrich:
  at: timestamp(when)
  by_user: {window: {key: user, over: 1h, sum: n}}
  by_device: {window: {key: device, over: 1h, sum: n, repartition: true}}
  ratio: metadata.by_user / metadata.by_device
  by_device_too: {window: {key: device, over: 2h, count: true, repartition: true}}
  by_city:
    window: {key: city, over: 1h, aggregate: {n: count, s: {sum: metadata.ratio}}, repartition: true}
  hour: metadata.at.getHours()
models: {a: {python: "m:f", inputs: {h: metadata.hour}}}
routes: [{name: odd, when: 'headers.h == "1" && topic == "in"', use: a}]
unmatched: dead_letter
"""


class Stores:
    """The stores of a policy, the same for every partition."""

    def __init__(self, policy: Policy) -> None:
        self._stores = {spec.field: spec.make(Memory()) for spec in policy.stores}

    def of(self, *_: Any) -> Any:
        return self._stores


def policy_of(folder: Path, text: str = DOCUMENT) -> Policy:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return build(load(path))


def records(decided: Decided) -> list[Any]:
    for call in decided.calls:
        finish(decided, call, [1] * len(call.ready()), 1.0)
    return [None if value is None else json.loads(value) for value in decided.values]


def test_parts_of_the_way_make_the_whole(tmp_path: Path) -> None:
    """Stage after stage, records, dead letters and counts are those of one function over everything."""
    policy = policy_of(tmp_path)
    assert [stage.onward for stage in policy.stages] == ["by_device", "by_city", None]
    events = [
        {"id": f"e{n % 25}", "t": 1_700_000_000_000 + n * 60_000, "n": n, "user": f"u{n % 3}", "city": "Rome"}
        | ({"device": f"d{n % 4}"} if n % 7 else {})
        | ({"when": "2026-01-31T12:00:00Z"} if n % 5 else {})
        for n in range(40)
    ]
    values = [*(json.dumps(event).encode() for event in events), b"no json", None]
    count = len(values)
    headers: list[Any] = [[("h", b"1")] if n % 4 else None for n in range(count)]
    batch = Batch(
        values,
        [b"k"] * count,
        ["in"] * count,
        [0] * count,
        list(range(count)),
        [1_700_000_000_000 + n * 50_000 for n in range(count)],
        headers,
        1_800_000_000_000,
    )
    whole = decide(batch, {}, policy, Stores(policy))
    wanted = records(whole)
    stores, dead, errors, last, at = Stores(policy), [], {}, batch, list(range(count))
    for stage in policy.stages:
        decided = decide(last, {}, stage, stores)
        found = dict(zip(at, records(decided), strict=True))
        dead += [(at[index], letter) for index, letter in decided.dead]
        errors |= decided.errors
        if decided.moved is not None:
            at = [at[index] for index in decided.moved.indices]
            last = arrived(sent(decided.moved, last))
    assert isinstance(last, Arrived)
    assert [found.get(index) for index in range(count)] == wanted
    assert dict(dead) == dict(whole.dead)
    assert errors == whole.errors
    assert any(record and record["result"]["status"] == "duplicate" for record in wanted)
