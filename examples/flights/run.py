"""Replays all 336,776 flights through Kafka and compares the routes with the same question put to pandas.

python -m examples.flights.run                   all of them, in a minute or two
python -m examples.flights.run --events 20000    the first ones only
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from examples.flights.data import events, frame
from examples.stage import Stage, stage

__all__ = ["main", "routes"]

FOLDER = Path(__file__).parent
PARTITIONS = "8"


class Chosen(msgspec.Struct):
    """Of `decision`, what is compared."""

    route: str


class Answer(msgspec.Struct):
    """Of `result`, what is compared."""

    status: str
    model: str
    output: dict[str, float] = {}


class Record(msgspec.Struct):
    """Of a decision record, what is compared."""

    id: str
    decision: Chosen
    result: Answer


def routes(rows: pd.DataFrame) -> pd.Series:
    """The route of each flight, found by pandas alone, independently of the pipeline."""
    regional = rows["carrier"].isin(["9E", "EV", "MQ", "OO", "YV"])
    conditions = [rows["distance"] >= 2000, regional, rows["origin"] == "EWR", rows["origin"] == "JFK"]
    names = ["transcontinental", "regional", "newark", "kennedy"]
    return pd.Series(np.select(conditions, names, default="laguardia"), index=rows["id"])


def replay(local: Stage, rows: pd.DataFrame) -> None:
    """Sends the flights in order and lets the pipeline decide until nothing is left."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "departures.jsonl"
        with path.open("wb") as file:
            file.writelines(event + b"\n" for event in events(rows))
        local.pointsman("send", "pipeline.yaml", str(path), "--key", "tailnum", "--partitions", PARTITIONS)
    local.pointsman("run", "pipeline.yaml", "--until-idle", "3")


def ranking(rows: pd.DataFrame, late: dict[str, float]) -> float:
    """The area under the ROC curve over July to December, which no model was trained on.

    It is the chance that of one late and one punctual flight, the late one got the higher score (Hanley and
    McNeil 1982): the rank sum of the late ones, less its minimum, over the number of pairs.
    """
    unseen = rows[rows["month"] > 6]
    ranks = unseen["id"].map(late).rank()
    positive = int(unseen["late"].sum())
    return float(
        (ranks[unseen["late"]].sum() - positive * (positive + 1) / 2) / (positive * (len(unseen) - positive))
    )


def main() -> int:
    """Plays the example; 0 where each flight was decided once, by a model, on the route that pandas says."""
    arguments = argparse.ArgumentParser(description="Plays the flights example on a local broker.")
    arguments.add_argument("--events", type=int, metavar="N", help="only the first N flights")
    wanted = arguments.parse_args()
    began = time.monotonic()
    rows = frame().head(wanted.events)
    with stage(FOLDER) as local:
        replay(local, rows)
        decoder = msgspec.json.Decoder(Record)
        decided = [decoder.decode(message.value()) for message in local.read("flights.decisions")]
        letters = sum(1 for _ in local.read("flights.dead-letters"))
    print(f"{len(rows):,} in, {len(decided):,} decisions, {letters:,} dead letters")
    return report(rows, decided, letters, time.monotonic() - began)


def report(rows: pd.DataFrame, decided: list[Record], letters: int, seconds: float) -> int:
    """Prints the counts per route of both, and says whether they are equal flight by flight."""
    expected = routes(rows)
    found = {record.id: record.decision.route for record in decided}
    ours, theirs = Counter(record.decision.route for record in decided), Counter(expected)
    print(f"{'route':<20}{'pointsman':>12}{'pandas':>12}")
    for name in sorted(ours.keys() | theirs.keys(), key=lambda name: -theirs[name]):
        print(f"{name:<20}{ours[name]:>12,}{theirs[name]:>12,}")
    failed = sum(record.result.status != "ok" for record in decided)
    equal = ours == theirs and found == expected.to_dict() and not failed and not letters
    if rows["month"].max() > 6:
        late = {record.id: record.result.output["late"] for record in decided if record.result.output}
        print(f"ranking of the unseen months, July to December: AUC {ranking(rows, late):.3f}")
    print(f"{'equal' if equal else 'NOT equal'} to pandas, {failed} without an answer, {seconds:.0f} s")
    return 0 if equal else 1


if __name__ == "__main__":
    raise SystemExit(main())
