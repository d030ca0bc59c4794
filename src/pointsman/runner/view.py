"""The live view of a run: rate, lag, routes, models, and what happened last."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pointsman.base.log_lines import LOGS
from pointsman.base.signals import LATENCY_BOUNDS
from pointsman.runner.metrics import Snapshot, numbers, total

__all__ = ["View", "quantile"]

_LAST_LINES = 6
_COLOURS = {"info": "dim", "warning": "yellow", "error": "red"}


class View:
    """Draws a run on the terminal; log lines stand below the tables."""

    def __init__(self, title: str, console: Console | None = None) -> None:
        """Args:
        title: The pipeline and its policy version.
        """
        self._title = title
        self._lines: deque[Text] = deque(maxlen=_LAST_LINES)
        self._live = Live(console=console or Console(stderr=True), auto_refresh=False)
        self._past: deque[tuple[float, dict[str, int], dict[str, float]]] = deque(maxlen=5)

    def __enter__(self) -> View:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def say(self, name: str, **fields: Any) -> None:
        """Shows a log line with the next frame."""
        log = LOGS[name]
        told = "  ".join(f"{field} {_short(fields[field])}" for field in log.fields if field in fields)
        self._lines.append(
            Text(f"{log.meaning}  {told}", style=_COLOURS[log.level], overflow="ellipsis", no_wrap=True)
        )

    def show(self, snapshot: Snapshot, seconds: float) -> None:
        """Draws `snapshot`."""
        self._live.update(self.render(snapshot, seconds), refresh=True)

    def render(self, snapshot: Snapshot, seconds: float) -> Panel:
        """The frame for `snapshot`, taken `seconds` after the run began."""
        now, routes = numbers(snapshot), _by_label(snapshot, "pointsman_route_events_total")
        then, before, routes_before = self._past[0] if self._past else (0.0, dict.fromkeys(now, 0), {})
        span = max(seconds - then, 1e-9)
        self._past.append((seconds, now, routes))
        head = Text.assemble(
            (f"{(now['events'] - before['events']) / span:,.0f}", "bold green"), " events/s   ",
            (f"{now['events']:,}", "bold"), " events   lag ", (f"{now['lag']:,}", "bold"),
            f"   under way {now['in_flight']:,}   dead letters ",
            (f"{now['dead_letters']:,}", "bold red" if now["dead_letters"] else "bold"),
            f"   partitions {total(snapshot, 'pointsman_partitions'):.0f}   {_clock(seconds)}",
        )  # fmt: skip
        parts: list[Any] = [
            head,
            Text(),
            _routes(routes, routes_before, span, now["events"]),
            Text(),
            _models(snapshot),
        ]
        restoring = _restoring(snapshot)
        if restoring is not None:
            parts += [Text(), restoring]
        failures = _failures(snapshot)
        if failures:
            parts += [Text(), Text("   ".join(failures), style="yellow")]
        if self._lines:
            parts += [Text(), *self._lines]
        return Panel(Group(*parts), title=self._title, title_align="left", border_style="dim")


def _by_label(snapshot: Snapshot, name: str) -> dict[str, float]:
    return {
        labels[0]: value for labels, value in snapshot.get(name, {}).items() if not isinstance(value, list)
    }


def _routes(now: dict[str, float], before: dict[str, float], span: float, events: int) -> Table:
    table = Table("route", *_numeric("events", "share", "per second"), box=None, pad_edge=False)
    for name, count in sorted(now.items(), key=lambda item: -item[1])[:15]:
        rate = (count - before.get(name, 0)) / span
        table.add_row(name, f"{count:,.0f}", f"{count / max(events, 1):.1%}", f"{rate:,.0f}")
    return table


def _models(snapshot: Snapshot) -> Table:
    table = Table("model", *_numeric("ok", "failed", "calls", "median", "99%"), box=None, pad_edge=False)
    results = snapshot.get("pointsman_model_results_total", {})
    calls = snapshot.get("pointsman_model_call_seconds", {})
    for model in sorted({labels[0] for labels in results}):
        ok, failed = (
            total(snapshot, "pointsman_model_results_total", model=model, status=s) for s in ("ok", "failed")
        )
        cells = calls.get((model,))
        known = cells if isinstance(cells, list) else [0.0] * (len(LATENCY_BOUNDS) + 2)
        table.add_row(
            model,
            f"{ok:,.0f}",
            Text(f"{failed:,.0f}", style="red" if failed else ""),
            f"{sum(known[:-1]):,.0f}",
            *(f"≤ {bound * 1000:g} ms" if (bound := quantile(known, q)) else "" for q in (0.5, 0.99)),
        )
    return table


def _restoring(snapshot: Snapshot) -> Table | None:
    """How far the state of partitions that came is read; None while none is."""
    waiting = total(snapshot, "pointsman_restoring_partitions")
    if not waiting:
        return None
    left = total(snapshot, "pointsman_restoring_records")
    read = total(snapshot, "pointsman_restored_records_total")
    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(read + left, 1), completed=read, width=40)
    row.add_row(f"state of {waiting:,.0f} partitions", bar, f"{read:,.0f} of {read + left:,.0f} records")
    return row


def _failures(snapshot: Snapshot) -> list[str]:
    """What went wrong, most frequent first."""
    found: list[tuple[float, str]] = []
    for name, text in (
        ("pointsman_dead_letters_total", "dead: {0}"),
        ("pointsman_model_failures_total", "{0}: {1}"),
        ("pointsman_evaluation_errors_total", "{0} erred"),
    ):
        for labels, value in snapshot.get(name, {}).items():
            if not isinstance(value, list):
                found.append((value, f"{text.format(*labels)} {value:,.0f}"))
    return [text for _, text in sorted(found, reverse=True)[:5]]


def quantile(cells: list[float], q: float) -> float | None:
    """The upper bound, in seconds, of the histogram's bucket that holds the quantile; None without calls."""
    count, seen = sum(cells[:-1]), 0.0
    if not count:
        return None
    for bound, cell in zip(LATENCY_BOUNDS, cells, strict=False):
        seen += cell
        if seen >= q * count:
            return bound
    return float("inf")


def _numeric(*names: str) -> list[Any]:
    from rich.table import Column

    return [Column(name, justify="right") for name in names]


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value[:4])) + (f" and {len(value) - 4} more" if len(value) > 4 else "")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
