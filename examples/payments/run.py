"""Sends the events through Kafka and compares what comes out with the golden records.

python -m examples.payments.run             exit code 1 where they differ
python -m examples.payments.run --write     makes what came out the new golden records
python -m examples.payments.run --on flink  inside Flink; or kafka-streams
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from examples.stage import arguments, stage

__all__ = ["dead_letter", "decision", "main"]

FOLDER = Path(__file__).parent
GOLDEN = FOLDER / "golden.jsonl"


def decision(record: dict[str, Any]) -> str:
    """A decision record without what differs from run to run, as one line.

    Left out are where it lay in the topic, the clock's readings, the policy version, and id and time where
    the event did not bring them. Scores are rounded, for another processor may differ in the last digit.
    """
    event = record["event"]
    kept = {name: record[name] for name in ("v", "event", "metadata", "decision", "result")}
    kept["source"] = {"topic": record["source"]["topic"], "key": record["source"]["key"]}
    if "txn_id" in event:
        kept["id"] = record["id"]
    if "ts" in event:
        kept["time"] = record["time"]
    kept["decision"] = {name: value for name, value in record["decision"].items() if name != "policy"}
    kept["result"] = {name: value for name, value in record["result"].items() if name != "latency_ms"}
    return line(kept)


def dead_letter(value: bytes, reason: str, identity: str) -> str:
    """A dead letter as one line: why, what, and its id where the event brought one."""
    identity = "" if identity.startswith("transactions-") else identity
    return line({"dead_letter": reason, "id": identity, "value": value.decode(errors="replace")})


def line(content: dict[str, Any]) -> str:
    """JSON with sorted names and numbers of at most six decimals."""
    return json.dumps(rounded(content), sort_keys=True, ensure_ascii=False)


def rounded(value: Any) -> Any:
    """`value` with every float in it rounded to six decimals."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items() if name != "latency_ms"}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return value


def played(on: str) -> list[str]:
    """The lines that a run over Kafka gives, sorted: order holds per key only."""
    with stage(FOLDER, on) as local:
        local.pointsman("send", "pipeline.yaml", "events.jsonl")
        local.pointsman("run", "pipeline.yaml", "--until-idle", "3")
        found = [decision(json.loads(message.value())) for message in local.read("payments.decisions")]
        for message in local.read("payments.dead-letters"):
            headers = {name: value.decode() for name, value in message.headers()}
            reason = headers["pointsman-reason"].partition(":")[0]
            found.append(dead_letter(message.value(), reason, headers["pointsman-id"]))
    return sorted(found)


def main() -> int:
    """Plays the example; 0 where everything came out as the golden records say."""
    parser = arguments("Plays the payments example on a local broker.")
    parser.add_argument("--write", action="store_true", help="write what came out as golden records")
    wanted = parser.parse_args()
    found = played(wanted.on)
    if wanted.write:
        GOLDEN.write_text("\n".join(found) + "\n", encoding="utf-8")
    golden = GOLDEN.read_text(encoding="utf-8").splitlines()
    changes = list(difflib.unified_diff(golden, found, "golden.jsonl", "this run", lineterm="", n=0))
    for change in changes:
        print(change)
    events = sum(1 for text in (FOLDER / "events.jsonl").read_bytes().splitlines() if text)
    letters = sum('"dead_letter"' in text for text in found)
    print(f"{events} in, {len(found) - letters} decisions, {letters} dead letters", end="")
    print(", not as in golden.jsonl" if changes else ", as in golden.jsonl")
    return 1 if changes else 0


if __name__ == "__main__":
    raise SystemExit(main())
