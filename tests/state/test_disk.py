"""State on disk: what is committed is there again, with the changelog's offset; what is not is gone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.base.errors import EnvironmentFault, StateError
from pointsman.state.base import Backing, Change, joined
from pointsman.state.disk import Disk
from pointsman.state.memory import Memory

CHANGES = st.lists(
    st.tuples(
        st.builds(joined, st.sampled_from(["a", "b", "a\0b", "é", ""]), st.sampled_from([0, 1, 65535])),
        st.one_of(st.none(), st.binary(max_size=4)),
    ),
    max_size=6,
)
STEPS = st.lists(st.one_of(CHANGES, st.sampled_from(["commit", "abort"])), max_size=12)


def contents(backing: Backing) -> dict[str, list[tuple[int, bytes]]]:
    return {key: backing.read(key) for key in backing.keys()}  # noqa: SIM118  it is no dict


@settings(max_examples=60)
@given(steps=STEPS)
def test_disk_and_memory_agree(tmp_path_factory: pytest.TempPathFactory, steps: list[object]) -> None:
    """Whatever is staged, committed and aborted, both hold the same; reopened, what was committed."""
    folder = tmp_path_factory.mktemp("disk")
    disk, memory, kept = Disk(folder), Memory(), Memory()
    staged: list[Change] = []
    for step in steps:
        if step == "commit":
            for backing in (disk, memory):
                backing.apply(staged)
            kept.load(staged)
            staged = []
        elif step == "abort":
            for backing in (disk, memory):
                backing.discard()
            staged = []
        else:
            assert isinstance(step, list)
            for backing in (disk, memory):
                backing.stage(step)
            staged += step
        assert contents(disk) == contents(memory)
        assert len(kept) == sum(map(len, contents(kept).values()))
    disk.mark(7)
    disk.close()
    again = Disk(folder)
    assert contents(again) == contents(kept)
    assert again.offset == 7
    again.close()


def test_a_copy_that_is_too_old_begins_anew(tmp_path: Path) -> None:
    """Deletes that it missed may be gone from the changelog, so nothing of it is used."""
    disk = Disk(tmp_path / "0", now_ms=0)
    disk.load([(joined("a", 0), b"x")])
    disk.mark(3)
    disk.close()
    fresh = Disk(tmp_path / "0", now_ms=19 * 3_600_000)
    assert (fresh.offset, fresh.read("a")) == (3, [(0, b"x")])
    fresh.close()
    stale = Disk(tmp_path / "0", now_ms=21 * 3_600_000)
    assert (stale.offset, stale.read("a")) == (None, [])
    stale.close()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    """While another worker, shut out but not gone, has the folder, one beside it is used."""
    first = Disk(tmp_path / "0")
    second = Disk(tmp_path / "0")
    assert (first.folder.name, second.folder.name) == ("0", "0.1")
    first.close()
    second.close()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file in its place is a fault of the surroundings, with the place and the cause."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot keep state in"):
        Disk(tmp_path / "file" / "0")


def test_a_full_disk_says_so_and_loses_nothing(tmp_path: Path) -> None:
    """Where nothing more fits, the run ends with the folder and what to do; the offset stays behind it."""

    class Full:
        def write(self, _: object) -> None:
            raise Exception("IO error: No space left on device: While appending to file")

        def close(self) -> None:
            """Nothing to do."""

    disk = Disk(tmp_path / "0")
    disk.load([(joined("a", 0), b"x")])
    disk.mark(3)
    held, disk._db = disk._db, Full()
    with pytest.raises(EnvironmentFault, match=r"no space is left .*nothing is lost"):
        disk.apply([(joined("a", 0), b"y")])
    held.close()
    again = Disk(tmp_path / "0")
    assert (again.offset, again.read("a")) == (3, [(0, b"x")])
    again.close()


def damage(folder: Path) -> None:
    """Turns bytes over in the table files, beyond their first block."""
    for file in folder.glob("*.sst"):
        content = bytearray(file.read_bytes())
        for at in range(4096, len(content) // 2, 4096):
            content[at] ^= 0xFF
        file.write_bytes(content)


def test_damage_is_told_and_the_folder_made_anew(tmp_path: Path) -> None:
    """A block that cannot be read is no missing key: it ends the run, and the next begins with nothing."""
    disk = Disk(tmp_path / "0")
    noise = random.Random(1)
    disk.load([(joined(f"k{n}", 0), noise.randbytes(400)) for n in range(2000)])
    disk.mark(3)
    disk._db.flush()
    disk.close()
    damage(tmp_path / "0")
    again = Disk(tmp_path / "0")
    with pytest.raises(StateError, match="made anew from the changelog"):
        list(again.keys())
    again.close()
    fresh = Disk(tmp_path / "0")
    assert (fresh.offset, list(fresh.keys())) == (None, [])
    fresh.close()


@pytest.mark.parametrize("lost", ["CURRENT", "MANIFEST-*"])
def test_a_folder_that_cannot_be_opened_is_made_anew(tmp_path: Path, lost: str) -> None:
    """What is missing of the folder does not stop the run; the changelog has it all."""
    disk = Disk(tmp_path / "0")
    disk.load([(joined("a", 0), b"x")])
    disk.mark(3)
    disk.close()
    for file in (tmp_path / "0").glob(lost):
        file.unlink()
    again = Disk(tmp_path / "0")
    assert (again.offset, again.read("a")) == (None, [])
    again.close()


def test_a_copy_of_another_changelog_is_not_used(tmp_path: Path) -> None:
    """A changelog that was deleted and made anew, or that of another cluster, has another id."""
    disk = Disk(tmp_path / "0")
    disk.follow("one")
    disk.load([(joined("a", 0), b"x")])
    disk.mark(3)
    disk.close()
    same = Disk(tmp_path / "0")
    same.follow("one")
    assert (same.offset, same.read("a")) == (3, [(0, b"x")])
    same.close()
    other = Disk(tmp_path / "0")
    other.follow("two")
    assert (other.offset, other.read("a")) == (None, [])
    other.close()
