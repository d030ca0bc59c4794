"""Windows in a pipeline: what decisions see, what explain tells, and what a test sets before its event."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.base.errors import SpecError, UsageError
from pointsman.cli.main import app

PIPELINE = """
version: 1
pipeline: p
source:
  topics: [in]
  key: user
  time: ts
  fields: {user: string, amount: double, device: string, ts: int}
enrich:
  spend: {window: {key: user, over: 1h, sum: amount}}
  velocity:
    window:
      key: user
      over: 10m
      aggregate: {n: count, devices: {distinct: device}, since: since_last, mean: {mean: amount}}
  large: {window: {key: user, over: 10m, bucket: exact, where: amount > 100.0, count: true, include: false}}
  per_event: spend / double(velocity.n)
models: {many: {python: "m:f", inputs: {}}, few: {python: "m:f", inputs: {}}}
routes:
  - {name: many, when: velocity.n > 2 && velocity.mean > 10.0, use: many}
  - {name: few, use: few}
"""
T = 1_760_000_000_000


def event(minutes: float, amount: float | None = 50.0, **more: object) -> dict[str, object]:
    return {"user": "U1", "amount": amount, "device": "a", "ts": T + int(minutes * 60_000), **more}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pipeline and some events."""
    (tmp_path / "m.py").write_text("def f(rows):\n    return [1 for _ in rows]\n")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    events = [
        event(0),
        event(1, 150.0, device="b"),
        event(2, None),
        event(-120),
        event(0.5, user="U2"),
        event(3, 10**9 * 24 * 3600),
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*args: str) -> str:
    done = CliRunner().invoke(app, list(args))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.usefixtures("folder")
def test_a_file_of_events_is_decided_with_windows():
    """Events see those before them; a late one is decided without its windows, and its errors say so."""
    records = [json.loads(line) for line in said("run", "--events", "events.jsonl").splitlines()]
    told = [(one["metadata"], one["decision"]["route"]) for one in records]
    assert told[0] == (
        {"spend": 50.0, "velocity": {"n": 1, "devices": 1, "mean": 50.0}, "large": 0, "per_event": 50.0},
        "few",
    )
    assert told[1][0]["velocity"] == {"n": 2, "devices": 2, "since": 60.0, "mean": 100.0}
    assert told[2] == (
        {
            "spend": 200.0,
            "velocity": {"n": 3, "devices": 2, "since": 60.0, "mean": 100.0},
            "large": 1,
            "per_event": pytest.approx(200 / 3),
        },
        "many",
    )
    assert told[3] == ({}, "few")
    errors = records[3]["decision"]["errors"]
    assert [one["error"].partition(":")[0] for one in errors[:2]] == ["late", "late"]
    assert told[4][0]["spend"] == 50.0


@pytest.mark.usefixtures("folder")
def test_explain_remembers_the_events_of_a_file():
    """`--line` shows one event as the events before it left the windows; `--state` shows what they hold."""
    told = json.loads(said("explain", "--events", "events.jsonl", "--line", "3", "--state", "--json"))
    assert told["record"]["metadata"]["spend"] == 200.0
    spend = told["state"][0]
    assert (spend["field"], spend["key"], spend["value"]) == ("spend", "U1", 200.0)
    assert [(part["value"], part["counts"]) for part in spend["buckets"]] == [
        (50.0, True),
        (150.0, True),
        (0.0, True),
    ]
    shown = said("explain", "--events", "events.jsonl", "--line", "3", "--state")
    assert 'spend of "U1"  200.0' in shown
    assert len(json.loads(said("explain", "--events", "events.jsonl", "--json"))) == 6


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give --event"),
        (("--event", "{}", "--events", "events.jsonl"), "give --event"),
        (("--events", "events.jsonl", "--line", "99"), "has no event 99"),
    ],
)
def test_explain_needs_an_event(args, words):
    """Neither or both ways to give an event, or one that is not there, are wrong usage."""
    done = CliRunner().invoke(app, ["explain", *args])
    assert isinstance(done.exception, UsageError)
    assert words in str(done.exception)


def test_a_test_sets_what_is_known_before(folder):
    """Each aggregate takes its natural seed, and the event is counted on top of it."""
    (folder / "pipeline_test.yaml").write_text("""
- name: known
  event: {user: U1, amount: 20, device: z, ts: 1760000000000}
  state:
    spend: {U1: 300.5}
    velocity: {U1: {n: 4, devices: [a, b], mean: 10.0, since: 30}}
    large: {U1: 3}
  want:
    route: many
    metadata: {spend: 320.5, velocity: {n: 5, devices: 3, since: 30.0, mean: 15.0}, large: 3}
- name: somebody else
  event: {user: U2, amount: 20, device: z, ts: 1760000000000}
  state: {spend: {U1: 300.5}}
  want: {route: few, metadata: {spend: 20.0}}
""")
    assert "2 passed" in said("test")


def test_what_no_window_shows_cannot_be_set(folder):
    """A field that is no window, a value that is none, an aggregate that is not there."""
    (folder / "pipeline_test.yaml").write_text("""
- {name: a, event: {}, want: {}, state: {per_event: {U1: 1}}}
- {name: b, event: {}, want: {}, state: {spend: {U1: much}}}
- {name: c, event: {}, want: {}, state: {velocity: {U1: {m: 1}}}}
- {name: d, event: {}, want: {}, state: {velocity: {U1: 3}}}
- {name: e, event: {}, want: {}, state: {large: {U1: 1.5}}}
""")
    done = CliRunner().invoke(app, ["test"])
    assert isinstance(done.exception, SpecError)
    assert str(done.exception).count("error E205") == 5
