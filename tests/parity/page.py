"""Writes docs/parity.md: each case on each host; `make test-engines` proves what it says.

PYTHONPATH=tests python -m parity.page
"""

from __future__ import annotations

import os
from pathlib import Path

from parity.case import ROOT, Case, all_cases, read_case
from pointsman.runner.hosts import unfit
from pointsman.spec import load

__all__ = ["PAGE", "page"]

PAGE = ROOT / "docs" / "parity.md"
HOSTS = {
    "native": "native",
    "exactly once": "native",
    "split": "native",
    "Kafka Streams": "kafka-streams",
    "Flink": "flink",
}
"""By column: what `--on` calls the host."""

HEAD = """# The same on every host

A pipeline decides each event alike, whoever runs it: the native runner (as one process, with
`delivery: exactly_once`, or split into routers and dispatchers), Kafka Streams, or Flink. `make test-engines`
plays each of these cases on all of them, on a real broker, and compares every record that is written with
[`cases/`](../cases): decisions, dead letters, results, enriched events, requests, and events that go on by
another key; topic, partition, key, value and headers; in order per key. Cases that remember something are
ended and begun anew half-way.

Left out are what no two runs share (`decided_at`, `latency_ms`, the deadline of a request, where a record
without a key lies), and what each host keeps of state in its own way. Plans with a remote model are run by
dispatch workers where the pipeline is split or inside an engine, unless `--role all` says otherwise;
decisions of one key are then in order per model.

A document that a host cannot run is refused, with line and reason, by `pointsman check --on flink`, and by
`pointsman run --on flink` before it begins.

"""


def page() -> str:
    """The page."""
    rows = [f"| case | about | {' | '.join(HOSTS)} |", f"|---|---|{'---|' * len(HOSTS)}"]
    notes: list[str] = []
    for case in map(read_case, all_cases()):
        cells = [_cell(case, host, engine, notes) for host, engine in HOSTS.items()]
        name = f"[{case.name}](../{case.document.relative_to(ROOT)})"
        rows.append(f"| {name} | {_subject(case)} | {' | '.join(cells)} |")
    told = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return HEAD + "\n".join([*rows, "", *told, ""])


def _cell(case: Case, host: str, engine: str, notes: list[str]) -> str:
    """Whether a host writes the same."""
    found = unfit(load(case.document), engine)
    note = "; ".join(f"{one.code} in line {one.line}: {one.message}; {one.hint}" for one in found)
    if not case.served and host in ("native", "exactly once"):
        note = "its models are on servers that this suite does not start; elsewhere requests are compared"
    if not note:
        return "same"
    if note not in notes:
        notes.append(note)
    return f"{'refused' if found else 'not played'} ({notes.index(note) + 1})"


def _subject(case: Case) -> str:
    """What a case is about: the first line of its document."""
    first = case.document.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ")


if __name__ == "__main__":
    path = Path(PAGE)
    path.write_text(page(), encoding="utf-8")
    print(os.path.relpath(path))
