"""A backing on disk, RocksDB under the worker's state folder: memory is bounded and a restart is short.

The folder is a copy. It holds only what was committed, and up to which offset of the changelog; what came
after is read from there. A folder that cannot be used is made anew from the changelog.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from pointsman.base.errors import EnvironmentFault, MissingExtra, StateError
from pointsman.state.base import Change, joined, parted
from pointsman.state.overlay import Overlay

__all__ = ["Disk"]

T = TypeVar("T")

_MARK: Final = b"\0"
"""Where the changelog's offset stands, when that was, and its id; a record's key has three bytes at least."""

_DAMAGED: Final = "DAMAGED"
"""A file that says that the folder is not to be used again."""

_SLOT_BYTES: Final = 3
_STALE_MS: Final = 20 * 3_600_000
"""A copy that is older is not used: deletes that it missed may be gone from the changelog, after a day."""

_BUFFER: Final = 8 << 20
_OPEN_FILES: Final = 64
_TRIES: Final = 8


class Disk:
    """Keeps the records of one store of one partition in RocksDB; see `Backing`.

    Attributes:
        folder: Where it is.
        offset: The changelog's offset up to which it is complete; None: it is empty.
        log: The id of the changelog that it is a copy of; None: it is not known yet.
    """

    def __init__(self, folder: Path, now_ms: int | None = None) -> None:
        """Opens the folder, or makes it.

        While another worker on this machine still has it, which was shut out and does not know yet, a folder
        beside it is taken.

        Args:
            now_ms: The time now, milliseconds since 1970; left out: the clock's.

        Raises:
            MissingExtra: RocksDB is not installed.
            EnvironmentFault: The folder cannot be written.
        """
        self._over = Overlay()
        self._now_ms = now_ms
        self.folder, self._db = self._open(folder)
        self.offset: int | None = None
        self.log: str | None = None
        mark = self._guarded(lambda: self._db.get(_MARK))
        with suppress(ValueError):  # one of another version is none
            offset, at_ms, log = (mark or b"").decode().split(" ")
            if 0 <= self._now() - int(at_ms) < _STALE_MS:
                self.offset, self.log = int(offset), log
        if self.offset is None and self._guarded(self._any):
            self.reset()

    def read(self, key: str) -> list[tuple[int, bytes]]:
        """All slots of a key with their values, by slot; staged ones stand over committed ones."""
        prefix = joined(key, 0)[:-2]
        found: dict[int, bytes] = {}
        for name, committed in self._walk(prefix):
            if not name.startswith(prefix):
                break
            if len(name) == len(prefix) + 2:  # else it is of a longer key that goes on with NUL
                found[int.from_bytes(name[-2:], "big")] = committed
        self._over.put(prefix, found)
        return sorted(found.items())

    def stage(self, changes: Sequence[Change]) -> None:
        """Takes changes that are not committed yet; they stay in memory."""
        self._over.stage(changes)

    def apply(self, changes: Sequence[Change]) -> None:
        """Takes over changes that were staged and are now committed."""
        self.load(changes)
        self._over.settle(changes)

    def discard(self) -> None:
        """Drops everything staged."""
        self._over.clear()

    def load(self, changes: Sequence[Change]) -> None:
        """Takes committed changes as the changelog has them."""
        from rocksdict import WriteBatch

        batch = WriteBatch(raw_mode=True)
        for name, value in changes:
            if value is None:
                batch.delete(name)
            else:
                batch.put(name, value)
        self._guarded(lambda: self._db.write(batch))

    def follow(self, log: str) -> None:
        """From now on it is a copy of the changelog with the id `log`; that of another is made anew."""
        if self.log != log and self.offset is not None:
            self.reset()
        self.log = log

    def mark(self, offset: int) -> None:
        """It is complete up to an offset of the changelog."""
        said = f"{offset} {self._now()} {self.log or ''}"
        self._guarded(lambda: self._db.put(_MARK, said.encode()))
        self.offset = offset

    def reset(self) -> None:
        """Forgets everything: it is read from the changelog anew."""
        self._db.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder, self._db = self._open(self.folder)
        self._over.clear()
        self.offset = None

    def keys(self) -> Iterator[str]:
        """Every key that has a value, each once."""
        over, last = dict.fromkeys(self._over.names(), True), b""
        for record, _ in self._walk(b""):
            if len(record) >= _SLOT_BYTES and record[:-2] != last:
                last = record[:-2]
                key = parted(record)[0]
                if not over.pop(last, False) or self.read(key):
                    yield key
        for name in over:
            key = name[:-1].decode("utf-8", "surrogatepass")
            if self.read(key):
                yield key

    def __len__(self) -> int:
        """How many records there are, about."""
        known: Any = self._db.property_int_value("rocksdb.estimate-num-keys")
        return int(known or 0) + len(self._over)

    @property
    def size(self) -> int:
        """Bytes of what is committed, about."""
        known: Any = self._db.property_int_value("rocksdb.estimate-live-data-size")
        fresh: Any = self._db.property_int_value("rocksdb.cur-size-active-mem-table")
        return int(known or 0) + int(fresh or 0)

    def close(self) -> None:
        """Lets go of the folder."""
        with suppress(Exception):  # what is not in the folder is in the changelog
            self._db.close()

    def _any(self) -> bool:
        return next(self._walk(b""), None) is not None

    def _walk(self, begin: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The records from `begin` on; what cannot be read raises, where RocksDB itself would just end."""
        walk = self._db.iter()
        walk.seek(begin)
        while walk.valid():
            yield walk.key(), walk.value()
            walk.next()
        try:
            walk.status()
        except Exception as error:  # as above
            raise self._fault(self.folder, error) from error

    def _now(self) -> int:
        return time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms

    def _open(self, folder: Path) -> tuple[Path, Any]:
        try:
            from rocksdict import Rdict
        except ImportError:
            raise MissingExtra("--state-dir", "rocksdb") from None
        places = [folder, *(folder.with_name(f"{folder.name}.{n}") for n in range(1, _TRIES))]
        for place in places:
            try:
                if (place / _DAMAGED).exists():
                    shutil.rmtree(place)
                place.mkdir(parents=True, exist_ok=True)
                return place, Rdict(str(place), _options())
            except OSError as error:
                raise EnvironmentFault(f"cannot keep state in {place}: {error.strerror}") from error
            except Exception as error:  # rocksdict has no kinds of them
                said = str(error)
                if "lock" in said.lower() and place is not places[-1]:
                    continue
                fault = self._fault(place, error)
                if not isinstance(fault, StateError):
                    raise fault from error
                shutil.rmtree(place, ignore_errors=True)  # a copy that cannot be opened is made anew
                with suppress(Exception):
                    return place, Rdict(str(place), _options())
                raise fault from error
        raise AssertionError("the last place is tried to its end")

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:  # as above
            raise self._fault(self.folder, error) from error

    def _fault(self, folder: Path, error: Exception) -> EnvironmentFault | StateError:
        said = str(error)
        if "No space left" in said or "File too large" in said:
            return EnvironmentFault(
                f"no space is left for state in {folder}: free some, or give --state-dir another disk, and "
                "start again; nothing is lost, what is missing there is read from the changelog"
            )
        if "Permission denied" in said or "Read-only" in said:
            return EnvironmentFault(
                f"cannot write state in {folder} ({said}): give --state-dir a folder of yours"
            )
        with suppress(OSError):
            (folder / _DAMAGED).touch()
        return StateError(
            f"the state in {folder} cannot be used ({said}): start again; it is then made anew from the "
            "changelog. If that comes again, look after the disk"
        )


def _options() -> Any:
    from rocksdict import Options

    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_BUFFER)
    options.set_max_open_files(_OPEN_FILES)
    options.set_keep_log_file_num(1)
    return options
