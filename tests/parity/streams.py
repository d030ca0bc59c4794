"""Cases inside Kafka Streams, several at a time in this process; tells on standard output what went wrong.

A process has one Java machine, whose start is dear; a case is what one worker of `pointsman run --on
kafka-streams` is, with all its clients and threads.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pointsman.base.clock import SystemClock
from pointsman.runner.kafka_streams import HOSTING
from pointsman.runner.native import Alone
from pointsman.runner.settings import Settings
from pointsman.runner.start import reach
from pointsman.runner.streams_jvm import Java
from pointsman.spec import load

AT_ONCE = 8
IDLE = 1.0
_environment = threading.Lock()


def play(said: dict[str, Any]) -> str:
    """One case to its end; returns what went wrong."""
    lines: list[str] = []
    try:
        path, overlays = Path(said["document"]), (Path(said["overlay"]),)
        with _environment:
            os.environ.update(said["environment"])
            document = load(path, overlays)
        settings = Settings(path, overlays, role="engine", until_idle=IDLE)
        ground = HOSTING.ground(document, reach(document), settings)

        def say(name: str, **fields: Any) -> None:
            lines.append(f"{name} {fields}")

        Alone(document, ground, settings, say, SystemClock(), HOSTING).run()
    except BaseException:  # whatever it is, the other cases are played
        return "\n".join([*lines[-20:], traceback.format_exc()])
    return ""


def main() -> None:
    """Plays what standard input asks for."""
    told, sys.stdout = sys.stdout, sys.stderr
    cases = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        Java(Path(folder) / "native")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = {
                one["case"]: said for one, said in zip(cases, pool.map(play, cases), strict=True) if said
            }
    print(json.dumps(found), file=told, flush=True)
    os._exit(0)  # a model that hangs is a thread that never ends


if __name__ == "__main__":
    main()
