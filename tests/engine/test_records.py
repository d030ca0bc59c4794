"""What a decision record says, and what becomes of input that is not as expected."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

PLAIN = """
version: 1
pipeline: p
source: {topics: [in], key: user, id: txn, time: ts, fields: {user: string, txn: string, ts: int, n: double}}
enrich: {level: 'n > 10.0 ? "high" : "low"'}
models: {a: {python: "m:f", inputs: {n: n}, outputs: {score: "reply.score"}}}
routes: [{name: r, use: a}]
"""


def test_the_whole_record(case):
    """Every part stands where the documentation says, the event as it came."""
    event = {"txn": "t-1", "user": "U1", "ts": 1_760_000_000_000, "n": 12, "other": {"deep": [1]}}
    record = case(PLAIN).record(event, keys=[b"k1"], reply={"score": 0.25, "more": 1})
    policy = record["decision"].pop("policy")

    assert re.fullmatch(r"0@[0-9a-f]{8}", policy)
    assert record == {
        "v": 1,
        "id": "t-1",
        "time": 1_760_000_000_000,
        "decided_at": 1_760_000_000_050,
        "source": {"topic": "in", "partition": 0, "offset": 0, "key": "k1"},
        "event": event,
        "metadata": {"level": "high"},
        "decision": {"route": "r", "strategy": "fixed", "model": "a", "propensity": 1.0, "reason": "default"},
        "result": {"status": "ok", "model": "a", "output": {"score": 0.25}, "latency_ms": 1.5},
    }


def test_the_events_bytes_are_kept_as_they_came(case):
    """Spaces, order and number formats of the event survive."""
    raw = b'{ "txn":"t", "user" :"U", "n": 1.50e1, "z": 1E400 }'
    (value,) = case(PLAIN).decide(raw, reply={"score": 1}).values

    assert b'"event":' + raw + b"," in value


@pytest.mark.parametrize(
    ("raw", "reason", "said"),
    [
        (b"not json", "undecodable", "JSON"),
        (b'{"txn": "t"', "undecodable", "too early"),
        (b'{"txn": "\xff"}', "undecodable", "UTF-8"),
        (b'{"unread": "\xff"}', "undecodable", "UTF-8"),
        (b'{"\xff": 1}', "undecodable", "UTF-8"),
        (b'{"n": NaN}', "undecodable", ""),
        (b'{"unread": NaN}', "undecodable", ""),
        (b'{"unread": Infinity}', "undecodable", ""),
        (b"[1, 2]", "undecodable", "object"),
        (b'"text"', "undecodable", "object"),
        (b"", "undecodable", ""),
        (b'{"n": 1} {"n": 2}', "undecodable", ""),
        (b'{"unread": "a\x01b"}', "undecodable", ""),
        (b'{"unread": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "undecodable", "deep"),
        (b'{"txn": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "undecodable", "deep"),
        (None, "empty", "tombstone"),
    ],
)
def test_what_is_not_an_event_is_a_dead_letter_with_its_bytes(case, raw, reason, said):
    """It says why, keeps the bytes, and the next event is decided."""
    decided = case(PLAIN).decide(raw, {"txn": "t", "n": 1}, reply={"score": 1})
    ((index, letter),) = decided.dead

    assert (index, letter.reason, letter.record.value, letter.id) == (0, reason, raw, "in-0-0")
    assert said in letter.message
    assert decided.values[0] is None
    assert json.loads(decided.values[1])["id"] == "t"


def test_duplicate_keys_are_decided_by_the_last(case):
    """JSON readers agree on the last of two equal keys; the bytes keep both."""
    record = case(PLAIN).decide(b'{"txn": "t", "n": 1, "n": 20}', reply={"score": 1}).values[0]

    assert b'"level":"high"' in record
    assert b'"n": 1, "n": 20' in record


@pytest.mark.parametrize("txn", [None, 1.5, True, [], {}, "missing"])
def test_an_id_that_is_not_a_string_falls_back_to_the_records_place(case, txn):
    """It is counted, never refused."""
    event = {"n": 1} if txn == "missing" else {"n": 1, "txn": txn}
    made = case(PLAIN)

    assert made.record(event, reply={"score": 1})["id"] == "in-0-0"
    assert made.decide(event, reply={"score": 1}).defaulted["id"] == 1


def test_a_redriven_record_keeps_its_id(case):
    """The id that a dead letter carried in its header is the event's default id."""
    record = case("routes: [{name: r, use: a}]").record({}, headers=[[("pointsman-id", b"in-3-17")]])

    assert record["id"] == "in-3-17"


@pytest.mark.parametrize(
    ("key", "told"),
    [(None, None), (b"", ""), (b'q"', 'q"'), ("ä".encode(), "ä"), (b"\xff\x00", {"base64": "/wA="})],
)
def test_the_kafka_key_in_the_record(case, key, told):
    """A key that is not UTF-8 stands in base64."""
    assert case(PLAIN).record({"n": 1}, keys=[key], reply={"score": 1})["source"]["key"] == told


@pytest.mark.parametrize(
    ("ts", "time"),
    [
        (1_760_000_000_000, 1_760_000_000_000),
        (None, 1_700_000_000_000),
        ("x", 1_700_000_000_000),
        (10**30, 1_700_000_000_000),
    ],
)
def test_a_time_that_is_none_falls_back_to_the_records_timestamp(case, ts, time):
    """A missing, null or absurd time is the record's own."""
    assert case(PLAIN).record({"n": 1, "ts": ts}, reply={"score": 1})["time"] == time


def test_without_any_time_it_is_when_the_batch_was_polled(case):
    """A record may have no timestamp at all."""
    assert case(PLAIN).record({"n": 1}, timestamps=[-1], reply={"score": 1})["time"] == 1_760_000_000_050


def test_a_wrong_type_leaves_the_event_as_sent(case):
    """The comparison errs, the metadata field is absent and named, the event goes on."""
    record = case(PLAIN).record({"txn": "t", "n": "12"}, reply={"score": 1})

    assert record["metadata"] == {}
    assert record["decision"]["errors"][0]["at"] == "enrich.level"
    assert record["event"]["n"] == "12"
    assert record["result"]["attempts"][0]["class"] == "invalid_input"


def test_keys_order_by_source_key(case):
    """A decision's own key is the value of `source.key`, else the Kafka key."""
    keys = [b"a", b"b", b"c"]
    decided = case(PLAIN).decide({"user": "U1"}, {"n": 1}, {"user": 7}, keys=keys, reply={"score": 1})

    assert decided.keys == ["U1", b"b", b"c"]


def test_outputs_may_read_the_event(case):
    """An output's expression sees the event beside the reply."""
    text = PLAIN.replace('"reply.score"', '"reply.score * event.n"')
    record = case(text).record({"n": 4.0}, reply={"score": 0.5})

    assert record["result"]["output"] == {"score": 2.0}


def test_a_reply_the_mapping_does_not_fit_is_an_invalid_reply(case):
    """The decision says failed, the dead letter has the same id and the attempts."""
    made = case(PLAIN)
    record, letter = made.record({"txn": "t", "n": 1}, reply={}), made.letter({"txn": "t", "n": 1}, reply={})

    assert record["result"]["status"] == "failed"
    assert record["result"]["attempts"] == list(letter.attempts)
    assert record["result"]["attempts"][0]["class"] == "invalid_reply"
    assert (letter.id, letter.reason) == ("t", "model_failed")
    assert "score" in letter.message


def test_a_reply_that_is_not_a_number_is_null(case):
    """NaN and infinities have no JSON; the record stays valid."""
    record = case(PLAIN).record({"n": 1}, reply={"score": float("nan")})

    assert record["result"]["output"] == {"score": None}


def test_metadata_and_inputs_of_a_python_model_without_inputs(case):
    """Without `inputs` a model gets the enriched event."""
    seen = []
    text = PLAIN.replace(', inputs: {n: n}, outputs: {score: "reply.score"}', "")
    case(text).decide({"txn": "t", "user": "U", "ts": 5, "n": 11, "x": [1]}, reply=seen.append)

    assert seen == [
        {
            "id": "t",
            "time": 5,
            "key": "U",
            "event": {"txn": "t", "user": "U", "ts": 5, "n": 11.0, "x": [1]},
            "metadata": {"level": "high"},
        }
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(["txn", "user", "ts", "n", "other"], JSON)),
    st.none() | st.binary(max_size=4),
)
def test_whatever_comes_every_record_is_valid_json(case_once, event, key):
    """Any JSON event with any key ends in a record that parses strictly, or in a dead letter."""
    decided = case_once.decide(event, keys=[key], reply=event)

    for value in decided.values:
        if value is not None:
            json.loads(value.decode(), parse_constant=pytest.fail)
    assert len(decided.dead) + sum(v is not None for v in decided.values) >= 1


@pytest.fixture(scope="module")
def case_once(tmp_path_factory):
    """One policy for all examples of a property."""
    from engine.conftest import Case
    from pointsman.engine.build import build
    from pointsman.spec import load

    folder = tmp_path_factory.mktemp("once")
    (folder / "m.py").write_text("def f(rows):\n    return rows\n")
    (folder / "pipeline.yaml").write_text(PLAIN)
    return Case(build(load(folder / "pipeline.yaml")))
