"""What is known of a run inside Flink before anything is started."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any, Final

from pointsman.base.errors import Misfit, SpecError, UsageError
from pointsman.bus.topics import Topics
from pointsman.engine.build import stores_of
from pointsman.runner.flink_home import Home, Known, home_of
from pointsman.runner.flink_plan import Place, plan_of
from pointsman.runner.hosts import FLINK, require
from pointsman.runner.settings import Settings
from pointsman.runner.start import reach
from pointsman.runner.state import widened
from pointsman.spec.document import Document

__all__ = ["LOCAL", "SESSION", "Start"]

LOCAL: Final = "local"
SESSION: Final = "local-session"

_INSIDE: Final = {
    "rest.address": "127.0.0.1",
    "rest.bind-address": "127.0.0.1",
    "rest.bind-port": "0",
    "jobmanager.bind-host": "127.0.0.1",
    "taskmanager.bind-host": "127.0.0.1",
    "taskmanager.host": "127.0.0.1",
    "heartbeat.interval": "1 s",
    "heartbeat.timeout": "30 s",
}
"""Of a cluster in the program's own process; tasks tell what was counted by heartbeats."""

_ADDRESS: Final = re.compile(r"[^\s:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")


@dataclass(frozen=True, slots=True)
class Start:
    """What is known before anything is started.

    Attributes:
        known: What the next start will know of this one.
        restore: The savepoint or checkpoint that it begins with; empty without.
    """

    cluster: Topics
    home: Home
    known: Known
    restore: str
    plan: dict[str, Any]

    @classmethod
    def look(cls, document: Document, settings: Settings, master: str, parallelism: int) -> Start:
        """Looks at everything, and changes nothing.

        Raises:
            PointsmanError: It could not begin.
        """
        _refuse(settings, master)
        require(document, FLINK)
        cluster = reach(document)
        partitions = cluster.require_sources(document.source.topics)
        home = home_of(settings.state_dir, document.pipeline, settings.instance, _cluster_id(cluster))
        known = home.known() or Known(partitions)
        if stores_of(document) and known.partitions != partitions:
            raise widened("the source", partitions, known.partitions, [str(home.folder)])
        if settings.begin is not None:
            known = Known(partitions, known.begun + 1)
        newest = home.newest()
        restore = "" if newest is None else newest.as_uri()
        place = _place(settings, home, known, restore, master, parallelism)
        try:
            plan = plan_of(document, settings, partitions, place)
        except Misfit as misfit:
            where = document.where(misfit.path or ("kafka",))
            raise SpecError([where.finding(misfit.code, str(misfit), misfit.hint)]) from None
        return cls(cluster, home, known, restore, plan)


def _refuse(settings: Settings, master: str) -> None:
    """Options that this host does not have."""
    if master not in (LOCAL, SESSION) and _ADDRESS.fullmatch(master) is None:
        raise UsageError(
            f"--master is {LOCAL}, {SESSION} or HOST:PORT of a cluster's REST interface, not '{master}'"
        )
    if master not in (LOCAL, SESSION) and settings.state_dir is None:
        raise UsageError(
            "--master HOST:PORT needs --state-dir, a folder that the cluster's machines and this one share: "
            "checkpoints and savepoints go there"
        )
    if settings.max_events is not None:
        raise UsageError(
            "--max-events is not for --on flink, whose tasks take events independently: say --until-idle"
        )
    if settings.workers > 1:
        raise UsageError(f"--workers is not for --on flink: say --parallelism {settings.workers}")
    if settings.role in ("route", "dispatch"):
        raise UsageError(
            f"--role {settings.role} is not for --on flink: it decides, and leaves remote models to "
            "dispatchers, which run natively"
        )


def _cluster_id(cluster: Topics) -> str:
    found = cluster.admin.list_topics(timeout=15.0).cluster_id
    return str(found or "unknown")


def _place(
    settings: Settings, home: Home, known: Known, restore: str, master: str, parallelism: int
) -> Place:
    return Place(
        master=master,
        cluster="" if master in (LOCAL, SESSION) else master,
        parallelism=parallelism,
        python=sys.executable,
        document=str(settings.path.absolute()),
        overlays=[str(path.absolute()) for path in settings.overlays],
        checkpoints=home.checkpoints.as_uri(),
        savepoints=home.savepoints.as_uri(),
        restore=restore,
        begun=known.begun,
        flink=_INSIDE if master == LOCAL else {},
    )
