"""The tables of a document at work: read, kept as their sources say, and unchanging while a batch looks.

file      read whole, looked at once a second
topic     read to its end, then followed; `scope: partition`: the partitions that the worker has
python    asked for what a batch will look up, before the batch is decided
    from      a window over another topic, which is followed; a row is computed when a batch reads it
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from pointsman.base.clock import Clock
from pointsman.base.errors import EnvironmentFault, Finding, Misfit
from pointsman.base.records import Batch
from pointsman.bus.client import client_config
from pointsman.bus.topics import Topics
from pointsman.engine.policy import Policy
from pointsman.engine.prefetch import Look, looking
from pointsman.runner.derived import derived_table
from pointsman.runner.following import Followed, Follower
from pointsman.runner.logs import Say
from pointsman.runner.metrics import Metrics
from pointsman.spec.document import Document
from pointsman.spec.foreseen import lookups_ahead
from pointsman.spec.tables.derived import Derived
from pointsman.spec.tables.file import File
from pointsman.spec.tables.python import Python
from pointsman.spec.tables.topic import Topic
from pointsman.state.derived import DerivedTable
from pointsman.state.function_table import FunctionTable
from pointsman.state.tables import TableFile
from pointsman.state.topic_table import TopicTable

__all__ = ["Tables"]

Rows = Mapping[str, Mapping[str, Any]]

_REFRESH_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 15.0


class Tables:
    """Every table of a document.

    Attributes:
        findings: What of them does not fit the document; then they are of no use.
    """

    def __init__(self, document: Document, clock: Clock) -> None:
        """Reads files and loads functions; topics are read by `follow`.

        Raises:
            MissingExtra: A package that a table needs is not installed.
        """
        self.findings: list[Finding] = []
        self._document = document
        self._clock = clock
        self._files: dict[str, TableFile] = {}
        self._functions: dict[str, FunctionTable] = {}
        self._followed: dict[str, Followed] = {}
        self._derived: dict[str, DerivedTable] = {}
        self._own: set[str] = set()
        self._rows: dict[str, Any] = {}
        self._lock = threading.RLock()
        self._closed = threading.Event()
        self._followers: list[Follower] = []
        self._by_partition: Follower | None = None
        self._look: Look | None = None
        self._rounds = 0
        for name, config in document.tables.items():
            try:
                self._rows[name] = self._open(name, config)
            except Misfit as misfit:
                place = document.where(("tables", name, *misfit.path))
                self.findings.append(place.finding(misfit.code, f"table '{name}': {misfit}", misfit.hint))

    def _open(self, name: str, config: Any) -> Mapping[str, Any]:
        """Opens a table; returns its rows, which may be filled later."""
        match config:
            case File.Config():
                self._files[name] = file = TableFile(name, config.file, config.key)
                return file.rows
            case Topic.Config():
                own = config.scope == "partition"
                self._followed[name] = topic = TopicTable(name, config.topic, config.key, by_partition=own)
                if own:
                    self._own.add(name)
                return topic.rows
            case Python.Config():
                self._functions[name] = function = FunctionTable.load(
                    name, config.python, self._document.folder, config.cache, config.timeout
                )
                return function.rows
            case Derived.Config():
                table = derived_table(name, config, self._document.write.decisions)
                self._followed[name] = self._derived[name] = table
                return table.at(self._clock.now_ms(), self._lock)
        raise TypeError(f"no table is made of {type(config).__name__}")

    def serve(self, policy: Policy) -> None:
        """Takes the policy whose look-ups are to be asked for."""
        if not self._functions:
            return
        ahead = lookups_ahead(self._document.enrich, self._functions)
        asking = [one for one in ahead if getattr(one.config, "lookup", None) in self._functions]
        self._look = looking(policy, [one.field for one in ahead])
        # A look-up may give the key of another: what the first round finds, the second looks up.
        self._rounds = 1 if len(ahead) == len(asking) else len(asking)

    @property
    def topics(self) -> Collection[str]:
        """The topics that tables are made of."""
        return {table.topic for table in self._followed.values()}

    @property
    def rows(self) -> Rows:
        """The rows of every table as they stand now."""
        return self._at(self._clock.now_ms())

    def _at(self, now_ms: int) -> dict[str, Any]:
        """The rows of every table, those that depend on the time as they stand at `now_ms`."""
        if not self._derived:
            return self._rows
        derived = {name: table.at(now_ms, self._lock) for name, table in self._derived.items()}
        return {**self._rows, **derived}

    @contextmanager
    def batch(self, batch: Batch, given: Collection[str] = ()) -> Iterator[Rows]:
        """The rows as this batch sees them: none changes inside.

        Args:
            given: Tables whose rows come from elsewhere, so that nobody is asked for them.

        Raises:
            EnvironmentFault: A topic cannot be followed any more.
            StateError: A table has grown too large.
        """
        for follower in self._followers:
            if follower.failure is not None:
                raise follower.failure
        with self._lock:
            rows = self._at(batch.now_ms)
            if self._look is not None:
                self._ask(self._look, batch, rows, given)
            yield rows

    def _ask(self, look: Look, batch: Batch, rows: dict[str, Any], given: Collection[str]) -> None:
        """Asks functions for the rows that the batch will look up and that are not known."""
        now = self._clock.monotonic()
        functions = {name: table for name, table in self._functions.items() if name not in given}
        asked: set[tuple[str, str]] = set()
        for _ in range(self._rounds):
            probes = {name: table.probe(now) for name, table in functions.items()}
            look(batch, {**rows, **probes})
            due = {
                name: [key for key in probe.due if (name, key) not in asked] for name, probe in probes.items()
            }
            if not any(due.values()):
                return
            for name, keys in due.items():
                if keys:
                    functions[name].ask(keys, now)
                    asked |= {(name, key) for key in keys}

    # Files.

    def refresh(self, say: Say | None = None) -> None:
        """Reads files again that changed; a batch sees each table wholly old or wholly new."""
        for name, table in self._files.items():
            if table.refresh():
                self._rows = {**self._rows, name: table.rows}
                if say is not None:
                    say("table_reloaded", table=name, rows=len(table.rows))
            self._say_notes(name, table, say)
        for name, function in self._functions.items():
            self._say_notes(name, function, say)

    @staticmethod
    def _say_notes(name: str, table: TableFile | FunctionTable, say: Say | None) -> None:
        for note in table.notes():
            if say is not None:
                say("table_note", table=name, problem=note)

    # Topics.

    def follow(
        self, say: Say, stopping: Callable[[], bool] = lambda: False, *, everything: bool = False
    ) -> None:
        """Reads topics to their end as of now, and follows them beside what else goes on.

        Args:
            stopping: Asked now and then; once true, it returns early.
            everything: Whether tables of scope partition are read whole too, for one who has no partitions.

        Raises:
            EnvironmentFault: Kafka does not answer or allow it, or topics do not fit the source's.
            StateError: A table would be too large.
        """
        own = [table for name, table in self._followed.items() if name in self._own and not everything]
        whole = [table for table in self._followed.values() if table not in own]
        if own:
            self._same_width(own)
        for tables in (whole, own):
            if tables:
                follower = Follower(
                    self._config(), tables, lambda: self._lock, self._clock, say, whole=tables is whole
                )
                self._followers.append(follower)
                follower.start(stopping)
                if tables is own:
                    self._by_partition = follower

    def watch(self, say: Say) -> None:
        """Looks at files once a second from now on, and tells what of functions should be known."""
        if self._files or self._functions:
            threading.Thread(target=self._watch, args=(say,), name="pointsman-tables", daemon=True).start()

    def own(self, partitions: Collection[int]) -> None:
        """These are the source's partitions that the worker has now; new rows are read before it returns."""
        if self._by_partition is not None:
            self._by_partition.own(partitions)

    def _config(self) -> dict[str, Any]:
        document = self._document
        config = client_config(document.kafka, document.profile, "consumer", pipeline=document.pipeline)
        config.pop("group.instance.id", None)
        return config

    def _same_width(self, tables: Iterable[Followed]) -> None:
        """Rows of scope partition lie where the events of their keys do."""
        source = self._document.source.topics[0]
        cluster = Topics(self._document.kafka, seconds=_CONNECT_SECONDS)
        names = {table.topic: table.name for table in tables}
        found = cluster.describe([source, *names])
        wanted = found[source]
        for topic, name in names.items():
            one = found[topic]
            if one is not None and wanted is not None and one.partitions != wanted.partitions:
                raise EnvironmentFault(
                    f"the table '{name}' has scope partition, and {topic} has {one.partitions} partitions "
                    f"where {source} has {wanted.partitions}: give it as many, or use scope: global"
                )

    # How they are.

    def count(self, metrics: Metrics) -> None:
        """Takes what was counted over into the metrics; before a report."""
        for name, rows in self.rows.items():
            metrics.set("pointsman_table_rows", len(rows), name)
        for name, table in self._followed.items():
            metrics.set("pointsman_table_records_total", table.records, name)
            metrics.set("pointsman_table_unusable_total", table.unusable, name)
        for name, function in self._functions.items():
            metrics.set("pointsman_table_asked_total", function.asked, name)
            for why, keys in list(function.failures.items()):
                metrics.set("pointsman_table_failures_total", keys, name, why)

    def close(self) -> None:
        """Lets go of consumers and functions."""
        self._closed.set()
        for follower in self._followers:
            follower.close()
        for function in self._functions.values():
            function.close()

    def _watch(self, say: Say) -> None:
        while not self._closed.wait(_REFRESH_SECONDS):
            self.refresh(say)
