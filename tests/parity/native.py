"""Cases on the native runner: one worker does it all, or a router and a dispatcher for each model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import Kafka
from parity.beside import beside
from parity.stage import Play
from pointsman.base.clock import SystemClock
from pointsman.runner.native import Alone
from pointsman.runner.plans import picked
from pointsman.runner.requests import request_topic
from pointsman.runner.settings import Settings
from pointsman.runner.start import group_of, prepare, reach
from pointsman.spec.document import Document

__all__ = ["Fused", "Split", "dispatching"]

IDLE = 0.3
AT_ONCE = 4


class Fused:
    """One worker does it all."""

    whole, engine = True, "native"

    def __init__(self, delivery: str | None = None) -> None:
        self.name = "fused" if delivery is None else f"fused-{delivery.replace('_', '-')}"
        self.delivery = delivery

    def run(self, plays: Sequence[Play]) -> dict[str, str]:
        """Decides all events that are there."""
        return beside(lambda play: _to_the_end(play, "all"), plays, AT_ONCE)


class Split:
    """A router, and a dispatcher for each model."""

    name, whole, delivery, engine = "split", False, None, "native"

    def run(self, plays: Sequence[Play]) -> dict[str, str]:
        """Decides all events that are there."""
        return beside(self._play, plays, AT_ONCE)

    def _play(self, play: Play) -> None:
        models = picked(play.document)
        if not play.case.served:
            models = tuple(model for model in models if model not in play.away)
        with dispatching(play, models):
            _to_the_end(play, "route")


@contextmanager
def dispatching(play: Play, models: Sequence[str]) -> Iterator[None]:
    """Dispatchers of `models` beside what is done; they are through with all requests at the end."""
    document, at_work = play.document, {}
    for model in models:
        alone = _worker(play, document, "dispatch", models=(model,))
        at_work[model] = (alone, _beside(alone.run))
    yield
    cluster = reach(document)
    for model, (alone, thread) in at_work.items():
        group, topic = group_of(document, model), request_topic(document, model)
        ends = _ends(play.kafka, topic)
        while any((row.committed or 0) < ends.get(row.partition, 0) for row in cluster.lag(group, [topic])):
            assert thread.is_alive(), f"the dispatcher of {model} has ended"
            time.sleep(0.05)
        alone.stop()
    for _, thread in at_work.values():
        thread.join()


def _ends(kafka: Kafka, topic: str) -> dict[int, int]:
    """The offset after the last record of each partition; marks of transactions come after it."""
    return {message.partition(): message.offset() + 1 for message in kafka.consume_all(topic)}


def _to_the_end(play: Play, role: str) -> None:
    """Decides all events that are there."""
    _worker(play, play.document, role, until_idle=IDLE).run()


def _worker(play: Play, document: Document, role: str, **more: Any) -> Alone:
    settings = Settings(play.case.document, (play.overlay,), role=role, instance=play.host.name, **more)
    ground = prepare(document, reach(document), role, settings.models)
    return Alone(document, ground, settings, lambda *_, **__: None, SystemClock())


def _beside(run: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
