"""The codes of findings about what is remembered by key."""

from __future__ import annotations

from typing import Final

from pointsman.spec.code import Code

__all__ = ["KEYED"]

_SPEND = "enrich:\n  spend: {window: {key: user_id, over: 1h, sum: amount}}\n"

_ROWS = "tables: {profiles: {topic: profiles, scope: partition}}\nenrich:\n"
_BY_DEVICE = "  seen: {window: {key: device, over: 1h, count: true, repartition: true}}\n"
_TIER = "  tier: {lookup: profiles, key: user_id, take: tier, default: none}\n"

KEYED: Final = {
    "E243": Code(
        "a window by another key than the source's",
        "Events are spread over workers by `source.key`. A window by another key would see, on each worker, "
        "only the part of its events that came there.",
        "Take `source.key`, or add `repartition: true`, which sends events through a topic of their own.",
        "enrich:\n  seen: {window: {key: device, over: 1h, count: true}}",
        "enrich:\n  seen: {window: {key: user_id, over: 1h, count: true}}",
    ),
    "E247": Code(
        "a table of the worker's partitions behind a window by another key",
        "With `scope: partition` a worker holds the rows of its partitions of the source. Behind a window "
        "with `repartition: true` it has events of other partitions, whose rows are another worker's.",
        "Read the table in a field before that window, or use `scope: global`.",
        _ROWS + _BY_DEVICE + _TIER,
        _ROWS + _TIER + _BY_DEVICE,
    ),
    "W244": Code(
        "a condition that is counted instead of asked",
        "`count`, `rate` and `since_last` take every event where their expression has a value, and "
        "`false` is one.",
        "Write the condition as `where`, and count `true`.",
        "enrich:\n  large: {window: {key: user_id, over: 1h, count: amount > 1000}}",
        "enrich:\n  large: {window: {key: user_id, over: 1h, where: amount > 1000, count: true}}",
    ),
    "W245": Code(
        "counts that a crash may change",
        "Something is remembered of earlier events, and `delivery` is `at_least_once`: after a crash events "
        "that were counted already may come again, and be counted again.",
        "Leave `delivery` out, so that it is `exactly_once`, or accept it where a count need not be exact.",
        "delivery: at_least_once\n" + _SPEND,
        _SPEND,
    ),
    "W246": Code(
        "a remote model behind exactly once",
        "Decisions, changes of state and offsets are written in one transaction, in the partition's order: "
        "an event whose model answers late delays those behind it.",
        "Give routes a `deadline` and a `fallback`, or the topic more partitions.",
        'models:\n  far: {http: "http://localhost:9000/score", inputs: {amount: amount}}\n'
        "routes:\n  - {name: all, use: far}\n" + _SPEND,
        _SPEND,
    ),
}
"""In the order of the codes."""
