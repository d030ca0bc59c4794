"""Where the local broker keeps what it downloads and stores, and the lock that guards it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pointsman.base.errors import EnvironmentFault

__all__ = ["cache_dir", "exclusive", "is_locked"]


def cache_dir() -> Path:
    """Returns the user's cache folder: POINTSMAN_CACHE, else `pointsman` in XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("POINTSMAN_CACHE"):
        return Path(own).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "pointsman"


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds the lock file `path` among processes; blocks while another holds it."""
    fcntl = _fcntl()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write to {path.parent}: {error.strerror}; free some space or name another folder "
            "in POINTSMAN_CACHE"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """Tells whether another process holds a record lock on `path`, as a running Kafka does on its data."""
    fcntl = _fcntl()
    try:
        file = path.open("r+")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _fcntl() -> Any:  # typeshed knows the module on some platforms only
    try:
        import fcntl
    except ImportError as error:
        raise EnvironmentFault(
            "the local broker runs on Linux and macOS; elsewhere, use a Kafka of your own "
            "(kafka: {bootstrap.servers: …})"
        ) from error
    return fcntl
