"""Rules of windows: their keys, what does not go together, and what delivery means for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pointsman.engine.build import build
from pointsman.enrich.window import Windowed
from pointsman.spec.keyed import hops
from pointsman.spec.load import examine
from pointsman.state.memory import Memory

DOCUMENT = """
version: 1
pipeline: p
source: {{topics: [in], {source}}}
enrich: {{w: {{window: {{{window}}}}}}}
models: {{m: {{python: "m:f"}}}}
routes: [{{name: all, use: m}}]
"""


@pytest.fixture
def found(tmp_path: Path) -> Any:
    """The document with a window, and the findings as (code, message)."""

    def make(window: str, source: str = "key: user_id", more: str = "") -> Any:
        (tmp_path / "m.py").write_text("def f(rows): return rows")
        path = tmp_path / "pipeline.yaml"
        path.write_text(DOCUMENT.format(window=window, source=source) + more)
        document, findings = examine(path)
        return document, [(one.code, one.message) for one in findings]

    return make


@pytest.mark.parametrize(
    ("window", "source"),
    [
        ("key: user_id, over: 1h, count: true", "key: user_id"),
        ("key: event.user_id, over: 1h, count: true", "key: user_id"),
        ("key: key, over: 1h, count: true", "id: n"),
        ("key: device, over: 1h, count: true, repartition: true", "key: user_id"),
        ("key: user_id, every: 1h, max: amount", "key: user_id"),
        ("key: user_id, over: 1h, every: 1h, max: amount", "key: user_id"),
        (
            "key: user_id, over: 1h, bucket: 10s, aggregate: {n: count, p: {quantile: a, q: 0.9}}",
            "key: user_id",
        ),
        ("key: user_id, over: 1h, bucket: exact, where: a == 1, include: false, distinct: b", "key: user_id"),
    ],
)
def test_good_windows(found, window, source):
    """These are what they should be; delivery is then exactly once."""
    document, findings = found(window, source)
    assert findings == []
    assert document.delivery == "exactly_once"


def test_a_window_after_a_hop_goes_by_its_key(found):
    """Once events go on by another key, a window by the source's stands in the wrong place."""
    hop = "key: device, over: 1h, count: true, repartition: true}}, "
    same = "y: {window: {key: event.device, over: 2h, count: true"
    assert found(hop + same)[1] == []
    ((code, message),) = found(hop + "y: {window: {key: user_id, over: 2h, count: true")[1]
    assert code == "E243"
    assert "by which events go from there on" in message
    back = "y: {window: {key: user_id, over: 2h, count: true, repartition: true"
    document, findings = found(hop + back)
    assert findings == []
    assert hops(document.enrich, document.source) == [0, 1]


@pytest.mark.parametrize(
    ("window", "code", "words"),
    [
        ("key: device, over: 1h, count: true", "E243", "not that of the source"),
        ("over: 1h, count: true", "E202", "'key'"),
        ("key: user_id, count: true", "E215", "no length"),
        ("key: user_id, over: 1h", "E215", "computes nothing"),
        ("key: user_id, over: 1h, sum: a, mean: a", "E215", "has both 'sum' and 'mean'"),
        ("key: user_id, over: 1h, sum: a, aggregate: {n: count}", "E215", "side by side"),
        ("key: user_id, over: 1h, aggregate: {n: {q: 0.5}}", "E215", "computes nothing"),
        ("key: user_id, over: 1h, sum: a, q: 0.5", "E215", "no 'quantile'"),
        ("key: user_id, over: 1h, every: 2h, count: true", "E215", "differ"),
        ("key: user_id, every: 2h, bucket: 1m, count: true", "E215", "one sub-bucket"),
        ("key: user_id, over: 1h, bucket: 2h, count: true", "E205", "longer than the window"),
        ("key: user_id, over: 30d, bucket: 1ms, count: true", "E205", "sub-buckets"),
        ("key: user_id, over: 1h, count: a > 1", "W244", "true or false"),
        ("key: user_id, over: 1h, aggregate: {n: {count: a > 1}}", "W244", "true or false"),
        ("key: user_id, over: 1h, aggregate: {n: sum}", "E205", "count, rate, since_last"),
    ],
)
def test_bad_windows(found, window, code, words):
    """Each mistake is told by its code."""
    ((got, message), *_) = found(window)[1]
    assert got == code
    assert words in message


def test_a_key_beside_the_kafka_key_is_another(found):
    """Without source.key, records go by their Kafka key."""
    assert found("key: user_id, over: 1h, count: true", "id: n")[1][0][0] == "E243"


def test_what_delivery_means_is_said(found):
    """At least once may count twice; a remote model delays its partition."""
    good = "key: user_id, over: 1h, count: true"
    assert found(good, more="delivery: at_least_once")[1][0][0] == "W245"
    far = "endpoints: {e: {http: 'http://localhost:1/x'}}"
    document, findings = found(good, more=far)
    assert document is not None
    assert [code for code, _ in findings] == ["W225"]


def test_another_definition_has_another_store(found):
    """What the stored bytes depend on is in the store's name; what they do not is not."""

    def name(window: str) -> str:
        return build(found(window)[0]).stores[0].name

    one = name("key: user_id, over: 1h, aggregate: {n: count, s: {sum: a}}")
    assert one == name("key: user_id, over: 60m, include: false, aggregate: {m: count, t: {sum: a}}")
    others = {
        name("key: user_id, over: 2h, aggregate: {n: count, s: {sum: a}}"),
        name("key: user_id, over: 1h, bucket: 10s, aggregate: {n: count, s: {sum: a}}"),
        name("key: user_id, over: 1h, bucket: exact, aggregate: {n: count, s: {sum: a}}"),
        name("key: user_id, over: 1h, where: a > 1, aggregate: {n: count, s: {sum: a}}"),
        name("key: user_id, over: 1h, aggregate: {n: count, s: {sum: b}}"),
        name("key: user_id, over: 1h, aggregate: {n: count, s: {mean: a}}"),
        name("key: user_id, every: 1h, aggregate: {n: count, s: {sum: a}}"),
    }
    assert len(others | {one}) == 8


PARTITION = """
version: 1
pipeline: p
source: {topics: [in], key: user_id}
tables: {own: {topic: rows, scope: SCOPE}}
enrich:
ENRICH
models: {m: {python: "m:f"}}
routes: [{name: all, use: m, when: WHEN}]
unmatched: skip
"""
BY_DEVICE = "by_device: {window: {key: device, over: 1h, sum: SUM, repartition: true}}"
LOOKS = "tier: {lookup: own, key: user_id, take: tier, default: none}"


@pytest.mark.parametrize(
    ("fields", "when", "line"),
    [
        ([BY_DEVICE, LOOKS], "a > 1", 8),
        ([BY_DEVICE, "tier: own[user_id].tier"], "a > 1", 8),
        ([BY_DEVICE.replace("SUM", "'double(own[user_id].n)'")], "a > 1", 7),
        ([BY_DEVICE], "own[user_id].tier == 'a'", 5),
        ([LOOKS, BY_DEVICE], "a > 1", None),
        (["d: own[user_id].d", BY_DEVICE.replace("key: device", "key: 'own[user_id].d'")], "a > 1", None),
        ([LOOKS], "own[user_id].tier == 'a'", None),
    ],
)
def test_a_table_of_partitions_is_read_before_events_go_on(tmp_path, fields, when, line):
    """Behind a window by another key its rows are another worker's; those of a global one are everywhere."""
    path = tmp_path / "pipeline.yaml"
    (tmp_path / "m.py").write_text("def f(rows): return rows")
    text = PARTITION.replace("ENRICH", "\n".join(f"  {one}" for one in fields)).replace("SUM", "a")
    path.write_text(text.replace("SCOPE", "partition").replace("WHEN", f'"{when}"'))
    found = [(one.code, one.line) for one in examine(path)[1]]
    assert found == ([] if line is None else [("E247", line)])
    path.write_text(path.read_text().replace("scope: partition", "scope: global"))
    assert examine(path)[1] == []


@pytest.mark.parametrize(
    ("bucket", "kinds", "most"), [("exact", ["sum"], 97), ("1m", ["sum"], 110), ("1m", ["std", "last"], 22)]
)
def test_a_window_fits_into_its_records(found, bucket, kinds, most):
    """As many aggregates as `check` takes are kept in records of 1 KiB, the largest numbers too."""

    def window(count: int) -> str:
        each = ", ".join(f"{kind}{n}: {{{kind}: a{n}}}" for n in range(count) for kind in kinds)
        return f"key: user_id, over: 1h, bucket: {bucket}, aggregate: {{{each}}}"

    document, findings = found(window(most))
    assert findings == []
    config = document.enrich[0].config
    made = Windowed.from_config(config).store(Memory())
    assert made.see()(1_790_000_000_000, 1, "k", *[1.7e308] * most) is not None
    assert {len(value) > 700 and len(value) <= 1024 for _, value in made.drain()} == {True}
    assert [code for code, _ in found(window(most + 1))[1]] == ["E205"]
