"""What a worker counts: a few numbers per batch, summed over workers, shown and served."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from pointsman.base.signals import METRICS

__all__ = ["Metrics", "Snapshot", "expose", "merge", "numbers", "total", "without_gauges"]

Labels = tuple[str, ...]
Snapshot = dict[str, dict[Labels, "float | list[float]"]]
"""Metric name → label values → number; for a histogram the count of each bucket, of the rest, and the sum."""


class Metrics:
    """The counters and gauges of one worker; names are those of `base.signals`."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[Labels, float]] = {
            name: {} for name, metric in METRICS.items() if metric.kind != "histogram"
        }
        self._histograms: dict[str, dict[Labels, list[float]]] = {
            name: {} for name, metric in METRICS.items() if metric.kind == "histogram"
        }

    def count(self, name: str, amount: float = 1, *labels: str) -> None:
        """Adds `amount` to a counter."""
        numbers = self._numbers[name]
        numbers[labels] = numbers.get(labels, 0) + amount

    def set(self, name: str, value: float, *labels: str) -> None:
        """Says what a gauge stands at, or a counter that is counted elsewhere."""
        self._numbers[name][labels] = value

    def clear(self, name: str) -> None:
        """Forgets a gauge with all its labels."""
        self._numbers[name] = {}

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Adds one value to a histogram."""
        bounds = METRICS[name].bounds
        cells = self._histograms[name].get(labels)
        if cells is None:
            cells = self._histograms[name][labels] = [0.0] * (len(bounds) + 2)
        cells[bisect_left(bounds, value)] += 1
        cells[-1] += value

    def fill(self, name: str, cells: list[float], *labels: str) -> None:
        """Says what a histogram stands at that is counted elsewhere: its buckets, the rest, and the sum."""
        self._histograms[name][labels] = cells

    def snapshot(self) -> Snapshot:
        """All of it as it stands now; may be called from another thread."""
        found: Snapshot = {name: dict(numbers) for name, numbers in self._numbers.items() if numbers}
        for name, histogram in self._histograms.items():
            if histogram:
                found[name] = {labels: list(cells) for labels, cells in dict(histogram).items()}
        return found


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The sum of what several workers counted; of some gauges the largest."""
    found: Snapshot = {}
    for snapshot in snapshots:
        for name, by_labels in snapshot.items():
            into, worst = found.setdefault(name, {}), METRICS[name].worst
            for labels, value in by_labels.items():
                known = into.get(labels)
                if known is None:
                    into[labels] = list(value) if isinstance(value, list) else value
                elif isinstance(value, list):
                    assert isinstance(known, list)
                    into[labels] = [a + b for a, b in zip(known, value, strict=True)]
                else:
                    assert not isinstance(known, list)
                    into[labels] = max(known, value) if worst else known + value
    return found


def without_gauges(snapshot: Snapshot) -> Snapshot:
    """What still counts of a worker that has ended."""
    return {name: values for name, values in snapshot.items() if METRICS[name].kind != "gauge"}


def total(snapshot: Snapshot, name: str, **labels: str) -> float:
    """The sum of a counter or gauge over all labels but those given."""
    names = METRICS[name].labels
    return sum(
        value
        for values, value in snapshot.get(name, {}).items()
        if not isinstance(value, list)
        and all(values[names.index(label)] == wanted for label, wanted in labels.items())
    )


def expose(snapshot: Snapshot) -> str:
    """The text that Prometheus reads."""
    lines: list[str] = []
    for name, metric in METRICS.items():
        found = snapshot.get(name, {})
        if not found and not (metric.kind == "counter" and not metric.labels):
            continue
        lines += [f"# HELP {name} {metric.meaning} [{metric.unit}]", f"# TYPE {name} {metric.kind}"]
        for values, value in sorted(found.items()) or [((), 0.0)]:
            labels = dict(zip(metric.labels, values, strict=True))
            if isinstance(value, list):
                lines += _histogram(name, labels, value)
            else:
                lines.append(f"{name}{_labels(labels)} {_number(value)}")
    return "\n".join(lines) + "\n"


def _histogram(name: str, labels: Mapping[str, str], cells: list[float]) -> list[str]:
    lines, count = [], 0.0
    for bound, cell in zip([*METRICS[name].bounds, "+Inf"], cells[:-1], strict=True):
        count += cell
        lines.append(f"{name}_bucket{_labels({**labels, 'le': str(bound)})} {_number(count)}")
    return [
        *lines,
        f"{name}_sum{_labels(labels)} {_number(cells[-1])}",
        f"{name}_count{_labels(labels)} {_number(count)}",
    ]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def numbers(snapshot: Snapshot) -> dict[str, int]:
    """The sums that a person asks for first."""
    return {
        "events": int(total(snapshot, "pointsman_events_total")),
        "decisions": int(total(snapshot, "pointsman_decisions_total")),
        "dead_letters": int(total(snapshot, "pointsman_dead_letters_total")),
        "failures": int(total(snapshot, "pointsman_model_failures_total")),
        "skipped": int(total(snapshot, "pointsman_skipped_total")),
        "lag": int(total(snapshot, "pointsman_lag_events")),
        "in_flight": int(total(snapshot, "pointsman_in_flight_events")),
    }
