"""A real Apache Kafka server as a child process: one node in KRaft mode, reachable from this machine only."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from pointsman.base.errors import EnvironmentFault
from pointsman.bus.local.jars import KAFKA_VERSION, fetch_kafka
from pointsman.bus.local.java import find_java
from pointsman.bus.local.paths import exclusive, is_locked
from pointsman.bus.local.server import Security, make_security, server_properties

__all__ = ["LocalBroker", "State", "is_free", "read_state"]

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_FORMATTED = "formatted"


@dataclass(frozen=True, slots=True)
class State:
    """What is known of the broker of a folder; kept there as broker.json.

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


class LocalBroker:
    """One Kafka server and its folder.

    Args:
        directory: Where data, settings and log live; a temporary folder that goes with the broker by default.
        port: Where clients connect; by default the last start's where that is free, else any.
        security: `scram-tls` makes clients log in by SCRAM-SHA-512 over TLS, and begins with empty data;
            None asks nothing of them.
        keep: Whether `stop` leaves the data in `directory`.
        detached: Whether the server outlives this process.
        quick: Whether the JVM compiles lightly: up a second or two sooner, slower under heavy load.

    Attributes:
        bootstrap: The address for clients, once started.
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
        self._directory = (directory or Path(tempfile.mkdtemp(prefix="pointsman-broker-"))).absolute()
        self._port = port
        self._secured = security is not None
        self._keep = keep and directory is not None
        self._detached = detached
        self._quick = quick
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
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
        if self._state is None:
            raise EnvironmentFault("the local broker has not been started")
        return self._state.bootstrap

    @property
    def client_config(self) -> dict[str, str]:
        """The librdkafka properties with which a client may do everything."""
        login = self.security.client(self.security.admin) if self.security else {}
        return {"bootstrap.servers": self.bootstrap, **login}

    @property
    def pid(self) -> int:
        """The process that serves."""
        if self._state is None:
            raise EnvironmentFault("the local broker has not been started")
        return self._state.pid

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
            with exclusive(self._directory / "start.lock"):
                self._start(java, jars)
                self._wait_until_ready(seconds)
        except OSError as error:
            raise EnvironmentFault(
                f"the local broker cannot use {self._directory}: {error.strerror or error}; "
                "free some space or name another folder in POINTSMAN_CACHE"
            ) from error
        if self._detached:
            self._let_go()
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

    def _start(self, java: Path, jars: Path) -> None:
        if is_locked(self._data / ".lock"):
            raise EnvironmentFault(
                f"a broker already runs on {self._directory}; stop it first with 'pointsman broker stop'"
            )
        last = self._state or read_state(self._directory)
        port = self._choose_port(last)
        controller_port = last.controller_port if last and is_free(last.controller_port) else _free_port()
        if self._secured and self.security is None:
            self.security = make_security(self._directory, java)
            (self._directory / _FORMATTED).unlink(missing_ok=True)  # new users are made with new data
        properties = self._directory / "server.properties"
        properties.write_text(server_properties(self._data, port, controller_port, self.security))
        command = self._command(java, jars)
        self._format(command, properties)
        process = self._spawn([*command, "kafka.Kafka", str(properties)])
        started = round(time.time(), 3)
        self._state = State(process.pid, port, controller_port, KAFKA_VERSION, str(java), started)
        _write_state(self._directory, self._state)

    @property
    def _data(self) -> Path:
        return self._directory / "data"

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

    def _format(self, command: list[str], properties: Path) -> None:
        """Lays out the data folder, once; what a killed attempt left is removed first."""
        done = self._directory / _FORMATTED
        if done.exists() and (self._data / "meta.properties").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        arguments = ["-t", "pointsman-local-broker", "-c", str(properties)]
        users = self.security.format_arguments() if self.security else []
        run = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", *arguments, *users],
            capture_output=True,
            text=True,
        )
        if run.returncode != 0:
            raise EnvironmentFault(
                f"Kafka could not lay out its data in {self._data}: {_tail(run.stdout + run.stderr)}"
            )
        done.touch()

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C is for the pipeline, which drains while the broker still answers.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if not self._detached:
            # The watcher's input ends when this process does, however it ends.
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", f"read _; kill -9 {self._process.pid}"],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            atexit.register(self.stop)
        return self._process

    def _wait_until_ready(self, seconds: float) -> None:
        process, state = self._process, self._state
        assert process is not None
        assert state is not None
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            if _accepts(state.port) and _serves_groups(self.client_config):
                return
            time.sleep(0.02)
        ended = process.poll() is not None
        self._end(signal.SIGKILL)
        what = "ended at once" if ended else f"did not answer within {seconds:.0f} s"
        raise EnvironmentFault(
            f"the local broker {what}; its log {self.log} says: {_tail(self.log.read_text(errors='replace'))}"
        )

    def _let_go(self) -> None:
        """Forgets the server, which goes on by itself; Popen would warn that nobody waited for it."""
        if self._process is not None:
            self._process.returncode = 0
        self._process = None

    def _end(self, how: signal.Signals) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            atexit.unregister(self.stop)
            watcher.kill()
            watcher.communicate()
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_state(directory: Path) -> State | None:
    """Returns what the last start in `directory` left; None where there was none."""
    try:
        return State(**json.loads((directory / "broker.json").read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write_state(directory: Path, state: State) -> None:
    new = directory / "broker.json.new"
    new.write_text(json.dumps(asdict(state)))
    new.replace(directory / "broker.json")


def _tail(text: str, lines: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-lines:]) or "(nothing)"


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _serves_groups(client_config: dict[str, str]) -> bool:
    """Tells whether the group coordinator is up; asking makes it load.

    A consumer that meets it while it loads would wait three seconds before it tries again.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({**client_config, "log_level": 0})
    try:
        admin.describe_consumer_groups(["pointsman-warm-up"], request_timeout=5)["pointsman-warm-up"].result()
    except KafkaException as error:
        absent = error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND
        return bool(absent)
    return True


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
