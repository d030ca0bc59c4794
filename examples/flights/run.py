"""Replays all 336,776 flights through Kafka and compares the decisions with the same questions put to pandas.

python -m examples.flights.run                   all of them, in a minute or two
python -m examples.flights.run --events 20000    the first ones only
python -m examples.flights.run --on flink        inside Flink (or kafka-streams), and as the native run

A quarter of the way the worker is killed and another one goes on; half-way two rows of the table of carriers
change. A reader of committed records finds each flight once, and the windows as if nothing had happened.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from examples.flights.data import airlines, airport, events, frame
from examples.stage import Run, Stage, arguments, stage

__all__ = ["CHANGE", "fleets", "main", "problems", "ranking", "routes", "scores"]

FOLDER = Path(__file__).parent
PARTITIONS = "3"
CHANGE: dict[str, dict[str, str] | None] = {"MQ": {"name": "Envoy Air", "fleet": "mainline"}, "9E": None}
"""What happens to the table half-way; None deletes a row."""
WEATHER = ["temp", "wind_speed", "precip", "visib", "pressure"]


class Window(msgspec.Struct):
    """Of `metadata.airport`, what is compared."""

    departures: int
    delay: float = float("nan")


class Quality(msgspec.Struct):
    """Of `metadata.quality`, what is compared."""

    score: float


class Metadata(msgspec.Struct):
    """Of `metadata`, what is compared."""

    airport: Window
    quality: Quality
    fleet: str


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
    metadata: Metadata
    decision: Chosen
    result: Answer


def fleets(rows: pd.DataFrame, table: Mapping[str, Mapping[str, str]], changed: int) -> pd.Series:
    """The fleet of each flight: by the table, and from row `changed` on by the table after the change."""
    first = {carrier: row["fleet"] for carrier, row in table.items()}
    after = {carrier: row["fleet"] for carrier, row in {**table, **CHANGE}.items() if row is not None}
    carriers = rows["carrier"]
    seen = pd.concat([carriers[:changed].map(first), carriers[changed:].map(after)])
    return seen.astype(object).fillna("unknown")


def scores(rows: pd.DataFrame) -> pd.Series:
    """The quality of each flight's data: how much of it is there, and nothing where the wind cannot be."""
    complete = rows[["tailnum", *WEATHER]].notna().sum(axis=1) / 6
    return complete.where(rows["wind_speed"].isna() | rows["wind_speed"].between(0, 150), 0.0)


def routes(rows: pd.DataFrame, fleet: pd.Series) -> pd.Series:
    """The route of each flight, found by pandas alone, independently of the pipeline."""
    conditions = [
        scores(rows) < 0.5,
        rows["distance"] >= 2000,
        fleet == "regional",
        rows["origin"] == "EWR",
        rows["origin"] == "JFK",
    ]
    names = ["poor-data", "transcontinental", "regional", "newark", "kennedy"]
    return pd.Series(np.select(conditions, names, default="laguardia"), index=rows.index)


def send(local: Stage, rows: pd.DataFrame) -> None:
    """Sends flights in their order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "departures.jsonl"
        with path.open("wb") as file:
            file.writelines(event + b"\n" for event in events(rows))
        local.pointsman("send", "pipeline.yaml", str(path))


def replay(local: Stage, rows: pd.DataFrame, changed: int) -> None:
    """Sends the flights up to row `changed`, changes the table, sends the others, while the pipeline runs."""
    local.pointsman("topics", "pipeline.yaml", "--create", "--partitions", PARTITIONS)
    table = airlines()
    local.send("carriers", table.items())
    send(local, rows[:changed])
    with local.running("pipeline.yaml", "--instance", "tower") as run:
        run.wait("a quarter of the flights", lambda: left(local) <= changed // 2)
        run.kill()
        print(f"killed, with {left(local):,} flights left of the first half", flush=True)
    with local.running("pipeline.yaml", "--instance", "tower") as run:
        run.wait("the first half", lambda: left(local) == 0)
        local.send("carriers", CHANGE.items())
        run.wait("the change of the table", lambda: taken(run) == len(table) + len(CHANGE))
        print("the table has changed", flush=True)
        send(local, rows[changed:])
        run.wait("the second half", lambda: left(local) == 0)
        run.end()


def left(local: Stage) -> int:
    """How many flights were sent and are not decided."""
    return local.behind("flights", "departures")


def taken(run: Run) -> float:
    """How many records of the table's topic the worker has taken."""
    return run.metric("pointsman_table_records_total", table="carriers")


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
    """Plays the example; 0 where each flight was decided once, by a model, as pandas says."""
    parser = arguments("Plays the flights example on a local broker.")
    parser.add_argument("--events", type=int, metavar="N", help="only the first N flights")
    wanted = parser.parse_args()
    began = time.monotonic()
    rows = frame().head(wanted.events)
    decided, letters = played(rows, wanted.on)
    print(f"{len(rows):,} in, {len(decided):,} decisions, {letters:,} dead letters")
    fleet = fleets(rows, airlines(), len(rows) // 2)
    found = problems(rows, fleet, decided)
    found += [f"{letters:,} dead letters"] if letters else []
    equal = "pandas"
    if wanted.on != "native":
        equal += " and to the native run"
        found += differences(decided, played(rows, "native")[0])
    report(rows, fleet, decided)
    for problem in found:
        print(f"wrong: {problem}")
    print(f"{'NOT equal' if found else 'equal'} to {equal}, {time.monotonic() - began:.0f} s")
    return 1 if found else 0


def played(rows: pd.DataFrame, on: str) -> tuple[list[Record], int]:
    """The decisions of a replay, and how many dead letters it has."""
    with stage(FOLDER, on) as local:
        replay(local, rows, len(rows) // 2)
        decoder = msgspec.json.Decoder(Record)
        decided = [decoder.decode(message.value()) for message in local.read("flights.decisions")]
        return decided, sum(1 for _ in local.read("flights.dead-letters"))


def differences(decided: list[Record], native: list[Record]) -> list[str]:
    """In what decisions differ from those of the native runner."""
    by_id = {record.id: record for record in native}
    wrong = sum(record != by_id.get(record.id) for record in decided)
    return [f"{wrong:,} decisions are not those of the native run"] if wrong else []


def problems(rows: pd.DataFrame, fleet: pd.Series, decided: list[Record]) -> list[str]:
    """In what the decisions differ from what pandas says; empty where they agree flight by flight."""
    by_id = {record.id: record for record in decided}
    missing = int((~rows["id"].isin(by_id.keys())).sum())
    found = [f"{missing:,} flights were not decided"] if missing else []
    if twice := len(decided) - len(by_id):
        found.append(f"{twice:,} decisions are repeats")
    if failed := sum(record.result.status != "ok" for record in decided):
        found.append(f"{failed:,} have no answer")
    if found:
        return found
    records = [by_id[name] for name in rows["id"]]
    window, route = airport(rows), routes(rows, fleet)
    pairs = {
        "route": (route, [record.decision.route for record in records]),
        "fleet": (fleet, [record.metadata.fleet for record in records]),
        "departures": (window["departures"], [record.metadata.airport.departures for record in records]),
    }
    numbers = {
        "delay": (window["delay"], [record.metadata.airport.delay for record in records]),
        "quality": (scores(rows), [record.metadata.quality.score for record in records]),
    }
    differs = {name: (theirs != pd.Series(ours, theirs.index)) for name, (theirs, ours) in pairs.items()}
    for name, (theirs, ours) in numbers.items():
        differs[name] = ~np.isclose(ours, theirs.astype(float), rtol=0.0, atol=1e-9, equal_nan=True)
    return [f"{name} of {sum(wrong):,} flights" for name, wrong in differs.items() if wrong.any()]


def report(rows: pd.DataFrame, fleet: pd.Series, decided: list[Record]) -> None:
    """Prints the counts per route of both, and how well the models ranked flights that they had not seen."""
    ours, theirs = Counter(record.decision.route for record in decided), Counter(routes(rows, fleet))
    print(f"{'route':<20}{'pointsman':>12}{'pandas':>12}")
    for name in sorted(ours.keys() | theirs.keys(), key=lambda name: -theirs[name]):
        print(f"{name:<20}{ours[name]:>12,}{theirs[name]:>12,}")
    if rows["month"].max() > 6:
        late = {record.id: record.result.output["late"] for record in decided if record.result.output}
        print(f"ranking of the unseen months, July to December: AUC {ranking(rows, late):.3f}")


if __name__ == "__main__":
    raise SystemExit(main())
