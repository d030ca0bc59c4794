"""A cluster's REST interface: whether it is there, and what of ours still runs in it."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any, Final

from pointsman.base.errors import EnvironmentFault

__all__ = ["ask", "jobs_called", "stop"]

_ASK_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 120.0
_OVER: Final = frozenset({"FINISHED", "CANCELED", "FAILED"})


def ask(address: str, path: str, content: Any = None, method: str | None = None) -> Any:
    """What a cluster answers.

    Args:
        address: `HOST:PORT`.
        content: What is sent to it as JSON; with None it is only asked.

    Raises:
        EnvironmentFault: Nobody answers there, or not as a cluster of Flink's does.
    """
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(
        f"http://{address}{path}", data, {"Content-Type": "application/json"}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as reply:
            return json.load(reply)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise EnvironmentFault(
            f"no Flink cluster answers at {address}: {reason}; --master takes its REST interface's address"
        ) from error


def jobs_called(address: str, name: str) -> list[str]:
    """The ids of jobs of that name that are not over."""
    found = ask(address, "/jobs/overview")["jobs"]
    return [job["jid"] for job in found if job["name"] == name and job["state"] not in _OVER]


def stop(address: str, job: str, savepoints: str) -> None:
    """Stops a job with a savepoint; one that cannot make one is cancelled, and keeps its last checkpoint.

    Raises:
        EnvironmentFault: It goes on.
    """
    wanted = {"targetDirectory": savepoints, "drain": False}
    asked = ask(address, f"/jobs/{job}/stop", wanted)["request-id"]
    until = time.monotonic() + _STOP_SECONDS
    cancelled = False
    while time.monotonic() < until:
        if ask(address, f"/jobs/{job}")["state"] in _OVER:
            return
        found = ask(address, f"/jobs/{job}/savepoints/{asked}")
        if "failure-cause" in (found.get("operation") or {}) and not cancelled:
            ask(address, f"/jobs/{job}?mode=cancel", {}, "PATCH")
            cancelled = True
        time.sleep(0.3)
    raise EnvironmentFault(f"the job {job} at {address} does not stop: cancel it there, and start again")
