"""What is known of the broker of a folder, kept there as broker.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["State", "read_state", "write_state"]


@dataclass(frozen=True, slots=True)
class State:
    """The last start.

    Attributes:
        pid: Of the Java process.
        port: Where clients connect.
        controller_port: Where the server talks to itself.
        kafka: Kafka's version.
        java: The program that runs it.
        started_at: Epoch seconds.
    """

    pid: int
    port: int
    controller_port: int
    kafka: str
    java: str
    started_at: float

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"


def read_state(directory: Path) -> State | None:
    """Returns what the last start in `directory` left; None where there was none."""
    try:
        return State(**json.loads((directory / "broker.json").read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_state(directory: Path, state: State) -> None:
    """Replaces what `directory` keeps; a reader sees the old or the new, never a part."""
    new = directory / "broker.json.new"
    new.write_text(json.dumps(asdict(state)))
    new.replace(directory / "broker.json")
