"""A real Apache Kafka server as a child process: one node in KRaft mode, reachable from this machine only."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local.jars import KAFKA_VERSION, fetch_kafka
from pointsman.bus.local.java import find_java
from pointsman.bus.local.paths import exclusive, is_locked
from pointsman.bus.local.process import Process, environment
from pointsman.bus.local.server import Security, make_security, server_properties
from pointsman.bus.local.state import State, read_state, write_state

__all__ = ["LocalBroker", "is_free"]

_START_SECONDS = 60.0
_FORMATTED = "formatted"


class LocalBroker:
    """One Kafka server and its folder.

    Args:
        directory: Where data, settings and log live; by default a temporary folder that goes with the broker.
        port: Where clients connect; by default the last start's where that is free, else any.
        security: `scram-tls` makes clients log in by SCRAM-SHA-512 over TLS, and begins with empty data;
            None asks nothing of them.
        keep: Whether `stop` leaves the data in `directory`.
        detached: Whether the server outlives this process.
        quick: Whether the JVM compiles lightly: up a second or two sooner, slower under heavy load.

    Attributes:
        security: Users and certificate, once started with `scram-tls`.
        log: The server's own log.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int | None = None,
        security: Literal["scram-tls"] | None = None,
        keep: bool = True,
        detached: bool = False,
        quick: bool = True,
    ) -> None:
        self._temporary = directory is None
        self._directory = (
            directory or Path(tempfile.gettempdir(), f"pointsman-{uuid.uuid4().hex}")
        ).absolute()
        self._port = port
        self._secured = security is not None
        self._keep = keep and directory is not None
        self._detached = detached
        self._quick = quick
        self._process: Process | None = None
        self._state: State | None = None
        self.security: Security | None = None
        self.log = self._directory / "server.log"

    def __enter__(self) -> LocalBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return self._started.bootstrap

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self._started.pid

    @property
    def client_config(self) -> dict[str, str]:
        """The librdkafka properties with which a client may do everything."""
        login = self.security.client(self.security.admin) if self.security else {}
        return {"bootstrap.servers": self.bootstrap, **login}

    def start(
        self, progress: Callable[[str], None] = lambda _: None, *, seconds: float = _START_SECONDS
    ) -> LocalBroker:
        """Starts the server and waits until it answers.

        Args:
            progress: Told in lines what takes time: a download of Kafka, once.
            seconds: How long to wait until it answers.

        Raises:
            MissingExtra: If there is no Java.
            EnvironmentFault: If it cannot be downloaded, stored or started, or already runs.
        """
        java = find_java()
        jars = fetch_kafka(progress)
        try:
            self._directory.parent.mkdir(parents=True, exist_ok=True)
            self._directory.mkdir(mode=0o700, exist_ok=True)
            with exclusive(self._directory / "start.lock"):
                self._up(java, jars, seconds)
        except BaseException as error:  # Ctrl-C too: what is half started is not left behind
            self._end(signal.SIGKILL)
            if self._temporary:
                shutil.rmtree(self._directory, ignore_errors=True)
            if isinstance(error, OSError):
                raise EnvironmentFault(
                    f"the local broker cannot use {self._directory}: {error.strerror or error}; "
                    "free some space or name another folder in POINTSMAN_CACHE"
                ) from error
            raise
        if self._detached and self._process is not None:
            self._process.let_go()
            self._process = None
        return self

    def stop(self) -> None:
        """Stops the server in order and waits for its end; removes data that is not to be kept."""
        self._end(signal.SIGTERM)
        if not self._keep:
            shutil.rmtree(self._directory if self._temporary else self._data, ignore_errors=True)

    def kill(self) -> None:
        """Kills the server as a crash would; its data stays."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Starts it anew on the same port and data, whether it runs or was killed."""
        self._end(signal.SIGTERM)
        self.start()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _started(self) -> State:
        if self._state is None:
            raise EnvironmentFault("the local broker was not started: call start() first")
        return self._state

    def _up(self, java: Path, jars: Path, seconds: float) -> None:
        if is_locked(self._data / ".lock"):
            raise EnvironmentFault(
                f"a broker already runs on {self._directory}; stop it first with 'pointsman broker stop'"
            )
        last = self._state or read_state(self._directory)
        for chances in (2, 1, 0):
            self._launch(java, jars, last)
            if self._answers(seconds):
                return
            said = _tail(self.log.read_text(errors="replace"))
            self._end(signal.SIGKILL)
            # Between choosing a port and listening on it another program may have taken it.
            if "BindException" not in said or not chances:
                raise EnvironmentFault(f"the local broker did not come up; its log {self.log} says: {said}")
            last = None

    def _launch(self, java: Path, jars: Path, last: State | None) -> None:
        port = self._choose_port(last)
        controller_port = last.controller_port if last and is_free(last.controller_port) else _free_port()
        if self._secured and self.security is None:
            self.security = make_security(self._directory, java)
            (self._directory / _FORMATTED).unlink(missing_ok=True)  # new users are made with new data
        properties = server_properties(port, controller_port, self.security)
        (self._directory / "server.properties").write_text(properties)
        command = self._command(java, jars)
        self._format(command)
        self._process = Process(
            [*command, "kafka.Kafka", "server.properties"],
            self._directory,
            self.log,
            detached=self._detached,
            remove=self._directory if self._temporary else None,
        )
        started = round(time.time(), 3)
        self._state = State(self._process.pid, port, controller_port, KAFKA_VERSION, str(java), started)
        write_state(self._directory, self._state)

    def _choose_port(self, last: State | None) -> int:
        if self._port is None:
            return last.port if last and is_free(last.port) else _free_port()
        if not is_free(self._port):
            raise EnvironmentFault(
                f"port {self._port} of 127.0.0.1 is taken by another program; choose another with --port"
            )
        return self._port

    def _command(self, java: Path, jars: Path) -> list[str]:
        flags = ["-Xmx512m", "-XX:+UseSerialGC", *(["-XX:TieredStopAtLevel=1"] if self._quick else [])]
        logging = ["defaultLogLevel=warn", "showDateTime=true", "dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ"]
        flags += [f"-Dorg.slf4j.simpleLogger.{setting}" for setting in logging]
        return [str(java), *flags, "-cp", f"{jars}{os.sep}*"]

    def _format(self, command: list[str]) -> None:
        """Lays out the data folder, once; what a killed attempt left is removed first."""
        done = self._directory / _FORMATTED
        if done.exists() and (self._data / "meta.properties").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        arguments = ["-t", uuid.uuid4().hex, "-c", "server.properties"]
        users = self.security.format_arguments() if self.security else []
        run = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", *arguments, *users],
            cwd=self._directory,
            env=environment(),
            capture_output=True,
            text=True,
            errors="replace",
        )
        if run.returncode != 0:
            raise EnvironmentFault(
                f"Kafka could not lay out its data in {self._data}: {_tail(run.stdout + run.stderr)}"
            )
        done.touch()

    def _answers(self, seconds: float) -> bool:
        """Waits until this server, and no other one on its port, serves groups; False where it does not."""
        process = self._process
        laid_out = (self._data / "meta.properties").read_text()
        cluster = laid_out.partition("cluster.id=")[2].partition("\n")[0]
        deadline = time.monotonic() + seconds
        while process is not None and not process.ended() and time.monotonic() < deadline:
            if _accepts(self._started.port) and _serves_groups(self.client_config, cluster):
                return True
            time.sleep(0.02)
        return False

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(how)


def is_free(port: int) -> bool:
    """Tells whether nobody listens on `port` of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _serves_groups(client_config: dict[str, str], cluster: str) -> bool:
    """Tells whether the group coordinator of `cluster` is up; asking makes it load.

    A consumer that meets it while it loads would wait three seconds before it tries again.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    admin: Any = AdminClient({**client_config, "log_level": 0})
    try:
        if admin.list_topics(timeout=5).cluster_id != cluster:
            return False
        admin.describe_consumer_groups(["pointsman-warm-up"], request_timeout=5)["pointsman-warm-up"].result()
    except KafkaException as error:
        absent = error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND
        return bool(absent)
    return True


def _tail(text: str, lines: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-lines:]) or "(nothing)"
