"""Plays one schedule: events flow, faults come, everything is waited for, and the judge looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from chaos.crew import Crew
from chaos.hanging import abort_hanging
from chaos.job import JobCrew
from chaos.judge import Verdict, committed, judge
from chaos.schedule import Fault, schedule
from chaos.world import MODELS, PARTITIONS, document, events
from pointsman.bus.local import LocalBroker
from pointsman.spec import load

__all__ = ["Play"]

T = TypeVar("T")

ZOMBIE_SECONDS = 8.0
_ONE_BROKER = threading.Lock()
END_SECONDS = 240.0
STUCK_SECONDS = 60.0
START_SECONDS = {"native": 2.0, "kafka-streams": 8.0, "flink": 20.0}


@dataclass(slots=True)
class Play:
    """One schedule.

    Attributes:
        broker: A running broker, which faults kill and start again.
        count: Events.
        host: What the workers run on.
        hanging: Transactions that the broker forgot when it was killed, and that were aborted by hand.
    """

    broker: LocalBroker
    folder: Path
    seed: int
    delivery: str = "exactly_once"
    on_disk: bool = False
    count: int = 2000
    faults: int = 4
    host: str = "native"
    hanging: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return f"chaos-{self.host}-{self.seed}"

    @property
    def plan(self) -> list[Fault]:
        """The faults in their order."""
        return schedule(self.seed, faults=self.faults, on_disk=self.on_disk and self.host == "native")

    def run(self, say: Callable[[str], None]) -> Verdict:
        """Plays it to its end."""
        plan = self.plan
        on = "" if self.host == "native" else f", {self.host}"
        say(f"schedule {self.seed} ({self.delivery}{', RocksDB' if self.on_disk else ''}{on}): "
            + ", ".join(map(str, plan)))  # fmt: skip
        self.folder.mkdir(parents=True)
        (self.folder / "chaosmodels.py").write_text(MODELS)
        limits: dict[str, int] = {}
        self._write(limits, 12)
        self._topic()
        crew = (JobCrew if self.host == "flink" else Crew)(self.folder, self.on_disk, self.host)
        sender = threading.Thread(target=self._send, daemon=True)
        try:
            crew.start("a")
            crew.start("b")
            time.sleep(START_SECONDS[self.host])
            sender.start()
            for number, fault in enumerate(plan):
                time.sleep(fault.after)
                crew.revive()
                self._strike(crew, fault, limits, number)
            sender.join(60)
            self._wait(crew)
            crew.drain_all()
            exactly = self.delivery == "exactly_once"
            document = self.folder / "pipeline.yaml"
            verdict = _steadily(
                lambda: judge(
                    self.broker.bootstrap, self.name, document, limits, exactly=exactly, host=self.host
                )
            )
        finally:
            crew.end()
        for strange in crew.strange:
            verdict.wrong += 1
            verdict.note(strange)
        return verdict

    def _write(self, limits: dict[str, int], limit: int) -> None:
        """Writes the document, and learns its version."""
        path = self.folder / "pipeline.yaml"
        path.write_text(document(self.name, self.broker.bootstrap, self.delivery, limit))
        limits[load(path).policy] = limit

    def _topic(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        new = NewTopic(self.name, PARTITIONS, 1, config={"retention.ms": "-1"})
        admin.create_topics([new])[self.name].result(30)

    def _send(self) -> None:
        """Events over some ten seconds, whatever happens to the broker."""
        config = {"bootstrap.servers": self.broker.bootstrap, "partitioner": "murmur2_random", "linger.ms": 5}
        producer = Producer(
            {**config, "enable.idempotence": True, "message.timeout.ms": 120_000, "log_level": 0}
        )
        for number, sent in enumerate(events(self.seed, self.count)):
            producer.produce(self.name, sent.value or None, sent.key, timestamp=sent.timestamp)
            if number % 20 == 0:
                producer.poll(0)
                time.sleep(10 / (self.count / 20))
        producer.flush(120)

    def _strike(self, crew: Crew, fault: Fault, limits: dict[str, int], number: int) -> None:
        names = sorted(crew.members)
        one = names[fault.pick % len(names)]
        if fault.what == "kill":
            crew.kill(one)
            crew.start(one)
        elif fault.what == "kill all":
            crew.kill_all()
        elif fault.what == "zombie":
            crew.pause(one, ZOMBIE_SECONDS)
        elif fault.what == "broker":
            with _ONE_BROKER:  # of all plays side by side, which all feel it
                self.broker.kill()
                time.sleep(1.0)
                self.broker.restart()
        elif fault.what == "storm":
            crew.storm()
        elif fault.what == "slow model":
            (self.folder / "slow").write_text("0.3")
            time.sleep(2.0)
            (self.folder / "slow").unlink()
        elif fault.what == "full disk":
            crew.kill(one)
            crew.start(one, file_limit=64 * 1024)
            time.sleep(4.0)
            if crew.members[one].process.poll() is None:
                crew.kill(one)
            crew.start(one)
        elif fault.what == "policy":
            crew.drain_all()
            self._write(limits, 13 + number)
            for name in names:
                crew.start(name)

    def _wait(self, crew: Crew) -> None:
        """Until nothing of the source is left."""
        end = time.monotonic() + END_SECONDS
        least, look_at = -1, time.monotonic() + STUCK_SECONDS
        while (left := _steadily(lambda: committed(self.broker.bootstrap, self.name, self.name))) > 0:
            if least < 0 or left < least:
                least, look_at = left, time.monotonic() + STUCK_SECONDS
            elif time.monotonic() > look_at:
                look_at = time.monotonic() + STUCK_SECONDS
                self._unblock()
            if time.monotonic() > end:
                crew.strange.append(f"the end was not reached: {crew.tails()}")
                return
            crew.revive()
            time.sleep(0.3)

    def _unblock(self) -> None:
        """What an operator does where nothing goes on: looks for transactions that the broker forgot."""
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
        topics = _steadily(lambda: admin.list_topics(timeout=15).topics)
        ours = (f"{self.name}.", f"{self.name}-")
        self.hanging += abort_hanging(
            self.broker, [name for name in topics if name.startswith(ours) or name == "__consumer_offsets"]
        )


def _steadily(ask: Callable[[], T]) -> T:
    """What `ask` gives, though another play may just have taken the broker down."""
    for _ in range(60):
        try:
            return ask()
        except KafkaException:
            time.sleep(1.0)
    return ask()
