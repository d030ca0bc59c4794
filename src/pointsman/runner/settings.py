"""What `pointsman run` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """A run; handed to its worker processes as it is.

    Attributes:
        path: The document.
        overlays: Documents merged over it.
        workers: Processes; with one the run is a single process.
        begin: `--from`; None goes on at the committed offsets.
        until_idle: End after so many seconds at the end of all partitions; None goes on.
        max_events: End after so many events; None goes on.
        instance: Names this deployment among several of one pipeline.
        metrics_host: The address that metrics are served on.
        metrics_port: Where metrics are served; None serves none, 0 takes any free port.
        as_json: Log lines and the summary as JSON.
        role: `all`; `route` decides and writes requests; `dispatch` reads those and calls models; `engine`,
            inside a stream engine, leaves plans with remote models to dispatchers.
        state_dir: Where state is kept on disk; None keeps it in memory.
        threads: Stream threads of each worker inside Kafka Streams.
        standbys: Copies of the state that other workers keep inside Kafka Streams.
        models: The models of `dispatch`; each has `workers` processes and a consumer group of its own.
    """

    path: Path
    overlays: tuple[Path, ...] = ()
    workers: int = 1
    begin: str | None = None
    until_idle: float | None = None
    max_events: int | None = None
    instance: str = "local"
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    as_json: bool = False
    role: str = "all"
    models: tuple[str, ...] = ()
    state_dir: Path | None = None
    threads: int = 1
    standbys: int = 0

    @property
    def seats(self) -> int:
        """How many workers that makes."""
        return self.workers * max(1, len(self.models))

    def model(self, number: int) -> str:
        """The model that worker `number` dispatches to; empty for the other roles."""
        return self.models[number // self.workers] if self.models else ""
