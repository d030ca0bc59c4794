"""`pointsman models`: where the models are, whether they are ready, and how they do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pointsman.base.errors import EnvironmentFault, UsageError
from pointsman.cli.options import DEFAULT_PIPELINE, AsJson, Overlays, Pipeline, existing
from pointsman.cli.screen import columns, is_terminal, paint, say, write_json

if TYPE_CHECKING:
    from rich.console import Group

    from pointsman.cli.servers import Answer
    from pointsman.spec.document import Document

__all__ = ["models"]

EVERY = 2.0
"""Seconds from one look to the next on a terminal."""

MetricsAddress = Annotated[
    str | None,
    typer.Option("--metrics", metavar="URL", help="Where a run serves its metrics, such as localhost:9090."),
]
Patience = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long a server may take.")]
Once = Annotated[bool, typer.Option("--once", help="Look once, also on a terminal.")]


def models(
    pipeline: Pipeline = DEFAULT_PIPELINE,
    overlay: Overlays = None,
    metrics: MetricsAddress = None,
    timeout: Patience = 5.0,
    once: Once = False,
    as_json: AsJson = False,
) -> None:
    """Shows every model: where it is, whether it is ready, and which version answers.

    With --metrics of a run also its circuit breaker, latency and share of the traffic. On a terminal it looks
    again every two seconds until Ctrl-C. Exits 1 where a model is not ready.

    Examples:

      pointsman models

      pointsman models pipeline.yaml --metrics localhost:9090

      pointsman models --json
    """
    from pointsman import spec

    if timeout <= 0:
        raise UsageError("--timeout must be more than 0 seconds")
    document = spec.load(existing(pipeline), overlay or ())
    with Look(document, metrics, timeout) as look:
        if is_terminal() and not once and not as_json:
            _live(look)
            return
        rows = look.rows()
    if as_json:
        write_json({"models": rows}, indent=2)
    else:
        _say(rows)
    if not all(row["ready"] for row in rows):
        raise typer.Exit(1)


class Look:
    """Looks at the models of a document as often as wanted; what is in this process once."""

    def __init__(self, document: Document, metrics: str | None, timeout: float) -> None:
        """Args:
        document: Whose models.
        metrics: Where a run serves its metrics; None: nobody is asked.
        timeout: Seconds that a server may take.
        """
        import asyncio

        from pointsman.cli.servers import Servers

        self._document = document
        self._metrics = metrics
        self._timeout = timeout
        self._servers = Servers(document)
        self._loop = asyncio.Runner()
        self._local: dict[str, Answer] = {}

    def __enter__(self) -> Look:
        from pointsman.cli.servers import ask_local, is_remote

        async def begin() -> None:
            self._servers.open()

        self._loop.run(begin())
        for name, spec in self._document.models.items():
            if not is_remote(spec):
                self._local[name] = ask_local(self._document, name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.run(self._servers.close())
        self._loop.close()

    def rows(self) -> list[dict[str, Any]]:
        """One row for each model, in the document's order; what is not known is None.

        Raises:
            EnvironmentFault: The metrics cannot be read.
        """
        from pointsman.cli.servers import address_of

        traffic = _traffic(self._metrics, self._timeout) if self._metrics else {}
        whole = sum(one["events"] for one in traffic.values())
        answers = {**self._local, **self._loop.run(self._servers.ask(self._timeout))}
        rows = []
        for name, spec in self._document.models.items():
            seen = traffic.get(name, {})
            rows.append(
                {
                    "model": name,
                    "endpoint": spec.endpoint,
                    "protocol": spec.protocol,
                    "address": address_of(self._document, spec),
                    **_state(answers[name]),
                    "breaker": seen.get("breaker"),
                    "median_ms": seen.get("median_ms"),
                    "p99_ms": seen.get("p99_ms"),
                    "share": seen["events"] / whole if seen and whole else None,
                }
            )
        return rows


def _state(answer: Answer) -> dict[str, Any]:
    from pointsman.model.remote import Health

    if isinstance(answer, Health):
        return {"ready": answer.ready, "version": answer.version, "why": answer.why}
    return {"ready": False, "version": None, "why": str(answer)}


def _traffic(metrics: str, timeout: float) -> dict[str, dict[str, Any]]:
    """What a run's metrics say of each model: events, latency, breaker."""
    from pointsman.cli.scrape import parsed
    from pointsman.runner.view import quantile

    snapshot = parsed(_fetched(metrics, timeout))
    found: dict[str, dict[str, Any]] = {}
    for (model, *_), events in snapshot.get("pointsman_model_results_total", {}).items():
        one = found.setdefault(model, {"events": 0.0})
        one["events"] += events
    for (model, *_), cells in snapshot.get("pointsman_model_call_seconds", {}).items():
        one = found.setdefault(model, {"events": 0.0})
        for name, q in (("median_ms", 0.5), ("p99_ms", 0.99)):
            bound = quantile(cells, q) if isinstance(cells, list) else None
            one[name] = None if bound is None else bound * 1000
    for (model, *_), state in snapshot.get("pointsman_model_breaker_state", {}).items():
        found.setdefault(model, {"events": 0.0})["breaker"] = _BREAKER.get(state)
    return found


_BREAKER: Mapping[Any, str] = {0.0: "closed", 1.0: "half-open", 2.0: "open"}


def _fetched(metrics: str, timeout: float) -> str:
    from urllib.error import URLError
    from urllib.request import urlopen

    url = metrics if "://" in metrics else f"http://{metrics}"
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--metrics takes an address such as localhost:9090, found '{metrics}'")
    url = url if url.rstrip("/").endswith("/metrics") else f"{url.rstrip('/')}/metrics"
    try:
        with urlopen(url, timeout=timeout) as answer:
            content: bytes = answer.read(1 << 24)
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise EnvironmentFault(
            f"no metrics at {url}: {reason}; start 'pointsman run --metrics-port'"
        ) from None
    return content.decode("utf-8", "replace")


_TITLES = ("model", "protocol", "address", "ready", "version", "breaker", "median", "99%", "share")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    where = f"{row['endpoint']} ({row['address']})" if row["endpoint"] else row["address"]
    return (
        row["model"],
        row["protocol"],
        where,
        "yes" if row["ready"] else "no",
        row["version"] or "",
        row["breaker"] or "",
        _ms(row["median_ms"]),
        _ms(row["p99_ms"]),
        "" if row["share"] is None else f"{row['share']:.1%}",
    )


def _ms(value: float | None) -> str:
    return "" if value is None else f"≤ {value:g} ms"


def _table(rows: list[dict[str, Any]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Titles and cells, without columns of which nothing is known."""
    cells = [_cells(row) for row in rows]
    kept = [n for n in range(len(_TITLES)) if n < 4 or any(row[n] for row in cells)]
    return [_TITLES[n] for n in kept], [tuple(row[n] for n in kept) for row in cells]


def _say(rows: list[dict[str, Any]]) -> None:
    colours = paint()
    titles, cells = _table(rows)
    head = tuple(colours(title, "title") for title in titles)
    ready = {"yes": colours("yes", "good"), "no": colours("no", "bad")}
    for line in columns([head, *((*cell[:3], ready[cell[3]], *cell[4:]) for cell in cells)], indent=""):
        say(line)
    for row in rows:
        if row["why"]:
            say(f"{row['model']}: {row['why']}")


def _live(look: Look) -> None:
    """Looks again and again; metrics that cannot be read for once are no reason to stop."""
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            try:
                live.update(_frame(look.rows()), refresh=True)
            except EnvironmentFault as fault:
                live.update(Text(str(fault), style="yellow"), refresh=True)
            time.sleep(EVERY)


def _frame(rows: list[dict[str, Any]]) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    titles, cells = _table(rows)
    table = Table(*titles, box=None, pad_edge=False)
    for cell in cells:
        ready = Text(cell[3], style="green" if cell[3] == "yes" else "red")
        table.add_row(*map(Text, cell[:3]), ready, *map(Text, cell[4:]))
    return Group(
        table, *(Text(f"{row['model']}: {row['why']}", style="yellow") for row in rows if row["why"])
    )
