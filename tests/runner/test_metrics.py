"""What is counted, summed and served, and what is said in log lines."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

import pointsman.runner
from pointsman.base.log_lines import LOGS
from pointsman.base.signals import LATENCY_BOUNDS, METRICS
from pointsman.runner.logs import line
from pointsman.runner.metrics import Metrics, expose, merge, numbers, total, without_gauges
from pointsman.runner.monitor import Lines
from pointsman.runner.view import View, quantile


def counted() -> Metrics:
    metrics = Metrics()
    metrics.count("pointsman_events_total", 100)
    metrics.count("pointsman_route_events_total", 60, "ios")
    metrics.count("pointsman_route_events_total", 40, 'the "rest"\n')
    metrics.count("pointsman_model_results_total", 90, "m", "ok")
    metrics.count("pointsman_model_results_total", 10, "m", "failed")
    metrics.count("pointsman_model_failures_total", 10, "m", "timeout")
    metrics.count("pointsman_dead_letters_total", 10, "model_failed")
    metrics.set("pointsman_lag_events", 5, "t", "0")
    metrics.set("pointsman_delay_seconds", 0.25)
    metrics.observe("pointsman_model_call_seconds", 0.002, "m")
    metrics.observe("pointsman_model_call_seconds", 99.0, "m")
    return metrics


def test_prometheus_reads_what_is_served() -> None:
    """The text is valid, label values are escaped, buckets are cumulative."""
    families = list(text_string_to_metric_families(expose(counted().snapshot())))
    found = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert found["pointsman_route_events_total", 'the "rest"\n'] == 40
    assert found["pointsman_lag_events", "t", "0"] == 5
    assert found["pointsman_commits_total",] == 0
    assert found["pointsman_model_call_seconds_bucket", "m", "0.001"] == 0
    assert found["pointsman_model_call_seconds_bucket", "m", "0.0025"] == 1
    assert found["pointsman_model_call_seconds_bucket", "m", "10.0"] == 1
    assert found["pointsman_model_call_seconds_bucket", "m", "+Inf"] == 2
    assert found["pointsman_model_call_seconds_sum", "m"] == 99.002
    assert {family.name for family in families} <= {name.removesuffix("_total") for name in METRICS}


def test_workers_are_summed() -> None:
    """Counters, gauges and histograms add up; a delay is the largest; what ended counts no gauge."""
    one, two = counted().snapshot(), counted().snapshot()
    two["pointsman_delay_seconds"] = {(): 3.0}
    both = merge([one, two])
    assert total(both, "pointsman_events_total") == 200
    assert total(both, "pointsman_route_events_total", route="ios") == 120
    assert total(both, "pointsman_lag_events") == 10
    assert both["pointsman_delay_seconds"] == {(): 3.0}
    assert sum(both["pointsman_model_call_seconds"]["m",][:-1]) == 4  # type: ignore[index]  # a histogram
    assert total(one, "pointsman_events_total") == 100, "merging changed what it was given"
    assert "pointsman_lag_events" not in without_gauges(one)


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    """None without calls; infinite beyond the last bound."""
    cells = [0.0] * (len(LATENCY_BOUNDS) + 2)
    assert quantile(cells, 0.5) is None
    cells[2], cells[4] = 90.0, 10.0
    assert quantile(cells, 0.5) == 0.005
    assert quantile(cells, 0.99) == 0.025
    cells[-2] = 1000.0
    assert quantile(cells, 0.99) == float("inf")


def test_a_log_line_is_pairs_or_json() -> None:
    """Fields stand in their declared order; what has spaces or quotes is quoted."""
    fields = {"partitions": ["t-0", "t-1"], "discarded": 3}
    said = line("partitions_lost", fields, 1_700_000_000_123, as_json=False)
    assert said == (
        "time=2023-11-14T22:13:20.123Z level=warning log=partitions_lost partitions=t-0,t-1 discarded=3"
    )
    told = json.loads(line("broker_trouble", {"problem": 'a "b"\nc'}, 0, as_json=True))
    assert told == {
        "time": "1970-01-01T00:00:00.000Z",
        "level": "warning",
        "log": "broker_trouble",
        "problem": 'a "b"\nc',
    }
    assert line("broker_trouble", {"problem": 'a "b"\nc'}, 0, as_json=False).endswith(
        'problem="a \\"b\\"\\nc"'
    )


def test_progress_tells_the_difference_since_the_last_line() -> None:
    """Sums are those of the interval; lag and in-flight are what is so now."""
    said: list[dict[str, object]] = []
    lines = Lines(lambda name, **fields: said.append({"name": name, **fields}))
    metrics = counted()
    lines.show(metrics.snapshot(), 10.0)
    metrics.count("pointsman_events_total", 50)
    lines.show(metrics.snapshot(), 15.0)
    assert [(s["events"], s["rate"], s["lag"]) for s in said] == [(100, 10, 5), (50, 10, 5)]
    assert set(said[0]) - {"name"} == set(LOGS["progress"].fields)


def test_the_live_view_shows_what_matters() -> None:
    """Rate, lag, routes, models, what failed, and the last log lines."""
    console = Console(file=io.StringIO(), width=110, force_terminal=False)
    view = View("payments 0@12345678", console)
    view.say("paused", in_flight=10_000, bytes=5)
    console.print(view.render(counted().snapshot(), 10.0))
    shown = console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO
    for part in (
        "payments 0@12345678",
        "10 events/s",
        "lag 5",
        "ios",
        "60.0%",
        "m: timeout 10",
        "dead: model_failed 10",
        "10,000",
    ):
        assert part in shown, part
    assert re.search(r"m +90 +10 +2 +≤ 2.5 ms", shown)


def test_every_signal_is_declared_and_every_declared_one_is_used() -> None:
    """The runner names no metric and no log line that is not declared, and uses all of them."""
    folder = Path(pointsman.runner.__file__).parent
    text = "\n".join(path.read_text() for path in folder.glob("*.py"))
    assert set(re.findall(r'"(pointsman_\w+)"', text)) == set(METRICS)
    assert set(re.findall(r'(?:say|_tell)\(\s*"(\w+)"', text)) == set(LOGS)


def test_an_unknown_signal_is_refused() -> None:
    """A misspelt metric is a bug that shows at once."""
    with pytest.raises(KeyError):
        Metrics().count("pointsman_evnts_total")


def test_numbers_of_nothing_are_zero() -> None:
    """Before the first report all sums are there."""
    assert set(numbers({}).values()) == {0}
