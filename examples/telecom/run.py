"""Sends sessions while probes say how the cells do, and checks that each session went where it should.

python -m examples.telecom.run               exit code 1 where one did not
python -m examples.telecom.run --on flink    inside Flink; or kafka-streams

First two cells of six are slow; then another one gets slow; then one has no probes any more. Each change is
waited for, so plain Python can say of every session which state of its cell it was to see.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from examples.stage import Run, Stage, arguments, stage
from examples.telecom.probes import Probes

__all__ = ["main", "model", "problems", "sessions"]

FOLDER = Path(__file__).parent
CELLS = {"C1": 35.0, "C2": 50.0, "C3": 60.0, "C4": 240.0, "C5": 300.0}
"""Milliseconds; a sixth cell, C6, has no probes at all."""
EACH = 2000
"""Sessions before each change, and after the last."""

Session = dict[str, Any]


def sessions(count: int, first: int, draw: random.Random) -> list[Session]:
    """Sessions, numbered from `first`; one in twenty has something wrong with it."""
    made = []
    for n in range(first, first + count):
        session: Session = {
            "session": f"s{n}",
            "subscriber": f"u{draw.randrange(300)}",
            "device": draw.choices(["iOS", "Android", "IoT"], [4, 5, 2])[0],
            "cell_id": draw.choice([*CELLS, "C6"]),
            "signal": round(draw.uniform(-125.0, -65.0), 1),
            "mbps": round(draw.lognormvariate(0.8, 0.8), 2),
            "ts": int(time.time() * 1000),
        }
        wrong = draw.randrange(80)
        if wrong == 0:
            session["signal"] = 0.0
        elif wrong == 1:
            session["device"] = "?"
        elif wrong == 2:
            del session["signal"], session["mbps"]
        elif wrong == 3:
            del session["mbps"]  # one of three is no reason yet
        made.append(session)
    return made


def model(session: Session, cells: Mapping[str, str]) -> str:
    """The model that a session is for, in plain Python, given the states of the cells."""
    device, signal = session["device"], session.get("signal")
    unusable = signal is None or not -140 <= signal <= -30 or device not in ("iOS", "Android", "IoT")
    if unusable:
        return "baseline"
    if device == "IoT":
        return "iot-model"
    if cells.get(session["cell_id"]) == "slow":
        return "congested-model"
    return "ios-model" if device == "iOS" else "android-model"


class Play:
    """What was sent so far, and what should become of it.

    Attributes:
        wanted: By session: the state of its cell, and its model.
    """

    def __init__(self, local: Stage, run: Run, probes: Probes) -> None:
        self._local = local
        self._run = run
        self._probes = probes
        self._draw = random.Random(8)
        self.wanted: dict[str, tuple[str, str]] = {}

    def act(self, title: str) -> None:
        """Once the table has taken every probe: sends sessions, and waits until all are decided."""
        sent = self._probes.sent
        self._run.wait("the probes to be counted", lambda: self._taken() >= sent)
        cells = self._probes.states()
        print(f"{title}: {', '.join(f'{cell} {how}' for cell, how in cells.items())}", flush=True)
        made = sessions(EACH, len(self.wanted), self._draw)
        for one in made:
            self.wanted[one["session"]] = (cells.get(one["cell_id"], "unknown"), model(one, cells))
        self._local.send("sessions", ((one["subscriber"], one) for one in made))
        self._run.wait("the sessions", lambda: self._local.behind("telecom", "sessions") == 0)

    def until_silent(self) -> None:
        """Waits until the table has lost a row."""
        rows = len(CELLS) - 1
        self._run.wait("the cell's row to go", lambda: self._rows() == rows)

    def _taken(self) -> float:
        return self._run.metric("pointsman_table_records_total", table="cells")

    def _rows(self) -> float:
        return self._run.metric("pointsman_table_rows", table="cells")


def play(local: Stage) -> dict[str, tuple[str, str]]:
    """Everything sent and decided; what should have become of each session."""
    local.pointsman("topics", "pipeline.yaml", "--create")
    probes = Probes(local.bootstrap, CELLS)
    with local.running("pipeline.yaml") as run:
        scene = Play(local, run, probes)
        probes.begin()
        scene.act("at first")
        probes.change("C1", 260.0)
        scene.act("C1 gets slow")
        probes.silence("C2")
        scene.until_silent()
        scene.act("C2 is silent")
        probes.end()
        run.end()
    return scene.wanted


def problems(records: Sequence[dict[str, Any]], wanted: Mapping[str, tuple[str, str]]) -> list[str]:
    """What is not as it should be; empty where all is well."""
    times = Counter(record["id"] for record in records)
    found = [f"{name} has no decision" for name in wanted if name not in times]
    found += [f"{name} has {count} decisions" for name, count in times.items() if count > 1]
    for record in records:
        ours = (record["metadata"]["cell"], record["decision"]["model"])
        if ours != wanted[record["id"]]:
            found.append(f"{record['id']} saw {' and '.join(ours)}, not {' and '.join(wanted[record['id']])}")
        elif record["result"]["status"] != "ok" or not 0.0 < record["result"]["output"]["stall"] < 1.0:
            found.append(f"{record['id']} has no good answer: {record['result']}")
    return found


def table(records: Iterable[dict[str, Any]]) -> None:
    """Which model answered for which device in which cells."""
    counts = Counter(
        (record["event"]["device"], record["metadata"]["cell"], record["decision"]["model"])
        for record in records
    )
    print(f"\n{'device':10}{'cell':10}{'model':18}{'sessions':>8}")
    for (device, cell, chosen), count in sorted(counts.items()):
        print(f"{device:10}{cell:10}{chosen:18}{count:8,}")


def main() -> int:
    """Plays the example; 0 where every session was decided once, by the model that plain Python says."""
    on = arguments("Plays the telecom example on a local broker.").parse_args().on
    began = time.monotonic()
    with stage(FOLDER, on) as local:
        wanted = play(local)
        records = [json.loads(message.value()) for message in local.read("telecom.decisions")]
        letters = sum(1 for _ in local.read("telecom.dead-letters"))
    found = problems(records, wanted)
    found += [f"{letters} dead letters"] if letters else []
    table(records)
    for problem in found[:20]:
        print(f"wrong: {problem}")
    seconds = time.monotonic() - began
    print(f"\n{len(wanted):,} sessions, {len(records):,} decisions, {len(found)} problems, {seconds:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
