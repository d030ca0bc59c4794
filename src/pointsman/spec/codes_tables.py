"""The codes of findings about tables that are not files."""

from __future__ import annotations

from typing import Final

from pointsman.spec.code import Code

__all__ = ["TABLES"]

_ROW = "tables:\n  crm: {python: 'baseline:predict'}\nenrich:\n"

_SPENT = "  spent: {window: {key: user_id, over: 1h, sum: amount}}\n"

TABLES: Final = {
    "E240": Code(
        "a function's rows in an expression",
        "A table that is a Python function is asked before a batch is decided, for the keys of its look-ups. "
        "Which keys an expression will need cannot be known before.",
        "Add a field with a look-up, and use that field.",
        _ROW + "  vip: crm[user_id].vip == true",
        _ROW + "  vip: {lookup: crm, key: user_id, take: vip, default: false}",
    ),
    "E241": Code(
        "a look-up in a function whose key comes too late",
        "The function is asked before the batch is decided, and the key depends on something that is known "
        "only while events are decided in order, such as a window.",
        "Make the key of fields of the event, expressions and other look-ups.",
        _ROW + _SPENT + "  vip: {lookup: crm, key: string(spent), take: vip, default: false}",
        _ROW + _SPENT + "  vip: {lookup: crm, key: user_id, take: vip, default: false}",
    ),
    "E242": Code(
        "a field that asks a model which cannot be asked by then",
        "Fields are added before routes are tried and models called: a field's model runs in this process, "
        "and its inputs read the event and the fields before it.",
        "Name a model of `python` or `onnx`, and put the fields that it needs before it.",
        "models:\n  far: {http: 'http://localhost:9000/score'}\nenrich:\n  anomaly: {model: far}",
        "enrich:\n  anomaly: {model: baseline}",
    ),
    "E425": Code(
        "a table's topic that does not exist",
        "`check --live` did not find the topic that a table reads.",
        "Create it: `pointsman topics --create` makes it compacted; or correct the name.",
    ),
    "W426": Code(
        "a table's topic that is not compacted",
        "Kafka deletes old records of the topic, and rows with them, or keeps every version of each row.",
        "Set `cleanup.policy=compact` on the topic.",
    ),
    "E427": Code(
        "a table's topic with another number of partitions",
        "With `scope: partition` a worker reads the partitions of the table that it has of the source, so "
        "rows must lie in the partition of the events of their key.",
        "Give the topic as many partitions as the source, or use `scope: global`.",
    ),
}
"""In the order of the codes."""
