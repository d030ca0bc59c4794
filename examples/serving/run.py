"""Decides deliveries with models on four real servers, while each server in turn is killed and comes back.

python -m examples.serving.run                exit code 1 where an event is lost or a record is not right
python -m examples.serving.run --on flink     inside Flink, models too; or kafka-streams

The first run makes an environment for each server, which takes some minutes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from examples.serving.farm import SERVERS, Farm
from examples.serving.flow import CITIES, Decisions, Deliveries
from examples.serving.rule import minutes
from examples.serving.train import truth
from examples.stage import arguments, stage

__all__ = ["main", "problems"]

FOLDER = Path(__file__).parent
FIRST = 1400
RATE = 100
ENOUGH = 20
"""Records of a city that have to show what is waited for."""

PLACES = {
    "Berlin": ("V2, REST", "MLServer"),
    "Lagos": ("V2, gRPC", "MLServer"),
    "Lima": ("V1, REST", "KServe"),
    "Osaka": ("/invocations", "MLflow"),
    "Oslo": ("TensorFlow Serving, gRPC", "pythie-serving"),
    "Perth": ("ONNX", "in the worker"),
    "Quito": ("Python", "in the worker"),
}
"""By city: the protocol, and who answers."""

Record = dict[str, Any]


def number(record: Record) -> int:
    """Which delivery a record is about."""
    return int(record["id"][1:])


def enough(city: str, status: str, since: int) -> Callable[[list[Record]], bool]:
    """Whether a city has enough records of a status, of deliveries sent from number `since` on."""

    def there(records: list[Record]) -> bool:
        own = (r for r in records if r["event"]["city"] == city and r["result"]["status"] == status)
        return sum(number(record) >= since for record in own) >= ENOUGH

    return there


def expected(record: Record) -> float:
    """The minutes that its model answers."""
    event, model = record["event"], record["result"]["model"]
    if model == "constant":
        return 30.0
    if model == "rule-of-thumb":
        return minutes([event])[0]["minutes"]
    return truth(event["km"], event["stops"])


def problems(records: Sequence[Record], sent: int) -> list[str]:
    """What is not as it should be; empty where all is well."""
    found = []
    decided = Counter(number(record) for record in records)
    if missing := sent - len(decided):
        found.append(f"{missing} deliveries have no decision")
    last: dict[str, int] = {}
    seen: set[int] = set()
    for record in records:
        n, result, courier = number(record), record["result"], record["event"]["courier"]
        if n not in seen and n < last.get(courier, -1):
            found.append(f"d{n} was decided after a later delivery of its courier")
        seen.add(n)
        last[courier] = max(n, last.get(courier, -1))
        if result["status"] not in ("ok", "fallback"):
            found.append(f"d{n} is {result['status']}: {result}")
        elif abs(result["output"]["minutes"] - expected(record)) > 0.001:
            found.append(f"d{n} has {result['output']}, not {expected(record)}")
        elif result["status"] == "fallback" and not failures(record):
            found.append(f"d{n} does not say why another model answered")
    return found


def failures(record: Record) -> list[str]:
    """The classes of the attempts that failed."""
    return [a["class"] for a in record["result"].get("attempts", ()) if a["status"] == "failed"]


def play(farm: Farm, deliveries: Deliveries, decisions: Decisions) -> None:
    """All servers up; then each one killed and started again, while deliveries keep coming."""
    deliveries.send(FIRST)
    decisions.wait("the first deliveries", lambda found: len(found) >= FIRST)
    calm = Counter(record["result"]["status"] for record in decisions.records)
    print(f"all servers up: {FIRST} deliveries, {dict(calm)}", flush=True)
    deliveries.begin(RATE)
    for server in SERVERS:
        cities = [city for city, (_, name) in PLACES.items() if name == server]
        since = deliveries.sent
        farm.kill(server)
        for city in cities:
            decisions.wait(f"fallbacks of {city}", enough(city, "fallback", since))
        took = farm.start(server)
        back, began = deliveries.sent, time.monotonic()
        for city in cities:
            decisions.wait(f"{city} to be back", enough(city, "ok", back))
        print(
            f"{server}: killed, up again {took:.0f} s after it was started, in use "
            f"{time.monotonic() - began:.0f} s later",
            flush=True,
        )
    deliveries.end()
    decisions.wait("the last deliveries", lambda found: len({number(r) for r in found}) >= deliveries.sent)


def table(records: Sequence[Record]) -> None:
    """Who answered for each city, and what failed."""
    print(f"\n{'city':8}{'protocol':26}{'server':16}{'events':>7}{'ok':>7}{'fallback':>9}  failed attempts")
    for city in CITIES:
        own = [record for record in records if record["event"]["city"] == city]
        status = Counter(record["result"]["status"] for record in own)
        classes = Counter(name for record in own for name in failures(record))
        protocol, server = PLACES[city]
        told = ", ".join(f"{name} {times}" for name, times in classes.most_common())
        numbers = f"{len(own):7}{status['ok']:7}{status['fallback']:9}"
        print(f"{city:8}{protocol:26}{server:16}{numbers}  {told or '–'}")


def main() -> int:
    """Plays the example; 0 where nothing was lost and every record is right."""
    on = arguments("Plays the serving example on a local broker.").parse_args().on
    with tempfile.TemporaryDirectory() as folder, Farm(Path(folder)) as farm, stage(FOLDER, on) as local:
        for name in SERVERS:
            print(f"{name}: ready after {farm.start(name):.0f} s", flush=True)
        os.environ.update(farm.addresses())
        local.pointsman("topics", "pipeline.yaml", "--create", "--partitions", "4")
        local.pointsman("check", "pipeline.yaml", "--live")
        decisions, deliveries = Decisions(local.bootstrap), Deliveries(local.bootstrap)
        # Inside an engine the models are called there too, not by dispatchers.
        command = [sys.executable, "-m", "pointsman.cli.main", "run", "pipeline.yaml", "--role", "all"]
        command += local.hosting
        with subprocess.Popen(
            command,
            cwd=FOLDER,
            env={**os.environ, "KAFKA_BOOTSTRAP": local.bootstrap},
            stdout=subprocess.DEVNULL,
            stderr=(Path(folder) / "run.log").open("wb"),
        ) as process:
            decisions.alive = lambda: process.poll() is None
            try:
                play(farm, deliveries, decisions)
                process.send_signal(signal.SIGTERM)
                code = process.wait(60)
            except SystemExit:
                print((Path(folder) / "run.log").read_text()[-5000:])
                raise
            finally:
                process.kill()
        decisions.close()
        letters = sum(1 for _ in local.read("serving.dead-letters"))
    found = problems(decisions.records, deliveries.sent)
    found += [f"{letters} dead letters"] if letters else []
    found += [f"pointsman ended with {code}"] if code else []
    table(decisions.records)
    for problem in found[:20]:
        print(f"wrong: {problem}")
    print(f"\n{deliveries.sent} deliveries, {len(decisions.records)} decisions, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
