"""What a run serves at /metrics, read back."""

from __future__ import annotations

import re

from pointsman.base.signals import METRICS
from pointsman.runner.metrics import Labels, Snapshot

__all__ = ["parsed"]

_LINE = re.compile(r"(\w+?)(?:_(bucket|sum|count))?(?:\{(.*)\})? ([-+.\w]+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parsed(text: str) -> Snapshot:
    """The metrics of a text as `runner.metrics.expose` writes it; what else stands there is left out.

    Examples:
        >>> parsed('pointsman_model_results_total{model="m",status="ok"} 3')
        {'pointsman_model_results_total': {('m', 'ok'): 3.0}}
    """
    found: Snapshot = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        name, part, inside, number = match.groups()
        metric = METRICS.get(name) or METRICS.get(f"{name}_{part}")
        if metric is None:
            continue
        given = {label: _plain(value) for label, value in _LABEL.findall(inside or "")}
        labels: Labels = tuple(given.get(label, "") for label in metric.labels)
        by_labels = found.setdefault(metric.name, {})
        if metric.kind != "histogram":
            by_labels[labels] = float(number)
            continue
        cells = by_labels.setdefault(labels, [])
        assert isinstance(cells, list)
        if part == "bucket":
            cells.append(float(number) - sum(cells))
        elif part == "sum":
            cells.append(float(number))
    return found


def _plain(value: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), value)
