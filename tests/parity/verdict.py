"""Whether a host wrote what its case says."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from parity.record import source_of
from parity.stage import Play

__all__ = ["compare", "differences", "write_wanted"]

_TOLD = 20


def compare(play: Play) -> None:
    """Fails with the first differences."""
    assert not play.failures, f"{play.case.name} on {play.host.name}: {play.failures[0]}"
    found = differences(play)
    assert not found, "\n".join([f"{play.case.name} on {play.host.name}:", *found[:_TOLD]])


def differences(play: Play) -> list[str]:
    """Lines that are wanted and were not written, with `-`, and the other way round, with `+`."""
    wanted = play.case.wanted.read_text(encoding="utf-8").splitlines()
    if play.host.whole:
        wanted = [line for line in wanted if not is_request(line)]
    written = play.written()
    if play.by_model:
        lane = partial(by_model, field=play.case.order)
        wanted, written = sorted(wanted, key=lane), sorted(written, key=lane)
    changes = difflib.unified_diff(wanted, written, lineterm="", n=0)
    return [line for line in changes if not line.startswith(("---", "+++", "@@"))]


def write_wanted(plays: Sequence[Play]) -> None:
    """Makes what the first play wrote what is wanted, and of the last one its requests."""
    found = plays[0].written()
    if plays[0].host.whole:
        found += filter(is_request, plays[-1].written())
    plays[0].case.wanted.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")


def is_request(line: str) -> bool:
    """Whether a line is a request."""
    return str(json.loads(line)["topic"]).startswith("requests.")


def by_model(line: str, field: str) -> tuple[Any, ...]:
    """What stays in order where models are called by workers of their own."""
    said = json.loads(line)
    value = said["value"] if isinstance(said["value"], dict) else {}
    model = value.get("decision", {}).get("model", "")
    repeats = value.get("result", {}).get("status") == "duplicate"  # no model is asked
    # Enriched events do not say which model took them.
    loose = line if said["topic"] in ("dead-letters", "enriched") or "key" not in said else ""
    return said["topic"], json.dumps(said.get("key")), source_of(value, field), model, repeats, loose
